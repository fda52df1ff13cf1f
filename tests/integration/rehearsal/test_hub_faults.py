"""Faults on demand: what the client sees, and what has happened all the same."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import requests
from github import Auth, Github, GithubException, GithubRetry
from github.Repository import Repository

from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.faults import Fault
from repoagents.rehearsal.hub.loopback import BOT

Ask = Callable[..., requests.Response]
ISSUES = "/repos/example/python-lib/issues"
COMMENTS = f"{ISSUES}/1/comments"


@pytest.fixture(autouse=True)
def issue(hub: LoopbackGitHub) -> None:
    hub.open_issue("One", by="maya")


def said(hub: LoopbackGitHub) -> list[str]:
    return [comment.body for comment in hub.comments(1)]


@pytest.mark.parametrize(
    ("fault", "status", "done"),
    [
        (Fault.BAD_GATEWAY, 502, False),
        (Fault.BAD_GATEWAY_AFTER, 502, True),
        (Fault.TOO_MANY, 429, False),
        (Fault.SECONDARY, 403, False),
        (Fault.PRIMARY, 403, False),
        (Fault.TRUNCATED, 201, True),
        (Fault.LAG, 201, True),
        (Fault.UNAUTHORIZED, 401, False),
        (Fault.PAGE, 200, False),
    ],
)
def test_each_fault_hits_once_and_does_or_does_not_do_the_work(
    hub: LoopbackGitHub, ask: Ask, fault: Fault, status: int, done: bool
) -> None:
    hub.faults.next("POST", "*/comments", fault, seconds=0)
    assert ask("GET", ISSUES).status_code == 200
    assert ask("POST", COMMENTS, json={"body": "a"}).status_code == status
    assert said(hub) == ["a"] * done
    assert ask("POST", COMMENTS, json={"body": "b"}).status_code == 201
    assert said(hub)[-1] == "b"


def test_a_reset_comes_after_the_work(hub: LoopbackGitHub, ask: Ask) -> None:
    hub.faults.next("POST", "*/comments", Fault.RESET_AFTER)
    with pytest.raises(requests.ConnectionError):
        ask("POST", COMMENTS, json={"body": "a"})
    assert said(hub) == ["a"]


def test_a_client_that_repeats_after_a_502_says_it_twice(hub: LoopbackGitHub) -> None:
    """PyGithub's own default: it sends a POST again that has already been carried out."""
    hub.faults.next("POST", "*/comments", Fault.BAD_GATEWAY_AFTER)
    eager = Github(
        base_url=hub.url,
        auth=Auth.Token(hub.token_of(BOT)),
        retry=GithubRetry(total=2),
        seconds_between_writes=0,
    )
    eager.get_repo(hub.full_name).get_issue(1).create_comment("once")
    assert said(hub) == ["once", "once"]
    eager.close()


def test_limits_say_how_long(hub: LoopbackGitHub, ask: Ask) -> None:
    hub.faults.next("GET", "*/issues", Fault.TOO_MANY)
    hub.faults.next("GET", "*/issues", Fault.SECONDARY, seconds=7)
    hub.faults.next("GET", "*/issues", Fault.PRIMARY, seconds=60)
    bare, secondary, primary = (ask("GET", ISSUES) for _ in range(3))
    assert "Retry-After" not in bare.headers
    assert secondary.headers["Retry-After"] == "7"
    assert "secondary rate limit" in secondary.json()["message"]
    assert primary.headers["X-RateLimit-Remaining"] == "0"
    assert int(primary.headers["X-RateLimit-Reset"]) > 1_700_000_000


def test_faults_wait_for_a_request_that_fits(hub: LoopbackGitHub, ask: Ask) -> None:
    hub.faults.next("PATCH", "*", Fault.BAD_GATEWAY)
    hub.faults.next("*", "/user", "502 before", times=2)
    codes = [ask("GET", path).status_code for path in (ISSUES, "/user", ISSUES, "/user", "/user")]
    assert codes == [200, 502, 200, 502, 200]
    assert all(a.at <= b.at for a, b in pairwise(hub.requests))


def test_bodies_that_are_no_json(hub: LoopbackGitHub, ask: Ask, repo: Repository) -> None:
    hub.faults.next("GET", "*/issues/1", Fault.TRUNCATED)
    with pytest.raises(requests.exceptions.JSONDecodeError):
        ask("GET", f"{ISSUES}/1").json()
    hub.faults.next("GET", "*/issues/1", Fault.BAD_GATEWAY)
    with pytest.raises(GithubException) as page:
        repo.get_issue(1)
    assert "Unicorn" in str(page.value.data)


def test_what_was_written_stays_unseen_for_so_many_readings(hub: LoopbackGitHub, ask: Ask) -> None:
    hub.faults.next("POST", "*/comments", Fault.BAD_GATEWAY_AFTER, reads=2)
    assert ask("POST", COMMENTS, json={"body": "a"}).status_code == 502
    assert [len(ask("GET", COMMENTS).json()) for _ in range(3)] == [0, 0, 1]
    hub.faults.next("POST", "*/comments", Fault.LAG, reads=100)
    assert ask("POST", COMMENTS, json={"body": "b"}).status_code == 201
    assert len(ask("GET", COMMENTS).json()) == 1
    hub.faults.show()
    assert len(ask("GET", COMMENTS).json()) == 2


def test_a_write_to_where_the_repository_was_is_sent_on(hub: LoopbackGitHub, ask: Ask) -> None:
    hub.faults.next("POST", "*/comments", Fault.MOVED)
    moved = ask("POST", COMMENTS, json={"body": "a"}, allow_redirects=False)
    assert (moved.status_code, said(hub)) == (307, [])
    assert moved.headers["Location"].endswith("/issues/1/comments")
