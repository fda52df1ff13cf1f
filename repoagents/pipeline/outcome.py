"""What becomes of a run after an attempt: its next status, and the last word on it."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from repoagents.domain.effect import Withheld
from repoagents.domain.reports import Verdict
from repoagents.domain.run import Failure, FailureClass, Run, RunStatus, Stage
from repoagents.pipeline import dossier, handover, notice, publisher
from repoagents.pipeline.boundary import StepResult, change, current
from repoagents.pipeline.stepping_back import step_back_if_critical
from repoagents.policy import retry
from repoagents.ports import House, Worktree

MADE_UP_FOR = timedelta(days=1)
"""How long after a run came to rest its comment and label are tried again."""


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
    """Write the comments and labels of runs at rest that could not be written at the time."""
    since = house.clock.now() - MADE_UP_FOR
    for run_id in house.ledger.unsaid():
        run = house.runs.find(run_id)
        if run is None or run.status in (RunStatus.QUEUED, RunStatus.IN_PROGRESS):
            continue
        left = publisher.left_alone(house, run, notice.SHOWS_ITSELF, run.updated_at)
        if run.updated_at >= since and not left:
            notice.close(house, dossier.gather(house, run))
            handover.renew(house, run)
