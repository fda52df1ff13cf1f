"""Agents that follow a script: `ports.Agents` without a process."""

from collections.abc import Callable
from dataclasses import dataclass, field

from repoagents.domain.engines import EngineChoice
from repoagents.domain.reports import (
    BuildReport,
    CriterionRow,
    Decision,
    Plan,
    Review,
    Role,
    Usage,
)
from repoagents.errors import ConfigError, OutputInvalid
from repoagents.ports import AgentReply, Brief, EngineHealth, RoleReport, RoleTask

Script = Callable[[RoleTask, int], RoleReport]


def good_plan(*files: str) -> Plan:
    """A plan with one criterion for these files."""
    return Plan("fix it", ("edit",), files, ("the fix is there",))


def approve(task: RoleTask) -> Review:
    """A review that approves with a row per criterion."""
    rows = tuple(CriterionRow(number, True, "seen in the diff") for number in task.criteria)
    return Review(Decision.APPROVE, rows, summary="fine")


@dataclass
class ScriptedAgents:
    """Answers by role: each script gets the task and how often the role was asked before.

    A script may edit `task.worktree`, raise an `AgentError`, or return a report. `invalid` names
    the roles whose next answer does not fit.
    """

    planner: Script = lambda _task, _count: good_plan("fixed.txt")
    builder: Script = lambda task, _count: write_fix(task)
    reviewer: Script = lambda task, _count: approve(task)
    invalid: list[Role] = field(default_factory=list)
    usage: Usage = field(default_factory=lambda: Usage(1, 1000, 0.01))
    asked: list[tuple[Role, str]] = field(default_factory=list)
    _reports: dict[str, RoleReport] = field(default_factory=dict)

    def render(self, brief: Brief) -> str:
        """A prompt that holds all that the brief says."""
        return repr(brief)

    def repair(self, prompt: str, answer: str, problem: str) -> str:
        """The repair prompt."""
        return f"REPAIR {problem}\n{prompt}"

    async def ask(self, task: RoleTask, heard: Callable[[str], None]) -> AgentReply:
        """Follow the script."""
        count = sum(role is task.role for role, _ in self.asked)
        self.asked.append((task.role, task.prompt))
        heard(f"{task.role} at work")
        if task.role in self.invalid:
            self.invalid.remove(task.role)
            return AgentReply("nonsense", self.usage)
        report = getattr(self, task.role.value)(task, count)
        key = f"{task.run_id}:{task.label}:{count}"
        self._reports[key] = report
        return AgentReply(key, self.usage, "scripted")

    def read(self, task: RoleTask, answer: str) -> RoleReport:
        """The report that the answer's key stands for."""
        if answer not in self._reports:
            raise OutputInvalid("not a report")
        return self._reports[answer]

    def check(self, choice: EngineChoice) -> EngineHealth:
        """Always well."""
        return EngineHealth(choice.engine, "scripted")

    def count(self, role: Role) -> int:
        """How often a role was asked."""
        return sum(asked is role for asked, _ in self.asked)


def write_fix(task: RoleTask, text: str = "fixed\n", name: str = "fixed.txt") -> BuildReport:
    """Write one file into the worktree and claim it."""
    (task.worktree / name).write_text(text)
    return BuildReport("wrote it", (name,))


@dataclass
class PromptlessAgents(ScriptedAgents):
    """Agents whose prompt template of one role cannot be used."""

    without: Role = Role.BUILDER

    def render(self, brief: Brief) -> str:
        """A prompt, or what is wrong with the template."""
        if brief.role is self.without:
            raise ConfigError(f"{brief.role}.md is bad", next_step="fix it")
        return super().render(brief)
