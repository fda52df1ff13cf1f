"""From a document and the environment to settings, or to every problem at once."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from repoagents.config.document import Document, Place, Plain, Problem, dotted, scalar
from repoagents.config.keys import find_key, nearest
from repoagents.config.redaction import mask
from repoagents.config.rules import broken_rules, local_defaults, password_in
from repoagents.config.variables import Override
from repoagents.domain.settings import Settings
from repoagents.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

PASSWORD = ("state", "database_url")


@dataclass(frozen=True)
class Sources:
    """The file, and what the environment puts over it."""

    document: Document
    overrides: tuple[Override, ...] = ()

    def where(self, place: Place) -> str:
        """The variable that sets a place, or `file:line`."""
        for override in self.overrides:
            if place[: len(override.key.path)] == override.key.path:
                return override.variable
        return self.document.where(place)

    def tree(self) -> dict[str, Plain]:
        """The file's values with the environment's over them, empty sections left out."""
        merged = _without_empty_sections((), self.document.tree)
        for override in self.overrides:
            _set(merged, override.key.path, override.value)
        tracker = merged.get("tracker")
        if isinstance(tracker, dict):
            merged["tracker"] = {**tracker, **local_defaults(tracker)}
        return merged


def read_settings(sources: Sources, unknown: Iterable[Problem], root: Path) -> Settings:
    """The settings; `unknown` are the problems that were found before.

    Raises `ConfigError` with a line per problem, all of them.
    """
    problems = [*sources.document.problems, *unknown, *_password(sources.document)]
    settings = _validate(sources, problems)
    if settings is not None:
        for place, text in broken_rules(settings, root):
            problems.append(Problem(sources.where(place), text))
    if settings is None or problems:
        raise _refusal(problems)
    return settings


def _password(document: Document) -> Iterable[Problem]:
    """The file is looked at alone: an override does not make a password in it any better."""
    section = document.tree.get("state")
    if isinstance(section, dict) and password_in(section.get("database_url")):
        yield Problem(
            document.where(PASSWORD),
            "state.database_url: a password does not belong in this file; "
            "give the URL by REPOAGENTS_STATE__DATABASE_URL",
        )


def _without_empty_sections(place: Place, tree: Mapping[str, Plain]) -> dict[str, Plain]:
    """A section whose keys are all commented out reads as null, and means its defaults."""
    kept: dict[str, Plain] = {}
    for name, value in tree.items():
        here = (*place, name)
        if isinstance(value, dict):
            kept[name] = _without_empty_sections(here, value)
        elif value is not None or not _is_section(here):
            kept[name] = value
    return kept


def _is_section(place: Place) -> bool:
    key = find_key(place)
    return key is not None and key.is_section and len(key.path) == len(place)


def _set(tree: dict[str, Plain], path: tuple[str, ...], value: Plain) -> None:
    node = tree
    for part in path[:-1]:
        inner = node.setdefault(part, {})
        if not isinstance(inner, dict):
            return  # the section itself is wrong, and is reported as that
        node = inner
    node[path[-1]] = value


def _validate(sources: Sources, problems: list[Problem]) -> Settings | None:
    """The settings, or None with a problem per place; JSON mode takes no text for a number."""
    from pydantic import ValidationError

    tree = sources.tree()
    try:
        return _adapter().validate_json(json.dumps(tree), strict=True)
    except ValidationError as error:
        rows = error.errors(include_url=False, include_context=False, include_input=False)
    seen: set[Place] = set()
    for row in rows:
        loc, kind = row["loc"], row["type"]
        place = loc if kind.startswith("missing") else _present(loc, tree)
        if place not in seen:
            seen.add(place)
            problems.append(Problem(sources.where(place), _sentence(place, kind, tree)))
    return None


@cache
def _adapter() -> "TypeAdapter[Settings]":
    from pydantic import TypeAdapter

    return TypeAdapter(Settings)


def _present(loc: Place, tree: Plain) -> Place:
    """The part of a pydantic location that is a place: it also names members of unions."""
    for length in range(1, len(loc) + 1):
        try:
            _at(loc[:length], tree)
        except (KeyError, IndexError, TypeError):
            return loc[: length - 1]
    return loc


def _at(place: Place, tree: Plain) -> Plain:
    for part in place:
        tree = tree[part]  # type: ignore[index]
    return tree


def _sentence(place: Place, kind: str, tree: Plain) -> str:
    name = dotted(place)
    if kind == "unexpected_keyword_argument":
        return f"{name} is not a known key; the nearest is {nearest(place)}"
    key = find_key(place)
    wanted = key.expected if key else "a mapping"
    if kind.startswith("missing"):
        return f"{name} is missing: expected {wanted}"
    value = _at(place, tree)
    given = json.dumps(mask(value), ensure_ascii=False)
    quoted = isinstance(value, str) and not isinstance(scalar(value), str)
    return f"{name}: expected {wanted}, given {given[:80]}" + " (in quotes, so text)" * quoted


def _refusal(problems: Iterable[Problem]) -> ConfigError:
    rows = [str(p) for p in sorted(dict.fromkeys(problems), key=_by_line)]
    text = rows[0]
    if len(rows) > 1:
        text = "\n  ".join([f"the configuration has {len(rows)} problems:", *rows])
    return ConfigError(
        text, next_step="Fix what is named; `repoagents config schema` lists every key."
    )


def _by_line(problem: Problem) -> tuple[str, int]:
    file, _, line = problem.where.rpartition(":")
    return (file, int(line)) if line.isdigit() else (problem.where, 0)
