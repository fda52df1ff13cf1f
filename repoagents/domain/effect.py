"""What the bot wants to change in the world: values, each with an idempotency key.

Two effects with the same key and different content are one thing that changed: the last counts.
"""

from dataclasses import dataclass
from datetime import datetime

BRANCH_PREFIX = "repoagents/"
"""How every branch begins that the bot may write."""


@dataclass(frozen=True)
class PostComment:
    """The one status comment below an issue; `marker` finds it again."""

    run_id: str
    issue_number: int
    marker: str
    body: str

    @property
    def key(self) -> str:
        """Idempotency key: this run's comment, whose text may be edited back and forth."""
        return f"comment:{self.run_id}"


@dataclass(frozen=True)
class PushBranch:
    """A commit that arrives as a branch; only where the branch is absent or ours."""

    run_id: str
    issue_number: int
    branch: str
    commit: str

    @property
    def key(self) -> str:
        """Idempotency key: this commit on this branch."""
        return f"branch:{self.branch}:{self.commit}"


@dataclass(frozen=True)
class OpenDraftPullRequest:
    """A draft pull request from `head` into `base`."""

    run_id: str
    issue_number: int
    title: str
    body: str
    head: str
    base: str

    @property
    def key(self) -> str:
        """Idempotency key: one pull request per head branch."""
        return f"pull-request:{self.head}"


@dataclass(frozen=True)
class SetLabel:
    """One label put on an issue (`on`), or taken off it; the others stay as they are."""

    run_id: str
    issue_number: int
    label: str
    on: bool

    @property
    def key(self) -> str:
        """Idempotency key: this label in this run's name, which may go on and off and on again."""
        return f"label:{self.run_id}:{self.label}"


@dataclass(frozen=True)
class MergePullRequest:
    """The merge of the pull request from `head`, where that stands at exactly `head_sha`."""

    run_id: str
    issue_number: int
    head: str
    head_sha: str

    @property
    def key(self) -> str:
        """Idempotency key: this commit of this branch."""
        return f"merge:{self.head}:{self.head_sha}"


@dataclass(frozen=True)
class ReplyToRemark:
    """A reply in the thread that a review comment began; `body` begins with our marker.

    `remark_id` is the thread's first comment, 0 for the conversation of the pull request, where a
    review is answered. `answers` is the comment or the review that is answered.
    """

    run_id: str
    issue_number: int
    pull_number: int
    remark_id: int
    body: str
    answers: int = 0

    @property
    def key(self) -> str:
        """Idempotency key: the answer to this remark, whatever it says."""
        return f"reply:{self.remark_id}:{self.answers}"


@dataclass(frozen=True)
class React:
    """A pair of eyes below a comment: what it asks for is kept.

    `run_id` is empty, for there need be no run yet; a tracker counts the same reaction once.
    """

    run_id: str
    issue_number: int
    comment_id: int

    @property
    def key(self) -> str:
        """Idempotency key: this comment."""
        return f"reaction:{self.comment_id}"


Effect = (
    PostComment
    | PushBranch
    | OpenDraftPullRequest
    | SetLabel
    | MergePullRequest
    | ReplyToRemark
    | React
)


@dataclass(frozen=True)
class Withheld:
    """An effect that did not happen: the flag that withheld it, and the reason in words."""

    effect: Effect
    flag: str
    reason: str


@dataclass(frozen=True)
class Receipt:
    """Proof that an effect took place: where it can be seen."""

    key: str
    location: str
    at: datetime


_NAMES: dict[type[Effect], str] = {
    PostComment: "comment",
    PushBranch: "branch",
    OpenDraftPullRequest: "draft_pull_request",
    SetLabel: "label",
    MergePullRequest: "merge",
    ReplyToRemark: "reply",
    React: "reaction",
}


def effect_name(effect: Effect) -> str:
    """The effect's stable name in status, handoff and logs."""
    return _NAMES[type(effect)]
