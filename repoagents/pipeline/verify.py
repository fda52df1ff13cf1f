"""The project's own checks, run by us: on the base before anything is paid, then on the change."""

import asyncio
from dataclasses import dataclass

from repoagents.domain.reports import CheckOutcome, CheckResult, Verification
from repoagents.domain.run import Failure, FailureClass, Run, Stage
from repoagents.pipeline.boundary import Halted
from repoagents.ports import House, Worktree


@dataclass(frozen=True)
class Proving:
    """A run's worktree to be checked; `deadline`, on the monotonic clock, is the attempt's end."""

    house: House
    run: Run
    worktree: Worktree
    deadline: float

    async def restore(self, tree: str) -> tuple[str, ...]:
        """Put the worktree to a tree or commit; returns the paths that had to change."""
        restore = self.house.workspaces.restore
        return await asyncio.to_thread(restore, self.worktree, self.run.base_sha, tree)


async def run_checks(proving: Proving, prefix: str, stage: Stage) -> tuple[CheckResult, ...]:
    """Run every configured check in order; logs are kept as `<prefix>-<name>.log`.

    Raises `Halted` when the attempt's time is up: that says nothing about the check.
    """
    house, run = proving.house, proving.run
    results = []
    words = [_file_word(check.name) for check in house.settings.verify]
    for number, check in enumerate(house.settings.verify):
        await asyncio.to_thread(
            house.runs.progress, run.id, stage, f"check {check.name}", house.clock.now()
        )
        # Two names that come to the same word keep their logs apart by their place.
        doubled = f"-{number + 1}" if words.count(words[number]) > 1 else ""
        label = f"{prefix}-{words[number]}{doubled}"
        left = max(proving.deadline - house.clock.monotonic(), 0.0)
        seconds = min(check.timeout_seconds, left)
        result = await house.checks.verify(check, proving.worktree, label, seconds)
        if result.outcome is CheckOutcome.TIMED_OUT and seconds < check.timeout_seconds:
            raise Halted(out_of_time(house.settings.agent.run_timeout_seconds))
        results.append(result)
        house.journal.note(
            "check_ended",
            f"check {check.name}: {result.outcome}",
            **run.tags,
            stage=stage.value,
            exit_code=result.exit_code,
            seconds=round(result.seconds, 3),
        )
    return tuple(results)


async def verify_base(proving: Proving) -> Verification:
    """Measure the base; a check that cannot be run there blocks the run before a model is paid."""
    run = proving.run
    results = await run_checks(proving, "base", Stage.BASE_CHECK)
    await proving.restore(run.base_sha)
    broken = next((result for result in results if result.required and not result.usable), None)
    if broken is not None:
        raise Halted(_environment(run, broken))
    return Verification(run.base_sha, results)


async def verify_change(proving: Proving, tree: str, prefix: str) -> Verification:
    """Prove exactly this tree: put the worktree to it, run the checks, put it back again."""
    await proving.restore(tree)
    results = await run_checks(proving, prefix, Stage.VERIFY)
    changed = await proving.restore(tree)
    return Verification(tree, results, changed)


def out_of_time(seconds: float) -> Failure:
    """The failure of an attempt that took longer than it may."""
    return Failure(
        FailureClass.TIMEOUT_HARD,
        f"the attempt took longer than {seconds:g} s in all (agent.run_timeout_seconds)",
        "finished stages are kept; raise agent.run_timeout_seconds if the work needs longer",
    )


def _environment(run: Run, result: CheckResult) -> Failure:
    how = {
        CheckOutcome.NOT_STARTED: "could not be started",
        CheckOutcome.TIMED_OUT: f"timed out after {result.seconds:.0f} s",
    }.get(result.outcome, f"ended with exit code {result.exit_code}")
    return Failure(
        FailureClass.ENVIRONMENT,
        f"the check {result.name!r} ({result.command}) {how} on the untouched base",
        "make the command work in a fresh clone (workspace.hooks.after_create can set one up), "
        f"then `repoagents retry {run.issue_number}`",
    )


def _file_word(name: str) -> str:
    """A check's name as part of a file name."""
    plain = (letter if letter.isascii() and letter.isalnum() else "-" for letter in name)
    return "".join(plain)[:40] or "check"
