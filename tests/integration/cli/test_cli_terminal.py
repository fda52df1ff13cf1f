"""On a terminal: progress in place, colours unless they are refused, no log between them."""

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.cli.conftest import queue
from tests.prepared import Running

COLOUR = re.compile(r"\x1b\[[0-9;]*3[1-7]m")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")

Screen = Callable[..., "Terminal"]


class Terminal:
    """A command on a terminal of its own, 100 columns wide, and all that it wrote there."""

    def __init__(
        self, folder: Path, *arguments: str, size: tuple[int, int] = (30, 100), **variables: str
    ) -> None:
        self._master, slave = pty.openpty()
        self.resize(*size)
        self.text = ""
        self.process = Running(
            arguments,
            cwd=folder,
            env={**os.environ, "TERM": "xterm-256color", **variables},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def read_until(self, done: Callable[[], bool], seconds: float = 300) -> str:
        """Read until it is done, or the command has ended; returns all so far."""
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            if not select.select([self._master], [], [], 0.1)[0]:
                continue
            try:
                piece = os.read(self._master, 65536)
            except OSError:
                break  # on Linux, this is how a terminal says that nobody writes any more
            self.text += self._decoder.decode(piece)
        return self.text

    def resize(self, lines: int, columns: int) -> None:
        """Make the window this large; only the next look at its size tells."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

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

    def run(folder: Path, *arguments: str, **how: object) -> Terminal:
        opened.append(Terminal(folder, *arguments, **how))
        return opened[-1]

    yield run
    for one in opened:
        one.close()


def test_progress_is_drawn_in_place(terminal: Screen, example: Path) -> None:
    shown = terminal(example, "trigger", "1")
    text = shown.read_until(lambda: False)
    assert shown.process.wait(100) == 0
    assert COLOUR.search(text)
    plain = CONTROL.sub("", text)
    assert re.search(r"issue +status +stage +elapsed +last event", plain)
    assert re.search(r"1 +in_progress +[a-z_]+ +0:\d\d:\d\d", plain)
    assert '"code"' not in plain, "the log goes to its file"
    assert "Issue #1: a proven change is ready" in plain
    assert "run_settled" in (example / ".ai-repoagents/logs/repoagents.jsonl").read_text()


def test_the_newest_poll_and_warning_stand_below_the_table(terminal: Screen, example: Path) -> None:
    (example / "issues" / "9-empty.md").write_text("No heading.\n", encoding="utf-8")
    shown = terminal(example, "run", "--once", REPOAGENTS_TRACKER__TRIGGER_LABEL="repoagents")
    plain = CONTROL.sub("", shown.read_until(lambda: False))
    assert "0 labelled repoagents" in plain
    assert re.search(r"[0-9:]{8} warning: .*9-empty.md", plain)


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
    shown.read_until(lambda: shown.text.count("no runs yet") >= 2)
    assert shown.text.count("no runs yet") >= 2
    os.killpg(shown.process.pid, signal.SIGINT)
    shown.read_until(lambda: False)
    assert shown.process.wait(100) == 130
    assert "Traceback" not in shown.text


HOSTILE = "\x1b]0;owned\x07\x1b[2Jwide 合計が一つずれる \u202e" + "goes on " * 30


def test_watching_fits_the_window_while_it_changes(terminal: Screen, example: Path) -> None:
    queue(example, *((number, HOSTILE) for number in range(1, 41)))
    shown = terminal(example, "status", "--watch", size=(14, 50))
    shown.read_until(lambda: shown.text.count("40 queued") >= 2)
    plain = CONTROL.sub("", shown.text)
    assert len(re.findall(r"^#\d+", plain.partition("40 queued")[0], re.MULTILINE)) == 5
    assert "TRY" not in plain, "a narrow window gets fewer columns"
    assert "no worker is running" in plain
    shown.resize(40, 120)
    shown.read_until(lambda: "TRY" in shown.text)
    shown.read_until(lambda: shown.text.rpartition("TRY")[2].count("no worker") > 0)
    assert "]0;owned" not in shown.text
    assert "\x1b[2J" not in shown.text.replace("\x1b[2J\x1b[H", "")
    assert "wide 合計が一つずれる" in shown.text
    os.killpg(shown.process.pid, signal.SIGINT)
    shown.read_until(lambda: False)
    assert shown.process.wait(100) == 130
    after = CONTROL.sub("", shown.text.rpartition("\x1b[?1049l")[2])
    assert "40 queued" in after, "the last answer stays on the screen that it was typed on"


@pytest.mark.parametrize("words", [("status",), ("status", "--issue", "1"), ("doctor",)])
def test_words_are_coloured_only_where_that_is_wanted(
    terminal: Screen, repoagents: object, example: Path, words: tuple[str, ...]
) -> None:
    queue(example, (1, "Plain"))
    ours = re.compile(r"\x1b\[(2|3[1-6])m(queued|ok)\x1b\[0m")
    assert ours.search(terminal(example, *words).read_until(lambda: False))
    for refused in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        plain = terminal(example, *words, **refused).read_until(lambda: False)
        assert re.search("queued|ok", plain)
        assert "\x1b" not in plain
    assert "\x1b" not in repoagents(example, *words).out


def test_what_commands_print_fits_the_window(terminal: Screen, example: Path) -> None:
    for words in (("ops", "status"), ("doctor",), ("config", "show")):
        shown = terminal(example, *words, size=(24, 60))
        lines = CONTROL.sub("", shown.read_until(lambda: False)).split("\n")
        assert shown.process.wait(100) == 0
        folds = [line for line in lines if not line.startswith(("written:", "no github-smoke"))]
        assert max(map(len, folds)) <= 60, words
