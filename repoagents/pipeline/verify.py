"""The project's own checks, run by us: on the base before anything is paid, then on the change."""

import asyncio
from dataclasses import replace

from repoagents.domain.reports import CheckOutcome, CheckResult, Verification
from repoagents.domain.run import Failure, FailureClass, Run, Stage
from repoagents.pipeline.boundary import Halted
from repoagents.ports import House, Worktree


async def run_checks(
    house: House, run: Run, worktree: Worktree, prefix: str, stage: Stage
) -> tuple[CheckResult, ...]:
    """Run every configured check in order; logs are kept as `<prefix>-<name>.log`."""
    results = []
    for check in house.settings.verify:
        house.runs.progress(run.id, stage, f"check {check.name}", house.clock.now())
        label = f"{prefix}-{_file_word(check.name)}"
        result = await house.checks.verify(check, worktree, label, check.timeout_seconds)
        results.append(result)
        house.journal.note(
            "check_ended",
            f"check {check.name}: {result.outcome}",
            run=run.id,
            issue=run.issue_number,
            stage=stage.value,
            exit_code=result.exit_code,
            seconds=round(result.seconds, 3),
        )
    return tuple(results)


async def verify_base(house: House, run: Run, worktree: Worktree) -> Verification:
    """Measure the base; a check that cannot be run there blocks the run before a model is paid."""
    results = await run_checks(house, run, worktree, "base", Stage.BASE_CHECK)
    await asyncio.to_thread(house.workspaces.restore, worktree, run.base_sha, run.base_sha)
    broken = next((result for result in results if result.required and not result.usable), None)
    if broken is not None:
        raise Halted(_environment(run, broken))
    return Verification(run.base_sha, results)


async def verify_change(
    house: House, run: Run, worktree: Worktree, tree: str, round_: int
) -> Verification:
    """Prove exactly this tree: put the worktree to it, run the checks, put it back again."""
    restore = house.workspaces.restore
    await asyncio.to_thread(restore, worktree, run.base_sha, tree)
    prefix = "verify" if round_ == 1 else f"verify-{round_}"
    results = await run_checks(house, run, worktree, prefix, Stage.VERIFY)
    changed = await asyncio.to_thread(restore, worktree, run.base_sha, tree)
    return replace(Verification(tree, results), changed_by_checks=changed)


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
    return "".join(letter if letter.isalnum() else "-" for letter in name)[:40] or "check"
