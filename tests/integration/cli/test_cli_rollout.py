"""`rollout` as people type it: the phase, the judgement, forwards and back."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from repoagents.bootstrap import SystemClock, open_premises
from repoagents.cli.app import run
from repoagents.domain.places import DATABASE
from repoagents.domain.rollout import Brake, Phase
from repoagents.store.database import open_database
from tests.integration.cli.conftest import CONFIG, Repoagents

Say = Callable[..., tuple[int, str, str]]

FLAGS = """\
tracker: {kind: local_markdown, path: issues}  # a local one
llm: {mode: rehearsal}

safety:
  allow_write_comments: false   # not yet
  allow_open_pr: false
"""


@pytest.fixture
def root(control: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository, with its flags spelled out; we stand in it."""
    (control / CONFIG).write_text(FLAGS)
    monkeypatch.chdir(control)
    return control


@pytest.fixture
def said(root: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """Type a command in this process."""

    def type_(*arguments: str) -> tuple[int, str, str]:
        code = run(["rollout", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return type_


def pull_brake(root: Path, phase: Phase) -> None:
    """Let the bot have stepped back."""
    database = open_database(root / ".ai-repoagents" / DATABASE, clock=SystemClock())
    database.brakes.pull(Brake(phase, "a change held a secret", "r", 7, SystemClock().now()))
    database.close()


def in_force(said: Say) -> tuple[str, str]:
    """The phase of the flags, and the one that counts."""
    row = json.loads(said("status", "--json")[1])
    return row["phase"], row["in_force"]


def test_each_phase_forwards_and_back_is_a_diff_of_the_file(root: Path, said: Say) -> None:
    config = root / CONFIG
    assert in_force(said) == ("observe", "observe")
    texts = [config.read_text()]
    for phase in ("comment", "draft-pr", "merge"):
        code, out, _ = said("advance", "--yes", "--force", "to try it")
        assert code == 0
        assert f"says {phase} now" in out
        assert in_force(said) == (phase, phase)
        texts.append(config.read_text())
    assert texts[1] == FLAGS.replace("comments: false ", "comments: true ")
    assert texts[3] == texts[1].replace("pr: false", "pr: true") + "  allow_merge: true\n"
    code, out, _ = said("advance", "--yes")
    assert (code, out) == (0, "merge is the last phase\n")
    code, out, _ = said("back", "--yes")
    assert (code, in_force(said)) == (0, ("draft-pr", "draft-pr"))
    assert "-  allow_merge: true\n+  allow_merge: false\n" in out
    code, _, err = said("back", "--to", "merge", "--yes")
    assert code == 2
    assert "`repoagents rollout advance`" in err
    said("back", "--to", "observe", "--yes")
    assert config.read_text() == FLAGS + "  allow_merge: false\n"
    code, out, _ = said("back", "--yes")
    assert (code, "says observe already" in out) == (0, True)
    log = (root / ".ai-repoagents" / "logs" / "repoagents.jsonl").read_text()
    moved = [json.loads(line) for line in log.splitlines() if "rollout_moved" in line]
    assert len(moved) == 5
    assert "to try it" in moved[0]["message"]


def test_without_reasons_nothing_is_opened_and_nobody_is_asked(root: Path, said: Say) -> None:
    code, out, _ = said("advance", "--yes")
    assert code == 1
    assert "finished runs: 0 (wanted: at least 3)" in out
    code, _, err = said("advance", "--force", "because")
    assert (code, "add --yes" in err) == (2, True)
    code, _, err = said("advance", "--force", " ", "--yes")
    assert (code, "needs the reason" in err) == (2, True)
    assert (root / CONFIG).read_text() == FLAGS


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("y\n", 0)])
def test_a_person_is_asked_after_the_diff(
    root: Path, said: Say, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    monkeypatch.setattr("repoagents.cli.rollout.at_terminal", lambda _stream: True)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    ended, out, _ = said("advance", "--force", "to try it")
    assert ended == code
    assert out.index("+  allow_write_comments: true") < out.index("Go to comment? [y/N]")
    assert in_force(said)[0] == ("observe" if code else "comment")


def test_check_says_what_is_missing_and_keeps_it(root: Path, said: Say) -> None:
    code, out, _ = said("check")
    assert code == 1
    assert "From observe to comment: not justified yet: finished runs, dry runs" in out
    assert "missing soak: none yet; wanted: 5 m or more, passed with this version" in out
    assert "repoagents rollout soak" in out
    code, out, _ = said("check", "--json")
    row = json.loads(out)
    reports = root / ".ai-repoagents" / "reports"
    assert row == json.loads((reports / "rollout.json").read_text())
    assert (row["phase"], row["next"], row["justified"]) == ("observe", "comment", False)
    assert "soak" in row["missing"]
    assert len(row["checklist"]) == 6
    assert "| missing | soak |" in (reports / "rollout.md").read_text()


def test_a_mixture_is_told_and_goes_back_only(root: Path, said: Say) -> None:
    (root / CONFIG).write_text(FLAGS.replace("pr: false", "pr: true"))
    assert in_force(said) == ("custom", "observe")
    code, out, _ = said("status")
    assert "custom: the flags are those of no phase" in out
    code, out, _ = said("advance", "--yes", "--force", "x")
    assert (code, "first `repoagents rollout back`" in out) == (1, True)
    code, _, _ = said("back", "--yes")
    assert (code, (root / CONFIG).read_text()) == (0, FLAGS)


def test_a_variable_that_hides_the_edit_is_named(
    root: Path, said: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPOAGENTS_SAFETY__ALLOW_WRITE_COMMENTS", "false")
    code, _, err = said("advance", "--yes", "--force", "x")
    assert code == 0
    assert "REPOAGENTS_SAFETY__ALLOW_WRITE_COMMENTS wins over the file" in err
    assert in_force(said) == ("observe", "observe")


def test_a_brake_is_shown_and_let_go_phase_by_phase(root: Path, said: Say) -> None:
    said("advance", "--yes", "--force", "x")
    said("advance", "--yes", "--force", "x")
    before = (root / CONFIG).read_text()
    pull_brake(root, Phase.OBSERVE)
    assert in_force(said) == ("draft-pr", "observe")
    _, out, _ = said("status")
    assert "held to observe: a change held a secret (issue #7, " in out
    run(["doctor"])
    code, out, _ = said("advance", "--yes", "--force", "looked at it")
    assert code == 0
    assert "warn  rollout: stepped back to observe: a change held a secret (issue #7)" in out
    assert "comment is in force" in out
    assert in_force(said) == ("draft-pr", "comment")
    said("advance", "--yes", "--force", "looked at it")
    assert in_force(said) == ("draft-pr", "draft-pr")
    assert json.loads(said("status", "--json")[1])["held"] is None
    assert (root / CONFIG).read_text() == before


def test_status_tells_of_the_brake(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pull_brake(root, Phase.OBSERVE)
    assert run(["status"]) == 0
    assert "held to observe: a change held a secret (issue #7, " in capsys.readouterr().out
    assert run(["status", "--json"]) == 0
    held = json.loads(capsys.readouterr().out)["held"]
    assert (held["phase"], held["reason"], held["issue"]) == (
        "observe",
        "a change held a secret",
        7,
    )
    (root / CONFIG).write_text(FLAGS.replace("pr: false", "pr: true"))
    assert run(["trigger", "1", "--dry-run", "--no-agent"]) == 0
    assert "rollout.step_back" in capsys.readouterr().out
    assert run(["ops", "status"]) == 0
    assert "repoagents rollout status" in capsys.readouterr().out


def test_a_soak_is_played_judged_and_kept(control: Path, repoagents: Repoagents) -> None:
    """The shortest one: a wave of one issue, through a worker of its own, with a fault."""
    ended = repoagents(control, "rollout", "soak", "--minutes", "0.01", "--json")
    assert ended.code == 0, ended.out + ended.err
    row = json.loads(ended.out)
    assert row == json.loads((control / ".ai-repoagents" / "reports" / "soak.json").read_text())
    assert (row["passed"], row["issues"], row["merged"], row["faults"]) == (True, 1, 1, 1)
    assert row["deliveries"] > 5
    assert len(row["readings"]) == 1
    assert "wave 1: 502 after commit" in ended.err
    checked = repoagents(control, "rollout", "check")
    assert "missing soak: passed" in checked.out, "it was too short to count"
    with open_premises(control).books() as books:
        assert books.runs.select() == (), "the operator's own state is not touched"
    assert (control / CONFIG).read_text().startswith("tracker:")
