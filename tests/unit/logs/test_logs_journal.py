"""The journal: whole lines, in order, from many processes, and never in the way of the work."""

import json
import logging
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repoagents import logs
from repoagents.logs import JsonlJournal, Redactor, open_journal, route_stdlib
from tests.fakes.clock import FakeClock

Open = Callable[..., JsonlJournal]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "repoagents.jsonl"


@pytest.fixture
def open_() -> Open:
    """Open a journal with defaults for what a test does not care about."""

    def make(path: Path | None, **options: object) -> JsonlJournal:
        given: dict[str, object] = {"level": "info", "json": True, "terminal": True}
        return open_journal(
            path,
            **(given | {"redactor": Redactor(["hunter2hunter2"])} | options),  # type: ignore[arg-type]
            clock_now=FakeClock().now,
        )

    return make


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_line_says_when_what_and_about_which_run(open_: Open, path: Path) -> None:
    journal = open_(path)
    journal.note("run_started", "Run begins ☂", run="r1", issue=7, role="planner", attempt=1)
    journal.warn("run_failed", "It\nfailed", path=Path("x"), list=("a", 1, None), event="e")
    assert path.read_text(encoding="utf-8").splitlines()[0] == (
        '{"at": "2026-03-04T05:06:07.000+00:00", "level": "info", "code": "run_started", '
        '"message": "Run begins ☂", "run": "r1", "issue": 7, "role": "planner", "attempt": 1}'
    )
    second = lines(path)[1]
    assert second["level"] == "warning"
    assert second["message"] == "It\nfailed"
    assert (second["path"], second["list"], second["event"]) == ("x", ["a", 1, None], "e")


def test_a_field_cannot_pose_as_another(open_: Open, path: Path) -> None:
    open_(path).note("c", "m", at="never", level="debug")
    assert lines(path)[0]["at"] == "2026-03-04T05:06:07.000+00:00"
    assert lines(path)[0]["level"] == "info"


def test_secrets_are_hidden_wherever_they_stand(open_: Open, path: Path) -> None:
    secret = "hunter2hunter2"
    open_(path).note("c", f"m {secret}", a=secret, b=[{"c": f"x{secret}"}], d=ValueError(secret))
    assert "hunter2" not in path.read_text()
    assert path.read_text().count("[redacted]") == 4


def test_a_listener_hears_what_is_written_and_no_secret(open_: Open, path: Path) -> None:
    heard: list[object] = []
    for journal in (open_(path, level="warning"), open_(None, level="warning")):
        journal.listen(lambda line: heard.append((line["level"], line["code"], line["message"])))
        journal.note("quiet", "too quiet to be written")
        journal.warn("code", "it is hunter2hunter2")
    assert heard == [("warning", "code", "it is [redacted]")] * 2


def test_quieter_levels_are_left_out(open_: Open, path: Path) -> None:
    journal = open_(path, level="warning")
    journal.note("a", "no")
    journal.warn("b", "yes")
    journal.write("error", "c", "yes", {})
    assert [line["code"] for line in lines(path)] == ["b", "c"]


def test_only_the_owner_may_read_the_file(open_: Open, path: Path) -> None:
    open_(path).note("c", "m")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_terminal_is_left_to_the_progress_view(
    open_: Open, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    open_(path, terminal=True).note("c", "m")
    assert capsys.readouterr() == ("", "")


def test_a_pipe_gets_json_or_plain_lines(open_: Open, capsys: pytest.CaptureFixture[str]) -> None:
    open_(None, terminal=False).note("c", "two\nlines", run="r")
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err)["message"] == "two\nlines"
    open_(None, terminal=False, json=False).warn("c", "two\nlines", run="r")
    assert capsys.readouterr().err == (
        "2026-03-04T05:06:07.000+00:00 warning two lines (code=c run=r)\n"
    )


@pytest.mark.parametrize("json_", [True, False])
def test_no_line_moves_a_cursor(
    open_: Open, path: Path, capsys: pytest.CaptureFixture[str], json_: bool
) -> None:
    open_(path, terminal=False, json=json_).note("c", "\x1b]0;x\x07 \x9b2J \u202eevil é")
    for text in (path.read_text(), capsys.readouterr().err):
        assert text.rstrip("\n").isprintable()
        assert "evil é" in text
    assert lines(path)[0]["message"] == "\x1b]0;x\x07 \x9b2J \u202eevil é"


def test_a_reader_that_left_does_not_stop_the_work() -> None:
    code = (
        "import os, sys\nfrom tests.fakes.clock import FakeClock\n"
        "from repoagents.logs import Redactor, open_journal\n"
        "journal = open_journal(None, level='info', json=True, terminal=False,\n"
        "                       redactor=Redactor(()), clock_now=FakeClock().now)\n"
        "os.close(2)\n"
        "journal.note('a', 'm')\nsys.stderr = None\nprint('done')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "done\n"


# --- rotation -------------------------------------------------------------------------------


def test_the_file_is_rotated_by_size(
    open_: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "FILE_BYTES", 1000)
    journal = open_(path)
    for number in range(60):
        journal.note("c", "m", number=number)
    files = sorted(entry.name for entry in path.parent.iterdir() if entry.suffix != ".lock")
    assert files == ["repoagents.jsonl", *(f"repoagents.jsonl.{n}" for n in (1, 2, 3))]
    oldest_first = [*(path.with_name(f"{path.name}.{n}") for n in (3, 2, 1)), path]
    assert all(entry.stat().st_size <= 1000 for entry in oldest_first)
    numbers = [line["number"] for entry in oldest_first for line in lines(entry)]
    assert numbers == list(range(60 - len(numbers), 60))
    assert len(numbers) > 20


def test_many_processes_write_and_rotate_without_losing_a_line(path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom tests.fakes.clock import FakeClock\n"
        "from repoagents import logs\nlogs.FILE_BYTES = 60_000\nlogs.FILES = 40\n"
        "journal = logs.open_journal(Path(sys.argv[1]), level='info', json=True, terminal=True,\n"
        "                            redactor=logs.Redactor(()), clock_now=FakeClock().now)\n"
        "for n in range(400):\n    journal.note('c', 'm' * 300, who=sys.argv[2], n=n)\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(path), str(who)]) for who in range(4)
    ]
    assert [writer.wait() for writer in writers] == [0] * 4
    files = [entry for entry in path.parent.iterdir() if entry.suffix != ".lock"]
    assert len(files) > 5
    # Each was full when it was put aside: nobody rotated again what another had just rotated.
    assert all(entry.stat().st_size > 59_000 for entry in files if entry != path)
    found = [(line["who"], line["n"]) for entry in files for line in lines(entry)]
    assert sorted(found) == sorted((str(who), n) for who in range(4) for n in range(400))


def test_a_file_that_was_taken_away_is_made_again(open_: Open, path: Path) -> None:
    journal = open_(path)
    journal.note("a", "m")
    path.rename(path.with_name("elsewhere"))
    journal.note("b", "m")
    assert [line["code"] for line in lines(path)] == ["b"]


def test_a_log_that_cannot_be_written_is_told_once(
    open_: Open, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.parent.write_text("a file where the folder should be")
    journal = open_(path)
    journal.note("a", "m")
    journal.note("b", "m")
    assert capsys.readouterr().err.count("the log cannot be written") == 1
    path.parent.unlink()
    journal.note("c", "m")
    assert [line["code"] for line in lines(path)] == ["c"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a small file system")
def test_after_a_full_disk_lines_are_whole_again(open_: Open, tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system cannot be mounted here")
    try:
        ballast = place / "ballast"
        ballast.write_bytes(b"x" * 40_000)
        path = place / "log.jsonl"
        journal = open_(path)
        for _ in range(100):
            journal.note("before", "m" * 700)
        ballast.unlink()
        journal.note("after", "m")
        *_, torn, last = path.read_text().splitlines()
        assert json.loads(last)["code"] == "after"
        assert torn.startswith('{"at"')
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


# --- other people's loggers -----------------------------------------------------------------


@pytest.fixture
def loggers_restored() -> Iterator[None]:
    root, engine = logging.getLogger(), logging.getLogger("dbos")
    before = [(log, log.handlers, log.propagate, log.level) for log in (root, engine)]
    engine.setLevel(logging.NOTSET)  # whatever a worker in this process has made of it
    yield
    for log, handlers, propagate, level in before:
        log.handlers, log.propagate = handlers, propagate
        log.setLevel(level)


@pytest.mark.usefixtures("loggers_restored")
def test_libraries_log_through_the_journal(
    open_: Open, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    route_stdlib(open_(path))
    logging.getLogger("some.library").warning("careful with %s", "hunter2hunter2")
    logging.getLogger("dbos").error("engine trouble")
    logging.getLogger("some.library").critical("wrong %d", "arguments")
    try:
        raise KeyError("hunter2hunter2")
    except KeyError:
        logging.getLogger("some.library").exception("it broke")
    told = [(line["level"], line["logger"], line["message"]) for line in lines(path)]
    assert told == [
        ("warning", "some.library", "careful with [redacted]"),
        ("error", "dbos", "engine trouble"),
        ("error", "some.library", "wrong %d ('arguments',)"),
        ("error", "some.library", "it broke"),
    ]
    assert {line["code"] for line in lines(path)} == {"library"}
    assert "KeyError" in str(lines(path)[3]["traceback"])
    assert "hunter2" not in path.read_text()
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("loggers_restored")
def test_the_engine_keeps_its_hands_off_the_console(
    open_: Open, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dbos._logger import dbos_logger, init_logger

    route_stdlib(open_(path))
    init_logger()
    dbos_logger.warning("engine words")
    assert [line["message"] for line in lines(path)] == ["engine words"]
    assert capsys.readouterr().err == ""
