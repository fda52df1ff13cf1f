"""On a terminal: progress in place, colours unless they are refused, no log between them."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

COLOUR = re.compile(r"\x1b\[[0-9;]*3[1-7]m")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")

Screen = Callable[..., "Terminal"]


class Terminal:
    """A command on a terminal of its own, 100 columns wide, and all that it wrote there."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        self._master, slave = pty.openpty()
        self.text = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "repoagents", *arguments],
            cwd=folder,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **variables},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def read_until(self, done: Callable[[], bool], seconds: float = 90) -> str:
        """Read until it is done, or the command has ended; returns all so far."""
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            if not select.select([self._master], [], [], 0.1)[0]:
                continue
            try:
                piece = os.read(self._master, 65536)
            except OSError:
                break  # on Linux, this is how a terminal says that nobody writes any more
            self.text += piece.decode(errors="replace")
        return self.text

    def close(self) -> None:
        """Hang up."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal() -> Iterator[Screen]:
    """Run commands on terminals; all are hung up at the end."""
    opened: list[Terminal] = []

    def run(folder: Path, *arguments: str, **variables: str) -> Terminal:
        opened.append(Terminal(folder, *arguments, **variables))
        return opened[-1]

    yield run
    for one in opened:
        one.close()


def test_progress_is_drawn_in_place(terminal: Screen, example: Path) -> None:
    shown = terminal(example, "trigger", "1")
    text = shown.read_until(lambda: False)
    assert shown.process.wait(10) == 0
    assert COLOUR.search(text)
    plain = CONTROL.sub("", text)
    assert re.search(r"issue +status +stage +elapsed +last event", plain)
    assert re.search(r"1 +in_progress +[a-z_]+ +0:00:0", plain)
    assert '"code"' not in plain, "the log goes to its file"
    assert "Issue #1: a proven change is ready" in plain
    assert "run_settled" in (example / ".ai-repoagents/logs/repoagents.jsonl").read_text()


def test_no_colour_where_it_is_refused(terminal: Screen, example: Path) -> None:
    text = terminal(example, "trigger", "1", NO_COLOR="1").read_until(lambda: False)
    assert "completed" in text
    assert not COLOUR.search(text)


def test_json_stays_alone_on_stdout(example: Path, terminal: Screen) -> None:
    shown = terminal(example, "trigger", "1", "--json")
    plain = CONTROL.sub("", shown.read_until(lambda: False))
    assert plain.rstrip().endswith("}")
    assert "in_progress" in plain, "progress is on stderr, a terminal too here"


def test_watching_redraws_the_status(terminal: Screen, example: Path) -> None:
    shown = terminal(example, "status", "--watch")
    shown.read_until(lambda: shown.text.count("no runs yet") >= 2, seconds=20)
    assert shown.text.count("no runs yet") >= 2
    os.killpg(shown.process.pid, signal.SIGINT)
    shown.read_until(lambda: False)
    assert shown.process.wait(10) == 130
    assert "Traceback" not in shown.text
