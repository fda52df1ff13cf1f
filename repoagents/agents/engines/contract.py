"""What every engine offers; only `check` touches the world, the rest is values in, values out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from repoagents.agents.process import Ended
from repoagents.domain.run import FailureClass
from repoagents.ports import AgentReply, EngineHealth, RoleTask

Probe = Callable[[tuple[str, ...]], Ended]
"""Runs a short command in the engine's environment."""


@dataclass(frozen=True)
class Call:
    """One call of an engine.

    `schema` is the file with the answer's JSON Schema; `result` a file outside the worktree that
    does not exist yet and may receive the answer.
    """

    task: RoleTask
    schema: Path
    result: Path


@dataclass(frozen=True)
class Trouble:
    """Why a call gave no answer, and what a person can do about it."""

    kind: FailureClass
    message: str
    next_step: str


class Conversation(Protocol):
    """One call, as its output comes in."""

    def hear(self, line: str) -> str:
        """Take a line of standard output; returns what to tell a person, or nothing."""

    def reply(self, ended: Ended, written: str) -> AgentReply | Trouble:
        """What came of the call; `written` is what the result file holds."""


class Engine(Protocol):
    """One coding-agent CLI."""

    @property
    def credentials(self) -> tuple[str, ...]:
        """The environment variables that hold its login."""

    def argv(self, call: Call) -> tuple[str, ...]:
        """The command line; the prompt comes on standard input."""

    def variables(self, call: Call) -> dict[str, str]:
        """Environment variables of our own making."""

    def listen(self, call: Call) -> Conversation:
        """Begin to follow a call."""

    def check(self, environment: Mapping[str, str], probe: Probe) -> EngineHealth:
        """Whether it can be used, without calling a model."""


def last_line(text: str) -> str:
    """The last line with anything on it: where programs say what went wrong."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
