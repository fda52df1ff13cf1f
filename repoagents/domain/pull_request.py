"""A pull request of ours as it stands: what people and checks have said of it so far."""

from dataclasses import dataclass
from enum import StrEnum

from repoagents.domain.people import Account


class PullState(StrEnum):
    """Whether a pull request can still be merged."""

    OPEN = "open"
    CLOSED = "closed"
    """Closed without a merge: a person's no."""
    MERGED = "merged"


class ReviewState(StrEnum):
    """What a person's review says."""

    APPROVED = "approved"
    CHANGES_REQUESTED = "changes_requested"
    COMMENTED = "commented"
    DISMISSED = "dismissed"


@dataclass(frozen=True)
class PeerReview:
    """One review by an account, of the commit `sha`; `body` is what it says besides its remarks."""

    author: Account
    state: ReviewState
    sha: str
    id: int = 0
    body: str = ""


GREEN = frozenset({"success", "neutral", "skipped"})
"""The conclusions that GitHub itself counts as passed."""


@dataclass(frozen=True)
class CheckRun:
    """One check on the head commit.

    `conclusion` is None while it runs, `tail` the end of its own words. `id` is 0 for a commit
    status; `has_log` says whether there is the log of a job of this id. `app_id` is the App that
    gave it, 0 where that is not told, as of a status. `queued` is true until it begins.
    """

    name: str
    conclusion: str | None
    tail: str = ""
    id: int = 0
    has_log: bool = False
    app_id: int = 0
    queued: bool = False

    @property
    def green(self) -> bool:
        """Whether it has passed."""
        return self.conclusion in GREEN


@dataclass(frozen=True)
class RequiredCheck:
    """A check that a branch asks for; `app_id` is the App that has to give it, 0 for any."""

    name: str
    app_id: int = 0

    def counts(self, check: CheckRun) -> bool:
        """Whether this is the check that is asked for, not merely one of its name.

        A commit status does not tell whose it is: GitHub knows, and refuses the merge if need be.
        """
        return check.name == self.name and (self.app_id == 0 or check.app_id in (0, self.app_id))

    def __str__(self) -> str:
        """As a person knows it."""
        return f"{self.name} of App {self.app_id}" if self.app_id else self.name


@dataclass(frozen=True)
class Annotation:
    """What a check remarks on a line; `level` is failure, warning or notice."""

    path: str
    line: int
    level: str
    message: str


@dataclass(frozen=True)
class CheckDetail:
    """What a failed check left behind: annotations, failures first, and the end of its log.

    `unread` says of each part that could not be read why.
    """

    annotations: tuple[Annotation, ...] = ()
    log: str = ""
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Remark:
    """What somebody wrote in a thread; `ours` when it was the bot."""

    id: int
    author: Account
    body: str
    ours: bool = False


@dataclass(frozen=True)
class Thread:
    """The remarks below one line of the change, oldest first; `id` is what a reply names.

    `line` is 0 where a file as a whole is meant.
    """

    id: int
    path: str
    line: int
    remarks: tuple[Remark, ...]


@dataclass(frozen=True)
class PullRequest:
    """A pull request, read whole.

    `behind` is true when the base has commits that the head lacks. `mergeable` is None while
    GitHub has not computed it. `reviews` are oldest first, `checks` the newest of each name on
    `head_sha`, commit statuses among them. `author_id` is 0 for a deleted account.
    """

    number: int
    url: str
    state: PullState
    draft: bool
    head_sha: str
    base: str
    base_sha: str
    behind: bool
    mergeable: bool | None
    author_id: int
    reviews: tuple[PeerReview, ...] = ()
    checks: tuple[CheckRun, ...] = ()
    threads: tuple[Thread, ...] = ()
