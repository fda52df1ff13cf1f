"""Text from outside made safe to show: no control sequence, nothing invisible, bounded."""

import re
from datetime import timedelta

from repoagents.domain.invisible import HIDDEN

# Texts, compiled by the first one that needs them: `status` starts sooner, and hardly ever does.
_TERMINAL = (
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: titles, hyperlinks, the clipboard
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI: colours, cursor
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # DCS and the other strings
    r"|\x1b."
)
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]"
_SURROGATE = r"[\ud800-\udfff]"


def clean(text: str) -> str:
    """The text without terminal sequences, control and invisible characters; lines stay lines."""
    if text.isascii() and text.isprintable():
        return text
    plain = re.sub(_TERMINAL, "", text.replace("\r\n", "\n").replace("\r", "\n"))
    plain = re.sub(f"[{HIDDEN}]", "", re.sub(_CONTROL, "", plain))
    return re.sub(_SURROGATE, "\ufffd", plain)


def one_line(text: str, limit: int = 200) -> str:
    """The text cleaned, on one line, at most `limit` characters."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= limit else flat[: max(limit - 1, 0)].rstrip() + "…"


def tail(text: str, limit: int) -> str:
    """The end of a cleaned text, at most `limit` characters, beginning at a line where it can."""
    plain = clean(text).strip("\n")
    if len(plain) <= limit:
        return plain
    end = plain[-limit:]
    _, newline, rest = end.partition("\n")
    return "…\n" + (rest if newline and rest else end)


def age(span: timedelta) -> str:
    """A duration in its largest unit: `45 s`, `3 m`, `2 h`, `5 d`."""
    seconds = max(int(span.total_seconds()), 0)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
