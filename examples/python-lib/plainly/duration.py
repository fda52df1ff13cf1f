"""Lengths of time, as people write and read them."""

import re
from datetime import timedelta

_SECONDS = {"d": 86_400, "h": 3_600, "min": 60, "s": 1}
_PART = re.compile(r"(\d+)\s*(d|h|min|s)(?![a-z])\s*")


def format_duration(duration: timedelta) -> str:
    """Spell a duration out, largest unit first: `1 h 5 min`; parts of a second are dropped."""
    if duration < timedelta(0):
        return f"-{format_duration(-duration)}"
    seconds = duration.seconds
    parts = []
    for unit, size in _SECONDS.items():
        amount, seconds = divmod(seconds, size)
        if amount:
            parts.append(f"{amount} {unit}")
    return " ".join(parts) or "0 s"


def parse_duration(text: str) -> timedelta:
    """Read `2 d 4 h`, `90 min` or `1h30min`; anything else is a ValueError."""
    total, position, stripped = 0, 0, text.strip()
    while position < len(stripped):
        part = _PART.match(stripped, position)
        if part is None:
            raise ValueError(f"not a duration: {text!r}")
        total += int(part.group(1)) * _SECONDS[part.group(2)]
        position = part.end()
    if not stripped:
        raise ValueError("not a duration: the text is empty")
    return timedelta(seconds=total)
