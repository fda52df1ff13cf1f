"""What a GitHub remembers: plain records that only the rooms of this package change."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

Json = dict[str, object]
"""One JSON object on its way out."""

MAXIMUM_BODY = 65_536
"""Characters of an issue's, comment's or pull request's body."""

MAXIMUM_TITLE = 256
"""Characters of an issue's or pull request's title."""


@dataclass
class Label:
    """One label of the repository; names differ by more than case."""

    id: int
    name: str
    color: str = "ededed"


@dataclass(frozen=True)
class Reaction:
    """One person's emoji below an issue or a comment."""

    id: int
    content: str
    by: str
    at: datetime


@dataclass
class Comment:
    """A comment below an issue or a pull request."""

    id: int
    number: int
    by: str
    body: str
    created_at: datetime
    updated_at: datetime
    reactions: list[Reaction] = field(default_factory=list)


@dataclass(frozen=True)
class Happening:
    """One line of an issue's timeline; `detail` holds what this kind of event adds, as JSON."""

    id: int
    number: int
    name: str
    by: str
    at: datetime
    detail: Mapping[str, object]


@dataclass
class Review:
    """A review of a pull request at one commit."""

    id: int
    number: int
    by: str
    state: str
    body: str
    commit: str
    at: datetime


@dataclass
class ReviewComment:
    """A remark on a line of the change, or the reply to one."""

    id: int
    number: int
    review: int
    by: str
    body: str
    path: str
    line: int
    commit: str
    created_at: datetime
    updated_at: datetime
    reply_to: int | None = None
    reactions: list[Reaction] = field(default_factory=list)


@dataclass
class Pull:
    """What makes an issue a pull request.

    `base_sha` is the base branch as it was when the head was last pushed: GitHub does not move it
    when the base moves on. `fork` is the full name of the repository that the head lies in, when
    that is another one.
    """

    id: int
    head: str
    base: str
    head_sha: str
    base_sha: str
    draft: bool
    fork: str = ""
    merged_at: datetime | None = None
    merged_by: str = ""
    merge_commit: str | None = None
    reviews: list[Review] = field(default_factory=list)
    remarks: list[ReviewComment] = field(default_factory=list)
    known_mergeable: tuple[str, str] | None = None


@dataclass(frozen=True)
class Edit:
    """That somebody wrote the body; its first version counts, once there is a second."""

    by: str
    at: datetime


@dataclass
class Issue:
    """An issue, or a pull request when `pull` is set."""

    id: int
    number: int
    title: str
    body: str | None
    by: str
    created_at: datetime
    updated_at: datetime
    labels: list[str] = field(default_factory=list)
    state: str = "open"
    state_reason: str | None = None
    closed_at: datetime | None = None
    closed_by: str = ""
    locked: bool = False
    gone_to: str = ""
    edits: list[Edit] = field(default_factory=list)
    pull: Pull | None = None

    @property
    def kind(self) -> str:
        """The webhook event that tells of it."""
        return "pull_request" if self.pull else "issues"

    @property
    def merged(self) -> bool:
        """Whether it is a pull request that was merged."""
        return self.pull is not None and self.pull.merged_at is not None


@dataclass(frozen=True)
class Annotation:
    """A remark of a check on a line."""

    path: str
    line: int
    message: str
    level: str = "failure"
    title: str = ""


@dataclass(frozen=True)
class Check:
    """A check run on a commit; `conclusion` is None while it runs."""

    id: int
    suite: int
    sha: str
    name: str
    conclusion: str | None
    at: datetime
    log: str = ""
    annotations: tuple[Annotation, ...] = ()
    by: str = "github-actions"


@dataclass(frozen=True)
class CommitStatus:
    """A status of the older kind on a commit."""

    id: int
    sha: str
    context: str
    state: str
    at: datetime


@dataclass(frozen=True)
class Protection:
    """What a branch asks of a merge into it."""

    reviews: int = 0
    checks: tuple[str, ...] = ()
    up_to_date: bool = False


@dataclass(frozen=True)
class Notice:
    """Something that subscribers are told: the event, its action, who did it and to what."""

    event: str
    action: str
    by: str
    issue: Issue | None = None
    label: str = ""
    comment: Comment | None = None
    review: Review | None = None
    remark: ReviewComment | None = None
    check: Check | None = None
    detail: Mapping[str, object] = field(default_factory=dict)


Listener = Callable[[Notice], None]
