"""`--json`: one document on stdout and nothing else, with the keys that scripts rely on."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from repoagents.cli.app import run
from tests.e2e.conftest import Project

RUN = {
    "id",
    "issue",
    "title",
    "status",
    "stage",
    "attempt",
    "round",
    "failure",
    "next_at",
    "base_sha",
    "head_sha",
    "branch",
    "verified",
    "created_at",
    "updated_at",
    "finished_at",
}
STATUS = {"rendered_at", "worker", "pulse", "rate_limit", "counts", "held", "runs"}
STATUS_OF_ISSUE = {"worker", "issue", "runs", "effects", "stages"}
WAITING = {
    "issue",
    "title",
    "run",
    "status",
    "head_sha",
    "diff_hash",
    "verified",
    "effects",
    "flags",
    "pull_request",
}
PREVIEW = {
    "issue_number",
    "title",
    "eligible",
    "roles",
    "plan",
    "plan_note",
    "checks",
    "limits",
    "effects",
}
EXPORTED = RUN - {"issue"} | {"issue_number", "fingerprint", "failures", "generation", "note"}

EFFECTS = ["branch", "draft_pull_request", "comment"]
NOTHING_WAITS = {"issue": 1, "error": "nothing of issue 1 waits for a person's word"}


@dataclass(frozen=True)
class Shell:
    """The command line inside the project, in this process: its imports are paid for once."""

    printed: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def _run(self, argv: tuple[str, ...], code: int, extra: dict[str, str]) -> tuple[str, str]:
        with self.monkeypatch.context() as variables:
            for name, value in extra.items():
                variables.setenv(name, value)
            ended = run([*argv, "--json"])
        out, err = self.printed.readouterr()
        assert ended == code, out + err
        return out, err

    def ask(self, *argv: str, code: int = 0, **extra: str) -> Any:
        """The document that a command answers with."""
        return one_document(self._run(argv, code, extra)[0])

    def answer(self, *argv: str, code: int = 0, **extra: str) -> str:
        """The outcome of the one request that a command made."""
        document = self.ask(*argv, code=code, **extra)
        assert set(document) == {"answers", "worker"}
        assert document["worker"] is None
        (only,) = document["answers"]
        assert set(only) == {"issue", "request", "outcome"}
        outcome = only["outcome"]
        assert isinstance(outcome, str)
        return outcome

    def refuse(self, *argv: str, code: int) -> str:
        """What a command says that has no answer: all on stderr."""
        out, err = self._run(argv, code, {})
        assert out == ""
        assert "Traceback" not in err
        return err


@pytest.fixture
def shell(
    project: Project, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """The command line, inside the project."""
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("CALL_LOG", str(project.calls))
    return Shell(capfd, monkeypatch)


def ask_process(project: Project, *argv: str, code: int = 0, **extra: str) -> Any:
    """The document of a worker, which is a process of its own."""
    return one_document(project.run(*argv, "--json", code=code, **extra).stdout)


def one_document(text: str) -> Any:
    """The one JSON document of a text that holds nothing else, no colour either."""
    assert text.endswith("\n")
    assert "\x1b" not in text
    return json.loads(text)


def only_run(document: Any) -> Any:
    """The one run of a document."""
    (run,) = document["runs"]
    assert set(run) == RUN
    return run


def moment(text: str) -> datetime:
    """An instant of any of our documents; it says its zone."""
    at = datetime.fromisoformat(text)
    assert at.tzinfo is not None
    return at


def exported(project: Project) -> Any:
    """The runs of `runs.json`."""
    document = json.loads((project.control / "state" / "runs.json").read_text())
    assert document["version"] == 1
    moment(document["exported_at"])
    return document["runs"]


def test_before_any_run(shell: Shell, project: Project) -> None:
    status = shell.ask("status")
    assert set(status) == STATUS
    assert (status["worker"], status["counts"], status["runs"]) == ("", {}, [])
    unknown = shell.ask("status", "--issue", "1", code=1)
    assert set(unknown) == {"issue", "error"}
    assert "issue 1 has no run yet" in unknown["error"]

    assert shell.ask("approval", "list") == {"waiting": []}
    assert shell.ask("logs", "1") == {"issue": 1, "lines": []}
    assert shell.ask("clean", "--dry-run") == {"dry_run": True, "removed": [], "bytes": 0}
    assert shell.ask("retry", "--blocked") == {"answers": [], "worker": None}
    for argv in (("retry", "1"), ("cancel", "1"), ("approval", "approve", "1")):
        assert shell.answer(*argv, code=1).startswith("refused: ")
    assert shell.answer("approval", "reject", "1", code=1).startswith("refused: ")
    assert shell.ask("approval", "show", "1", code=1) == NOTHING_WAITS
    assert project.calls.read_text() == ""


def test_what_is_only_looked_at_leaves_no_run(shell: Shell, project: Project) -> None:
    preview = shell.ask("trigger", "1", "--dry-run")
    assert set(preview) == PREVIEW
    assert preview["issue_number"] == 1
    assert preview["plan"]["likely_files"] == ["adding.py"]
    assert [name for name, _flag, _reason in preview["effects"]] == EFFECTS

    cycle = shell.ask("run", "--dry-run", "--once")
    assert set(cycle) == {"candidates", "previews"}
    (candidate,) = cycle["candidates"]
    assert candidate == {"issue": 1, "title": "add() subtracts", "eligible": True, "reason": ""}
    assert [set(each) for each in cycle["previews"]] == [PREVIEW]
    assert cycle["previews"][0]["plan"] == preview["plan"]

    unplanned = shell.ask("trigger", "1", "--dry-run", "--no-agent")
    assert unplanned["plan"] is None
    unknown: dict[str, object] = {"issue": 99, "error": "there is no issue 99"}
    assert shell.ask("trigger", "99", "--dry-run", code=1) == unknown
    refused = {"outcome": "refused: there is no issue 99", "run": None}
    assert shell.ask("trigger", "99", code=1) == unknown | refused
    assert shell.ask("status")["runs"] == []
    assert project.calls.read_text().count("start planner") == 1


def test_the_doctor_and_the_configuration(shell: Shell, project: Project) -> None:
    checks = shell.ask("doctor")["checks"]
    assert all(set(check) == {"name", "status", "message", "why", "fix"} for check in checks)
    assert {check["status"] for check in checks} == {"ok"}
    assert len({check["name"] for check in checks}) == len(checks)

    shown = shell.ask("config", "show")
    assert set(shown) == {"root", "values"}
    assert shown["root"] == str(project.root)
    assert all(set(row) == {"key", "value", "origin"} for row in shown["values"])
    rows = {row["key"]: row for row in shown["values"]}
    assert rows["tracker.kind"]["value"] == "local_markdown"
    assert rows["tracker.kind"]["origin"].endswith("repoagents.yaml:2")
    assert rows["agent.retry_limit"] == {
        "key": "agent.retry_limit",
        "value": 3,
        "origin": "default",
    }

    project.configure("llm:\n  mode: command", "llm:\n  mode: comand")
    for argv in (("doctor",), ("config", "show"), ("trigger", "1"), ("approval", "list")):
        assert "llm.mode" in shell.refuse(*argv, code=2)
    # What only reads the books goes on without the configuration.
    assert shell.ask("status")["runs"] == []


def test_a_run_that_completes(shell: Shell, project: Project) -> None:
    done = ask_process(project, "trigger", "1", NO_COLOR="1", FORCE_COLOR="1")
    assert set(done) == {"issue", "outcome", "run"}
    assert done["outcome"] == f"queued: run {done['run']['id']}"
    run = done["run"]
    assert set(run) == RUN
    assert (run["issue"], run["status"], run["verified"]) == (1, "completed", True)
    assert (run["failure"], run["next_at"]) == (None, None)
    assert moment(run["created_at"]) <= moment(run["finished_at"]) == moment(run["updated_at"])

    status = shell.ask("status")
    assert only_run(status) == run
    assert status["counts"] == {"completed": 1}
    one = shell.ask("status", "--issue", "1")
    assert set(one) == STATUS_OF_ISSUE
    assert only_run(one) == run
    assert [effect["name"] for effect in one["effects"]] == EFFECTS
    assert {effect["state"] for effect in one["effects"]} == {"withheld"}
    stages = [(stage["stage"], stage["round"]) for stage in one["stages"]]
    assert stages[-4:] == [("build", 1), ("verify", 1), ("review", 1), ("verdict", 1)]
    assert_the_export_says_the_same(project, run)

    again = shell.ask("trigger", "1", "--dry-run")
    assert (again["plan"], again["eligible"][:3]) == (None, "no:")
    for argv in (("retry", "1"), ("cancel", "1")):
        assert "completed" in shell.answer(*argv, code=1)
    lines = shell.ask("logs", "1")["lines"]
    assert all({"at", "level", "code", "message", "issue"} <= set(line) for line in lines)
    assert [line["code"] for line in lines][:1] == ["run_queued"]
    assert_approval_publishes(shell, run)

    swept = shell.ask("clean", "--dry-run")
    assert (swept["dry_run"], len(swept["removed"])) == (True, 1)
    assert set(swept["removed"][0]) == {"path", "size", "reason"}
    assert shell.ask("clean") == {**swept, "dry_run": False}
    assert shell.ask("clean")["removed"] == []


def assert_the_export_says_the_same(project: Project, run: dict[str, Any]) -> None:
    (row,) = exported(project)
    assert set(row) >= EXPORTED
    assert row["issue_number"] == run["issue"]
    for key in RUN - {"issue"}:
        both = (row[key], run[key])
        if key.endswith("_at") and run[key]:
            both = (moment(row[key]), moment(run[key]))
        assert both[0] == both[1], key


def assert_approval_publishes(shell: Shell, run: dict[str, Any]) -> None:
    (waiting,) = shell.ask("approval", "list")["waiting"]
    assert set(waiting) == WAITING
    assert (waiting["run"], waiting["head_sha"]) == (run["id"], run["head_sha"])
    assert waiting["effects"] == EFFECTS
    assert waiting["flags"] == ["safety.allow_open_pr"]
    shown = shell.ask("approval", "show", "1")
    assert shown == {**waiting, "files": shown["files"]}
    files = [file.rpartition("/")[2] for file in shown["files"]]
    assert files == ["handoff.md", "handoff.html", "changes.patch"]

    flag = {"REPOAGENTS_SAFETY__ALLOW_OPEN_PR": "true"}
    assert "safety.allow_open_pr is off" in shell.answer("approval", "approve", "1", code=1)
    assert shell.answer("approval", "approve", "1", **flag).startswith("published: ")
    effects = shell.ask("status", "--issue", "1")["effects"]
    states = {effect["name"]: effect["state"] for effect in effects}
    assert states == {"branch": "done", "draft_pull_request": "done", "comment": "withheld"}


def test_a_run_that_is_blocked_sent_back_and_cancelled(shell: Shell, project: Project) -> None:
    project.configure("    run: [", "    run: [not-installed-anywhere, ")
    run = only_run(ask_process(project, "run", "--once", code=1))
    assert (run["status"], run["verified"], run["head_sha"]) == ("blocked", False, "")
    assert set(run["failure"]) == {"kind", "message", "next_step"}
    assert run["failure"]["kind"] == "environment"
    assert "not-installed-anywhere" in run["failure"]["message"]
    assert run["failure"]["next_step"]
    assert project.calls.read_text() == "", "no agent is paid where the checks cannot run"

    status = shell.ask("status")
    assert (only_run(status), status["counts"]) == (run, {"blocked": 1})
    one = shell.ask("status", "--issue", "1")
    assert only_run(one) == run
    withheld = [(effect["name"], effect["state"]) for effect in one["effects"]]
    assert withheld == [("comment", "withheld")], "there is no change to publish"
    assert_the_export_says_the_same(project, run)
    assert shell.ask("approval", "show", "1", code=1) == NOTHING_WAITS
    assert shell.ask("clean")["removed"] == [], "a person has not seen it yet"

    assert shell.ask("retry", "--blocked", "--reason", "auth")["answers"] == []
    assert shell.answer("retry", "1", "--note", "it is there") == f"queued: run {run['id']}"
    assert shell.ask("status")["counts"] == {"queued": 1}
    assert not shell.answer("cancel", "1").startswith("refused")
    assert shell.ask("status")["counts"] == {"cancelled": 1}
    assert shell.answer("cancel", "1", code=1).startswith("refused: ")


def test_what_excludes_json_is_a_usage_error(shell: Shell) -> None:
    for argv in (("status", "--watch"), ("logs", "1", "--follow"), ("run", "--no-agent")):
        assert "Usage:" in shell.refuse(*argv, code=2)
    assert "Usage:" in shell.refuse("retry", code=2)
    assert "Usage:" in shell.refuse("trigger", "0", code=2)
