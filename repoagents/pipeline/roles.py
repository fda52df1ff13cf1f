"""One call of one role: prompt, budget, agent, answer, and the one repair request."""

import asyncio
import hashlib
import threading
from dataclasses import dataclass, replace

from repoagents.domain.engines import EngineChoice, engine_for
from repoagents.domain.reports import Role, Usage
from repoagents.domain.run import Failure, FailureClass, Run, Stage
from repoagents.errors import AgentError, GitHubError, OutputInvalid, Stopped, TrackerError
from repoagents.pipeline import notice
from repoagents.pipeline.boundary import Halted, current, stands
from repoagents.pipeline.reconcile import call_off, why_stop
from repoagents.policy import budget
from repoagents.ports import AgentReply, Brief, House, RoleReport, RoleTask, Worktree
from repoagents.views.roles import render_report, report_json

TELL_SECONDS = 0.5
"""How often the last event is noted: each note is a write to disk."""

_RESERVING = threading.Lock()
"""Two runs must not both take the last call."""

STAGE_OF = {Role.PLANNER: Stage.PLAN, Role.BUILDER: Stage.BUILD, Role.REVIEWER: Stage.REVIEW}


@dataclass(frozen=True)
class Call:
    """What one call needs besides its brief; `seconds_left` is what the attempt still has."""

    run: Run
    worktree: Worktree
    brief: Brief
    seconds_left: float
    criteria: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        """The artifacts' name: the role, and the round when it is not the first."""
        role = self.brief.role.value
        return role if self.brief.round == 1 else f"{role}-{self.brief.round}"


def input_hash(*parts: object) -> str:
    """The hash that says for which input a stage's value holds."""
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()[:32]


def prompt_key(prompt: str, brief: Brief, choice: EngineChoice) -> str:
    """The input hash of a call: the prompt without its nonce and run, and who answers it."""
    text = prompt.replace(brief.nonce, "").replace(brief.run_id, "")
    return input_hash(text, choice.engine, choice.model, choice.effort)


async def consult(house: House, call: Call) -> RoleReport:
    """Ask a role and return its typed report; everything is kept as artifacts."""
    await asyncio.to_thread(_enter, house, call)
    prompt = await asyncio.to_thread(house.agents.render, call.brief)
    task = _task(house, call, prompt)
    answer = await _ask(house, call, task)
    try:
        report = house.agents.read(task, answer)
    except OutputInvalid as problem:
        house.journal.warn(
            "answer_invalid",
            f"{call.brief.role}'s answer does not fit: {problem}",
            **call.run.tags,
            role=call.brief.role.value,
        )
        again = house.agents.repair(prompt, answer, str(problem))
        repair = replace(task, prompt=again, label=f"{task.label}-repair")
        answer = await _ask(house, call, repair)
        report = _read_repaired(house, call, repair, answer)
    await asyncio.to_thread(_keep, house, call, report)
    return report


def adopt(house: House, call: Call, prompt: str, report: RoleReport) -> None:
    """Take what a dry run was answered: the run's artifacts hold it as if it had been asked."""
    run = call.run
    house.journal.note(
        "plan_reused", "the dry run's plan is used: same text, base and prompt", **run.tags
    )
    house.artifacts.write(run.issue_number, run.id, f"{call.label}.prompt.md", prompt)
    _keep(house, call, report)


def _enter(house: House, call: Call) -> None:
    """Before a model is paid: is the run still at work, and its issue one that is open?

    If so the issue shows what begins. A tracker that cannot be read now stops nothing: it is looked
    at again before publishing.
    """
    run = call.run
    if not stands(current(house, run.id), run.generation):
        raise Stopped("the run was ended", kind=FailureClass.CANCELLED.value)
    try:
        reason = why_stop(house, run)
    except (TrackerError, GitHubError) as error:
        house.journal.warn(
            "issue_unread", f"not known whether it is still open: {error}", **run.tags
        )
        return
    if reason is not None:
        call_off(house, run, reason)
        raise Stopped(reason, kind=FailureClass.CANCELLED.value)
    notice.tell(house, run, STAGE_OF[call.brief.role], call.brief.round)


def _read_repaired(house: House, call: Call, repair: RoleTask, answer: str) -> RoleReport:
    try:
        return house.agents.read(repair, answer)
    except OutputInvalid as problem:
        raise Halted(
            Failure(
                FailureClass.CONTRACT_INVALID,
                f"the {call.brief.role}'s answer did not fit, nor did its repair: {problem}",
                f"read {repair.label}.transcript.jsonl among the run's artifacts; "
                f"another model for roles.{call.brief.role.value} may keep to the format",
            )
        ) from problem


def _task(house: House, call: Call, prompt: str) -> RoleTask:
    settings = house.settings
    choice = engine_for(call.brief.role, settings)
    run = call.run
    return RoleTask(
        role=call.brief.role,
        run_id=run.id,
        issue_number=run.issue_number,
        label=call.label,
        worktree=call.worktree.path,
        artifacts=house.artifacts.folder(run.issue_number, run.id),
        prompt=prompt,
        engine=choice,
        writable=call.brief.role is Role.BUILDER,
        deadline_seconds=min(choice.timeout_seconds, call.seconds_left),
        idle_seconds=settings.agent.idle_timeout_seconds,
        criteria=call.criteria,
    )


async def _ask(house: House, call: Call, task: RoleTask) -> str:
    """One call: reserve, ask, settle. A call that fails keeps its reservation as its cost."""
    run, stage = call.run, STAGE_OF[call.brief.role]
    reservation = await asyncio.to_thread(_reserve, house, run, stage, task.prompt)
    await asyncio.to_thread(
        house.artifacts.write, run.issue_number, run.id, f"{task.label}.prompt.md", task.prompt
    )

    seal = await asyncio.to_thread(house.workspaces.seal)
    try:
        reply = await _listening(house, run, stage, task)
    except AgentError:
        await asyncio.to_thread(_refuse_tampering, house, run, seal)
        raise
    await asyncio.to_thread(_refuse_tampering, house, run, seal)
    used = replace(reply.usage, calls=max(reply.usage.calls, 1))
    await asyncio.to_thread(house.spend.settle, reservation, used)
    house.journal.note(
        "role_answered",
        f"{call.brief.role} answered",
        **run.tags,
        role=call.brief.role.value,
        attempt=run.attempt,
        tokens=used.tokens,
        cost=used.cost,
        engine=task.engine.engine,
        model=reply.model or task.engine.model,
    )
    return reply.answer


async def _listening(house: House, run: Run, stage: Stage, task: RoleTask) -> AgentReply:
    """The agent's reply; meanwhile what it is doing is noted, by another thread."""
    loop = asyncio.get_running_loop()
    told = -TELL_SECONDS
    note: asyncio.Future[None] | None = None

    def heard(event: str) -> None:
        nonlocal told, note
        now = house.clock.monotonic()
        if now - told >= TELL_SECONDS and (note is None or note.done()):
            if note is not None:
                note.result()  # Raises what went wrong with the last one.
            told, at = now, house.clock.now()
            note = loop.run_in_executor(None, house.runs.progress, run.id, stage, event, at)

    try:
        return await house.agents.ask(task, heard)
    finally:
        if note is not None:
            await note  # Before the next stage is noted.


def why_no_call(house: House, run_id: str, estimate: Usage) -> budget.Refusal | None:
    """The cap that the run's next call would exceed, or None."""
    spent = house.spend.spent(run_id, house.clock.now())
    return budget.why_not(spent.run, spent.hour, spent.day, estimate, house.settings.limits)


def _refuse_tampering(house: House, run: Run, seal: str) -> None:
    """Stop when the agent reached what the host trusts: it outranks whatever it answered."""
    if house.workspaces.seal() == seal:
        return
    raise Halted(
        Failure(
            FailureClass.TAMPERED,
            "the agent changed the bot's own clone (.ai-repoagents/git) while it worked",
            "delete .ai-repoagents/git, look at the transcript, "
            f"then `repoagents retry {run.issue_number} --fresh`",
        )
    )


def _reserve(house: House, run: Run, stage: Stage, prompt: str) -> int:
    estimate = budget.estimate(prompt)
    with _RESERVING:
        refusal = why_no_call(house, run.id, estimate)
        if refusal is None:
            now = house.clock.now()
            return house.spend.reserve(run.id, stage, Usage(1, estimate.tokens, estimate.cost), now)
    raise Halted(
        Failure(
            FailureClass.BUDGET,
            refusal.message,
            f"raise {refusal.limit_key} or wait; then `repoagents retry {run.issue_number}`",
        )
    )


def _keep(house: House, call: Call, report: RoleReport) -> None:
    run, role = call.run, call.brief.role
    write = house.artifacts.write
    write(run.issue_number, run.id, f"{call.label}.json", report_json(report))
    write(run.issue_number, run.id, f"{call.label}.md", render_report(role, report))
