"""Text laid out in the columns of a terminal."""

import unicodedata
from collections.abc import Iterable

from repoagents.policy.wording import one_line

GAP = "  "
NARROWEST = 20
READABLE = 108
"""Columns of a line that is read, not looked up, where a terminal has more."""

_VALUE_COLUMN = 12


def columns(text: str) -> int:
    """Columns on a terminal: wide East Asian characters take two, combining ones none."""
    return len(text) if text.isascii() else sum(_columns_of(char) for char in text)


def pad(text: str, size: int) -> str:
    """The text, filled up with blanks to `size` columns."""
    return text + " " * (size - columns(text))


def fit(text: str, width: int) -> str:
    """The text, cut to `width` columns when it is longer."""
    if columns(text) <= width:
        return text
    kept, used = "", 0
    for char in text:
        used += _columns_of(char)
        if used > width - 1:
            break
        kept += char
    return kept.rstrip() + "…"


def folded(text: str, width: int) -> list[str]:
    """One line as lines of at most `width` characters, broken between words."""
    if len(text) <= width and text.isprintable():
        return [text] if text.strip() else []
    import textwrap  # Here, because a plain `status` seldom needs it.

    return textwrap.wrap(text, width)


def hanging(first: str, text: str, width: int) -> list[str]:
    """The text behind `first`, in lines of at most `width` columns that hang below each other.

    What has no blank to break at is left whole: a path or a command that is to be copied.
    """
    if columns(first) + columns(text) <= width:
        return [f"{first}{text}"]
    room, lines = max(width - columns(first), NARROWEST), [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if not lines[-1] or columns(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    indent = " " * columns(first)
    return [f"{indent if number else first}{line}" for number, line in enumerate(lines)]


def wrapped(text: str, indent: int = 2, width: int = READABLE) -> list[str]:
    """Text from outside as lines of at most `width` characters, each indented."""
    lines = folded(one_line(text, 2_000), max(width - indent, NARROWEST))
    return [" " * indent + line for line in lines]


def named_lines(pairs: Iterable[tuple[str, str]], width: int = READABLE) -> list[str]:
    """Name and value per line; a long value goes on below itself."""
    lines = []
    for name, value in pairs:
        first, *rest = wrapped(value, _VALUE_COLUMN, width) or [""]
        lines += [f"{pad(name, _VALUE_COLUMN)}{first.strip()}".rstrip(), *rest]
    return lines


def _columns_of(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Cf", "Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
