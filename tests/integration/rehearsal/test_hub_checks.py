"""Checks, statuses, branches, refs and the rules around them."""

from collections.abc import Callable

import pytest
import requests
from github.Repository import Repository

from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.records import Annotation, Protection

Ask = Callable[..., requests.Response]
REPO = "/repos/example/python-lib"


@pytest.fixture
def head(hub: LoopbackGitHub) -> str:
    return hub.heads["main"]


def test_a_failing_check_with_its_annotations_and_log(
    hub: LoopbackGitHub, repo: Repository, ask: Ask, head: str
) -> None:
    remark = Annotation("src/sums.py", 2, "expected 3", title="test_add")
    hub.set_check(head, "ci", "failure", log="...\nE assert -1 == 3\n", annotations=[remark])
    run = repo.get_commit(head).get_check_runs()[0]
    assert (run.name, run.status, run.conclusion) == ("ci", "completed", "failure")
    assert run.output.annotations_count == 1
    seen = run.get_annotations()[0]
    assert (seen.path, seen.start_line, seen.message) == ("src/sums.py", 2, "expected 3")
    log = ask("GET", f"{REPO}/actions/jobs/{run.id}/logs")
    assert log.status_code == 302
    place = log.headers["Location"]
    assert not place.startswith(hub.site), "another host"
    assert requests.get(place, timeout=20).text.endswith("E assert -1 == 3\n")
    assert requests.get(place.partition("?")[0], timeout=20).status_code == 404
    assert requests.get(place, headers={"Authorization": "x"}, timeout=20).status_code == 400
    assert len(hub.fetched) == 3


def test_a_rerun_replaces_the_old_result_in_the_latest_list(
    hub: LoopbackGitHub, repo: Repository, ask: Ask, head: str
) -> None:
    hub.set_check(head, "ci", None)
    assert repo.get_commit(head).get_check_suites()[0].status == "in_progress"
    hub.set_check(head, "ci", "failure")
    hub.set_check(head, "ci", "success")
    hub.set_check(head, "lint", "success")
    runs = f"{REPO}/commits/{head}/check-runs"
    latest = [(r["name"], r["conclusion"]) for r in ask("GET", runs).json()["check_runs"]]
    assert latest == [("ci", "success"), ("lint", "success")]
    assert ask("GET", f"{runs}?filter=all").json()["total_count"] == 3
    assert ask("GET", f"{runs}?check_name=lint").json()["total_count"] == 1
    suite = repo.get_commit(head).get_check_suites()[0]
    assert (suite.status, suite.conclusion) == ("completed", "success")


def test_the_older_statuses_come_together(hub: LoopbackGitHub, repo: Repository, head: str) -> None:
    states = [repo.get_commit(head).get_combined_status().state]
    for context, state in (("a", "success"), ("b", "error"), ("b", "success")):
        hub.set_status(head, context, state)
        states.append(repo.get_commit("main").get_combined_status().state)
    assert states == ["pending", "success", "failure", "success"]


def test_a_commit_is_read_with_its_files(repo: Repository, head: str) -> None:
    commit = repo.get_commit("main")
    assert (commit.sha, commit.commit.message.strip()) == (head, "Start")
    assert {file.filename for file in commit.files} == {"README.md", "src/sums.py"}
    assert commit.author.login == "maya"
    assert commit.stats.additions == 3


def test_an_unknown_commit_is_422(ask: Ask) -> None:
    reply = ask("GET", f"{REPO}/commits/{'0' * 40}")
    assert reply.status_code == 422
    assert "No commit found" in reply.json()["message"]
    assert ask("GET", f"{REPO}/commits/--all").status_code == 422


def test_branches_and_refs_with_slashes(
    hub: LoopbackGitHub, repo: Repository, ask: Ask, head: str
) -> None:
    made = hub.commit_on("bot/issue-1/x", by="wren", files={"README.md": None})
    assert repo.get_branch("bot/issue-1/x").commit.sha == made
    assert repo.get_git_ref("heads/bot/issue-1/x").object.sha == made
    assert [r.ref for r in repo.get_git_matching_refs("heads/bot/")] == ["refs/heads/bot/issue-1/x"]
    assert {b.name: b.commit.sha for b in repo.get_branches()} == hub.heads
    assert ask("GET", f"{REPO}/git/ref/heads/nowhere").status_code == 404
    assert ask("GET", f"{REPO}/branches/nowhere").json()["message"] == "Branch not found"
    assert "README.md" not in hub.forge.bare.git.run("ls-tree", "--name-only", made).line


def test_protection_is_for_admins_to_read(hub: LoopbackGitHub, ask: Ask, repo: Repository) -> None:
    path, maya = f"{REPO}/branches/main/protection", hub.token_of("maya")
    assert ask("GET", path).status_code == 403
    assert ask("GET", path, maya).json()["message"] == "Branch not protected"
    hub.protect("main", Protection(reviews=2, checks=("ci",), up_to_date=True))
    told = ask("GET", path, maya).json()
    assert told["required_status_checks"]["contexts"] == ["ci"]
    assert told["required_status_checks"]["strict"] is True
    assert told["required_pull_request_reviews"]["required_approving_review_count"] == 2
    assert repo.get_branch("main").protected is True


def test_rulesets_hold_for_branches(hub: LoopbackGitHub, ask: Ask) -> None:
    hub.add_ruleset("no surprises", ["deletion", "non_fast_forward"])
    assert [r["name"] for r in ask("GET", f"{REPO}/rulesets").json()] == ["no surprises"]
    rules = ask("GET", f"{REPO}/rules/branches/main").json()
    assert [rule["type"] for rule in rules] == ["deletion", "non_fast_forward"]


def test_two_branches_are_compared(hub: LoopbackGitHub, repo: Repository) -> None:
    hub.commit_on("side", by="wren", files={"a.txt": "1\n"})
    assert repo.compare("main", "side").status == "ahead"
    assert repo.compare("side", "main").status == "behind"
    hub.commit_on("main", by="maya", files={"b.txt": "2\n"})
    apart = repo.compare("main", "side")
    assert (apart.status, apart.ahead_by, apart.behind_by) == ("diverged", 1, 1)
    assert [file.filename for file in apart.files] == ["a.txt"]


def test_it_is_seeded_from_a_repository(
    hub: LoopbackGitHub, git_repository: Callable[..., object], ask: Ask
) -> None:
    hub.seed(git_repository({"seed.txt": "seed\n"}))
    files = ask("GET", f"{REPO}/commits/main").json()["files"]
    assert [file["filename"] for file in files] == ["seed.txt"]
