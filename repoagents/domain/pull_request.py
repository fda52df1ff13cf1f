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
    """One review by an account, of the commit `sha`."""

    author: Account
    state: ReviewState
    sha: str


GREEN = frozenset({"success", "neutral", "skipped"})
"""The conclusions that GitHub itself counts as passed."""


@dataclass(frozen=True)
class CheckRun:
    """One check on the head commit.

    `conclusion` is None while it runs, `tail` the end of its own words. `id` is 0 for a commit
    status; `has_log` says whether there is the log of a job of this id.
    """

    name: str
    conclusion: str | None
    tail: str = ""
    id: int = 0
    has_log: bool = False

    @property
    def green(self) -> bool:
        """Whether it has passed."""
        return self.conclusion in GREEN


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
    """A review comment on a line, the first of its thread; `id` is what a reply names."""

    id: int
    author: Account
    path: str
    line: int
    body: str


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
    remarks: tuple[Remark, ...] = ()
