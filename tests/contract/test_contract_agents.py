"""What every crew of agents promises: scripted ones, a real command, and the rehearsal."""

import os
import shutil
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from repoagents.agents.crew import AgentCrew
from repoagents.agents.process import Supervisor
from repoagents.domain.change import ChangeKind, ChangeSet, FileChange
from repoagents.domain.engines import EngineChoice
from repoagents.domain.issue import Comment, Issue
from repoagents.domain.reports import (
    BuildReport,
    CheckOutcome,
    CheckResult,
    Plan,
    Review,
    Role,
    Verification,
)
from repoagents.domain.settings import CommandSettings, EngineName, Settings, VerifySettings
from repoagents.errors import OutputInvalid
from repoagents.logs import Redactor
from repoagents.ports import Agents, Brief, RoleTask
from tests.fakes.agents import ScriptedAgents

PRESET = Path(__file__).parents[2] / "presets" / "none"

SCRIPT = """\
import json, os, pathlib, sys

sys.stdin.read()
role = os.environ["REPOAGENTS_ROLE"]
print("at work as", role, flush=True)
PLAN = {
    "summary": "fix it", "plan_steps": ["edit"], "likely_files": ["fixed.txt"],
    "acceptance_criteria": ["the fix is there"], "risks": [], "risk_level": "low",
    "difficulty": "easy", "questions": [],
}
BUILD = {
    "summary": "wrote it", "changed_files": ["fixed.txt"], "test_actions": [],
    "assumptions": [], "questions": [],
}
REVIEW = {
    "decision": "approve", "risk_level": "low", "findings": [], "summary": "fine",
    "criteria": [{"id": n, "met": True, "evidence": "seen"} for n in (1, 2)],
}
if role == "builder":
    pathlib.Path("fixed.txt").write_text("fixed")
answer = {"planner": PLAN, "builder": BUILD, "reviewer": REVIEW}[role]
pathlib.Path(os.environ["REPOAGENTS_RESULT"]).write_text(json.dumps(answer))
"""

PLAN = Plan(
    "Mend the sum.", ("Look at calc", "Mend it"), ("calc.py",), ("one and two are three", "proof")
)
CHECK = CheckResult(
    "tests", "unit", "make proof", True, CheckOutcome.FAILED, 1, 1.5, "two failed", "0" * 64
)
BRIEF = Brief(
    role=Role.PLANNER,
    issue=Issue(7, "Sum is wrong", "It gives four.", comments=(Comment("ann", "Seen it too."),)),
    run_id="run-1",
    nonce="0f1e2d3c4b5a6978",
    base_sha="b" * 40,
    note="keep the parser lazy",
    verify=(VerifySettings("tests", ("make", "proof")),),
)
BRIEFS = {
    Role.PLANNER: BRIEF,
    Role.BUILDER: replace(
        BRIEF, role=Role.BUILDER, plan=PLAN, round=2, contract=("calc.py lacks a proof",)
    ),
    Role.REVIEWER: replace(
        BRIEF,
        role=Role.REVIEWER,
        plan=PLAN,
        build=BuildReport("Mended as planned.", assumptions=("whole numbers only",)),
        change=ChangeSet(
            "b" * 40,
            "t" * 40,
            (FileChange("calc.py", ChangeKind.MODIFIED),),
            patch="return a plus b",
        ),
        verification=Verification("t" * 40, (CHECK,)),
    ),
}
TOLD: dict[Role, tuple[str, ...]] = {
    Role.PLANNER: ("make",),
    Role.BUILDER: ("Mend the sum.", "Mend it", "one and two are three", "calc.py lacks a proof"),
    Role.REVIEWER: (
        "one and two are three",
        "calc.py",
        "return a plus b",
        "two failed",
        "Mended as planned.",
        "whole numbers only",
    ),
}
"""What each role must be told, beside the issue and the maintainer's note."""

RUN = f"run-{uuid.uuid4().hex}"
"""Of this process alone: other tests on this machine end what carries their run's id."""

REPORTS = {Role.PLANNER: Plan, Role.BUILDER: BuildReport, Role.REVIEWER: Review}


@dataclass(frozen=True)
class AgentBed:
    """Agents, the engine that they answer to, and a folder to work in."""

    agents: Agents
    choice: EngineChoice
    worktree: Path
    artifacts: Path

    def task(self, role: Role, label: str = "") -> RoleTask:
        """A call of a role."""
        return RoleTask(
            role=role,
            run_id=RUN,
            issue_number=7,
            label=label or role.value,
            worktree=self.worktree,
            artifacts=self.artifacts,
            prompt=self.agents.render(BRIEFS[role]),
            engine=self.choice,
            writable=role is Role.BUILDER,
            deadline_seconds=60,
            idle_seconds=30,
            criteria=(1, 2) if role is Role.REVIEWER else (),
        )


def scripted(_folder: Path) -> tuple[Agents, EngineName]:
    return ScriptedAgents(), "command"


def command(folder: Path) -> tuple[Agents, EngineName]:
    script = folder / "agent.py"
    script.write_text(SCRIPT)
    settings = Settings(command=CommandSettings((sys.executable, str(script))))
    return crew(folder, settings), "command"


def rehearsal(folder: Path) -> tuple[Agents, EngineName]:
    return crew(folder, Settings()), "rehearsal"


def crew(folder: Path, settings: Settings) -> AgentCrew:
    """The real crew, over the prompts that `init` writes."""
    control = folder / "control"
    for part in ("prompts", "roles", "policies"):
        shutil.copytree(PRESET / part, control / part)
    home = folder / "operator"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}
    supervisor = Supervisor(control / "state" / "processes")
    return AgentCrew(control, settings, environment, supervisor, Redactor(()))


@pytest.fixture(params=[scripted, command, rehearsal], ids=lambda make: make.__name__)
def staff(request: pytest.FixtureRequest, tmp_path: Path) -> AgentBed:
    """Each crew in turn."""
    make: Callable[[Path], tuple[Agents, EngineName]] = request.param
    agents, engine = make(tmp_path)
    worktree = tmp_path / "worktree"
    worktree.mkdir()
    choice = EngineChoice(engine, "", None, 60)
    return AgentBed(agents, choice, worktree, tmp_path / "artifacts")


def nothing_heard(_line: str) -> None:
    """Nobody listens."""


@pytest.mark.parametrize("role", Role)
def test_a_prompt_holds_every_part_of_the_brief(staff: AgentBed, role: Role) -> None:
    prompt = staff.agents.render(BRIEFS[role])
    issue = ("Sum is wrong", "It gives four.", "Seen it too.")
    for part in (*issue, "keep the parser lazy", BRIEF.nonce, *TOLD[role]):
        assert part in prompt, part


@pytest.mark.parametrize("role", Role)
def test_a_prompt_is_the_same_for_the_same_brief(staff: AgentBed, role: Role) -> None:
    prompt = staff.agents.render(BRIEFS[role])
    assert staff.agents.render(replace(BRIEFS[role])) == prompt
    other = replace(BRIEFS[role], issue=replace(BRIEF.issue, body="It gives five."))
    assert staff.agents.render(other) != prompt


async def test_every_role_answers_with_its_own_report(staff: AgentBed) -> None:
    for role in Role:
        task = staff.task(role)
        reply = await staff.agents.ask(task, nothing_heard)
        assert type(staff.agents.read(task, reply.answer)) is REPORTS[role]


async def test_a_call_costs_one_call(staff: AgentBed) -> None:
    reply = await staff.agents.ask(staff.task(Role.PLANNER), nothing_heard)
    assert reply.usage.calls == 1
    assert reply.usage.tokens >= 0
    assert reply.usage.cost is None or reply.usage.cost >= 0


async def test_a_plan_can_be_worked_on_and_measured(staff: AgentBed) -> None:
    task = staff.task(Role.PLANNER)
    plan = staff.agents.read(task, (await staff.agents.ask(task, nothing_heard)).answer)
    assert isinstance(plan, Plan)
    assert plan.summary
    assert plan.likely_files
    assert plan.acceptance_criteria


async def test_what_a_builder_claims_is_in_the_worktree(staff: AgentBed) -> None:
    task = staff.task(Role.BUILDER)
    report = staff.agents.read(task, (await staff.agents.ask(task, nothing_heard)).answer)
    assert isinstance(report, BuildReport)
    assert report.changed_files
    for name in report.changed_files:
        assert (staff.worktree / name).is_file()


async def test_planner_and_reviewer_leave_the_worktree_as_it_was(staff: AgentBed) -> None:
    for role in (Role.PLANNER, Role.REVIEWER):
        await staff.agents.ask(staff.task(role), nothing_heard)
    assert list(staff.worktree.iterdir()) == []


async def test_a_review_has_a_row_for_every_criterion_that_was_asked(staff: AgentBed) -> None:
    await staff.agents.ask(staff.task(Role.BUILDER), nothing_heard)
    task = staff.task(Role.REVIEWER)
    review = staff.agents.read(task, (await staff.agents.ask(task, nothing_heard)).answer)
    assert isinstance(review, Review)
    assert [row.id for row in review.criteria] == [1, 2]
    assert all(row.evidence for row in review.criteria)


async def test_an_answer_keeps_its_meaning_after_the_next_call(staff: AgentBed) -> None:
    task = staff.task(Role.PLANNER)
    first = await staff.agents.ask(task, nothing_heard)
    meant = staff.agents.read(task, first.answer)
    await staff.agents.ask(staff.task(Role.BUILDER), nothing_heard)
    assert staff.agents.read(task, first.answer) == meant
    assert staff.agents.read(task, first.answer) == meant, "reading takes nothing away"


async def test_whoever_listens_hears_short_lines(staff: AgentBed) -> None:
    heard: list[str] = []
    await staff.agents.ask(staff.task(Role.PLANNER), heard.append)
    if staff.choice.engine == "command":
        assert any("planner" in line for line in heard)
    assert all(0 < len(line) <= 300 and "\n" not in line for line in heard)


@pytest.mark.parametrize("answer", ["", "nonsense", "{}", "[]", "null", '{"summary": 7}'])
@pytest.mark.parametrize("role", Role)
def test_what_is_no_report_is_refused_with_the_reason(
    staff: AgentBed, role: Role, answer: str
) -> None:
    with pytest.raises(OutputInvalid) as caught:
        staff.agents.read(staff.task(role), answer)
    assert str(caught.value)
    assert caught.value.kind == "contract_invalid"


def test_the_repair_asks_for_the_same_and_names_the_problem(staff: AgentBed) -> None:
    prompt = staff.agents.render(BRIEFS[Role.BUILDER])
    repair = staff.agents.repair(prompt, "{}", "summary is missing")
    assert "summary is missing" in repair
    assert prompt in repair
    assert staff.agents.repair(prompt, "{}", "questions is no list") != repair


def test_the_check_names_the_engine_and_finds_nothing_wrong(staff: AgentBed) -> None:
    health = staff.agents.check(staff.choice)
    assert health.engine == staff.choice.engine
    assert health.version
    assert (health.problem, health.kind, health.next_step) == ("", "", "")
