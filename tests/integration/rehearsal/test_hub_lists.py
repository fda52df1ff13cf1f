"""How lists are read: filters, pages, links, conditional requests, and what they cost."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import requests
from github import Github
from github.Repository import Repository

from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.quota import Quota
from tests.fakes.clock import FakeClock

Ask = Callable[..., requests.Response]
ISSUES = "/repos/example/python-lib/issues"


@pytest.fixture
def crowd(hub: LoopbackGitHub) -> LoopbackGitHub:
    """Five issues, of which two wear the label and one is closed."""
    for number in range(1, 6):
        hub.open_issue(f"Issue {number}", by="maya")
    hub.label(2, "Wanted", by="maya")
    hub.label(4, "Wanted", by="maya")
    hub.label(4, "bug", by="maya")
    hub.close(5, by="maya")
    return hub


def numbers(reply: requests.Response) -> list[int]:
    return [issue["number"] for issue in reply.json()]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [4, 3, 2, 1]),
        ("?state=all", [5, 4, 3, 2, 1]),
        ("?state=closed", [5]),
        ("?labels=wanted", [4, 2]),
        ("?labels=wanted,bug", [4]),
        ("?labels=nothing", []),
        ("?direction=asc", [1, 2, 3, 4]),
        ("?since=2999-01-01T00:00:00Z", []),
        ("?since=2020-01-01T00:00:00Z", [4, 3, 2, 1]),
    ],
)
def test_lists_are_filtered(
    crowd: LoopbackGitHub, ask: Ask, query: str, expected: list[int]
) -> None:
    assert numbers(ask("GET", ISSUES + query)) == expected


def test_the_links_go_by_the_repository_s_id(crowd: LoopbackGitHub, ask: Ask) -> None:
    first = ask("GET", ISSUES + "?state=all&per_page=2")
    assert numbers(first) == [5, 4]
    assert set(first.links) == {"next", "last"}
    following = first.links["next"]["url"]
    assert f"/repositories/{crowd.forge.repository.id}/issues?state=all" in following
    middle = ask("GET", following.removeprefix(crowd.url))
    assert numbers(middle) == [3, 2]
    assert set(middle.links) == {"prev", "first", "next", "last"}
    assert middle.links["last"]["url"].endswith("page=3")


def test_pygithub_reads_every_page(hub: LoopbackGitHub, crowd: LoopbackGitHub) -> None:
    small = Github(base_url=hub.url, per_page=2, retry=None, seconds_between_requests=0)
    listed = small.get_repo(hub.full_name).get_issues(state="all")
    assert sorted(issue.number for issue in listed) == [1, 2, 3, 4, 5]
    small.close()


def test_a_page_holds_at_most_a_hundred(hub: LoopbackGitHub, ask: Ask) -> None:
    for number in range(101):
        hub.open_issue(f"Issue {number}", by="maya")
    assert len(ask("GET", ISSUES + "?per_page=1000").json()) == 100
    assert len(ask("GET", ISSUES).json()) == 30


def test_an_unchanged_list_costs_nothing(crowd: LoopbackGitHub, ask: Ask) -> None:
    first = ask("GET", ISSUES)
    used = int(first.headers["X-RateLimit-Used"])
    tag = {"If-None-Match": first.headers["ETag"]}
    again = ask("GET", ISSUES, headers=tag)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["X-RateLimit-Used"] == str(used)
    crowd.comment(1, "news", by="tom")
    changed = ask("GET", ISSUES, headers=tag)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]
    assert int(changed.headers["X-RateLimit-Used"]) == used + 1


def test_pygithub_s_update_is_a_conditional_request(
    crowd: LoopbackGitHub, repo: Repository
) -> None:
    issue = repo.get_issue(1)
    assert issue.update() is False
    crowd.edit_issue(1, by="maya", body="more")
    assert issue.update() is True
    assert [seen.status for seen in crowd.requests[-2:]] == [304, 200]


def test_the_end_of_the_rate_limit_is_felt(hub: LoopbackGitHub, ask: Ask) -> None:
    hub.forge.quota.limit = 1
    assert ask("GET", ISSUES).headers["X-RateLimit-Remaining"] == "0"
    empty = ask("GET", ISSUES)
    assert (empty.status_code, empty.headers["X-RateLimit-Remaining"]) == (403, "0")
    assert "API rate limit exceeded" in empty.json()["message"]


def test_the_hour_ends() -> None:
    clock = FakeClock()
    quota = Quota(clock, limit=1)
    assert [quota.spend(), quota.spend()] == [True, False]
    clock.advance(timedelta(hours=1).total_seconds())
    assert quota.spend() is True


@pytest.mark.parametrize("path", ["/nowhere", "/repos/other/thing", ISSUES + "/99", "/repos/x"])
def test_everything_else_is_404_in_github_s_shape(ask: Ask, path: str) -> None:
    reply = ask("GET", path)
    assert reply.status_code == 404
    told = reply.json()
    assert (told["message"], told["status"]) == ("Not Found", "404")
    assert told["documentation_url"]


def test_an_unsupported_api_version_is_refused(ask: Ask) -> None:
    versions = {
        version: ask("GET", "/user", headers={"X-GitHub-Api-Version": version}).status_code
        for version in ("2022-11-28", "2026-03-10", "1999-01-01")
    }
    assert versions == {"2022-11-28": 200, "2026-03-10": 200, "1999-01-01": 400}


def test_requests_are_remembered_without_the_token(hub: LoopbackGitHub, ask: Ask) -> None:
    hub.open_issue("One", by="maya")
    path = f"{ISSUES}/1/comments"
    ask("POST", path, json={"body": "New"})
    seen = hub.requests[-1]
    assert (seen.method, seen.path, seen.body) == ("POST", path, {"body": "New"})
    assert seen.headers["authorization"] == "token"
    assert [write.path for write in hub.writes] == [path]
    assert hub.token_of("repoagents-bot") not in repr(hub.requests)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "Problems parsing JSON"),
        (b"[" * 100_000, 400, "Problems parsing JSON"),
        (b"3", 400, "Body should be a JSON object"),
        (b"{}", 422, "body"),
        (b'{"body": " "}', 422, "Validation Failed"),
    ],
)
def test_bad_bodies_are_refused(
    hub: LoopbackGitHub, ask: Ask, body: bytes, status: int, said: str
) -> None:
    hub.open_issue("One", by="maya")
    reply = ask("POST", f"{ISSUES}/1/comments", data=body)
    assert reply.status_code == status
    assert said in reply.json()["message"]
