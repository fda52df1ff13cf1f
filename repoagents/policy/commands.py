"""Commands in comments: `/repoagents VERB`, on a line of its own and meant as such."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class CommandKind(StrEnum):
    """What a comment may ask for."""

    RUN = "run"
    STOP = "stop"
    RETRY = "retry"
    APPROVE = "approve"
    STATUS = "status"


@dataclass(frozen=True)
class Command:
    """A command; only a retry has a note, the rest of its line."""

    kind: CommandKind
    note: str = ""


_COMMAND = re.compile(r" {0,3}/repoagents +(run|stop|retry|approve|status)(?: +(\S.*))?")
_FENCE = re.compile(r"(`{3,})[^`]*|(~{3,}).*")
_ODD_FENCE = re.compile(r"(?:\s|[-*+>]|\d{1,9}[.)])+(?:```|~~~)")
_TAG = re.compile(r"<[A-Za-z/!?]")
_MARKS = re.compile(r"[`<>\[\]\\]")


def parse(body: str) -> Command | None:
    """The first command of a comment, or None.

    Text that GitHub shows as a quote, as code or not at all holds no command. Where that takes more
    than a look at the lines (HTML, a fence inside a list or quote), nothing after it counts: a
    command that is overlooked is written again, one that nobody gave is not taken back.
    """
    marked = False
    for line in _shown(body):
        command = None if marked else _command(line)
        if command is not None:
            return command
        marked = bool(line.strip()) and (marked or _MARKS.search(line) is not None)
    return None


def _shown(body: str) -> Iterator[str]:
    """The lines outside of fenced code, as far as it is certain; a fence gives a blank line."""
    fence = ""
    for line in re.split(r"\r\n|\r|\n", body):
        if fence:
            fence = "" if _closes(line, fence) else fence
            continue
        opening = _FENCE.fullmatch(line)
        if opening is not None:
            fence = opening[1] or opening[2]
            yield ""
        elif _ODD_FENCE.match(line):
            return
        elif _TAG.search(line):
            yield line
            return
        else:
            yield line


def _closes(line: str, fence: str) -> bool:
    closing = re.fullmatch(rf" {{0,3}}({re.escape(fence[0])}+)[ \t]*", line)
    return closing is not None and len(closing[1]) >= len(fence)


def _command(line: str) -> Command | None:
    # Stripped here: a pattern that did it would take quadratic time over a stranger's spaces.
    match = _COMMAND.fullmatch(line.rstrip(" "))
    if match is None:
        return None
    kind, note = CommandKind(match[1]), match[2] or ""
    return None if note and kind is not CommandKind.RETRY else Command(kind, note)
