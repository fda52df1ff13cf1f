"""The operator's first evening as typed: clone, init, edit, doctor, dry run, one issue, recovery.

The tracker is local and no model is called; `dirty_policy` stays at `block` all the way, with the
control plane committed and not.
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from repoagents.domain.check import Check
from tests.prepared import run_prepared

SHELL = frozenset("|&;<>$`*?~=")
CONFIG = ".ai-repoagents/repoagents.yaml"
FILES = {
    "pyproject.toml": "[project]\nname = 'x'\nversion = '1'\n",
    "src/x.py": "def one():\n    return 1\n",
    "README.md": "# X\n",
}


class Shell:
    """A terminal in one folder; commands are typed as the walkthrough has them."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, **environment}

    def type(self, line: str, code: int = 0) -> str:
        """What is printed on stdout; the exit code must be this one."""
        done = self.run(line)
        assert done.returncode == code, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def complaint(self, line: str, code: int = 2) -> str:
        """What is printed on stderr."""
        done = self.run(line)
        assert done.returncode == code, f"{line}\n{done.stdout}{done.stderr}"
        return done.stderr

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run one line; what is no more than one of our commands needs no shell."""
        if line.startswith("repoagents ") and not SHELL.intersection(line):
            words = shlex.split(line)
            return run_prepared(words[1:], cwd=self.folder, env=self.environment)
        return subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=500,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def doctor(self, code: int = 0) -> dict[str, Check]:
        """The doctor's checks by name."""
        rows = json.loads(self.type("repoagents doctor --json", code))["checks"]
        return {row["name"]: Check(**row) for row in rows}

    def edit(self, old: str, new: str) -> None:
        """Change the configuration in an editor."""
        path = self.folder / CONFIG
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))


@pytest.fixture
def clone(tmp_path: Path, git_repository: Callable[..., Path], git: Callable[..., str]) -> Shell:
    """A fresh clone with a clean base, and a shell in it."""
    upstream = git_repository(FILES, name="upstream")
    git(tmp_path, "clone", "--quiet", "--bare", str(upstream), "origin.git")
    git(tmp_path, "clone", "--quiet", "origin.git", "clone")
    return Shell(tmp_path / "clone")


def commit(shell: Shell, init: str) -> None:
    """Type the line that `init` gave."""
    shell.type(next(line for line in init.splitlines() if line.strip().startswith("git add")))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "committed"), [("local_markdown", False), ("local_file", True)])
def test_from_clone_to_one_issue_and_back(kind: str, committed: bool, clone: Shell) -> None:
    assert clone.type("git status --short") == ""
    said = clone.type(f"repoagents init --preset python-library --tracker-kind {kind}")
    clone.edit("mode: codex", "mode: rehearsal")
    if committed:
        commit(clone, said)
        assert clone.type("git status --short") == ""

    found = clone.doctor()
    assert {check.status for check in found.values()} <= {"ok", "warn"}
    assert ("control plane" in found) is not committed
    make = found["tracker"].fix if kind == "local_file" else ""
    assert make == ("echo '[]' > issues.json" if kind == "local_file" else "")
    clone.type(make or "true")
    write_issue(clone, kind)
    assert clone.doctor()["tracker"].message.startswith("1 open")
    assert clone.doctor()["checkout"].message == "clean"

    before = clone.type("git status --short; git log --format=%H --all; git stash list")
    preview = clone.type("repoagents trigger 1 --dry-run")
    for part in ("eligible: yes", "planner", "rehearsal", "safety.allow_open_pr", "likely files"):
        assert part in preview
    assert "nothing is recorded" not in preview
    assert "no runs yet" in clone.type("repoagents status")
    assert "yes issue 1: A thing" in clone.type("repoagents run --dry-run --once")

    clone.type("repoagents trigger 1")
    assert "completed" in clone.type("repoagents status --issue 1")
    control = clone.folder / ".ai-repoagents"
    (run,) = (path.parent for path in (control / "artifacts/issue-1").glob("*/handoff.md"))
    assert {"changes.patch", "builder.prompt.md"} <= {path.name for path in run.iterdir()}
    assert (control / "workspaces/issue-1" / run.name / "repo").is_dir()
    assert json.loads((control / "state/runs.json").read_text())
    lines = (control / "logs/repoagents.jsonl").read_text().splitlines()
    assert {"run_queued", "run_settled"} <= {json.loads(line)["code"] for line in lines}
    after = clone.type("git status --short; git log --format=%H --all; git stash list")
    assert after == before
    assert clone.doctor()["checkout"].message == "clean"

    assert "not changed" in clone.type("repoagents trigger 1")
    clone.type("repoagents run --once")
    assert "nothing" in clone.type("repoagents clean --dry-run"), "it may still be approved"
    clone.type("repoagents approval reject 1")
    assert "issue-1" in clone.type("repoagents clean --dry-run")
    clone.type("repoagents clean")
    assert not (control / "workspaces/issue-1" / run.name / "repo").exists()
    assert clone.doctor().keys() == found.keys()


def write_issue(shell: Shell, kind: str) -> None:
    """One issue, in the tracker's shape."""
    if kind == "local_markdown":
        (shell.folder / "issues/1-a-thing.md").write_text("# A thing\n\nMend it.\n")
        return
    issue = {"id": 1, "title": "A thing", "body": "Mend it.", "labels": ["x"]}
    (shell.folder / "issues.json").write_text(json.dumps([issue]))


@pytest.mark.slow
def test_the_walkthroughs_own_init_is_honest_about_github(clone: Shell) -> None:
    done = clone.run("repoagents init --preset python-library --tracker-repo OWNER/REPO")
    assert done.returncode == 0
    text = (clone.folder / CONFIG).read_text()
    assert text.startswith("tracker:\n  kind: github\n  mode: rest\n  repo: OWNER/REPO\n")
    shown = clone.run("repoagents config show")
    assert shown.returncode == 0
    assert shown.stderr == ""

    clone.edit("mode: codex", "mode: rehearsal")
    found = clone.doctor(code=1)
    assert "there is no GitHub credential" in found["GitHub"].message
    assert "gh auth login" in found["GitHub"].fix
    assert {c.name for c in found.values() if c.status == "error"} >= {"git", "GitHub"}
    assert found["git"].message == found["GitHub"].message
    for line in ("trigger 123 --dry-run", "trigger 123", "run --once", "run --dry-run --once"):
        said = clone.complaint(f"repoagents {line}")
        first, second = said.splitlines()
        assert first.startswith("error: there is no GitHub credential: GITHUB_TOKEN is not set")
        assert "gh auth login" in second
    assert not (clone.folder / ".ai-repoagents/state/repoagents.sqlite").exists()

    clone.edit("kind: github", "kind: local_markdown")
    assert clone.doctor()["tracker"].fix == "mkdir -p issues"
    clone.type("mkdir -p issues && repoagents run --once")


@pytest.mark.slow
def test_issues_as_github_gives_them_can_be_planned_from_a_file(clone: Shell) -> None:
    clone.type("repoagents init --tracker-repo OWNER/REPO")
    clone.edit("mode: rest", "mode: fixture\n  fixtures_path: .ai-repoagents/cache/github.json")
    clone.edit("mode: codex", "mode: rehearsal")
    assert clone.doctor(code=1)["tracker"].status == "error"
    issue = {"number": 123, "title": "A thing", "body": None, "labels": [], "comments": 2}
    path = clone.folder / ".ai-repoagents/cache/github.json"
    path.write_text(json.dumps([issue]))
    found = clone.doctor()["tracker"]
    assert found.message == "1 open, 0 labelled repoagents"
    assert "add the label repoagents" in found.fix
    assert "eligible: yes" in clone.type("repoagents trigger 123 --dry-run")
    assert "label" in clone.type("repoagents run --dry-run --once")
    clone.type("repoagents trigger 123")
    assert json.loads(path.read_text()) == [issue]


@pytest.mark.slow
def test_a_dirty_checkout_stops_new_runs_and_says_so(clone: Shell) -> None:
    clone.type("repoagents init")
    clone.edit("mode: codex", "mode: rehearsal")
    write_issue(clone, "local_markdown")
    (clone.folder / "src/x.py").write_text("half done\n")
    (clone.folder / ".env").write_text("TOKEN=x\n")
    check = clone.doctor(code=1)["checkout"]
    assert (check.status, check.message) == ("error", "uncommitted changes: src/x.py, .env")
    assert "uncommitted changes" in clone.type("repoagents trigger 1 --dry-run")
    clone.complaint("repoagents trigger 1", code=1)
    assert (clone.folder / "src/x.py").read_text() == "half done\n"
    clone.type("git checkout -- src && rm .env && repoagents trigger 1")


@pytest.mark.slow
def test_what_doctor_says_about_the_texts_can_be_done(clone: Shell) -> None:
    clone.type("repoagents init --preset web-app")
    clone.edit("mode: codex", "mode: rehearsal")
    assert "templates" in clone.doctor()
    control = clone.folder / ".ai-repoagents"
    (control / "roles/builder.md").write_text("mine\n")
    check = clone.doctor()["templates"]
    assert (check.status, "edited since init" in check.message) == ("ok", True)
    (control / "roles/planner.md").unlink()
    rows = json.loads(clone.type("repoagents doctor --json", 1))["checks"]
    (behind,) = (r for r in rows if r["name"] == "templates" and r["status"] == "warn")
    assert "roles/planner.md (missing)" in behind["message"]
    clone.type(behind["fix"])
    assert (control / "roles/planner.md").exists()
    assert (control / "roles/builder.md").read_text() == "mine\n"
    (control / "templates.lock").unlink()
    check = clone.doctor()["templates"]
    assert (check.status, "templates.lock (missing)" in check.message) == ("warn", True)
    clone.type(check.fix.partition("or: ")[2].replace("NAME", "web-app"))
    assert clone.doctor()["templates"].status == "ok"
