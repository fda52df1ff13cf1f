"""How commands answer: one JSON document or plain text on stdout, remarks on stderr."""

import dataclasses
import sys
from datetime import datetime
from pathlib import Path
from typing import IO

from repoagents import __version__
from repoagents.views import documents


def print_json(document: object) -> None:
    """Print one JSON document; values of ours become objects, instants ISO 8601."""
    print(render_json(document))


def render_json(document: object) -> str:
    """The text of a JSON document."""
    return documents.render_json(document, plain=_plain)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def unanswered(reason: str, *, as_json: bool, **about: object) -> None:
    """Say why there is no answer, in JSON as the document's `error` too."""
    if as_json:
        print_json({**about, "error": reason})
    remark(f"error: {reason}")


def remark(text: str) -> None:
    """Say something on stderr, next to the answer."""
    print(text, file=sys.stderr)


def at_terminal(stream: IO[str]) -> bool:
    """Whether a person is looking at this stream."""
    return stream.isatty()


def examples(*lines: str) -> str:
    """The epilog of a command: command lines that can be typed as they stand."""
    return "\b\nExample:\n" + "\n".join(f"  repoagents {line}" for line in lines)


def shown_path(path: Path) -> str:
    """A path as a person types it: relative when it lies below where they stand."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def versions() -> str:
    """Program, Python and the schema of the state that this program writes."""
    import platform

    from repoagents.store.reader import SCHEMA

    python = platform.python_version()
    return f"repoagents {__version__} (Python {python}, state schema {SCHEMA})"


def size(count: int) -> str:
    """A number of bytes as people read it."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
