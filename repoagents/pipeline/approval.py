"""A person's word on exactly one commit: publish it, merge it, or never."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from repoagents.domain.effect import (
    Effect,
    MergePullRequest,
    OpenDraftPullRequest,
    PostComment,
    PushBranch,
    Withheld,
    effect_name,
)
from repoagents.domain.people import AccountKind
from repoagents.domain.pull_request import PullRequest, ReviewState
from repoagents.domain.run import PROVEN, Run, RunStatus
from repoagents.errors import GitError, GitHubError, TrackerError
from repoagents.pipeline import handover, merge, outcome, publisher
from repoagents.pipeline.boundary import change
from repoagents.pipeline.merge import CARRIED
from repoagents.pipeline.pulls import pulls_of, words_on
from repoagents.pipeline.reconcile import why_stop
from repoagents.policy import merging
from repoagents.ports import Approval, Books, House, LedgerRow

APPROVE, REJECT, WITHDRAW = "approve", "reject", "withdraw"
REVIEW, COMMENT = "review on the pull request", "comment"
"""The notes of approvals that stand only as long as their authors may write.

One by a review also stands only as long as the review does.
"""


@dataclass(frozen=True)
class Waiting:
    """A proven change that waits for a person or a flag: the effects held, by which flags.

    `pull` is where its pull request is, empty while there is none.
    """

    run: Run
    effects: tuple[Effect, ...]
    flags: tuple[str, ...]
    pull: str = ""

    @property
    def merges(self) -> bool:
        """Whether it is the merge of what is published already."""
        return any(isinstance(effect, MergePullRequest) for effect in self.effects)


def pending(books: Books) -> tuple[Waiting, ...]:
    """Every run whose result waits for a person or for a flag, newest first.

    Of each issue only the newest run: no other can be approved.
    """
    waiting = (waiting_of(books, run) for run in books.runs.select(PROVEN, limit=10_000))
    return tuple(found for found in waiting if found and _is_newest(books, found.run))


def waiting_of(books: Books, run: Run) -> Waiting | None:
    """What is withheld of one run, or the merge that it waits for; None when nothing waits."""
    held = books.ledger.withheld(run.id)
    effects: tuple[Effect, ...] = tuple(e for e in held if not isinstance(e, MergePullRequest))
    decisive = tuple(e for e in effects if isinstance(e, PushBranch | OpenDraftPullRequest))
    if not decisive and run.status is not RunStatus.AWAITING_APPROVAL:
        return None
    if not decisive:
        effects = (publisher.merge_of(run),)
    gates = [publisher.gate(books, effect) for effect in decisive or effects]
    flags = dict.fromkeys(gate.flag for gate in gates if isinstance(gate, Withheld))
    done = (row for row in books.ledger.rows(run.id) if row.state == "done")
    pull = next((row.location for row in done if row.name == "draft_pull_request"), "")
    return Waiting(run, effects, tuple(flags), pull)


def waits(run: Run, effects: Sequence[LedgerRow]) -> bool:
    """Whether `waiting_of` finds anything, told by the ledger's rows alone."""
    decisive = any(row.held and row.name in ("branch", "draft_pull_request") for row in effects)
    return decisive or run.status is RunStatus.AWAITING_APPROVAL


def show(house: House, number: int) -> Waiting | None:
    """What waits on an issue's newest run, or None."""
    run = house.runs.latest(number)
    return waiting_of(house, run) if run is not None else None


def approve(
    house: House, number: int, by: str, *, at: datetime | None = None, login: str = ""
) -> str:
    """Carry out exactly what was proven, without another model call; returns what came of it.

    `login` is of the person whose comment this is, empty for the operator. A word that was said
    `at` an instant does not hold for a commit that was published after it.
    """
    run = house.runs.latest(number)
    waiting = None if run is None else waiting_of(house, run)
    unpublished = waiting is not None and not waiting.merges
    if run is None or not (unpublished or is_published(house, run)):
        return f"refused: nothing of issue {number} waits for a person"
    refusal = why_stop(house, run) or _why_not_by(house, run, login)
    if refusal is not None:
        return f"refused: {refusal}"
    note = COMMENT if login else ""
    if waiting is not None and unpublished:
        return _publish(house, waiting, by, note)
    refusal = _why_too_early(house, run, at)
    return f"refused: {refusal}" if refusal else _approve_published(house, run, by, note)


def reject(house: House, number: int, by: str, note: str = "") -> str:
    """Discard what is withheld, or the wish to merge; neither will ever be carried out."""
    waiting = show(house, number)
    if waiting is None:
        return f"refused: nothing of issue {number} waits for a person"
    run = waiting.run
    _record(house, run, REJECT, by, note)
    if waiting.merges:
        now = house.clock.now()
        change(
            house,
            run.id,
            lambda was: was.cancel(now, by) if was.status is RunStatus.AWAITING_APPROVAL else was,
        )
        outcome.say(house, run.id)
        return f"rejected: the pull request of issue {number} will not be merged by the bot"
    house.ledger.discard(run.id, f"rejected by {by}", house.clock.now())
    handover.renew(house, run)
    names = ", ".join(effect_name(effect) for effect in waiting.effects)
    return f"rejected: {names} of issue {number} will not be published"


def is_published(house: House, run: Run) -> bool:
    """Whether the run's pull request is out, where the tracker has such, and not merged yet."""
    return (
        run.status in PROVEN
        and house.tracker.pulls is not None
        and publisher.is_done(house, run, "draft_pull_request")
        and not publisher.is_done(house, run, "merge")
    )


def standing(house: House, run: Run) -> Approval | None:
    """The approval of exactly the commit and diff that the run stands for, or None."""
    bound = [
        word
        for word in house.approvals.select(run.id)
        if (word.head_sha, word.diff_hash) == (run.head_sha, run.diff_hash)
    ]
    last = bound[-1] if bound else None
    return last if last is not None and last.decision in (APPROVE, CARRIED) else None


def hear(house: House, run: Run, pull: PullRequest) -> Approval | None:
    """Bring the record in line with the reviews of this very commit; returns what stands then."""
    approving = [
        word.author.login
        for word in words_on(house, pull)
        if word.state is ReviewState.APPROVED and word.sha == run.head_sha == pull.head_sha
    ]
    live = [login for login in approving if _why_not_by(house, run, login) is None]
    found = standing(house, run)
    if found is not None and not _holds(house, run, pull, found, live):
        _record(house, run, WITHDRAW, found.by, found.note)
        found = None
    if found is None and live:
        found = _record(house, run, APPROVE, live[0], REVIEW)
    return found


def _holds(house: House, run: Run, pull: PullRequest, found: Approval, live: list[str]) -> bool:
    """Whether its author still means the word, and may; `live` approve of this very commit."""
    if found.note == COMMENT:
        return _why_not_by(house, run, found.by) is None
    if found.note != REVIEW or found.by in live:
        return True
    # The review is of the commit that the base was merged into.
    return found.decision == CARRIED and any(
        word.author.login == found.by and word.state is ReviewState.APPROVED
        for word in words_on(house, pull)
    )


def _publish(house: House, waiting: Waiting, by: str, note: str) -> str:
    run = waiting.run
    if waiting.flags:
        flags = " and ".join(waiting.flags)
        if not flags.startswith("safety."):
            return f"refused: withheld by {flags} in .ai-repoagents/repoagents.yaml"
        return f"refused: {flags} is off; set it in .ai-repoagents/repoagents.yaml first"
    stale = house.workspaces.why_stale(run.head_sha, house.workspaces.refresh())
    if stale is not None:
        return (
            f"refused: {stale}; `repoagents retry {run.issue_number} --fresh` works on the new base"
        )
    _record(house, run, APPROVE, by, note)
    # What the comment said while it waited is not so any more.
    effects = tuple(each for each in waiting.effects if not isinstance(each, PostComment))
    places: list[str] = []
    for effect in effects:
        refusal = why_stop(house, run)
        if refusal is not None:
            return f"refused: {refusal}"
        places += [done.location for done in publisher.publish(house, run.id, (effect,)).done]
    outcome.say(house, run.id)
    return f"published: {', '.join(places)}"


def _approve_published(house: House, run: Run, by: str, note: str) -> str:
    pull = pulls_of(house).pull_request(run.branch)
    refusal = merging.why_not_this(pull, run.head_sha)
    if pull is None or refusal is not None:
        return f"refused: {refusal}"
    approved = _record(house, run, APPROVE, by, note)
    try:
        return merge.land(house, run, pull, approved)
    except (GitHubError, TrackerError, GitError) as error:
        return f"approved: the merge waits, for {error}"


def _why_too_early(house: House, run: Run, at: datetime | None) -> str | None:
    """A word that is older than the commit was meant for an earlier one."""
    key = publisher.push_of(run).key
    pushed = [row.at for row in house.ledger.rows(run.id) if row.key == key]
    if at is None or not pushed or pushed[-1] <= at:
        return None
    return f"{run.head_sha[:12]} was pushed after that: look at it and approve it again"


def _why_not_by(house: House, run: Run, login: str) -> str | None:
    """Why the approval of this login, empty for the operator, does not count, or None."""
    people = house.tracker.people
    if people is None:
        return merging.why_same_person({login}, run.asked_by, house.settings.approval)
    if login and (merging.is_bot(login) or not people.permission(login).writes):
        return f"{login} cannot approve: that takes a person who may write to the repository"
    if not house.settings.approval.other_person:
        return None
    # With a user's token the operator writes as that user: the two are one person.
    viewer = people.viewer()
    one = viewer.kind is AccountKind.USER and login in ("", viewer.login)
    names = {"", viewer.login} if one else {login}
    return merging.why_same_person(names, run.asked_by, house.settings.approval)


def _is_newest(books: Books, run: Run) -> bool:
    newest = books.runs.latest(run.issue_number)
    return newest is not None and newest.id == run.id


def _record(house: House, run: Run, decision: str, by: str, note: str = "") -> Approval:
    now = house.clock.now()
    word = Approval(run.id, decision, run.head_sha, run.diff_hash, by, now, note)
    house.approvals.add(word)
    house.journal.note(
        f"approval_{decision}", f"{by}: {decision} of {run.head_sha[:12]}", **run.tags
    )
    return word
