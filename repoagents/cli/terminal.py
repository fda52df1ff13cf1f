"""The terminal: how wide it is, and which colours it takes.

Asked of the system itself: `shutil` brings three compression libraries, which `status` does not
want to pay for.
"""

import os
import sys
from typing import IO

ENDLESS = 10_000
"""The width of a pipe or a file: what reads it has lines of any length."""

_CODES = {"good": "32", "busy": "36", "warn": "33", "asks": "35", "bad": "31", "idle": "2"}


def columns() -> int:
    """Columns of the terminal that stdout goes to; 80 when it goes elsewhere."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def lines() -> int:
    """Lines of the terminal that stdout goes to; 24 when it goes elsewhere."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).lines or 24
    except (OSError, ValueError):
        return 24


def room() -> int:
    """Columns that a line may take: those of the terminal, and elsewhere as many as it needs."""
    return columns() if sys.stdout.isatty() else ENDLESS


def is_dumb() -> bool:
    """Whether the terminal can only write line after line."""
    from repoagents.config.ambient import ambient

    return ambient().get("TERM", "dumb") in ("", "dumb")


def takes_colour(stream: IO[str]) -> bool:
    """Whether to colour what is written there: a terminal that can, and whose owner wants it."""
    if not stream.isatty() or is_dumb():
        return False
    from repoagents.config.ambient import ambient

    return not ambient().get("NO_COLOR")


def paint(text: str, tone: str) -> str:
    """The text in the colour of a tone: good, busy, warn, asks, bad or idle."""
    return f"\x1b[{_CODES[tone]}m{text}\x1b[0m"
