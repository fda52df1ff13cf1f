"""`logs`: the bot's own notes about an issue, over rotations and damaged lines."""

import json
import os
import signal
from contextlib import closing
from pathlib import Path

import pytest

from repoagents import bootstrap
from repoagents.cli.logs import Log, render_line
from tests.integration.cli.conftest import queue

LOG = ".ai-repoagents/logs/repoagents.jsonl"


def note(issue: int | None, message: str, **more: object) -> bytes:
    """One line of the log."""
    line = {"at": "2026-01-02T03:04:05.000+00:00", "level": "info", "code": "run_queued"}
    return json.dumps({**line, "message": message, "issue": issue, **more}).encode() + b"\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The place of the log in a repository."""
    path = tmp_path / LOG
    path.parent.mkdir(parents=True)
    return path


def test_only_the_issue_is_shown_oldest_first(repoagents, tmp_path: Path, log: Path) -> None:
    log.with_name(f"{log.name}.2").write_bytes(note(7, "oldest") + note(8, "another's"))
    log.with_name(f"{log.name}.1").write_bytes(b"torn{\n[1]\n\xff\xfe\n" + note(7, "middle"))
    log.write_bytes(note(None, "polled") + note(7, "newest") + b'{"issue": 7, "message": "half')
    shown = repoagents(tmp_path, "logs", "7")
    assert shown.code == 0
    assert shown.out.splitlines() == [
        f"2026-01-02 03:04:05 info    run_queued: {word}" for word in ("oldest", "middle", "newest")
    ]
    answered = json.loads(repoagents(tmp_path, "logs", "7", "--json").out)
    assert [line["message"] for line in answered["lines"]] == ["oldest", "middle", "newest"]


def test_no_log_yet_is_an_empty_answer(repoagents, tmp_path: Path, log: Path) -> None:
    shown = repoagents(tmp_path, "logs", "7")
    assert (shown.code, shown.out) == (0, "")
    assert shown.err == "nothing was noted about issue 7\n"


def test_following_goes_on_over_a_rotation(started, tmp_path: Path, log: Path) -> None:
    log.write_bytes(note(7, "before"))
    process = started(tmp_path, "logs", "7", "--follow")
    assert process.stdout.readline().endswith("before\n")
    with log.open("ab") as file:
        file.write(note(7, "written")[:20])
        file.flush()
        file.write(note(7, "written")[20:] + note(8, "another's"))
    assert process.stdout.readline().endswith("written\n")
    with log.open("ab") as file:
        file.write(note(7, "last of the old file"))
    log.replace(log.with_name(f"{log.name}.1"))
    log.write_bytes(note(7, "first of the new file"))
    assert process.stdout.readline().endswith("last of the old file\n")
    assert process.stdout.readline().endswith("first of the new file\n")
    process.send_signal(signal.SIGINT)
    assert process.wait(100) == 130


def test_without_an_issue_all_is_shown_with_the_issue_named(
    repoagents, tmp_path: Path, log: Path
) -> None:
    log.write_bytes(note(None, "polled") + note(7, "queued"))
    assert repoagents(tmp_path, "logs").out.splitlines() == [
        "2026-01-02 03:04:05 info    run_queued: polled",
        "2026-01-02 03:04:05 info    #7 run_queued: queued",
    ]
    assert len(json.loads(repoagents(tmp_path, "logs", "--json").out)["lines"]) == 2


def test_following_ends_when_the_run_is_at_rest(started, example: Path) -> None:
    queue(example, (7, "Plain"))
    log = example / LOG
    log.parent.mkdir(exist_ok=True)
    log.write_bytes(note(7, "waits"))
    process = started(example, "logs", "7", "--follow")
    assert process.stdout.readline().endswith("waits\n")
    assert "no worker is running" in process.stderr.readline()
    # It waits two seconds for the last word, which may take longer on a machine that is busy.
    process.send_signal(signal.SIGSTOP)
    with bootstrap.open_premises(example, terminal=True).house() as (house, _):
        run = house.runs.latest(7)
        house.runs.replace(run, run.cancel(house.clock.now(), "alex"))
    with log.open("ab") as file:
        file.write(note(7, "the last word"))
    process.send_signal(signal.SIGCONT)
    out, _ = process.communicate(timeout=200)
    assert (process.returncode, out.rpartition(": ")[2]) == (0, "the last word\n")


def test_a_line_is_given_once_and_only_when_it_is_whole(log: Path) -> None:
    log.write_bytes(b"one\ntw")
    with closing(Log(log)) as lines:
        assert list(lines.new_lines()) == [b"one\n"]
        with log.open("ab") as file:
            file.write(b"o\n")
        assert list(lines.new_lines()) == [b"two\n"]
        assert list(lines.new_lines()) == []


def test_a_file_met_under_two_names_is_read_once(log: Path) -> None:
    log.write_bytes(b"one\n")
    os.link(log, log.with_name(f"{log.name}.1"))
    with closing(Log(log)) as lines:
        assert list(lines.new_lines()) == [b"one\n"]


def test_a_log_that_appears_later_is_read(log: Path) -> None:
    with closing(Log(log)) as lines:
        assert list(lines.new_lines()) == []
        log.write_bytes(b"one\n")
        assert list(lines.new_lines()) == [b"one\n"]


def test_a_pipe_in_its_place_is_not_waited_for(log: Path) -> None:
    os.mkfifo(log)
    with closing(Log(log)) as lines:
        assert list(lines.new_lines()) == []


def test_a_message_cannot_move_the_cursor() -> None:
    line = render_line({"at": "\x1b[2J", "level": "info", "code": "x", "message": "a\x1b[31m\nb"})
    assert "\x1b" not in line
    assert "\n" not in line
