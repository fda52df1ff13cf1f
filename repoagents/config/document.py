"""A YAML file as plain values with the line of everything in it.

The reading is YAML's core schema, not the wider one of old: `yes`, `on`, `010` and `12:30` are
text, so that no value turns into something else behind the operator's back.
"""

import math
import re
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from repoagents.errors import ConfigError

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
Place: TypeAlias = tuple[str | int, ...]
"""Keys and list positions from the document's root down to a value."""

WORDS: dict[str, Plain] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
DEEPEST = 50
"""Levels of nesting that are read: far more than any file needs, far fewer than break a parser."""
UNFIT = re.compile("[\0\ud800-\udfff]")
"""What an escape can put into a text and neither a program nor a file can take: NUL, surrogates."""
TAGS = tuple(f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str"))


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: `where` is `file:line` or a variable's name."""

    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


@dataclass(frozen=True)
class Document:
    """What a file says; `lines` holds the line of every key and list item, from 1."""

    tree: dict[str, Plain]
    source: str
    lines: dict[Place, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def where(self, place: Place) -> str:
        """`file:line` of a place, or of the nearest one around it that the file has."""
        for end in range(len(place), 0, -1):
            if place[:end] in self.lines:
                return f"{self.source}:{self.lines[place[:end]]}"
        return self.source


class _Loader(yaml.SafeLoader):
    """PyYAML's reader without its guesses and without aliases, which can grow without end."""

    yaml_implicit_resolvers = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not read here", mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def parse_document(text: str, source: str) -> Document:
    """Read a file whose root is a mapping; an empty one is an empty mapping.

    `source` is how the file is called in messages. Raises `ConfigError` for broken YAML (with the
    line) and for a root that is a list or text; doubled keys are kept as `problems`.
    """
    node = _compose(text, source)
    reading = _Reading(source)
    tree = {} if node is None else reading.read(node, ())
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError(
            f"{source}: the whole file must be a mapping (`key: value` lines), not "
            f"{'a list' if isinstance(tree, list) else 'a single value'}",
            next_step="Fix it, or start afresh: repoagents init --force --tracker-kind KIND",
        )
    return Document(tree, source, reading.lines, tuple(reading.problems))


def parse_value(text: str) -> Plain:
    """Read one value, such as `3`, `false` or `[a, b]`; raises `ValueError` when it is none."""
    reading = _Reading("value")
    try:
        node = _compose(text, "value")
        value = None if node is None else reading.read(node, ())
    except ConfigError as error:
        raise ValueError(str(error)) from error
    if reading.problems:
        raise ValueError(str(reading.problems[0]))
    return value


def _compose(text: str, source: str) -> yaml.Node | None:
    try:
        loader = _Loader(text)
        node: yaml.Node | None = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise _broken(f"{source}:{line}", "a character that YAML does not allow") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}" if mark else source
        parts = [part for part in (error.context, error.problem) if part]
        raise _broken(where, ", ".join(parts)) from None
    except RecursionError:
        raise _broken(source, "nested too deeply") from None
    return node


def _broken(where: str, problem: str) -> ConfigError:
    return ConfigError(f"{where}: broken YAML: {problem}", next_step="Fix the line that is named.")


class _Reading:
    """One walk over the node tree."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.lines: dict[Place, int] = {}
        self.problems: list[Problem] = []

    def read(self, node: yaml.Node, place: Place) -> Plain:
        if len(place) > DEEPEST:
            raise _broken(f"{self.source}:{node.start_mark.line + 1}", "nested too deeply")
        if node.tag not in TAGS:
            self._refuse(node, f"the tag {node.tag} is not read here")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(child, (*place, i)) for i, child in enumerate(node.value)]
        if UNFIT.search(node.value):
            self._refuse(node, "the text holds a NUL or half a character (a surrogate)")
        plain = isinstance(node, yaml.ScalarNode) and node.style is None
        return scalar(node.value) if plain else str(node.value)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Plain]:
        tree: dict[str, Plain] = {}
        for key, child in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "[...]"
            here = (*place, name)
            if name in tree:
                self._refuse(
                    key, f"{dotted(here)} is given twice, first in line {self.lines[here]}"
                )
                continue
            self.lines[here] = key.start_mark.line + 1
            tree[name] = self.read(child, here)
        return tree

    def _item(self, node: yaml.Node, place: Place) -> Plain:
        self.lines[place] = node.start_mark.line + 1
        return self.read(node, place)

    def _refuse(self, node: yaml.Node, text: str) -> None:
        self.problems.append(Problem(f"{self.source}:{node.start_mark.line + 1}", text))


def scalar(text: str) -> Plain:
    """What an unquoted word means: null, true, false, a finite number, or else text."""
    if text in WORDS:
        return WORDS[text]
    if WHOLE.fullmatch(text):
        return int(text)
    if DECIMAL.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


def dotted(place: Place) -> str:
    """A place as people write it: `verify[0].run`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")
