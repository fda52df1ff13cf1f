"""What becomes of a run: publication of a proven change, the next status, the last word."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from repoagents.domain.effect import (
    OpenDraftPullRequest,
    PostComment,
    PushBranch,
    Withheld,
    effect_name,
)
from repoagents.domain.pull_request import PullRequest, PullState
from repoagents.domain.reports import Verdict, VerdictKind, Verification
from repoagents.domain.run import Failure, FailureClass, Run, RunStatus, Stage
from repoagents.pipeline import dossier, handover, notice, publisher
from repoagents.pipeline.boundary import StepResult, change, current
from repoagents.pipeline.reconcile import call_off, why_stop
from repoagents.pipeline.stages import Attempt, Built
from repoagents.pipeline.stepping_back import step_back_if_critical
from repoagents.policy import retry, safety
from repoagents.ports import CLOSED, Approval, CommitRequest, House, Worktree
from repoagents.views import handoff
from repoagents.views.snapshot import EffectRow

ANEW = "anew"
"""The decision of whoever asks anew for a change whose pull request was closed."""

MADE_UP_FOR = timedelta(days=1)
"""How long it is tried again to show what a run came to: what is refused for longer stays so."""


async def publish(attempt: Attempt, run: Run, round_: int) -> StepResult:
    """Build the commit, then bring branch and pull request as far as the flags allow."""
    await asyncio.to_thread(_publish, attempt.house, run, round_)
    return StepResult(VerdictKind.PUBLISH.value)


def _publish(house: House, run: Run, round_: int) -> None:
    if not _is_wanted(house, run) or _is_over(house, run):
        return
    built = house.stages.last(run.id, Stage.BUILD, Built, round_)
    proof = house.stages.last(run.id, Stage.VERIFY, Verification, round_)
    if built is None:
        raise LookupError(f"run {run.id} has no change in round {round_}")
    settings = house.settings
    message = handoff.render_commit_message(
        settings.commit.message_template,
        title=run.title,
        number=run.issue_number,
        summary=built.report.summary,
        run_id=run.id,
    )
    branch = _branch_of(house, run)
    head = _commit(house, run, branch, built.change.tree, message)
    now = house.clock.now()
    verified = proof is not None and proof.verified
    run = change(
        house,
        run.id,
        lambda was: was.carried_by(head, built.change.diff_hash, branch, now).proven(verified, now),
    )
    push, pull_request = effects_of(house, run)
    publisher.publish(house, run.id, (push,))
    if _is_wanted(house, run):
        publisher.publish(house, run.id, (pull_request,))


def _is_wanted(house: House, run: Run) -> bool:
    """Whether somebody still wants the run; called off when nobody does."""
    reason = why_stop(house, run)
    if reason is not None:
        call_off(house, run, reason)
    return reason is None


def _is_over(house: House, run: Run) -> bool:
    """Whether a person has ended the pull request while a later round was built: called off then.

    One that was known to be closed before is no news: somebody has asked anew since.
    """
    pulls = house.tracker.pulls
    if pulls is None or not publisher.is_done(house, run, "draft_pull_request"):
        return False
    pull = pulls.pull_request(run.branch)
    if pull is None:
        return False
    if pull.state is not PullState.OPEN and note_end(house, run, pull):
        call_off(house, run, why_over(pull))
        return True
    words = house.approvals.select(run.id)
    if words and words[-1].decision == CLOSED:
        # The no is not the last word any more: what is open is looked after.
        now = house.clock.now()
        house.approvals.add(Approval(run.id, ANEW, run.head_sha, run.diff_hash, "", now))
    return False


def note_end(house: House, run: Run, pull: PullRequest) -> bool:
    """Write down that a pull request is merged, or that a person said no; whether that holds.

    A no that is known already does not: work on it goes on only because somebody asked anew.
    """
    if pull.state is PullState.MERGED:
        publisher.adopt(house, publisher.merge_of(run), pull.url)
        return True
    reason, now = why_over(pull), house.clock.now()
    words = house.approvals.select(run.id)
    known = any((word.decision, word.note) == (CLOSED, reason) for word in words)
    house.approvals.add(Approval(run.id, CLOSED, run.head_sha, run.diff_hash, "", now, reason))
    return not known


def why_over(pull: PullRequest) -> str:
    """What the end of a pull request means for its run."""
    if pull.state is PullState.MERGED:
        return f"pull request {pull.number} was merged"
    return f"pull request {pull.number} was closed: nothing more until somebody asks anew"


def _branch_of(house: House, run: Run) -> str:
    """The run's branch: that of the issue's open pull request, whatever its title is by now."""
    named = run.branch or safety.branch_name(run.issue_number, run.title, run.id)
    pulls = house.tracker.pulls
    if run.branch or pulls is None:
        return named
    earlier = dict.fromkeys(was.branch for was in house.runs.of_issue(run.issue_number))
    for branch in filter(None, earlier):
        pull = pulls.pull_request(branch) if branch != named else None
        if pull is not None and pull.state is PullState.OPEN:
            return branch
    return named


def _commit(house: House, run: Run, branch: str, tree: str, message: str) -> str:
    """The commit of this tree, following what the bot has on the branch already.

    So a later round, or a later run of the issue, is pushed without force.
    """
    request = CommitRequest(run.id, run.base_sha, tree, message, run.created_at)
    push = PushBranch(run.id, run.issue_number, branch, "")
    if isinstance(publisher.gate(house, push), Withheld):
        return house.workspaces.commit(request)
    onto = house.workspaces.branch_head(branch)
    if onto is None or not publisher.is_ours(house, run.issue_number, onto):
        return house.workspaces.commit(request)
    house.workspaces.recall(branch, onto)
    if house.workspaces.tree_of(onto) == tree and _holds(house, run, onto, message):
        return onto
    return house.workspaces.commit(replace(request, onto=onto))


def _holds(house: House, run: Run, commit: str, message: str) -> bool:
    """Whether a commit has the run's base below it; what a conflict came to may equal one side."""
    merged = house.workspaces.merge_base(commit, run.base_sha, message, run.created_at)
    return merged == commit


def effects_of(house: House, run: Run) -> tuple[PushBranch | OpenDraftPullRequest, ...]:
    """Branch and draft pull request of a run whose commit is built."""
    number, base = run.issue_number, base_of(house)
    held = _held_later(house, run)
    merges = house.tracker.pulls is not None and all(name != "merge" for name, *_ in held)
    told = dossier.gather(house, run)
    title, body = handoff.render_pull_request(told, held, merges=merges)
    return (
        publisher.push_of(run),
        OpenDraftPullRequest(run.id, number, title, body, run.branch, base),
    )


def _held_later(house: House, run: Run) -> tuple[EffectRow, ...]:
    """What a flag holds back of that which would follow the pull request."""
    if house.tracker.pulls is None:
        return ()
    later = (PostComment(run.id, run.issue_number, "", ""), publisher.merge_of(run))
    gates = (publisher.gate(house, effect) for effect in later)
    return tuple(
        (effect_name(gate.effect), "withheld", gate.flag, gate.reason, "")
        for gate in gates
        if isinstance(gate, Withheld)
    )


def base_of(house: House) -> str:
    """The branch that changes start from and go into."""
    return house.settings.tracker.base_branch or house.workspaces.base_branch()


def conclude(house: House, run_id: str, generation: int, result: StepResult) -> Run:
    """The run's next status from an attempt's result; by values, so that a repeat is the same.

    A run that a person ended, or sent back to work since (a newer `generation`), stays as it is.
    """

    def move(run: Run) -> Run:
        if run.generation != generation:
            return run
        if run.status is RunStatus.QUEUED and run.attempt:
            run = run.resume(house.clock.now())
        return _after(house, run, result) if run.status is RunStatus.IN_PROGRESS else run

    before = current(house, run_id)
    if before.generation != generation:
        return before
    step_back_if_critical(house, before, result)
    run = change(house, run_id, move)
    house.journal.note(
        "run_settled",
        f"issue {run.issue_number}: {run.status}",
        **run.tags,
        attempt=run.attempt,
        status=run.status.value,
    )
    return run


def _after(house: House, run: Run, result: StepResult) -> Run:
    now = house.clock.now()
    match result.word:
        case "publish":
            return run.await_approval(now) if _waits_for_merge(house, run) else run.complete(now)
        case "no_change" if publisher.is_done(house, run, "draft_pull_request"):
            return run.block(_given_up(run), now)
        case "no_change":
            return run.end_without_change(now)
        case "ask" | "hand_off":
            return run.block(_by_verdict(house, run), now)
        case "failed" if result.failure is not None:
            return _after_failure(house, run, result.failure)
        case _:
            return run.cancel(now)


def _waits_for_merge(house: House, run: Run) -> bool:
    """Whether a person's approval is all that a merge by the bot is missing."""
    merge = publisher.gate(house, publisher.merge_of(run))
    may = house.tracker.pulls is not None and not isinstance(merge, Withheld)
    return may and publisher.is_done(house, run, "draft_pull_request")


def _given_up(run: Run) -> Failure:
    """What a person has to decide when a later round has left nothing of a published change."""
    return Failure(
        FailureClass.PULL_REQUEST,
        "the builder took back all of the change that its pull request holds",
        f"close the pull request, or `repoagents retry {run.issue_number} --note TEXT`",
    )


def _by_verdict(house: House, run: Run) -> Failure:
    decided = house.stages.last(run.id, Stage.VERDICT, Verdict)
    reasons = decided.reasons if decided else ()
    kind = FailureClass(decided.failure_class) if decided else FailureClass.POLICY_BLOCK
    number = run.issue_number
    if kind is FailureClass.QUESTION:
        step = f"answer in the issue's text, or `repoagents retry {number} --note ANSWER`"
    elif kind is FailureClass.REQUEST_CHANGES:
        step = (
            f"edit the issue and `repoagents retry {number}`, `repoagents retry {number} "
            f"--note TEXT`, take changes.patch, or `repoagents cancel {number}`"
        )
    else:
        step = f"read handoff.md; then `repoagents retry {number} --note TEXT` or take the patch"
    return Failure(kind, "; ".join(reasons), step)


def _after_failure(house: House, run: Run, failure: Failure) -> Run:
    now = house.clock.now()
    decided = retry.decide(failure, run, house.settings.agent, now, house.clock.fraction())
    match decided:
        case retry.RetryAt():
            return run.wait_for_retry(failure, decided.at, now, spent=decided.spent)
        case retry.GiveUp():
            return run.fail(decided.failure, now)
        case retry.Block():
            return run.block(decided.failure, now)


async def finish(house: House, run: Run, *, attempted: bool = True) -> None:
    """When a run stops or waits: the after_run hook after an attempt, the handoff, what is shown.

    The run's status stands by now: whatever goes wrong here is told, and changes nothing of it.
    """
    with handover.unharmed(house, run):
        worktrees = await asyncio.to_thread(house.workspaces.worktrees) if attempted else ()
        opened = next((w for w in worktrees if w.run_id == run.id), None)
        if opened is not None:
            await _after_run(house, run, opened)
        await asyncio.to_thread(say, house, run.id)


async def _after_run(house: House, run: Run, worktree: Worktree) -> None:
    problem = await house.checks.hook("after_run", worktree)
    if problem:
        house.journal.warn("hook_failed", f"after_run: {problem}", **run.tags)


def say(house: House, run_id: str) -> None:
    """Write the handoff, and show on the issue how its run stands."""
    run = current(house, run_id)
    told = dossier.gather(house, run)
    handover.write(house, told)
    notice.close(house, told)
    effects = tuple(dossier.effect_row(row) for row in house.ledger.rows(run.id))
    handover.write(house, replace(told, effects=effects))


def make_up(house: House) -> None:
    """Show how runs stand of which that could not be written when they came to rest."""
    since = house.clock.now() - MADE_UP_FOR
    for run_id in house.ledger.unsaid():
        run = house.runs.find(run_id)
        if run is None or run.status in (RunStatus.QUEUED, RunStatus.IN_PROGRESS):
            continue
        left = publisher.left_alone(house, run, notice.SHOWS_ITSELF, run.updated_at)
        if run.updated_at >= since and not left:
            notice.close(house, dossier.gather(house, run))
            handover.renew(house, run)
