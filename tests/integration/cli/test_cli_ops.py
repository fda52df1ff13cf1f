"""What operators hold in their hands, by the command line: reports, bundle, key, dashboard."""

import json
import shutil
from pathlib import Path

import pytest

from repoagents.cli.app import run
from tests.integration.cli.conftest import Repoagents

CONTROL = ".ai-repoagents"


def test_from_a_run_to_a_bundle_that_another_machine_believes(
    repoagents: Repoagents, example: Path, tmp_path: Path
) -> None:
    assert repoagents(example, "trigger", "1").code == 0

    status = repoagents(example, "ops", "status", "--json")
    made = repoagents(example, "ops", "snapshot", "--issue", "1", "--archive", "--json")
    key = json.loads(repoagents(example, "ops", "key", "--json").out)

    told = json.loads(status.out)
    assert (status.code, made.code) == (0, 0)
    assert (told["level"], told["counts"]) == ("idle", {"completed": 1})
    assert [finding["code"] for finding in told["findings"]] == ["results_withheld"]
    for name in ("ops-status.json", "ops-status.md", "ops-brief.json", "ops-brief.md"):
        assert (example / CONTROL / "reports" / name).is_file()
    bundle = json.loads(made.out)
    page = (example / bundle["folder"] / "dashboard.html").read_text()
    assert '"artifacts":null' in page  # what it would link to is not in the bundle
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    archive = shutil.copy(example / bundle["archive"], elsewhere)
    checked = repoagents(elsewhere, "ops", "verify", archive, "--fingerprint", key["fingerprint"])
    assert (checked.code, checked.err) == (0, "")
    assert checked.out.startswith("sound: ")

    other = repoagents(elsewhere, "ops", "verify", archive, "--fingerprint", "SHA256:x", "--json")
    assert (other.code, json.loads(other.out)["sound"]) == (1, False)
    alone = json.loads(repoagents(elsewhere, "ops", "verify", archive, "--json").out)
    assert (alone["sound"], alone["compared"]) == (True, False), "whose key it is, nobody has said"
    page = example / bundle["folder"] / "README.md"
    page.write_text(page.read_text() + "!")
    touched = repoagents(example, "ops", "verify", bundle["folder"])
    assert (touched.code, touched.out) == (1, "not sound: README.md was changed\n")


@pytest.mark.parametrize("command", ["ops status", "rollout check"])
def test_what_cannot_be_written_is_answered_all_the_same(
    control: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    reports = control / CONTROL / "reports"
    reports.mkdir()
    (reports / "rollout.json").mkdir()
    (reports / "ops-brief.json").mkdir()
    monkeypatch.chdir(control)
    assert run(command.split()) == 1
    out, err = capsys.readouterr()
    assert ("idle" if command == "ops status" else "not justified yet") in out
    assert f"{reports}/" in err
    assert "cannot be written: Is a directory" in err
    assert "Move away what lies there" in err
    assert "the state" not in err


def test_a_bundle_of_an_issue_without_a_run_says_what_to_do(
    repoagents: Repoagents, control: Path
) -> None:
    ended = repoagents(control, "ops", "snapshot", "--issue", "7")

    assert ended.code == 1
    assert "`repoagents trigger 7` makes one" in ended.err


@pytest.mark.parametrize("path", ["absent", "README.md"])
def test_what_is_no_bundle_is_no_crash(repoagents: Repoagents, control: Path, path: str) -> None:
    ended = repoagents(control, "ops", "verify", path)

    assert ended.code == 1
    assert "Traceback" not in ended.err
