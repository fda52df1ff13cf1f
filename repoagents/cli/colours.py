"""Colours for what commands print: of words that stand where only ours can stand."""

import re
import sys

from repoagents.cli.terminal import paint, takes_colour
from repoagents.views import tones

STATUSES = tones.STATUSES | {"retry_pending": "warn", "awaiting_approval": "asks"}
"""Those of the pages, but for what a person at a terminal may want to act on."""

_STATUS = r"^(#\d+ +|status {2,})([a-z_]+)"


def coloured(text: str, words: dict[str, str], place: str = r"^()([a-z]+)(?= )") -> str:
    """The text with these words in their tones, where stdout is a terminal that takes colours.

    `place` has two groups: what stands before a word, and the word.
    """
    if not takes_colour(sys.stdout):
        return text

    def dye(found: re.Match[str]) -> str:
        tone = words.get(found[2])
        return found[1] + (paint(found[2], tone) if tone else found[2])

    return re.sub(place, dye, text, flags=re.MULTILINE)


def coloured_status(text: str) -> str:
    """What `status` prints, with the statuses coloured."""
    return coloured(text, STATUSES, _STATUS)
