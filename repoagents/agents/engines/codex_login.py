"""Whether codex can be used here: found, started, logged in, and able to build its sandbox."""

import shutil
import tomllib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from repoagents.agents.engines.contract import Probe, last_line
from repoagents.domain.run import FailureClass
from repoagents.domain.settings import CodexSettings
from repoagents.ports import EngineHealth

SANDBOX_PROBE = ("sandbox", "-c", 'sandbox_mode="workspace-write"', "true")


def check_codex(
    settings: CodexSettings, environment: Mapping[str, str], probe: Probe
) -> EngineHealth:
    """The first thing that is in the way, or health."""
    program = settings.command
    if shutil.which(program, path=environment.get("PATH")) is None:
        return _problem(
            FailureClass.ENGINE_MISSING,
            f"{program} was not found on PATH",
            "install the codex CLI, or set codex.command to its path",
        )
    answered = probe((program, "--version"))
    version = last_line(answered.output)
    if answered.exit_code != 0:
        return _problem(
            FailureClass.ENGINE_MISSING,
            f"`{program} --version` failed: {last_line(answered.errors) or 'no message'}",
            "run it by hand; reinstall the codex CLI when it fails there too",
        )
    problem = why_not_logged_in(settings, environment, probe)
    if problem:
        return _problem(FailureClass.AUTH, problem, f"run `{program} login`", version)
    sandbox = probe((program, *SANDBOX_PROBE))
    if sandbox.exit_code != 0:
        return _problem(
            FailureClass.ENVIRONMENT,
            f"codex cannot build its sandbox here: {last_line(sandbox.errors) or 'no message'}",
            "allow unprivileged user namespaces, or see "
            f"`{program} sandbox true`; the roles' commands would all fail",
            version,
        )
    return EngineHealth("codex", version)


def why_not_logged_in(
    settings: CodexSettings, environment: Mapping[str, str], probe: Probe
) -> str | None:
    """The reason, or None when codex has what its model provider asks for."""
    configured = _configuration(settings, environment)
    match configured:
        case {"model_provider": str(name), "model_providers": dict(providers)} if name in providers:
            return _why_no_key(name, providers[name], environment)
    if environment.get("CODEX_API_KEY"):
        return None
    home = environment.get("CODEX_HOME") or f"{environment.get('HOME', '~')}/.codex"
    status = probe((settings.command, "login", "status"))
    if status.exit_code == 0:
        return None
    return f"codex is not logged in (its home is {home})"


def _why_no_key(name: str, provider: object, environment: Mapping[str, str]) -> str | None:
    match provider:
        case {"env_key": str(key)} if not environment.get(key):
            return (
                f"codex's model provider {name!r} takes its key from {key}, which is not set for "
                "agents (name it in agent.env)"
            )
    return None


def _configuration(settings: CodexSettings, environment: Mapping[str, str]) -> dict[str, object]:
    """What codex will read about its provider: its own file, then our extra arguments."""
    home = environment.get("CODEX_HOME") or f"{environment.get('HOME', '')}/.codex"
    merged = _toml_file(Path(home) / "config.toml")
    for override in _overrides(settings.extra_args):
        _merge(merged, override)
    return merged


def _overrides(arguments: tuple[str, ...]) -> Iterator[dict[str, object]]:
    for flag, value in pairwise(arguments):
        if flag in ("-c", "--config"):
            try:
                yield tomllib.loads(value)
            except tomllib.TOMLDecodeError:  # codex takes such a value as a bare string
                key, _, text = value.partition("=")
                yield {key.strip(): text.strip()}


def _toml_file(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # codex itself says what is wrong with its file
        return {}


def _merge(into: dict[str, object], other: Mapping[str, object]) -> None:
    for key, value in other.items():
        present = into.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            _merge(present, value)
        else:
            into[key] = value


def _problem(kind: FailureClass, problem: str, next_step: str, version: str = "") -> EngineHealth:
    return EngineHealth("codex", version, problem, kind.value, next_step)
