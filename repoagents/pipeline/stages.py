"""The stages of an attempt, each finished once for the same input and kept."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from repoagents.domain.change import ChangeSet
from repoagents.domain.engines import engine_for
from repoagents.domain.reports import (
    BuildReport,
    Plan,
    Review,
    Role,
    Verdict,
    VerdictKind,
    Verification,
)
from repoagents.domain.run import Failure, FailureClass, Run, Stage
from repoagents.pipeline import notice
from repoagents.pipeline.boundary import DONE, Halted, StepResult, change
from repoagents.pipeline.reconcile import call_off, why_stop
from repoagents.pipeline.roles import Call, adopt, consult, input_hash, prompt_key
from repoagents.pipeline.rounds import move_into, moves, recall
from repoagents.pipeline.specimen import render_all
from repoagents.pipeline.verify import Proving, out_of_time, verify_base, verify_change
from repoagents.policy import guardrails, verdict
from repoagents.ports import Brief, House, StageKey, Worktree
from repoagents.views.roles import report_json

T = TypeVar("T")


@dataclass(frozen=True)
class Built:
    """What a build round left: the builder's word, and the change as git tells it."""

    report: BuildReport
    change: ChangeSet


@dataclass(frozen=True)
class Attempt:
    """One attempt of a run; `deadline` is on the monotonic clock."""

    house: House
    run_id: str
    generation: int
    number: int
    deadline: float

    @property
    def seconds_left(self) -> float:
        """What remains of the attempt's time; never below one second."""
        return max(self.deadline - self.house.clock.monotonic(), 1.0)

    def insist_on_time(self) -> None:
        """End the attempt when its time is up."""
        if self.house.clock.monotonic() >= self.deadline:
            raise Halted(out_of_time(self.house.settings.agent.run_timeout_seconds))

    def key(self, run: Run, stage: Stage, round_: int, hashed: str) -> StageKey:
        """Where this attempt keeps a stage's value."""
        return StageKey(run.id, self.number, stage, round_, hashed)

    async def once(
        self, key: StageKey, kind: type[T], make: Callable[[], Awaitable[T]]
    ) -> tuple[T, bool]:
        """The stage's kept value, or a new one made and kept; and whether it was made now."""
        house = self.house
        found = await asyncio.to_thread(house.stages.find, key, kind)
        if found is not None:
            return found, False
        started = house.clock.monotonic()
        value = await make()
        seconds = house.clock.monotonic() - started
        await asyncio.to_thread(house.stages.record, key, value, house.clock.now(), seconds)
        return value, True

    def brief(self, run: Run, role: Role, round_: int = 1) -> Brief:
        """What every role is told: the frozen issue, the base and the checks."""
        return Brief(
            role=role,
            issue=self.house.runs.issue(run.id),
            run_id=run.id,
            nonce=input_hash("fence", run.id)[:16],
            base_sha=run.base_sha,
            round=round_,
            note=run.note,
            verify=self.house.settings.verify,
        )

    async def open(self, run: Run) -> Worktree:
        """The run's worktree; made again from the base when it is gone."""
        worktree, _ = await asyncio.to_thread(
            self.house.workspaces.open, run.issue_number, run.id, run.base_sha
        )
        return worktree


async def prepare(attempt: Attempt, run: Run) -> StepResult:
    """Try every prompt, fetch the base, make the worktree, run the set-up hooks."""
    house = attempt.house
    reason = await asyncio.to_thread(why_stop, house, run)
    if reason is not None:
        await asyncio.to_thread(call_off, house, run, reason)
        return StepResult("stopped")
    await asyncio.to_thread(notice.begin, house, run)
    await asyncio.to_thread(render_all, house)
    if run.head_sha and run.round > 1:
        await asyncio.to_thread(recall, house, run)
    if not run.base_sha:
        base = await asyncio.to_thread(house.workspaces.refresh)
        run = await asyncio.to_thread(
            change, house, run.id, lambda now: now.on_base(base.sha, house.clock.now())
        )
    worktree = await _set_up(attempt, run)
    await _hook(house, "before_run", worktree, remove=False)
    return DONE


async def _set_up(attempt: Attempt, run: Run) -> Worktree:
    """The run's worktree with its set-up hook behind it, also when a crash came in between."""
    house = attempt.house
    worktree, created = await asyncio.to_thread(
        house.workspaces.open, run.issue_number, run.id, run.base_sha
    )
    key = attempt.key(run, Stage.PREPARE, 0, input_hash(run.base_sha, "set up"))
    if created or await asyncio.to_thread(house.stages.find, key, str) is None:
        await _hook(house, "after_create", worktree, remove=True)
        await asyncio.to_thread(house.workspaces.settle, worktree)
        await asyncio.to_thread(house.stages.record, key, "set up", house.clock.now(), 0.0)
    return worktree


async def _hook(house: House, name: str, worktree: Worktree, *, remove: bool) -> None:
    problem = await house.checks.hook(name, worktree)
    if not problem:
        return
    if remove:
        await asyncio.to_thread(house.workspaces.remove, worktree)
    raise Halted(
        Failure(
            FailureClass.INFRA,
            f"the hook {name} failed: {problem}",
            f"fix workspace.hooks.{name} in .ai-repoagents/repoagents.yaml",
        )
    )


async def check_base(attempt: Attempt, run: Run) -> StepResult:
    """Measure the base with the project's own checks, before a model is paid."""
    house = attempt.house
    if house.settings.verify:
        hashed = input_hash(run.base_sha, house.settings.verify)
        key = attempt.key(run, Stage.BASE_CHECK, 0, hashed)
        worktree = await attempt.open(run)
        proving = Proving(house, run, worktree, attempt.deadline)
        await attempt.once(key, Verification, lambda: verify_base(proving))
    return DONE


async def plan(attempt: Attempt, run: Run) -> StepResult:
    """Ask the planner, or take the plan that stands for the same text, base and prompt.

    A plan that was built by stands when the base moves on.
    """
    house = attempt.house
    if await asyncio.to_thread(moves, house, run, run.round + 1):
        _kept(house, run, Stage.PLAN, Plan)
        return DONE
    brief = attempt.brief(run, Role.PLANNER)
    # A person's note does not undo a finished plan; it reaches the planner when it is asked anew.
    prompt = await asyncio.to_thread(house.agents.render, replace(brief, note=""))
    hashed = prompt_key(prompt, brief, engine_for(Role.PLANNER, house.settings))
    worktree = await attempt.open(run)

    async def make() -> Plan:
        kept = await asyncio.to_thread(house.artifacts.find_plan, run.issue_number, hashed)
        if kept is not None and not run.note:
            call = Call(run, worktree, brief, attempt.seconds_left)
            await asyncio.to_thread(adopt, house, call, prompt, kept)
            return kept
        await asyncio.to_thread(house.workspaces.restore, worktree, run.base_sha, run.base_sha)
        report = await consult(house, Call(run, worktree, brief, attempt.seconds_left))
        await asyncio.to_thread(_refuse_changes, house, run, worktree, run.base_sha, Role.PLANNER)
        return _expect(report, Plan)

    made, _ = await attempt.once(attempt.key(run, Stage.PLAN, 0, hashed), Plan, make)
    if made.questions:
        questions = "; ".join(made.questions)
        failure = Failure(
            FailureClass.QUESTION,
            f"the planner asks: {questions}",
            f"answer in the issue's text, or `repoagents retry {run.issue_number} --note ANSWER`",
        )
        return StepResult("failed", failure)
    return DONE


async def build(attempt: Attempt, run: Run, round_: int) -> StepResult:
    """One build round, from a known tree, read back from git."""
    house = attempt.house
    planned = _kept(house, run, Stage.PLAN, Plan)
    start, contract = _start_of(house, run, round_)
    choice = engine_for(Role.BUILDER, house.settings)
    hashed = input_hash(planned, start, contract, run.note, choice)
    worktree = await attempt.open(run)

    async def make() -> Built:
        await asyncio.to_thread(_start_from, house, run, worktree, start)
        brief = attempt.brief(run, Role.BUILDER, round_)
        told = replace(brief, plan=planned, contract=contract)
        report = await consult(house, Call(run, worktree, told, attempt.seconds_left))
        made = await asyncio.to_thread(_read_change, house, run, worktree)
        return Built(_expect(report, BuildReport), made)

    await attempt.once(attempt.key(run, Stage.BUILD, round_, hashed), Built, make)
    return DONE


def _start_of(house: House, run: Run, round_: int) -> tuple[str, tuple[str, ...]]:
    """The tree that a round begins with, on the run's base, and what it must put right."""
    decided = house.stages.last(run.id, Stage.VERDICT, Verdict, round_ - 1)
    contract = decided.contract if decided else ()
    if moved := move_into(house, run, round_):
        return moved.tree, moved.contract + contract
    before = house.stages.last(run.id, Stage.BUILD, Built, round_ - 1)
    if before and before.change.base_sha == run.base_sha:
        return before.change.tree, contract
    # The round is repeated, and the base was merged into its commit in between.
    moved = move_into(house, run, round_ + 1)
    return (moved.tree if moved else run.base_sha), contract


async def verify(attempt: Attempt, run: Run, round_: int) -> StepResult:
    """Run the project's checks on exactly the frozen tree."""
    house = attempt.house
    built = _kept(house, run, Stage.BUILD, Built, round_)
    if built.change.empty:
        return DONE
    hashed = input_hash(built.change.tree, house.settings.verify)
    key = attempt.key(run, Stage.VERIFY, round_, hashed)
    worktree = await attempt.open(run)
    proving = Proving(house, run, worktree, attempt.deadline)
    prefix = "verify" if round_ == 1 else f"verify-{round_}"
    await attempt.once(key, Verification, lambda: verify_change(proving, built.change.tree, prefix))
    return DONE


async def review(attempt: Attempt, run: Run, round_: int) -> StepResult:
    """Ask the reviewer, who may only read: a tree that changed voids the answer."""
    house = attempt.house
    built = _kept(house, run, Stage.BUILD, Built, round_)
    if built.change.empty or Role.REVIEWER not in house.settings.roles.enabled:
        return DONE
    planned = _kept(house, run, Stage.PLAN, Plan)
    proof = _kept(house, run, Stage.VERIFY, Verification, round_)
    choice = engine_for(Role.REVIEWER, house.settings)
    hashed = input_hash(built.change.tree, planned, proof.results, choice, run.note)
    worktree = await attempt.open(run)
    ids = tuple(range(1, len(planned.acceptance_criteria) + 1))

    async def make() -> Review:
        tree = built.change.tree
        await asyncio.to_thread(house.workspaces.restore, worktree, run.base_sha, tree)
        brief = attempt.brief(run, Role.REVIEWER, round_)
        told = replace(
            brief, plan=planned, change=built.change, build=built.report, verification=proof
        )
        report = await consult(house, Call(run, worktree, told, attempt.seconds_left, ids))
        await asyncio.to_thread(_refuse_changes, house, run, worktree, tree, Role.REVIEWER)
        return _expect(report, Review)

    await attempt.once(attempt.key(run, Stage.REVIEW, round_, hashed), Review, make)
    return DONE


async def decide(attempt: Attempt, run: Run, round_: int) -> StepResult:
    """The verdict, by code, over change, checks and review; REVISE opens the next round."""
    house = attempt.house
    settings = house.settings
    built = _kept(house, run, Stage.BUILD, Built, round_)
    planned = _kept(house, run, Stage.PLAN, Plan)
    evidence = verdict.Evidence(
        change=built.change,
        plan=planned,
        build=built.report,
        findings=await asyncio.to_thread(
            guardrails.inspect,
            built.change,
            planned,
            settings.guardrails,
            house.sensitive(),
        ),
        verification=_proof(house, run, built, round_),
        base=house.stages.last(run.id, Stage.BASE_CHECK, Verification),
        review=_review_of(house, run, round_),
        round=round_,
        round_limit=run.round_limit,
        reviewer_enabled=Role.REVIEWER in settings.roles.enabled,
        checks_configured=any(check.required for check in settings.verify),
    )
    decided = verdict.decide(evidence)
    key = attempt.key(run, Stage.VERDICT, round_, built.change.tree or "empty")
    await asyncio.to_thread(house.stages.record, key, decided, house.clock.now(), 0.0)
    await asyncio.to_thread(
        house.artifacts.write, run.issue_number, run.id, "decision.json", report_json(decided)
    )
    house.journal.note(
        "verdict",
        f"round {round_}: {decided.kind}: {'; '.join(decided.reasons)[:500]}",
        **run.tags,
        attempt=attempt.number,
    )
    if decided.kind is VerdictKind.REVISE:
        await asyncio.to_thread(
            change, house, run.id, lambda now: now.in_round(round_ + 1, house.clock.now())
        )
    return StepResult(decided.kind.value)


def _kept(house: House, run: Run, stage: Stage, kind: type[T], round_: int | None = None) -> T:
    """A stage's value that must be there by now."""
    value = house.stages.last(run.id, stage, kind, round_)
    if value is None:
        raise Halted(
            Failure(
                FailureClass.INFRA,
                f"the result of stage {stage} is missing from the state",
                f"`repoagents retry {run.issue_number} --fresh`",
            )
        )
    return value


def _expect(report: object, kind: type[T]) -> T:
    if not isinstance(report, kind):
        raise TypeError(f"expected {kind.__name__}, got {type(report).__name__}")
    return report


def _proof(house: House, run: Run, built: Built, round_: int) -> Verification:
    if built.change.empty:
        return Verification(built.change.tree)
    return _kept(house, run, Stage.VERIFY, Verification, round_)


def _review_of(house: House, run: Run, round_: int) -> Review | None:
    if Role.REVIEWER not in house.settings.roles.enabled:
        return None
    return house.stages.last(run.id, Stage.REVIEW, Review, round_)


def _start_from(house: House, run: Run, worktree: Worktree, start: str) -> None:
    """Put the worktree to the round's first tree; what an ended agent left is kept as a patch."""
    left = house.workspaces.freeze(worktree, run.base_sha)
    if left not in map(house.workspaces.tree_of, (start, run.base_sha)):
        name = f"partial-{run.attempt}-{run.round}.patch"
        patch = house.workspaces.change_set(run.base_sha, left).patch
        house.artifacts.write(run.issue_number, run.id, name, patch)
    house.workspaces.restore(worktree, run.base_sha, start)


def _read_change(house: House, run: Run, worktree: Worktree) -> ChangeSet:
    tree = house.workspaces.freeze(worktree, run.base_sha)
    made = house.workspaces.change_set(run.base_sha, tree)
    house.artifacts.write(run.issue_number, run.id, "changes.patch", made.patch)
    return made


def _refuse_changes(house: House, run: Run, worktree: Worktree, tree: str, role: Role) -> None:
    after = house.workspaces.freeze(worktree, run.base_sha)
    expected = house.workspaces.tree_of(tree)
    if after == expected:
        return
    wrote = house.workspaces.change_set(run.base_sha, after).paths
    house.workspaces.restore(worktree, run.base_sha, tree)
    raise Halted(
        Failure(
            FailureClass.REVIEWER_WROTE,
            f"the {role} changed files though it may only read: {', '.join(wrote[:5])}",
            "its answer was thrown away; the change is as it was",
        )
    )
