"""The fixture that stands in the place of GitHub: read strictly, or refused with every problem."""

import json
import typing
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from repoagents.config.document import Place, dotted
from repoagents.config.files import read_text
from repoagents.config.keys import closest, expected
from repoagents.domain.smoke import Smoke, worst
from repoagents.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

KEY = "tracker.smoke_fixture_path"
SHOWN = 5
"""How many problems are told at once."""


def read_fixture(root: Path, relative: str) -> Smoke:
    """The report that the fixture holds; `relative` is its path below the repository's root.

    Raises `ConfigError`: no such file, no JSON, or a line per key that cannot be used.
    """
    text = read_text(root / relative, relative)
    if text is None:
        raise ConfigError(
            f"{KEY}: there is no {relative}",
            next_step=f"Write it, or delete {KEY.partition('.')[2]} from the tracker section.",
        )
    return parse_fixture(text, relative)


def parse_fixture(text: str, name: str) -> Smoke:
    """The report in a JSON text; raises `ConfigError`, where `name` is the file's."""
    from pydantic import ValidationError

    try:
        smoke = _adapter().validate_json(text.encode("utf-8", "surrogatepass"), strict=True)
    except ValidationError as error:
        raise _refusal(name, [_sentence(row) for row in error.errors(include_url=False)]) from None
    if problems := list(_contradictions(smoke)):
        raise _refusal(name, problems)
    return smoke


@cache
def _adapter() -> "TypeAdapter[Smoke]":
    from pydantic import TypeAdapter

    return TypeAdapter(Smoke)


def _contradictions(smoke: Smoke) -> Iterator[str]:
    """What a report would never say, whatever it was made from."""
    for name, part in smoke.parts():
        grave = worst(point.level for point in part.warnings)
        if worst((part.status, grave)) is not part.status:
            yield f"{name}.status: {part.status} is milder than its warnings, one is {grave}"
    expires = smoke.auth.expires_at
    if expires is not None and expires.tzinfo is None:
        yield "auth.expires_at: expected a time with its offset, such as 2030-01-31T12:00:00Z"


def _sentence(row: "ErrorDetails") -> str:
    place: Place = row["loc"]
    name, kind = dotted(place), row["type"]
    if kind == "json_invalid":
        return f"not JSON: {row['msg'].removeprefix('Invalid JSON: ')}"
    if kind == "unexpected_keyword_argument":
        return f"{name} is not a known key; the nearest is {_nearest(place)}"
    wanted = _wanted(place)
    if kind.startswith("missing"):
        return f"{name} is missing: expected {wanted}"
    given = json.dumps(row["input"], ensure_ascii=False, default=str)[:80]
    return f"{name or 'the whole'}: expected {wanted}, given {given}"


def _nearest(place: Place) -> str:
    above = _without_null(_kind(place[:-1]))
    names = {field.name: field.name for field in fields(above)} if is_dataclass(above) else {}
    found = closest(str(place[-1]), names, 0.0)
    return dotted((*place[:-1], found)) if found else "none"


def _wanted(place: Place) -> str:
    """What stands at a place, in words."""
    kind = _kind(place)
    bare = _without_null(kind)
    either = " or null" if bare is not kind else ""
    if is_dataclass(bare):
        return f"an object{either}"
    if isinstance(bare, type) and issubclass(bare, StrEnum):
        return "one of " + ", ".join(bare)
    if getattr(bare, "__name__", "") == "datetime":
        return f"a time such as 2030-01-31T12:00:00Z{either}"
    if typing.get_origin(bare) is tuple and is_dataclass(typing.get_args(bare)[0]):
        return f"a list of objects{either}"
    return expected(kind)


def _kind(place: Place) -> object:
    """The declared type at a place of the document."""
    kind: object = Smoke
    for part in place:
        kind = _without_null(kind)
        if isinstance(part, int):
            kind = next(iter(typing.get_args(kind)), str)
        elif is_dataclass(kind) and isinstance(kind, type):
            kind = typing.get_type_hints(kind, include_extras=True).get(part, str)
    return kind


def _without_null(kind: object) -> object:
    members = [each for each in typing.get_args(kind) if each is not type(None)]
    return members[0] if type(None) in typing.get_args(kind) and len(members) == 1 else kind


def _refusal(name: str, problems: list[str]) -> ConfigError:
    shown = problems[:SHOWN]
    more = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    text = "\n  ".join([f"{KEY}: {name} cannot be used:", *shown, *more])
    if len(problems) == 1:
        text = f"{KEY}: {name}: {shown[0]}"
    step = "Fix it; a report of `repoagents github smoke` on a live repository is one."
    return ConfigError(text, next_step=step)
