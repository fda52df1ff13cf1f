"""The engines: one file per coding-agent CLI, all listed here."""

from collections.abc import Callable

from repoagents.agents.engines.codex import Codex
from repoagents.agents.engines.command import CommandEngine, Rehearsal
from repoagents.agents.engines.contract import Engine
from repoagents.domain.settings import EngineName, Settings

ENGINES: dict[EngineName, Callable[[Settings], Engine]] = {
    "codex": Codex,
    "command": CommandEngine,
    "rehearsal": Rehearsal,
}
