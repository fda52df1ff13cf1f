"""The configuration as it holds: file, environment and defaults in one value, or every problem."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from repoagents.config.ambient import ambient
from repoagents.config.document import parse_document
from repoagents.config.files import CONFIG_PATH, CONTROL, read_text, write_whole
from repoagents.config.origins import Environment, Origin, trace_origins
from repoagents.config.smoke_fixture import KEY as SMOKE_FIXTURE
from repoagents.config.validation import Sources, read_settings
from repoagents.config.variables import (
    SHOWN,
    likely_overrides,
    read_environment_file,
    read_overrides,
)
from repoagents.domain.places import DATABASE, LOCATION
from repoagents.domain.settings import Settings
from repoagents.domain.smoke import stands_in
from repoagents.errors import ConfigError

UNASKED = f"GitHub is not asked for anything while {SMOKE_FIXTURE} is set"


@dataclass(frozen=True)
class Loaded:
    """The configuration of one repository.

    `environment` is the process environment with the env file's variables added where they were
    unset. It and the settings may hold secrets and are never shown. `warnings` are sentences for
    the operator. While a smoke fixture stands in the place of GitHub, `fixture_step` says what to
    delete; it is empty otherwise.
    """

    settings: Settings = field(repr=False)
    root: Path
    control: Path
    origins: tuple[Origin, ...]
    environment: Mapping[str, str] = field(repr=False)
    warnings: tuple[str, ...] = ()
    fixture_step: str = ""

    @property
    def database(self) -> Path | None:
        """The SQLite file; None when the state is in PostgreSQL."""
        return None if self.settings.state.database_url else self.control / DATABASE


def find_top(start: Path) -> Path | None:
    """The nearest folder, from `start` upwards, that is a git work tree or has a control plane."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / CONTROL).is_dir() or (folder / ".git").exists():
            return folder
    return None


def find_root(start: Path) -> Path:
    """The repository that `start` is in; raises `ConfigError` when it has no control plane."""
    top = find_top(start)
    if top is None:
        raise ConfigError(
            f"no git repository and no {CONTROL} folder in {start} or above it",
            next_step="Go to the repository, then: repoagents init",
        )
    if not (top / CONTROL).is_dir():
        raise ConfigError(f"{top} has no {CONTROL} folder", next_step="repoagents init")
    return top


def load(root: Path, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read the configuration of a repository, and note for readers where the state is.

    Raises `ConfigError`: no file, broken YAML, a root that is not a mapping, an env file that
    others can read, or a list of every key and value that cannot be used.
    """
    control = root / CONTROL
    text = read_text(root / CONFIG_PATH, CONFIG_PATH)
    if text is None:
        raise ConfigError(f"there is no {CONFIG_PATH} in {root}", next_step="repoagents init")
    document = parse_document(text, CONFIG_PATH)
    process = ambient() if environ is None else dict(environ)
    environment = Environment(read_environment_file(control), process)
    overrides, unknown = read_overrides(environment.merged)
    sources = Sources(document, tuple(overrides))
    settings = read_settings(sources, unknown, root)
    origins = trace_origins(sources, environment)
    fixture_step = _fixture_step(origins) if stands_in(settings) else ""
    loaded = Loaded(
        settings=settings,
        root=root,
        control=control,
        origins=origins,
        environment=environment.merged,
        warnings=(
            *_placeholders(environment),
            *likely_overrides(environment.merged),
            *((f"{UNASKED}; {fixture_step}",) if fixture_step else ()),
        ),
        fixture_step=fixture_step,
    )
    _note_location(loaded)
    return loaded


def _fixture_step(origins: tuple[Origin, ...]) -> str:
    """What to delete so that GitHub is asked again: the line, or the variable."""
    where = next(row.origin for row in origins if row.key == SMOKE_FIXTURE)
    name, _, line = where.partition(" in ")
    if not name.startswith("REPOAGENTS_"):
        return f"delete `smoke_fixture_path` in {where} to go live"
    return f"delete {name} in {line} to go live" if line else f"unset {name} to go live"


def _placeholders(environment: Environment) -> tuple[str, ...]:
    waiting = [n for n in environment.file.placeholders if n not in environment.process]
    if not waiting:
        return ()
    return (f"{SHOWN} holds only a placeholder for {', '.join(waiting)}: not set",)


def _note_location(loaded: Loaded) -> None:
    """Tell readers that load no configuration where the state is.

    `database` is relative to the control plane's folder, null for PostgreSQL.
    """
    path = loaded.control / LOCATION
    database = None if loaded.database is None else DATABASE
    text = json.dumps({"version": 1, "database": database}) + "\n"
    try:
        if not path.is_file() or path.read_bytes() != text.encode():
            write_whole(path, text)
    except OSError:
        # A read-only checkout can still be looked at; whoever needs to write says what is wrong.
        return
