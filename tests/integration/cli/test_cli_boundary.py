"""The boundary: which exception becomes which exit code, and what a crash leaves behind."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import repoagents
from repoagents import __main__ as door
from repoagents.cli import boundary
from repoagents.errors import ConfigError, GitError, StateUnreadable, StoreError

TOKEN = "ghp_" + "a1B2" * 9


def raises(error: BaseException):
    """A command that ends with this exception."""

    def command() -> object:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("bad key", next_step="mend it"), 2),
        (StoreError("no room", next_step="mend it"), 1),
        (StateUnreadable("corrupt", next_step="mend it"), 1),
        (GitError("refused", next_step="mend it"), 1),
        (OSError(errno.ENOSPC, "No space left on device", "state/x"), 1),
        (OSError(errno.EACCES, "Permission denied", "state/x"), 1),
    ],
)
def test_what_a_person_can_mend_is_said_with_the_next_step(error, code, capsys) -> None:
    assert boundary.guard(raises(error)) == code
    said = capsys.readouterr()
    assert said.out == ""
    first, second = said.err.splitlines()
    words = f"state/x: {error.strerror}" if isinstance(error, OSError) else error
    assert first == f"error: {words}"
    assert second.strip() in (getattr(error, "next_step", ""), *boundary.OF_THE_MACHINE.values())


def test_a_refusal_sends_a_terminal_no_command_and_tells_no_secret(capsys, monkeypatch) -> None:
    monkeypatch.setattr(boundary, "_environment", {"WEBHOOK_SECRET": "never-to-be-shown"})
    words = "remote: \x1b]52;c;ZXZpbA==\x07no\u202e \x9b2J never-to-be-shown"
    assert boundary.guard(raises(GitError(words, next_step="look\x1b[2J"))) == 1
    assert capsys.readouterr().err == "error: remote: no  [redacted]\n  look\n"


def test_an_interruption_is_130_and_a_result_is_the_code(capsys) -> None:
    assert boundary.guard(raises(KeyboardInterrupt())) == 130
    assert boundary.guard(raises(click.Abort())) == 130
    assert boundary.guard(lambda: 1) == 1
    assert boundary.guard(lambda: None) == 0
    assert capsys.readouterr() == ("", "")


def test_a_bug_of_ours_leaves_a_redacted_report(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["repoagents", "status", TOKEN])
    (tmp_path / ".ai-repoagents").mkdir()
    boundary.remember_environment({"SOME_PASSWORD": "correct horse battery"})
    assert boundary.guard(raises(KeyError(f"{TOKEN} correct horse battery"))) == 3
    (report,) = (tmp_path / ".ai-repoagents/logs").iterdir()
    assert str(report) in capsys.readouterr().err
    text = report.read_text()
    assert "repoagents 0." in text
    assert "KeyError" in text
    assert "in command" in text, "the traceback"
    assert TOKEN not in text
    assert "correct horse battery" not in text


def test_a_report_that_cannot_be_written_is_printed(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".ai-repoagents").mkdir()
    (tmp_path / ".ai-repoagents/logs").write_text("a file in the place of the folder")
    assert boundary.guard(raises(KeyError("x"))) == 3
    assert "KeyError" in capsys.readouterr().err


def test_a_reader_who_has_enough_is_no_error(tmp_path: Path) -> None:
    (tmp_path / ".ai-repoagents/logs").mkdir(parents=True)
    line = (
        '{"at": "2026-01-02T03:04:05Z", "level": "info", "code": "x", "message": "m", "issue": 1}'
    )
    (tmp_path / ".ai-repoagents/logs/repoagents.jsonl").write_text(f"{line}\n" * 20_000)
    command = [sys.executable, "-m", "repoagents", "logs", "1"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ.copy()
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(200) == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.parametrize(
    "words", [("status",), ("status", "--json"), ("doctor",), ("init", "--yes")]
)
def test_a_folder_that_was_deleted_is_named(words: tuple[str, ...], tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'rmdir "$PWD"; exec "$0" -m repoagents "$@"'
    ended = subprocess.run(
        ["sh", "-c", script, sys.executable, *words],
        cwd=gone,
        env=os.environ | {"PYTHONPATH": str(Path(repoagents.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert "the current folder does not exist any more" in ended.stderr


def test_closed_streams_end_no_command_and_are_no_file_of_ours() -> None:
    words = "sys.argv[1:] = ['--version']; sys.exit(main() or os.open(os.devnull, os.O_RDONLY) < 3)"
    script = f"import os, sys; from repoagents.__main__ import main; {words}"
    ended = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, script],
        env=os.environ | {"PYTHONPATH": str(Path(repoagents.__file__).parents[1])},
        timeout=200,
        check=False,
    )
    assert ended.returncode == 0


def test_ctrl_c_while_the_program_is_still_starting(monkeypatch) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(door, "_run", interrupted)
    assert door.main() == boundary.INTERRUPTED


def test_a_full_disk_below_the_answer_is_said_in_words(capsys) -> None:
    assert boundary.guard(raises(OSError(errno.ENOSPC, "No space left on device"))) == 1
    assert capsys.readouterr().err.splitlines()[0] == "error: No space left on device"
