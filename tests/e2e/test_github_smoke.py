"""`github smoke` on the loopback GitHub by real HTTP, and from a fixture without any request."""

import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from repoagents.bootstrap import SystemClock
from repoagents.domain.smoke import REHEARSAL
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.front import Seen
from repoagents.rehearsal.hub.records import Protection
from tests.e2e.conftest import AGENT, Project

REPO, LABEL, BOT = "example/adding", "repoagents", "repoagents-bot"
FIXTURE = "ops/github-smoke.fixture.json"
EXAMPLE = Path(__file__).parents[2] / "examples" / "live-github-ops" / FIXTURE
CONFIG = f"""\
tracker:
  repo: {REPO}
  # the fixture
llm:
  mode: command
command:
  argv: [{sys.executable}, {AGENT}]
"""
OPEN = {
    "REPOAGENTS_SAFETY__ALLOW_WRITE_COMMENTS": "true",
    "REPOAGENTS_SAFETY__ALLOW_OPEN_PR": "true",
}
LEAST = {"metadata": "read", "contents": "write", "issues": "write", "pull_requests": "write"}
LEAST |= {"checks": "read", "statuses": "read"}


@pytest.fixture
def root(git_repository: Callable[..., Path]) -> Path:
    """A clone with nothing but its configuration."""
    return git_repository(
        {
            "adding.py": "def add(a, b):\n    return a - b\n",
            ".ai-repoagents/repoagents.yaml": CONFIG,
            ".gitignore": ".ai-repoagents/*/\n",
        }
    )


@pytest.fixture
def hub(tmp_path: Path, root: Path) -> Iterator[LoopbackGitHub]:
    """A repository with two labelled issues, the older one locked."""
    with LoopbackGitHub(tmp_path / "hub", SystemClock(), os.environ, REPO) as made:
        made.seed(root)
        made.add_account("mia", "write")
        made.create_label(LABEL)
        for number, title in enumerate(("Locked", "add() subtracts"), 1):
            made.open_issue(title, "", by="mia")
            made.label(number, LABEL, by="mia")
        made.lock(1, by="mia")
        yield made


@dataclass(frozen=True)
class Clone(Project):
    """The clone; `extra` is its environment."""

    hub: LoopbackGitHub
    extra: Mapping[str, str]

    def smoke(self, *words: str, code: int = 0, **extra: str) -> dict[str, Any]:
        """The report, after a look at what was asked for it."""
        count = len(self.hub.requests)
        given = {**self.extra, **extra}
        done = self.run("github", "smoke", *words, "--json", code=code, **given)
        self.only_read(self.hub.requests[count:])
        token = given["GITHUB_TOKEN"]
        assert not token or token not in done.stdout + done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        assert told == json.loads(self.report("github-smoke.json"))
        return told

    def only_read(self, asked: tuple[Seen, ...]) -> None:
        """No more than a handful, and none that writes."""
        assert 1 <= len(asked) <= 12, [f"{seen.method} {seen.path}" for seen in asked]
        assert {seen.method for seen in asked} == {"GET"}
        assert self.hub.writes == ()

    def report(self, name: str) -> str:
        return (self.control / "reports" / name).read_text(encoding="utf-8")


@pytest.fixture
def clone(root: Path, tmp_path: Path, hub: LoopbackGitHub) -> Clone:
    """The clone with the bot's token and every flag closed."""
    extra = {
        "REPOAGENTS_TRACKER__API_URL": hub.url,
        "REPOAGENTS_TRACKER__CLONE_URL": hub.clone_url,
        "GITHUB_TOKEN": hub.token_of(BOT),
    }
    return Clone(root, tmp_path / "calls.log", hub, extra)


def test_a_repository_in_order(clone: Clone, hub: LoopbackGitHub, git: Callable[..., str]) -> None:
    git(clone.root, "remote", "add", "origin", f"{hub.site}/{REPO}.git")
    hub.add_ruleset(
        "careful", [{"type": "pull_request", "parameters": {"required_approving_review_count": 1}}]
    )
    told = clone.smoke()
    assert told["summary"]["status"] == "clean"
    assert told["summary"]["open_issue_count"] == 2
    assert told["sampled_issue"]["number"] == 2
    assert "is locked" in told["issues"]["sampled"][0]["reason"]
    assert told["branch_policy"]["rulesets"] == ["careful"]
    assert (told["branch_policy"]["required_reviews"], told["branch_policy"]["local_branch"]) == (
        1,
        "main",
    )
    assert told["origin"]["matches_tracker_repo"] is True
    shown = clone.run("github", "smoke", **clone.extra)
    assert shown.stdout.startswith("clean      GitHub is as the bot needs it.\n")
    assert clone.report("github-smoke.md").startswith("# GitHub is as the bot needs it\n")
    assert "written: .ai-repoagents/reports/github-smoke.json" in shown.stderr


def test_writes_that_are_required(clone: Clone) -> None:
    done = clone.run("github", "smoke", "--require-write-ready", code=1, **clone.extra)
    assert "not ready to write: comments are withheld by safety.allow_write_comments" in done.stderr
    assert "safety: {allow_open_pr: true} in .ai-repoagents/repoagents.yaml" in done.stderr
    clone.smoke("--require-write-ready", **OPEN)


def test_the_most_that_is_ever_asked(clone: Clone, hub: LoopbackGitHub) -> None:
    for number in (1, 2):
        hub.unlabel(number, LABEL, by="mia")
    hub.protect("main", Protection(checks=("tests",), reviews=2))
    hub.add_ruleset("careful", ["deletion"])
    told = clone.smoke(GITHUB_TOKEN=hub.fine_grained_token(BOT, LEAST), **OPEN)
    assert told["auth"]["token_kind"] == "a fine-grained token"
    assert told["branch_policy"]["required_reviews"] is None
    assert told["branch_policy"]["required_checks"] == ["tests"]
    assert "gh issue edit" in told["issues"]["warnings"][0]["fix"]
    assert clone.smoke("--issue", "2", **OPEN)["sampled_issue"]["eligible"] is True


def test_a_token_that_lacks_something(clone: Clone, hub: LoopbackGitHub) -> None:
    less = {name: level for name, level in LEAST.items() if name != "pull_requests"}
    told = clone.smoke(code=1, GITHUB_TOKEN=hub.fine_grained_token(BOT, less), **OPEN)
    assert told["auth"]["status"] == "issues"
    assert (told["publish"]["comment_writes_ready"], told["publish"]["pr_writes_ready"]) == (
        True,
        False,
    )
    assert clone.smoke("--issue", "99", code=1)["sampled_issue"] is None


def test_a_network_that_is_down_leaves_the_bundle(clone: Clone) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        extra = {**clone.extra, "REPOAGENTS_TRACKER__API_URL": url}
        clone.run("github", "smoke", code=1, **extra)
        made = clone.run("ops", "snapshot", "--json", **extra)
    folder = clone.root / json.loads(made.stdout)["folder"]
    told = json.loads((folder / "github-smoke.json").read_text())
    assert told["summary"]["status"] == "issues"
    assert "no whole answer" in told["auth"]["warnings"][0]["message"]
    assert clone.report("github-smoke.md") == (folder / "github-smoke.md").read_text()


def test_with_a_fixture_no_request_is_made_and_nothing_is_worked_on(
    clone: Clone, hub: LoopbackGitHub
) -> None:
    (clone.root / "ops").mkdir()
    shutil.copy(EXAMPLE, clone.root / FIXTURE)
    clone.configure("  # the fixture", f"  smoke_fixture_path: {FIXTURE}")
    extra = {**clone.extra, "GITHUB_TOKEN": "", "REPOAGENTS_WEBHOOK_SECRET": "x" * 20}
    line = "delete `smoke_fixture_path` in .ai-repoagents/repoagents.yaml:3 to go live"

    shown = clone.run("github", "smoke", **extra)
    assert shown.stdout.splitlines()[0] == REHEARSAL
    assert line in shown.stderr
    clone.run("github", "smoke", "--require-write-ready", code=1, **extra)

    checks = json.loads(clone.run("doctor", "--json", code=1, **extra).stdout)["checks"]
    named = {check["name"]: check for check in checks}
    assert (named["GitHub"]["status"], named["GitHub"]["fix"]) == ("error", line)
    assert any(line in check["message"] for check in checks if check["status"] == "warn")
    assert "error" not in {named["git"]["status"], named["config"]["status"]}

    for words in (("run", "--until-idle"), ("run", "--dry-run"), ("trigger", "2", "--dry-run")):
        refused = clone.run(*words, code=2, **extra)
        assert line in refused.stderr, words

    status = json.loads(clone.run("ops", "status", "--json", **extra).stdout)
    assert status["rehearsal"] == REHEARSAL
    made = json.loads(clone.run("ops", "snapshot", "--archive", "--json", **extra).stdout)
    clone.run("ops", "verify", made["archive"])
    pages = [*(clone.control / "reports").glob("*.md"), *(clone.root / made["folder"]).glob("*.md")]
    pages.append(clone.control / "reports" / "ops" / "latest.md")
    pages += (clone.root / made["folder"]).glob("*.html")
    assert {"github-smoke.md", "ops-brief.md", "README.md"} <= {page.name for page in pages}
    for page in pages:
        assert REHEARSAL in page.read_text(encoding="utf-8").splitlines()[0], page
    told = json.loads((clone.root / made["folder"] / "github-smoke.json").read_text())
    assert (told["meta"]["source"], told["meta"]["fixture_path"]) == ("fixture", FIXTURE)
    assert hub.requests == ()


def test_a_fixture_that_cannot_be_used_is_a_wrong_configuration(clone: Clone) -> None:
    extra = {**clone.extra, "REPOAGENTS_TRACKER__SMOKE_FIXTURE_PATH": FIXTURE}
    done = clone.run("github", "smoke", code=2, **extra)
    assert f"there is no {FIXTURE}" in done.stderr
    (clone.root / "ops").mkdir()
    (clone.root / FIXTURE).write_text('{"meta": {}}')
    done = clone.run("ops", "snapshot", code=2, **extra)
    assert "auth is missing: expected an object" in done.stderr


def test_a_local_tracker_has_no_github_to_look_at(project: Project) -> None:
    assert "are not read from GitHub" in project.run("github", "smoke", code=2).stderr
    done = project.run("ops", "status")
    assert "no github-smoke: the issues are not read from GitHub" in done.stderr
    assert not (project.control / "reports" / "github-smoke.json").exists()
