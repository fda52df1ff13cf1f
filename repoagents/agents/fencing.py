"""Text from outside as data: cleaned, bounded, and fenced so that it cannot end its own quote."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from repoagents.domain.invisible import HIDDEN, SHAPING

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)?"  # OSC: titles, links, the clipboard
    r"|\x1b[PX^_][^\x1b]{0,4096}(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|[\x1b\x9b]\[?[0-?]*[ -/]*[@-~]"  # CSI and the two-byte ones
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_INVISIBLE = re.compile(f"[{HIDDEN}{SHAPING}]")
"""Whatever a person does not see: a prompt must not hold more than its reader at the issue saw."""

_OPENING = re.compile(r"<<<(?=[A-Z]+-TEXT\b)")
_CLOSING = re.compile(r"(?<![A-Z])([A-Z]{1,20}-TEXT \S{1,64})>>>")
_BREAKS = re.compile("\r\n?|[\u2028\u2029\x85]")


@dataclass(frozen=True)
class Cleaned:
    """A text without what people cannot see, and how much of that there was."""

    text: str
    comments: int = 0
    invisible: int = 0


def clean(text: str, limit: int) -> Cleaned:
    """What a person would see of an issue's text: at most `limit` characters of it."""
    # Looking at four times the limit is enough, and bounds the work on a huge text.
    visible, comments = _without_comments(plain(text[: limit * 4]))
    visible, invisible = _INVISIBLE.subn("", visible)
    return Cleaned(cut(visible.strip(), limit, more=len(text) > limit * 4), comments, invisible)


def reveal(text: str, limit: int) -> str:
    """A diff or an output for a reviewer: invisible characters are shown by their number."""
    shown = _INVISIBLE.sub(lambda match: f"<U+{ord(match.group()):04X}>", plain(text[:limit]))
    return cut(shown, limit, more=len(text) > limit)


def plain(text: str) -> str:
    """The text without terminal sequences and control characters; line ends are newlines."""
    return _CONTROLS.sub("", _ESCAPES.sub("", _BREAKS.sub("\n", text)))


def short_line(text: str, limit: int = 200) -> str:
    """One line for a person: no control or invisible characters, blanks collapsed, bounded."""
    line = " ".join(_INVISIBLE.sub("", plain(text[: limit * 8])).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def cut(text: str, limit: int, *, more: bool = False) -> str:
    """At most `limit` characters; a notice says so where the text was longer, or had `more`."""
    if len(text) <= limit and not more:
        return text
    return f"{text[:limit]}\n[the rest is left out: longer than {limit} characters]"


def fence(name: str, nonce: str, text: str) -> str:
    """Quote a text between marks that it cannot contain; empty stays empty.

    `name` ends in -TEXT; `nonce` cannot be guessed by whoever wrote the text.
    """
    if not text.strip():
        return ""
    return f"<<<{name} {nonce}\n{defuse(text, nonce)}\n{name} {nonce}>>>"


def defuse(text: str, nonce: str) -> str:
    """Take from a text what could pass for one of our marks."""
    without_nonce = text.replace(nonce, "[nonce]")
    return _CLOSING.sub(r"\1> >>", _OPENING.sub("<< <", without_nonce))


def numbered(lines: Iterable[str]) -> str:
    """A list numbered from 1, an entry per line."""
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1))


def _without_comments(text: str) -> tuple[str, int]:
    """Drop HTML comments; one that is never closed hides the rest, as it does on the page."""
    kept = []
    count = 0
    place = 0
    while (start := text.find("<!--", place)) >= 0:
        kept.append(text[place:start])
        count += 1
        end = text.find("-->", start + 4)
        place = len(text) if end < 0 else end + 3
    return "".join([*kept, text[place:]]), count
