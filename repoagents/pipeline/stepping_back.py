"""Stepping back by itself: a critical finding holds the bot to an earlier phase of its rollout."""

from repoagents.domain.reports import Verdict
from repoagents.domain.rollout import Brake
from repoagents.domain.run import FailureClass, Run, Stage
from repoagents.pipeline.boundary import StepResult
from repoagents.policy.rollout import why_step_back
from repoagents.policy.safety import phase_within
from repoagents.ports import House


def step_back_if_critical(house: House, run: Run, result: StepResult) -> None:
    """Hold to the phase before the one in force when the attempt ended in a critical finding.

    A run does so once, however often its end is recorded. The operator's file is not touched.
    """
    if not house.settings.rollout.step_back:
        return
    reason = _why(house, run, result)
    brake = house.brakes.find()
    within = phase_within(house.settings, brake)
    if reason is None or within.previous is None or (brake and brake.run_id == run.id):
        return
    now, number = house.clock.now(), run.issue_number
    house.brakes.pull(Brake(within.previous, reason, run.id, number, now))
    house.journal.warn(
        "stepped_back",
        f"issue {number}: {reason}: nothing is written beyond {within.previous} any more; "
        "`repoagents rollout status`",
        **run.tags,
    )


def _why(house: House, run: Run, result: StepResult) -> str | None:
    if result.failure is not None:
        return why_step_back(result.failure.kind)
    verdict = house.stages.last(run.id, Stage.VERDICT, Verdict)
    if result.word != "hand_off" or verdict is None:
        return None
    return why_step_back(FailureClass(verdict.failure_class), verdict)
