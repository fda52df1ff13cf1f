"""The configuration of what the bot keeps and opens on its own machine; see `settings`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MinLen

STRICT = {"extra": "forbid"}
"""How the loader reads each section: unknown keys are refused."""


@dataclass(frozen=True)
class AppSettings:
    """A GitHub App that the bot works as, instead of a token; all three keys, or none."""

    __pydantic_config__ = STRICT

    id: Annotated[int, Ge(1)] | None = None
    """The App's id, from its settings page."""
    private_key_path: str = ""
    """The App's private key, a PEM file that only its owner can read; relative to the root."""
    installation_id: Annotated[int, Ge(1)] | None = None
    """The id of the App's installation on the repository's owner."""


@dataclass(frozen=True)
class WebhookSettings:
    """Where `repoagents serve` receives GitHub's webhooks."""

    __pydantic_config__ = STRICT

    secret_env: Annotated[str, MinLen(1)] = "REPOAGENTS_WEBHOOK_SECRET"  # noqa: S105 - a name
    """The variable that holds the webhook's secret; two, separated by a space, while one replaces
    the other."""
    host: Annotated[str, MinLen(1)] = "127.0.0.1"
    """The address to listen on; `0.0.0.0` for every address of this machine."""
    port: Annotated[int, Ge(1), Le(65_535)] = 8787
    """The port to listen on."""


@dataclass(frozen=True)
class LoggingSettings:
    """What is written about the bot's own work."""

    __pydantic_config__ = STRICT

    json: bool = True
    """Log lines as JSON in a pipe; false writes plain lines. The file is always JSON lines."""
    file_enabled: bool = True
    """Keep `.ai-repoagents/logs/repoagents.jsonl`, rotated by size."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe level that is written."""


@dataclass(frozen=True)
class StateSettings:
    """Where the bot remembers."""

    __pydantic_config__ = STRICT

    database_url: str = ""
    """SQLite under `.ai-repoagents/state/` when empty; a PostgreSQL URL otherwise. A password is
    refused in the file: give the URL by REPOAGENTS_STATE__DATABASE_URL."""


@dataclass(frozen=True)
class RolloutSettings:
    """How the rollout is guarded; see `repoagents rollout`."""

    __pydantic_config__ = STRICT

    step_back: bool = False
    """After a critical finding (the bot's own clone was changed, a change held a secret), write no
    more than the phase before allows, until a person releases it: `repoagents rollout advance`."""


@dataclass(frozen=True)
class RetentionSettings:
    """How long finished work is kept."""

    __pydantic_config__ = STRICT

    worktree_days: Annotated[float, Gt(0)] = 14
    """How many days the worktrees of finished runs stay."""
    artifact_days: Annotated[float, Gt(0)] = 90
    """How many days the artifacts of finished runs stay."""
    bundles: Annotated[int, Ge(1)] = 30
    """How many handoff bundles stay; an older one is deleted when a new one is made."""
