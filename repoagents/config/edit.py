"""Changing single values of the operator's file: every other byte of it stays as it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from repoagents.config.document import Plain, parse_document
from repoagents.config.files import CONFIG_PATH, read_text, why_not_writable, write_whole
from repoagents.config.keys import by_path
from repoagents.errors import ConfigError

BYTE_ORDER_MARK = "\ufeff"
"""What some editors put in front; it is no part of the text, and stays."""

Values = Mapping[str, bool | str]
"""New values by key, such as `safety.allow_merge`: a section and a key in it."""


@dataclass(frozen=True)
class Edit:
    """A change of the configuration file that is not written yet."""

    root: Path
    before: str
    after: str

    def write(self) -> Path:
        """Replace the file in one step; raises `ConfigError` when it was changed meanwhile."""
        path = self.root / CONFIG_PATH
        if reason := why_not_writable(self.root, CONFIG_PATH):
            raise ConfigError(
                f"{CONFIG_PATH} cannot be edited: {reason}", next_step="Edit it yourself."
            )
        if read_text(path, CONFIG_PATH) != self.before:
            raise ConfigError(
                f"{CONFIG_PATH} was changed meanwhile, and was left as it is",
                next_step="Run the same command again.",
            )
        marked = path.read_bytes().startswith(BYTE_ORDER_MARK.encode())
        mark = BYTE_ORDER_MARK if marked else ""
        write_whole(path, mark + self.after)
        return path


def draft_edit(root: Path, values: Values) -> Edit:
    """The file with these values; raises `ConfigError` when it cannot be edited safely.

    A value that holds already, said or by default, is left as it is.
    """
    text = read_text(root / CONFIG_PATH, CONFIG_PATH)
    if text is None:
        raise ConfigError(f"there is no {CONFIG_PATH} in {root}", next_step="repoagents init")
    tree = parse_document(text, CONFIG_PATH).tree
    new = {key: value for key, value in values.items() if _said(tree, key) != value}
    return Edit(root, text, set_values(text, new))


def set_values(text: str, values: Values) -> str:
    """The text of a configuration file with these values in it, and nothing else changed.

    Raises `ConfigError`, naming the lines to write by hand, when the result would not say what
    the old text says but for these values.
    """
    wanted = parse_document(text, CONFIG_PATH).tree
    for key, value in values.items():
        wanted = _with(wanted, key, value)
    after = text
    try:
        for key, value in values.items():
            section, name = key.split(".")
            after = _set(after, section, name, _scalar(value))
        sound = parse_document(after, CONFIG_PATH).tree == wanted
    except (YAMLError, ConfigError, ValueError):
        sound = False
    if not sound:
        lines = ", ".join(f"{key}: {_scalar(value)}" for key, value in values.items())
        raise ConfigError(
            f"{CONFIG_PATH} is written in a way that this command cannot edit safely",
            next_step=f"Set by hand: {lines}",
        )
    return after


def _said(tree: dict[str, Plain], key: str) -> object:
    """What the file says of a key, or else its default."""
    section, name = key.split(".")
    inside = tree.get(section)
    known = by_path()[section, name]
    return inside[name] if isinstance(inside, dict) and name in inside else known.default


def _with(tree: dict[str, Plain], key: str, value: bool | str) -> dict[str, Plain]:  # noqa: FBT001
    section, name = key.split(".")
    inside = tree.get(section) or {}
    if not isinstance(inside, dict):
        raise ConfigError(f"{CONFIG_PATH}: {section} must be a section", next_step="Fix it first.")
    return {**tree, section: {**inside, name: value}}


def _scalar(value: bool | str) -> str:  # noqa: FBT001 - the value itself
    return value if isinstance(value, str) else str(value).lower()


def _set(text: str, section: str, name: str, value: str) -> str:
    """One value put in its place: instead of the old one, beside its neighbours, or at the end."""
    end = "\r\n" if "\r\n" in text else "\n"
    root = YAML(typ="rt").compose(text)
    inside = _member(root, section)
    if inside is None:
        gap = "" if not text or text.endswith("\n") else end
        return f"{text}{gap}{end if text else ''}{section}:{end}  {name}: {value}{end}"
    if not isinstance(inside, MappingNode) or not inside.value:
        # Empty: nothing after the colon, `null` or `{}`.
        start, stop = inside.start_mark.index, inside.end_mark.index
        if start == stop:
            start = stop = _after_colon(text, root, section)
        return f"{text[:start]}{' ' if start == stop else ''}{{{name}: {value}}}{text[stop:]}"
    old = _member(inside, name)
    if old is not None:
        return text[: old.start_mark.index] + value + text[old.end_mark.index :]
    first, last = inside.value[0][0].start_mark, inside.value[-1][1].end_mark.index
    if inside.flow_style:
        return f"{text[:last]}, {name}: {value}{text[last:]}"
    line_end = text.find("\n", last)
    before = text[: line_end + 1] if line_end >= 0 else text + end
    return f"{before}{' ' * first.column}{name}: {value}{end}{text[len(before) :]}"


def _member(node: Node | None, name: str) -> Node | None:
    """The value of a key in a mapping, None when it has none."""
    pairs = node.value if isinstance(node, MappingNode) else ()
    found = (value for key, value in pairs if isinstance(key, ScalarNode) and key.value == name)
    return next(found, None)


def _after_colon(text: str, root: Node, name: str) -> int:
    key = next(key for key, _ in root.value if key.value == name)
    return text.index(":", key.end_mark.index) + 1
