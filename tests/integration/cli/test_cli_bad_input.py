"""Bad input: each says what was tried, on what, and what to do, and ends with its exit code."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.cli.conftest import CONFIG, LOCAL, Ended

STATE = ".ai-repoagents/state/repoagents.sqlite"
READING = (["status"], ["status", "--json"], ["status", "--issue", "1"])
WORKING = (
    ["trigger", "1"],
    ["run", "--once"],
    ["retry", "1"],
    ["cancel", "1"],
    ["approval", "list"],
)


def refused(ended: Ended, code: int, *words: str) -> None:
    """Assert that a command said why it could not, and gave no answer; log lines aside."""
    assert ended.code == code, ended.err
    said = [line for line in ended.err.splitlines() if not line.startswith("{")]
    assert said[0].startswith("error: "), ended.err
    for word in words:
        assert word in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""


@pytest.mark.parametrize(
    "command", [*READING, *WORKING, ["doctor"], ["config", "show"]], ids=" ".join
)
def test_outside_a_repository(repoagents, tmp_path: Path, command: list[str]) -> None:
    refused(repoagents(tmp_path, *command), 2, "no git repository", "repoagents init")


@pytest.mark.parametrize("command", [["status"], ["trigger", "1"], ["logs", "1"]], ids=" ".join)
def test_before_init(repoagents, git_repository, command: list[str]) -> None:
    refused(
        repoagents(git_repository(), *command), 2, "no .ai-repoagents folder", "repoagents init"
    )


def test_a_folder_that_is_no_git_repository(repoagents, tmp_path: Path) -> None:
    (tmp_path / CONFIG).parent.mkdir()
    (tmp_path / CONFIG).write_text(LOCAL)
    (tmp_path / "issues").mkdir()
    (tmp_path / "issues/1-first.md").write_text("# Say hello\n")
    ended = repoagents(tmp_path, "doctor")
    assert ended.code == 1
    assert "git" in ended.out
    ended = repoagents(tmp_path, "trigger", "1")
    assert ended.code == 1
    assert "git" in ended.err + ended.out
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("command", [["trigger", "1"], ["doctor"]], ids=" ".join)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tracker: [\n", [f"{CONFIG}:2"]),
        ("trackr:\n  kind: local_file\n", ["trackr", "nearest is tracker", f"{CONFIG}:1"]),
        (f"{LOCAL}agent:\n  retry_limit: many\n", ["agent.retry_limit", '"many"', f"{CONFIG}:7"]),
        ("", ["tracker.repo"]),
    ],
    ids=["broken", "unknown-key", "bad-value", "empty"],
)
def test_a_configuration_that_cannot_be_used(
    repoagents, control: Path, text: str, words: list[str], command: list[str]
) -> None:
    (control / CONFIG).write_text(text)
    refused(repoagents(control, *command), 2, *words)


def test_a_configuration_that_is_not_there(repoagents, control: Path) -> None:
    (control / CONFIG).unlink()
    refused(repoagents(control, "trigger", "1"), 2, f"there is no {CONFIG}", "repoagents init")


def test_an_issue_that_is_not_there(repoagents, control: Path) -> None:
    refused(repoagents(control, "trigger", "99"), 1, "there is no issue 99")
    refused(repoagents(control, "trigger", "99", "--dry-run"), 1, "there is no issue 99")
    shown = repoagents(control, "status", "--issue", "99")
    assert (shown.code, shown.out) == (1, "")
    assert "issue 99 has no run yet" in shown.err


def test_an_engine_that_is_not_there(repoagents, example: Path, git: Callable[..., str]) -> None:
    text = (example / CONFIG).read_text().replace("mode: rehearsal", "mode: codex")
    (example / CONFIG).write_text(f"{text}codex:\n  command: no-such-program\n")
    git(example, "commit", "--quiet", "--all", "--message=Codex")
    checked = repoagents(example, "doctor")
    assert checked.code == 1
    assert "no-such-program" in checked.out
    ended = repoagents(example, "trigger", "1")
    assert ended.code == 1
    assert "engine_missing" in ended.out
    assert "no-such-program" in ended.out


@pytest.mark.parametrize("command", [*READING, *WORKING[:2]], ids=" ".join)
def test_a_damaged_state_is_never_an_empty_one(
    repoagents, control: Path, command: list[str]
) -> None:
    state = control / STATE
    state.parent.mkdir()
    state.write_bytes(b"SQLite format 3\0" + b"\xff" * 8000)
    before = state.read_bytes()
    refused(repoagents(control, *command), 1, str(state), "Nothing was changed")
    assert state.read_bytes() == before


@pytest.mark.parametrize("command", [*READING, *WORKING[:2]], ids=" ".join)
def test_the_state_of_a_newer_version(repoagents, control: Path, command: list[str]) -> None:
    assert repoagents(control, "approval", "list").code == 0
    with closing(sqlite3.connect(control / STATE)) as connection, connection:
        connection.execute("UPDATE meta SET value = '999' WHERE key = 'schema'")
    refused(repoagents(control, *command), 1, "schema 999", "newer repoagents")


def test_doctor_names_a_damaged_state(repoagents, control: Path) -> None:
    (control / STATE).parent.mkdir()
    (control / STATE).write_bytes(b"")
    checked = repoagents(control, "doctor")
    assert checked.code == 1
    assert "error state: " in checked.out


def test_secrets_that_others_may_read(repoagents, control: Path) -> None:
    secrets = control / ".ai-repoagents/repoagents.env"
    secrets.write_text("GITHUB_TOKEN=abcdefghijklmnop\n")
    secrets.chmod(0o644)
    ended = repoagents(control, "trigger", "1")
    refused(ended, 2, "repoagents.env", "chmod 600")
    assert "abcdefghijklmnop" not in ended.err


def test_an_environment_file_that_cannot_be_read(repoagents, control: Path) -> None:
    (control / ".ai-repoagents/repoagents.env").mkdir()
    refused(repoagents(control, "trigger", "1"), 2, "repoagents.env", "not a file")


def test_a_warning_does_not_spoil_the_answer(repoagents, control: Path) -> None:
    (control / ".ai-repoagents/repoagents.env").write_text("GITHUB_TOKEN=\n")
    answered = repoagents(control, "approval", "list", "--json")
    assert answered.code == 0
    assert answered.out.startswith("{")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["trigger", "abc"], "'abc' is not a valid whole number"),
        (["status", "--issue", "9" * 26], f"{'9' * 26} is too large"),
        (["status", "--limit", str(2**63)], f"{2**63} is too large"),
        (["rollout", "soak", "--minutes", "nan"], "--minutes takes a number"),
    ],
)
def test_what_is_no_number_of_an_issue(
    repoagents, tmp_path: Path, command: list[str], said: str
) -> None:
    ended = repoagents(tmp_path, *command)
    assert ended.code == 2
    assert said in ended.err


def test_a_server_that_is_not_there(repoagents, control: Path) -> None:
    url = {"REPOAGENTS_STATE__DATABASE_URL": "postgresql://me@127.0.0.1:1/none"}
    step = "See that the server is up and lets this user in"
    refused(repoagents(control, "approval", "list", **url), 1, "PostgreSQL at 127.0.0.1:1", step)
    examined = repoagents(control, "doctor", **url)
    assert examined.code == 1
    assert f"fix: {step}" in examined.out
    assert "backup" not in examined.out
