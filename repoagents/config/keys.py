"""The catalogue of configuration keys, read off the settings classes."""

import dataclasses
import difflib
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType

from annotated_types import Ge, Gt, Le, MinLen

from repoagents.config.document import Place
from repoagents.domain.settings import Settings

ITEM = "[]"
"""Stands for any position in a list."""


@dataclass(frozen=True)
class Key:
    """One key: a section, a value, or a value inside the items of a list.

    `owner` is the name of the class that has it; `default` is meaningless when `required`.
    """

    path: tuple[str, ...]
    expected: str
    owner: str
    default: object
    required: bool
    is_section: bool

    @property
    def name(self) -> str:
        """The key as people write it: `tracker.repo`, `verify[].run`."""
        return ".".join(self.path).replace(f".{ITEM}", ITEM)

    @property
    def is_value(self) -> bool:
        """Whether this is a whole value of its own, as `config show` lists them."""
        return not self.is_section and ITEM not in self.path

    @property
    def variable(self) -> str | None:
        """The environment variable that overrides it; None for sections and what is in lists."""
        if not self.is_value or len(self.path) == 1:
            return None
        return "REPOAGENTS_" + "__".join(self.path).upper()

    @property
    def takes_text(self) -> bool:
        """Whether any text is a fitting value, so that a variable's text is taken as it stands."""
        return self.expected.startswith("text")


@cache
def catalogue() -> tuple[Key, ...]:
    """Every key, in the order of the settings classes, sections before what they hold."""
    return tuple(_walk(Settings, ()))


@cache
def by_path() -> dict[tuple[str, ...], Key]:
    """The catalogue by path."""
    return {key.path: key for key in catalogue()}


@cache
def by_variable() -> dict[str, Key]:
    """The keys that the environment may override, by variable."""
    return {key.variable: key for key in catalogue() if key.variable is not None}


def find_key(place: Place) -> Key | None:
    """The key at a place of a document, or the list that a place inside it belongs to."""
    path = tuple(ITEM if isinstance(part, int) else part for part in place)
    while path and path not in by_path():
        path = path[:-1]
    return by_path().get(path)


def nearest(place: Place) -> str:
    """The known key that an unknown one was most likely meant to be.

    The same name in another section comes first, then the most similar one beside it.
    """
    path = tuple(ITEM if isinstance(part, int) else part for part in place)
    for key in catalogue():
        if key.path[-1] == path[-1]:
            return key.name
    beside = {key.path[-1]: key.name for key in catalogue() if key.path[:-1] == path[:-1]}
    anywhere = {key.path[-1]: key.name for key in reversed(catalogue())}
    return closest(path[-1], beside, 0.6) or closest(path[-1], anywhere, 0.0)


def closest(name: str, answers: Mapping[str, str], cutoff: float) -> str:
    """The answer whose key is most similar to a name; empty when none is similar enough."""
    found = difflib.get_close_matches(name, answers, n=1, cutoff=cutoff)
    return answers[found[0]] if found else ""


def _walk(cls: type, path: tuple[str, ...]) -> Iterator[Key]:
    hints = typing.get_type_hints(cls, include_extras=True)
    for field in dataclasses.fields(cls):
        kind, here = hints[field.name], (*path, field.name)
        required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        section = dataclasses.is_dataclass(kind)
        default = None if section or required else field.default
        yield Key(here, expected(kind), cls.__name__, default, required, section)
        if section:
            yield from _walk(kind, here)
        for inner in typing.get_args(kind):
            if dataclasses.is_dataclass(inner) and isinstance(inner, type):
                yield from _walk(inner, (*here, ITEM))


def expected(kind: object) -> str:
    """What a value of a type looks like, in words: `a whole number from 5 to 3600`."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return expected(args[0]) + _bounds(args[1:])
    if origin is typing.Literal:
        return "one of " + ", ".join(str(a) for a in args)
    if origin in (typing.Union, UnionType):
        return " or ".join("null" if a is NoneType else expected(a) for a in args)
    if origin is tuple:
        return f"a list of {_plural(args[0])}"
    return _expected_plain(kind)


def _expected_plain(kind: object) -> str:
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return "one of " + ", ".join(kind)
    return words.get(typing.cast("type", kind), "a section of `key: value` lines")


def _plural(kind: object) -> str:
    if dataclasses.is_dataclass(kind):
        return "sections with the keys " + ", ".join(f.name for f in dataclasses.fields(kind))
    return expected(kind).replace("a whole number", "whole numbers")


def _bounds(marks: Sequence[object]) -> str:
    low = next((mark.ge for mark in marks if isinstance(mark, Ge)), None)
    high = next((mark.le for mark in marks if isinstance(mark, Le)), None)
    over = next((mark.gt for mark in marks if isinstance(mark, Gt)), None)
    size = next((mark.min_length for mark in marks if isinstance(mark, MinLen)), None)
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f", {low} or more"
    if over is not None:
        return f" above {over}"
    if size == 1:
        return " that is not empty"
    return f" of {size} characters or more" if size else ""
