"""The environment as configuration: the env file, its rule about modes, and the overrides."""

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from repoagents.config.document import UNFIT, Plain, Problem, parse_value
from repoagents.config.files import CONTROL, ENVIRONMENT, read_text
from repoagents.config.keys import Key, by_variable, catalogue, closest
from repoagents.errors import ConfigError

SHOWN = f"{CONTROL}/{ENVIRONMENT}"
ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")
QUOTED = re.compile(r"""(?P<quote>["'])(?P<text>.*)(?P=quote)\s*(?:#.*)?""")
PLACEHOLDER = re.compile(r"|\.+|…|<[^>]*>|change[-_ ]?me", re.IGNORECASE)
OVERRIDE = re.compile(r"REPOAGENTS_[A-Z0-9_]*[A-Z0-9]__[A-Z0-9_]+")


@dataclass(frozen=True)
class EnvironmentFile:
    """What `repoagents.env` sets: values and lines by name, and the names still to be filled in."""

    values: Mapping[str, str]
    lines: Mapping[str, int]
    placeholders: tuple[str, ...]


@dataclass(frozen=True)
class Override:
    """A key's value from the environment; `variable` names where it came from."""

    key: Key
    value: Plain
    variable: str


def read_environment_file(control: Path) -> EnvironmentFile:
    """Parse the env file; it is never sourced, so `$` and backticks mean nothing.

    Raises `ConfigError` when it holds a real value that others on this machine could read.
    """
    path = control / ENVIRONMENT
    text = read_text(path, SHOWN)
    if text is None:
        return EnvironmentFile({}, {}, ())
    values, lines = _parse(text)
    placeholders = tuple(n for n, v in values.items() if PLACEHOLDER.fullmatch(v.strip()))
    real = {name: value for name, value in values.items() if name not in placeholders}
    mode = stat.S_IMODE(path.stat().st_mode)
    if real and mode & 0o077:
        raise ConfigError(
            f"{SHOWN} holds a value for {next(iter(real))} and other users can read it "
            f"(mode {mode:04o})",
            next_step=f"chmod 600 {SHOWN}",
        )
    return EnvironmentFile(real, lines, placeholders)


def _parse(text: str) -> tuple[dict[str, str], dict[str, int]]:
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    # Not splitlines(): a value may hold what Unicode calls a line end.
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        match = ASSIGNMENT.fullmatch(bare)
        if match is None or UNFIT.search(bare):
            # The line is not quoted: what does not parse may still hold a secret.
            raise ConfigError(f"{SHOWN}:{number}: expected NAME=value", next_step="Fix the line.")
        values[match[1]], lines[match[1]] = _unquote(match[2], number), number
    return values, lines


def _unquote(text: str, number: int) -> str:
    quoted = QUOTED.fullmatch(text.strip())
    if quoted is None and text.lstrip().startswith(("'", '"')):
        raise ConfigError(
            f"{SHOWN}:{number}: the value's quote does not end where the value does",
            next_step="A value stands in one line; put a key of several lines into a file.",
        )
    return quoted["text"] if quoted else re.split(r"\s+#", text, maxsplit=1)[0].strip()


def read_overrides(environment: Mapping[str, str]) -> tuple[list[Override], list[Problem]]:
    """The keys that the environment sets, and the variables that name no key or hold no value."""
    overrides: list[Override] = []
    problems: list[Problem] = []
    for name in sorted(n for n in environment if OVERRIDE.fullmatch(n)):
        key = by_variable().get(name)
        if key is None:
            near = closest(name, {variable: variable for variable in by_variable()}, 0.0)
            problems.append(Problem(name, f"no key has this variable; the nearest is {near}"))
            continue
        try:
            overrides.append(Override(key, _value(key, environment[name]), name))
        except ValueError:
            problems.append(Problem(name, f"expected {key.expected}"))
    return overrides, problems


def _value(key: Key, text: str) -> Plain:
    """Text keys take the text as it stands: a URL or a template is not YAML."""
    if UNFIT.search(text):
        raise ValueError(key.name)
    if key.takes_text and not (text == "null" and key.expected.endswith("or null")):
        return text
    return parse_value(text)


def likely_overrides(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Warnings for variables that were surely meant for us and are not read.

    One underscore is missing, as in REPOAGENTS_TRACKER_REPO, or a section or a list is named as a
    whole, as in REPOAGENTS_VERIFY.
    """
    single = {variable.replace("__", "_"): variable for variable in by_variable()}
    whole = {f"REPOAGENTS_{key.name.upper()}" for key in catalogue() if len(key.path) == 1}
    return tuple(
        f"{name} is not read; a section and its key are joined by two underscores: {single[name]}"
        if name in single
        else f"{name} is not read: only single keys of a section are; the rest stands in the file"
        for name in sorted(environment)
        if name in single or name in whole
    )
