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
    hub: LoopbackGitHub, ask: Ask, head: str
) -> None:
    remark = Annotation("src/sums.py", 2, "expected 3", title="test_add")
    hub.set_check(head, "ci", "failure", log="...\nE assert -1 == 3\n", annotations=[remark])
    (run,) = ask("GET", f"{REPO}/commits/{head}/check-runs").json()["check_runs"]
    assert (run["name"], run["status"], run["conclusion"]) == ("ci", "completed", "failure")
    assert run["output"]["annotations_count"] == 1
    (seen,) = ask("GET", f"{REPO}/check-runs/{run['id']}/annotations").json()
    assert (seen["path"], seen["start_line"], seen["message"]) == ("src/sums.py", 2, "expected 3")
    log = ask("GET", f"{REPO}/actions/jobs/{run['id']}/logs")
    assert log.status_code == 302
    place = log.headers["Location"]
    assert not place.startswith(hub.site), "another host"
    assert requests.get(place, timeout=100).text.endswith("E assert -1 == 3\n")
    assert requests.get(place.partition("?")[0], timeout=100).status_code == 404
    assert requests.get(place, headers={"Authorization": "x"}, timeout=100).status_code == 400
    assert len(hub.fetched) == 3


def test_a_rerun_replaces_the_old_result(hub: LoopbackGitHub, ask: Ask, head: str) -> None:
    hub.set_check(head, "ci", None)
    hub.set_check(head, "ci", "failure")
    hub.set_check(head, "ci", "success")
    hub.set_check(head, "lint", "success")
    runs = f"{REPO}/commits/{head}/check-runs"
    latest = [(r["name"], r["conclusion"]) for r in ask("GET", runs).json()["check_runs"]]
    assert latest == [("ci", "success"), ("lint", "success")]


def test_the_older_statuses_come_together(hub: LoopbackGitHub, ask: Ask, head: str) -> None:
    path = f"{REPO}/commits/{head}/status"
    states = [ask("GET", path).json()["state"]]
    for context, state in (("a", "success"), ("b", "error"), ("b", "success")):
        hub.set_status(head, context, state)
        states.append(ask("GET", path).json()["state"])
    assert states == ["pending", "success", "failure", "success"]
    assert ask("GET", f"{REPO}/commits/{'0' * 40}/status").status_code == 422
    assert ask("GET", f"{REPO}/commits/--all/status").status_code == 422


def test_branches_and_refs_with_slashes(hub: LoopbackGitHub, repo: Repository, ask: Ask) -> None:
    made = hub.commit_on("bot/issue-1/x", by="wren", files={"README.md": None})
    assert repo.get_branch("bot/issue-1/x").commit.sha == made
    assert repo.get_git_ref("heads/bot/issue-1/x").object.sha == made
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
