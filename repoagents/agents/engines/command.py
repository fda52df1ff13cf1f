"""The command engine: any executable that takes a prompt and answers in JSON; also the rehearsal.

The command runs in the worktree with the prompt on standard input. It is told by REPOAGENTS_ROLE,
REPOAGENTS_RUN_ID, REPOAGENTS_ISSUE, REPOAGENTS_SCHEMA (a file) and REPOAGENTS_RESULT (the file for
its answer); when it leaves that file empty, the last JSON object on its standard output counts.
"""

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict

from repoagents.agents.engines.contract import Call, Probe, Trouble, last_line
from repoagents.agents.output import last_object
from repoagents.agents.process import Ended
from repoagents.domain.reports import BuildReport, Role, Usage
from repoagents.domain.run import FailureClass
from repoagents.domain.settings import Settings
from repoagents.ports import AgentReply, EngineHealth

NO_MODEL = "agent: no model is called"  # what follows the engine's name

# -P: the worktree, where the process starts, must not be a place that modules come from.
REHEARSAL = (sys.executable, "-P", "-m", "repoagents.rehearsal.agent")

_SHOWN = 20_000


class CommandEngine:
    """The engine `command`."""

    credentials: tuple[str, ...] = ()

    def __init__(self, settings: Settings) -> None:
        self._argv = settings.command.argv

    def argv(self, call: Call) -> tuple[str, ...]:
        """The configured argument list."""
        return self._argv or ("(command.argv is empty)",)

    def variables(self, call: Call) -> dict[str, str]:
        """The protocol's variables, in addition to the run's marker that every process gets."""
        return {
            "REPOAGENTS_ROLE": call.task.role.value,
            "REPOAGENTS_ISSUE": str(call.task.issue_number),
            "REPOAGENTS_SCHEMA": str(call.schema),
            "REPOAGENTS_RESULT": str(call.result),
        }

    def listen(self, call: Call) -> "CommandConversation":
        """Begin to follow a call."""
        return CommandConversation(call)

    def check(self, environment: Mapping[str, str], probe: Probe) -> EngineHealth:
        """Whether the program is there and may be executed."""
        if not self._argv:
            problem, fix = "command.argv is empty", "set command.argv to the argument list to run"
        elif "/" in self._argv[0] and not self._argv[0].startswith("/"):
            return EngineHealth("command", f"{self._argv[0]} of each worktree")
        elif shutil.which(self._argv[0], path=environment.get("PATH")) is None:
            problem = f"{self._argv[0]} was not found, or may not be executed"
            fix = "install it, or correct command.argv"
        else:
            return EngineHealth("command", self._argv[0])
        return EngineHealth("command", "", problem, FailureClass.ENGINE_MISSING.value, fix)


class Rehearsal(CommandEngine):
    """The engine `rehearsal`: our own program on the command protocol; no model is called."""

    def argv(self, call: Call) -> tuple[str, ...]:
        """Our program, with the protocol's variables as arguments."""
        task = call.task
        issue = str(task.issue_number)
        return (*REHEARSAL, task.role.value, issue, str(call.schema), str(call.result))

    def check(self, environment: Mapping[str, str], probe: Probe) -> EngineHealth:
        """Always there."""
        return EngineHealth("rehearsal", NO_MODEL)


class CommandConversation:
    """One call of a command."""

    def __init__(self, call: Call) -> None:
        self._role = call.task.role
        self._program = call.task.engine.engine

    def hear(self, line: str) -> str:
        """What it prints for people; its JSON is left out."""
        line = line.strip()
        return f"said: {line}" if line and line[0] not in '{}[]"' else ""

    def reply(self, ended: Ended, written: str) -> AgentReply | Trouble:
        """The result file's text, else the last JSON object printed, else what a fixer means."""
        if ended.exit_code != 0:
            return self._trouble(ended)
        answer = written if written.strip() else last_object(ended.output)
        if answer is None:
            answer = self._without_report(ended)
        return AgentReply(answer, Usage(1))

    def _without_report(self, ended: Ended) -> str:
        """A plain fixer (a formatter, say) prints no report: its edits are all that it says."""
        if self._role is not Role.BUILDER:
            return ended.output[-_SHOWN:]
        said = last_line(ended.output)
        summary = "the command printed no report" + (f"; its last line was: {said}" if said else "")
        return json.dumps(asdict(BuildReport(summary)))

    def _trouble(self, ended: Ended) -> Trouble:
        code = ended.exit_code
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        said = last_line(ended.errors) or last_line(ended.output) or "it said nothing"
        return Trouble(
            FailureClass.ENGINE_CRASH,
            f"the {self._program} engine, as {self._role.value}, ended with {how}: {said}",
            "look at the transcript among the run's artifacts, and run the command by hand",
        )
