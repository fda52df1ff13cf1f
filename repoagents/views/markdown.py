"""Markdown made from text that may be hostile: it neither calls people, nor loads, nor hides."""

import re
from collections.abc import Iterable, Sequence

from repoagents.policy.wording import clean, one_line

BODY_LIMIT = 65_536
"""Code points that GitHub takes in a body."""

_BREAK = "\u200b"  # shows nothing, and no longer spells the word that GitHub acts on
_ENTITY = re.compile(r"&(?=#|\w)")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_MENTION = re.compile(r"@(?=[A-Za-z0-9_-])")
_CLOSING = re.compile(
    r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?)(?=[\W_]{0,20}(?:[\w.-]+/[\w.-]+)?"
    r"(?:#\d|gh-\d|https?:))",
    re.IGNORECASE,
)
_SKIP_CI = re.compile(
    r"\[((?:skip|no)[ -](?:ci|actions)|ci[ -]skip|actions[ -]skip)\]", re.IGNORECASE
)
_TRAILER = re.compile(
    r"^([ \t]*)((?:signed-off|co-authored|acked|reviewed|tested|reported|approved)-by"
    r"|skip-checks|cc)([ \t]*):",
    re.IGNORECASE | re.MULTILINE,
)
_PIPE = re.compile(r"\\*\|")
_FENCE = re.compile(r"(`{3,})[^`]*")
_BLOCK_START = re.compile(r"^(?=[#>*+=|~`\[_$/-]|\d+[.)])")
"""A slash begins a command of many a bot, and ours writes as somebody whom they obey."""


def quiet(text: str) -> str:
    """The text without mention, closing keyword or CI directive, for titles and commits."""
    plain = _MENTION.sub(f"@{_BREAK}", clean(text))
    plain = _CLOSING.sub(lambda match: match[0][:2] + _BREAK + match[0][2:], plain)
    plain = _SKIP_CI.sub(r"(\1)", plain)
    return _TRAILER.sub(r"\1\2 -", plain)


def neutral(text: str) -> str:
    """The text as Markdown prose that shows what was written and does nothing else."""
    plain = _TAG.sub("&lt;", _ENTITY.sub("&amp;", clean(text)))
    # A link would show other words than where it leads; an image would be loaded.
    return quiet(plain.replace("](", "]\\("))


def inline(text: str, limit: int = 1_000) -> str:
    """Text from outside on one line, unable to begin a heading, a list, a fence or a command."""
    return _BLOCK_START.sub(r"\\", neutral(one_line(text, limit)))


def code(text: str, limit: int = 300) -> str:
    """Text from outside as a code span that it cannot leave."""
    plain = one_line(text, limit) or " "
    longest = max((len(run) for run in re.findall(r"`+", plain)), default=0)
    ticks = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{ticks}{pad}{plain}{pad}{ticks}"


def fenced(text: str, language: str = "text") -> str:
    """Text from outside as a code block that it cannot leave."""
    plain = clean(text).strip("\n")
    longest = max((len(run) for run in re.findall(r"`{3,}", plain)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{plain}\n{fence}"


def strong(text: str) -> str:
    """Text of ours in bold; an empty one stays empty."""
    return f"**{text}**" if text else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def bullets(lines: Iterable[str]) -> str:
    """A list of lines that are Markdown already."""
    return "\n".join(f"- {line}" for line in lines)


def section(title: str, *parts: str) -> str:
    """A heading with what stands below it; empty when nothing does."""
    body = "\n\n".join(part for part in parts if part)
    return f"## {title}\n\n{body}" if body else ""


def document(*parts: str, rehearsal: str = "") -> str:
    """The parts that are not empty, a blank line between them.

    `rehearsal` says, when it is not empty, what is not real about all of it: on the first line.
    """
    return "\n\n".join(part for part in (strong(rehearsal), *parts) if part) + "\n"


def bounded(
    body: str, limit: int = BODY_LIMIT, rest: str = "the whole text is in the run's `handoff.md`"
) -> str:
    """The body, cut at a line with a notice when it is longer than GitHub takes.

    A code block that is cut is closed. `rest` says where the remainder is.
    """
    if len(body) <= limit:
        return body
    notice = f"\n\n… cut here: {rest}.\n"
    kept, closing = body, ""
    while len(kept) + len(closing) + len(notice) > limit:
        kept = body[: min(limit - len(notice) - len(closing), len(kept) - 1)]
        kept = kept[: max(kept.rfind("\n"), 0) or None].rstrip()
        closing = _closing(kept)
    return f"{kept}{closing}{notice}"


def _closing(text: str) -> str:
    """The line that ends the code block which the text leaves open."""
    fence = ""
    for line in text.split("\n"):
        if fence:
            fence = "" if line == fence else fence
        elif opened := _FENCE.fullmatch(line):
            fence = opened[1]
    return f"\n{fence}" if fence else ""


def _cell(text: str) -> str:
    # Exactly one: of two backslashes GitHub takes the first for the second's, and ends the cell.
    return _PIPE.sub(r"\|", text).replace("\n", " ")
