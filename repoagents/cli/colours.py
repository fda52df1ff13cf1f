"""Colours for what commands print: of words that stand where only ours can stand."""

import re
import sys

from repoagents.cli.terminal import paint, takes_colour

STATUSES = {
    "queued": "idle",
    "in_progress": "busy",
    "retry_pending": "warn",
    "awaiting_approval": "asks",
    "blocked": "warn",
    "completed": "good",
    "no_change": "idle",
    "failed": "bad",
    "cancelled": "idle",
    "superseded": "idle",
}
CHECKS = {"ok": "good", "warn": "warn", "error": "bad"}
OVERALL = {"clean": "good", "attention": "warn", "issues": "bad"}
LEVELS = {"broken": "bad", "attention": "warn", "working": "busy", "idle": "good"}
WEIGHTS = {"critical": "bad", "high": "bad", "medium": "warn", "low": "idle"}

_STATUS = r"^(#\d+ +|status {2,})([a-z_]+)"


def coloured(text: str, tones: dict[str, str], place: str = r"^()([a-z]+)(?= )") -> str:
    """The text with the words of these tones coloured, where stdout is a terminal that takes it.

    `place` has two groups: what stands before a word, and the word.
    """
    if not takes_colour(sys.stdout):
        return text

    def dye(found: re.Match[str]) -> str:
        tone = tones.get(found[2])
        return found[1] + (paint(found[2], tone) if tone else found[2])

    return re.sub(place, dye, text, flags=re.MULTILINE)


def coloured_status(text: str) -> str:
    """What `status` prints, with the statuses coloured."""
    return coloured(text, STATUSES, _STATUS)
