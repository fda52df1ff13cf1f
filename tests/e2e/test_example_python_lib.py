"""The example project: its bugs are real, its suite proves each repair, its recordings work."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Project

EXAMPLE = Path(__file__).parents[2] / "examples" / "python-lib"
ISSUES = (1, 2, 3, 4, 5)
MARK = "    @unittest.expectedFailure\n"


def recording(number: int) -> dict[str, dict[str, list[str]]]:
    """What the rehearsal agent answers for an issue."""
    place = EXAMPLE / f".ai-repoagents/rehearsal/issue-{number}.json"
    return json.loads(place.read_text(encoding="utf-8"))


def known_bug(number: int) -> str:
    """The path of an issue's test."""
    return f"tests/known_bugs/test_issue_{number}.py"


@pytest.fixture
def project(tmp_path: Path, git: Callable[..., str]) -> Path:
    """The example as a git repository of its own."""
    root = tmp_path / "python-lib"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns("__pycache__"))
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=Start")
    return root


def suite(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the project's tests, as its configuration does."""
    command = [sys.executable, "-B", "-m", "unittest", "-q", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def apply(project: Path, number: int, *options: str) -> None:
    """Apply an issue's recorded patch."""
    subprocess.run(
        ["git", "apply", *options, "-"],
        cwd=project,
        input=recording(number)["patch"],
        text=True,
        check=True,
    )


def test_the_project_is_green_as_it_stands(project: Path) -> None:
    ended = suite(project)
    assert ended.returncode == 0, ended.stderr
    assert f"expected failures={len(ISSUES)}" in ended.stderr


def test_the_configured_checks_are_green_as_it_stands(project: Path) -> None:
    text = (project / ".ai-repoagents/repoagents.yaml").read_text(encoding="utf-8")
    commands = [found.split(", ") for found in re.findall(r"run: \[(.*)\]", text)]
    assert len(commands) == 2
    for command in commands:
        command[0] = sys.executable
        subprocess.run(command, cwd=project, check=True, capture_output=True)


@pytest.mark.parametrize("number", ISSUES)
def test_each_bug_is_real(project: Path, number: int) -> None:
    test = project / known_bug(number)
    text = test.read_text(encoding="utf-8")
    assert text.count(MARK) == 1
    test.write_text(text.replace(MARK, ""), encoding="utf-8")
    ended = suite(project)
    assert ended.returncode == 1
    assert "FAILED (failures=1, expected failures=4)" in ended.stderr
    assert f"test_issue_{number}" in ended.stderr


@pytest.mark.parametrize("number", ISSUES)
def test_each_recorded_patch_mends_its_bug(project: Path, number: int) -> None:
    apply(project, number)
    ended = suite(project)
    assert ended.returncode == 0, ended.stderr
    assert "OK (expected failures=4)" in ended.stderr
    assert MARK not in (project / known_bug(number)).read_text(encoding="utf-8")


@pytest.mark.parametrize("number", ISSUES)
def test_a_repair_that_leaves_the_mark_is_not_accepted(project: Path, number: int) -> None:
    apply(project, number, f"--exclude={known_bug(number)}")
    ended = suite(project)
    assert ended.returncode == 1
    assert "unexpected successes=1" in ended.stderr


def test_the_patches_do_not_stand_in_each_others_way(project: Path) -> None:
    for number in reversed(ISSUES):
        apply(project, number)
    ended = suite(project)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.rstrip().endswith("OK")


@pytest.mark.parametrize("number", ISSUES)
def test_what_a_recording_claims_is_what_its_patch_does(
    project: Path, git: Callable[..., str], number: int
) -> None:
    apply(project, number)
    changed = git(project, "diff", "--name-only").splitlines()
    assert recording(number)["plan"]["likely_files"] == changed
    assert recording(number)["build"]["changed_files"] == changed
    assert git(project, "ls-files", "--others", "--exclude-standard") == ""


def test_every_issue_has_its_files() -> None:
    issues = sorted(int(path.name.partition("-")[0]) for path in EXAMPLE.glob("issues/*.md"))
    assert tuple(issues) == ISSUES
    for number in ISSUES:
        assert (EXAMPLE / known_bug(number)).is_file()
        (issue,) = EXAMPLE.glob(f"issues/{number}-*.md")
        assert f"id: {number}\n" in issue.read_text(encoding="utf-8")


def test_its_control_plane_is_what_init_writes(
    project: Path, golden: Callable[[Path, str], None], tmp_path: Path
) -> None:
    bot = Project(project, tmp_path / "calls.log")
    told = json.loads(bot.run("init", "--upgrade", "--yes", "--json").stdout)
    paths = [step["path"] for step in told["files"]]
    assert ".ai-repoagents/prompts/builder.md" in paths
    for path in paths:
        golden(EXAMPLE / path, (project / path).read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_bot_mends_every_bug(project: Path, git: Callable[..., str], tmp_path: Path) -> None:
    bot = Project(project, tmp_path / "calls.log")
    before = bot.print_of_checkout()
    bot.run("run", "--until-idle")
    runs = json.loads(bot.run("status", "--json").stdout)["runs"]
    assert {run["issue"] for run in runs} == set(ISSUES)
    assert {(run["status"], run["verified"]) for run in runs} == {("completed", True)}
    assert bot.print_of_checkout() == before
    for run in runs:
        artifacts = bot.control / "artifacts" / f"issue-{run['issue']}" / run["id"]
        assert "no model" in (artifacts / "handoff.md").read_text(encoding="utf-8")
        git(project, "apply", str(artifacts / "changes.patch"))
    ended = suite(project)
    assert ended.stderr.rstrip().endswith("OK"), ended.stderr
