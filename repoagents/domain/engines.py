"""Which engine each role gets from the configuration, and which of them call no model."""

from dataclasses import dataclass

from repoagents.domain.reports import Role
from repoagents.domain.settings import Effort, EngineName, RoleSettings, Settings


@dataclass(frozen=True)
class EngineChoice:
    """The engine, model, effort and time limit that one role gets."""

    engine: EngineName
    model: str
    effort: Effort | None
    timeout_seconds: int

    @property
    def rehearses(self) -> bool:
        """Whether it calls no model."""
        return self.engine == "rehearsal"


def engine_for(role: Role, settings: Settings) -> EngineChoice:
    """Resolve a role's engine from its own section and the defaults."""
    own: RoleSettings = getattr(settings.roles, role.value)
    engine = own.engine or settings.llm.mode
    default_model = settings.codex.model if engine == "codex" else ""
    return EngineChoice(
        engine=engine,
        model=own.model if own.model is not None else default_model,
        effort=own.effort,
        timeout_seconds=own.timeout_seconds or settings.agent.role_timeout_seconds,
    )


def rehearses(settings: Settings) -> bool:
    """Whether any role that runs calls no model: what such a run made is a rehearsal."""
    return any(engine_for(role, settings).rehearses for role in settings.roles.enabled)
