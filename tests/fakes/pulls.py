"""A tracker that has accounts and pull requests, in memory: small twin of GitHub's side."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from repoagents.domain.effect import (
    Effect,
    MergePullRequest,
    OpenDraftPullRequest,
    React,
    ReplyToRemark,
    SetLabel,
)
from repoagents.domain.people import Account
from repoagents.domain.pull_request import (
    CheckDetail,
    CheckRun,
    PeerReview,
    PullRequest,
    PullState,
    Remark,
    RequiredCheck,
    ReviewState,
    Thread,
)
from repoagents.errors import GitError, GitHubError
from repoagents.ports import Workspaces
from tests.fakes.people import MemoryPeople
from tests.fakes.world import MemoryTracker

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class MemoryHub(MemoryTracker):
    """A tracker with pull requests over the branches of `spaces`; it is its own `pulls`.

    `opened` are the pull requests by head branch as the test wants them; where the head stands,
    and whether it is behind its base, is asked of `spaces` anew each time. `merged` notes the
    merges, `readied` the drafts that were ended, `refuses` is raised once by the next merge.
    """

    spaces: Workspaces | None = None
    people: MemoryPeople = field(default_factory=MemoryPeople)
    opened: dict[str, PullRequest] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    labels: set[tuple[int, str]] = field(default_factory=set)
    merged: list[tuple[str, str]] = field(default_factory=list)
    readied: list[int] = field(default_factory=list)
    replies: list[tuple[int, str]] = field(default_factory=list)
    reactions: list[int] = field(default_factory=list)
    reads: int = 0
    refuses: GitHubError | None = None
    details: dict[str, CheckDetail] = field(default_factory=dict)

    @property
    def pulls(self) -> "MemoryHub":
        """The pull requests."""
        return self

    @pulls.setter
    def pulls(self, value: object) -> None:
        """The base class sets none."""

    def pull_request(self, head_branch: str) -> PullRequest | None:
        """As it stands now."""
        self._up()
        self.reads += 1
        found = self.opened.get(head_branch)
        if found is None or self.spaces is None:
            return None
        base = self.spaces.refresh()
        head = self.spaces.branch_head(head_branch) or found.head_sha
        # Of a commit that was pushed by hand the memory knows nothing: it is not behind.
        try:
            behind = self.spaces.merge_base(head, base.sha, "", EPOCH) != head
        except (GitError, KeyError):
            behind = False
        return replace(found, head_sha=head, base_sha=base.sha, behind=behind)

    def required_checks(self, base: str) -> tuple[RequiredCheck, ...]:
        """What the test requires, of any App."""
        self._up()
        return tuple(RequiredCheck(name) for name in self.required)

    def check_detail(self, check: CheckRun) -> CheckDetail:
        """What the test says by the check's name."""
        self._up()
        return self.details.get(check.name, CheckDetail())

    def mark_ready(self, number: int) -> None:
        """End the draft."""
        self._up()
        self.readied.append(number)
        for head, pull in self.opened.items():
            if pull.number == number:
                self.opened[head] = replace(pull, draft=False)

    def find(self, effect: Effect) -> str | None:
        """Where the effect stands."""
        match effect:
            case MergePullRequest():
                self._up()
                pull = self.opened.get(effect.head)
                return pull.url if pull and pull.state is PullState.MERGED else None
            case ReplyToRemark():
                self._up()
                said = (effect.remark_id, effect.body) in self.replies
                return f"thread {effect.remark_id}" if said else None
            case SetLabel():
                self._up()
                there = (effect.issue_number, effect.label) in self.labels
                return f"label {effect.label}" if there is effect.on else None
            case OpenDraftPullRequest():
                return self.opened[effect.head].url if super().find(effect) else None
            case _:
                return super().find(effect)

    def perform(self, effect: Effect) -> str:
        """Do it, as GitHub would."""
        match effect:
            case MergePullRequest():
                return self._merge(effect)
            case ReplyToRemark():
                self._up()
                self.replies.append((effect.remark_id, effect.body))
                return f"thread {effect.remark_id}"
            case SetLabel():
                self._up()
                pair = (effect.issue_number, effect.label)
                (self.labels.add if effect.on else self.labels.discard)(pair)
                return f"label {effect.label}"
            case React():
                self._up()
                self.reactions.append(effect.comment_id)
                return f"comment {effect.comment_id}"
            case OpenDraftPullRequest():
                super().perform(effect)
                number = 100 + effect.issue_number
                standing = self.opened.get(effect.head)
                if standing is not None and standing.state is PullState.OPEN:
                    return standing.url
                self.opened[effect.head] = PullRequest(
                    number,
                    f"https://hub.test/pull/{number}",
                    PullState.OPEN,
                    draft=True,
                    head_sha="",
                    base=effect.base,
                    base_sha="",
                    behind=False,
                    mergeable=True,
                    author_id=self.people.us.id,
                )
                return self.opened[effect.head].url
            case _:
                return super().perform(effect)

    def _merge(self, effect: MergePullRequest) -> str:
        self._up()
        if self.refuses is not None:
            refused, self.refuses = self.refuses, None
            raise refused
        pull = self.pull_request(effect.head)
        if pull is None or pull.head_sha != effect.head_sha or pull.draft:
            raise GitHubError("merge: GitHub answered 409, Head branch was modified")
        self.merged.append((effect.head, effect.head_sha))
        self.alter(effect.head, state=PullState.MERGED)
        return pull.url

    def alter(self, head: str, **changes: object) -> None:
        """What somebody did to a pull request."""
        self.opened[head] = replace(self.opened[head], **changes)

    def review(
        self, head: str, author: Account, state: ReviewState, sha: str, body: str = ""
    ) -> int:
        """Somebody's review; returns its number."""
        known = self.opened[head].reviews
        word = PeerReview(author, state, sha, 31 + len(known), body)
        self.alter(head, reviews=(*known, word))
        return word.id

    def remark(self, head: str, author: Account, body: str, line: int = 1, below: int = 0) -> int:
        """Somebody's comment on a line, or `below` the first of a thread; returns its number."""
        threads = self.opened[head].threads
        said = Remark(31 + sum(len(thread.remarks) for thread in threads), author, body)
        if below:
            threads = tuple(
                replace(t, remarks=(*t.remarks, said)) if t.id == below else t for t in threads
            )
        else:
            threads = (*threads, Thread(said.id, "fixed.txt", line, (said,)))
        self.alter(head, threads=threads)
        return said.id

    def check(self, head: str, *checks: CheckRun) -> None:
        """What the checks say now."""
        self.alter(head, checks=checks)
