"""`logs`: what the bot noted about an issue."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import click

from repoagents.cli import place
from repoagents.cli.output import examples, print_json
from repoagents.policy.wording import one_line

LOG = "logs/repoagents.jsonl"
POLL_SECONDS = 0.3

Line = dict[str, object]


@click.command(epilog=examples("logs 12", "logs 12 --follow"))
@click.argument("number", type=click.IntRange(min=1))
@click.option("--follow", "-f", is_flag=True, help="Go on with what is noted from now on.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def command(*, number: int, follow: bool, as_json: bool) -> int:
    """Show what the bot noted about an issue.

    Time, level, a stable event code and a sentence, oldest first, rotated files included. It is
    read from `.ai-repoagents/logs/repoagents.jsonl`.
    """
    if follow and as_json:
        raise click.UsageError("--follow and --json exclude each other")
    with closing(Log(place.control_folder() / LOG)) as log:
        if as_json:
            print_json({"issue": number, "lines": list(_about(number, log))})
            return 0
        pause = threading.Event()
        while True:
            for line in _about(number, log):
                click.echo(render_line(line))
            if not follow:
                return 0
            pause.wait(POLL_SECONDS)


def _about(number: int, log: "Log") -> Iterator[Line]:
    """The new lines about an issue; what cannot be read as one is passed over."""
    for text in log.new_lines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and line.get("issue") == number:
            yield line


def render_line(line: Line) -> str:
    """A line for people; a text from outside cannot move their cursor."""
    at, level, code, message = (
        str(line.get(key, "")) for key in ("at", "level", "code", "message")
    )
    try:
        at = f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M:%S}"
    except ValueError:
        at = one_line(at, 19)
    return f"{at} {one_line(level):<7} {one_line(code)}: {one_line(message, 1_000)}"


class Log:
    """A log that is rotated by renaming: `.1` is the youngest of the files before it."""

    def __init__(self, path: Path) -> None:
        """Open every file there is, so that a rotation while we read takes none away."""
        self._path = path
        self._torn = b""
        self._files: list[BinaryIO] = []
        for name in (path, *sorted(path.parent.glob(f"{path.name}.[0-9]"))):
            file = _open(name)
            # A rotation between two opens gives the same file under its new name.
            if file is not None and any(_same(file, other) for other in self._files):
                file.close()
            elif file is not None:
                self._files.insert(0, file)

    def close(self) -> None:
        """Close what is open."""
        for file in self._files:
            file.close()

    def new_lines(self) -> Iterator[bytes]:
        """Every complete line that was not given before, oldest first."""
        while self._files or self._reopen():
            # Asked before reading: after a rotation nothing more is written to the old file.
            done = self._rotated(self._files[0])
            for piece in self._files[0]:
                self._torn += piece
                if self._torn.endswith(b"\n"):
                    yield self._torn
                    self._torn = b""
            if not done:
                return
            self._files.pop(0).close()

    def _reopen(self) -> bool:
        file = _open(self._path)
        self._files = [] if file is None else [file]
        return file is not None

    def _rotated(self, file: BinaryIO) -> bool:
        try:
            return self._path.stat().st_ino != os.fstat(file.fileno()).st_ino
        except FileNotFoundError:
            return True


def _open(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _same(one: BinaryIO, other: BinaryIO) -> bool:
    return os.path.samestat(os.fstat(one.fileno()), os.fstat(other.fileno()))
