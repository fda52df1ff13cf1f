"""What a credential is found to be and to reach, from what GitHub answers."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from repoagents.domain.access import Access, Backlog
from repoagents.domain.people import Permission
from repoagents.domain.pulse import Quota
from repoagents.errors import Forbidden, GitHubError, NotFound, RateLimited, Unavailable
from repoagents.github.auth import Credential, GivenToken
from repoagents.github.inspection import GitHubInspection, parse_role
from tests.fakes.clock import FakeClock
from tests.integration.github.stub import (
    ME,
    REPO,
    ROOT,
    TOKEN,
    Bed,
    Reply,
    Stub,
    build,
    issue,
    pull,
)

NEEDED = {"issues": "write", "contents": "write", "pull_requests": "write", "checks": "read"}
PAGE = f"https://github.com/{REPO}"
DENIED = Reply({"message": "Resource not accessible by personal access token"}, 403)
ISSUES, OF_ME = f"{ROOT}/issues", f"{ROOT}/collaborators/robot/permission"


def repository(**fields: Any) -> dict[str, Any]:
    """The repository as it is for somebody who may push."""
    permissions = {"admin": False, "maintain": False, "push": True, "triage": True, "pull": True}
    return {
        "full_name": REPO,
        "html_url": PAGE,
        "default_branch": "trunk",
        "private": False,
        "archived": False,
        "permissions": permissions,
        **fields,
    }


def ready(stub: Stub, headers: dict[str, str] | None = None, **fields: Any) -> None:
    """Answer whatever an inspection asks."""
    stub.get(ROOT, Reply(repository(**fields), headers=headers or {}))
    stub.get("/user", Reply(ME, headers=headers or {}))
    stub.get(OF_ME, Reply({"permission": "write", "role_name": "write"}, headers=headers or {}))
    stub.get(f"{ROOT}/pulls", Reply([]))
    stub.get(f"{ROOT}/commits/trunk/check-runs", Reply({"total_count": 0, "check_runs": []}))


def inspection(bed: Bed, label: str = "repoagents") -> GitHubInspection:
    return GitHubInspection(bed.client, bed.people, bed.clock, label, NEEDED)


def by(stub: Stub, clock: FakeClock, kind: Any) -> Bed:
    """A client with another kind of credential."""
    return build(stub, clock, GivenToken(Credential(kind, "the variable T", TOKEN)))


def test_a_classic_token_tells_all(stub: Stub, clock: FakeClock, bed: Bed) -> None:
    ready(
        stub,
        {
            "X-OAuth-Scopes": "repo, read:org",
            "GitHub-Authentication-Token-Expiration": "2030-01-02 03:04:05 UTC",
            "Date": format_datetime((clock.now() - timedelta(seconds=90)).replace(microsecond=0)),
            "X-RateLimit-Limit": "5000",
            "X-RateLimit-Remaining": "4990",
            "X-RateLimit-Reset": "1900000000",
        },
    )
    found = inspection(bed).inspect()
    assert found == Access(
        kind="token",
        source="the variable GITHUB_TOKEN",
        account="robot",
        repo=REPO,
        page=PAGE,
        role=Permission.WRITE,
        default_branch="trunk",
        granted=("repo", "read:org"),
        expires_at=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
        quota=Quota(5000, 4990, datetime.fromtimestamp(1900000000, UTC)),
        clock_ahead=found.clock_ahead,
    )
    assert 90 <= found.clock_ahead.total_seconds() < 92
    assert stub.asked == [f"GET {ROOT}", "GET /user", f"GET {OF_ME}"]
    assert TOKEN not in repr(found)


def test_what_github_does_not_say_is_not_guessed(stub: Stub, bed: Bed) -> None:
    ready(stub)
    found = inspection(bed).inspect()
    assert (found.granted, found.expires_at, found.quota) == (None, None, None)
    assert found.clock_ahead == timedelta()


def test_no_scope_at_all_is_told_apart_from_silence(stub: Stub, bed: Bed) -> None:
    ready(stub, {"X-OAuth-Scopes": ""})
    assert inspection(bed).inspect().granted == ()


@pytest.mark.parametrize("date", ["yesterday", ""])
def test_a_date_that_cannot_be_read_accuses_no_clock(stub: Stub, bed: Bed, date: str) -> None:
    ready(stub, {"Date": date})
    assert inspection(bed).inspect().clock_ahead == timedelta()


@pytest.mark.parametrize("denial", [DENIED, Reply({"message": "Not Found"}, 404)])
def test_what_a_fine_grained_token_may_not_even_read(
    stub: Stub, clock: FakeClock, denial: Reply
) -> None:
    bed = by(stub, clock, "fine_grained")
    ready(stub)
    assert inspection(bed).inspect().refused == ()
    stub.get(f"{ROOT}/commits/trunk/check-runs", denial)
    stub.get(f"{ROOT}/pulls", denial)
    again = by(stub, clock, "fine_grained")
    assert inspection(again).inspect().refused == ("pull_requests", "checks")
    assert stub.count("GET") == len(stub.seen), "nothing was written to find it out"


def test_nothing_is_tried_that_no_flag_needs(stub: Stub, clock: FakeClock) -> None:
    bed = by(stub, clock, "fine_grained")
    ready(stub)
    stub.get(f"{ROOT}/pulls", DENIED)
    reading = {"issues": "read"}
    found = GitHubInspection(bed.client, bed.people, clock, None, reading).inspect()
    assert found.refused == ()
    assert stub.count("GET", f"{ROOT}/pulls") == 0


def test_whoever_may_not_push_cannot_ask_about_others(stub: Stub, bed: Bed) -> None:
    roles = {"admin": False, "maintain": False, "push": False, "triage": False, "pull": True}
    ready(stub, permissions=roles)
    stub.get(OF_ME, Reply({"message": "Must have push access to view it."}, 403))
    found = inspection(bed).inspect()
    assert found.role is Permission.READ
    assert "Must have push access" in found.people_problem
    assert "push access" in found.people_step


def test_the_token_of_a_job_says_who_it_is_by_a_query(stub: Stub, clock: FakeClock) -> None:
    ready(stub)
    viewer = {"login": "github-actions[bot]", "databaseId": 41898282}
    stub.on("POST", "/graphql", Reply({"data": {"viewer": viewer}}))
    found = inspection(by(stub, clock, "actions")).inspect()
    assert (found.kind, found.account) == ("actions", "github-actions[bot]")
    assert found.people_problem == ""
    assert [seen.verb for seen in stub.seen] == ["GET", "POST"]


def test_a_repository_that_moved_says_its_new_name(stub: Stub, bed: Bed) -> None:
    ready(stub, full_name="octo/dog", archived=True, private=True, disabled=True)
    found = inspection(bed).inspect()
    assert (found.repo, found.archived, found.private, found.disabled) == (
        "octo/dog",
        True,
        True,
        True,
    )


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply({"message": "Bad credentials"}, 401), Forbidden),
        (Reply({"message": "Not Found"}, 404), NotFound),
        (Reply(raw=b"<html>", status=503), Unavailable),
        (Reply({"message": "slow down"}, 429, {"Retry-After": "900"}), RateLimited),
    ],
)
@pytest.mark.parametrize("path", [ROOT, "/user"])
def test_no_answer_is_an_error(
    stub: Stub, bed: Bed, path: str, reply: Reply, error: type[GitHubError]
) -> None:
    ready(stub)
    stub.get(path, reply)
    with pytest.raises(error) as caught:
        inspection(bed).inspect()
    assert TOKEN not in str(caught.value)


def test_the_backlog_counts_issues_and_finds_the_label(stub: Stub, bed: Bed) -> None:
    stub.get(ISSUES, Reply([{**pull(9), "pull_request": {"url": "u"}}, issue(8), issue(3)]))
    stub.get(f"{ROOT}/labels/repoagents", Reply({"name": "repoagents"}))
    assert inspection(bed).backlog() == Backlog(2, 8, more=False, has_label=True, page=PAGE)
    assert len(stub.seen) == 2


def test_the_backlog_of_a_large_repository_is_one_page(stub: Stub, bed: Bed) -> None:
    link = {"Link": f'<{stub.url}{ISSUES}?page=2>; rel="next"'}
    stub.get(ISSUES, Reply([issue(number) for number in range(200, 100, -1)], headers=link))
    found = inspection(bed, "in need of/work").backlog()
    assert found == Backlog(100, 200, more=True, has_label=False, page=PAGE)
    assert stub.count("GET", ISSUES) == 1
    assert stub.asked[-1] == f"GET {ROOT}/labels/in%20need%20of%2Fwork"


def test_an_empty_backlog(stub: Stub, bed: Bed) -> None:
    stub.get(ISSUES, Reply([]))
    assert inspection(bed).backlog() == Backlog(0, 0, more=False, has_label=False)


@pytest.mark.parametrize(
    ("held", "role"),
    [
        ({"admin": True, "push": True, "pull": True}, Permission.ADMIN),
        ({"maintain": True, "push": True}, Permission.MAINTAIN),
        ({"push": True, "triage": True}, Permission.WRITE),
        ({"triage": True, "pull": True}, Permission.TRIAGE),
        ({"pull": True}, Permission.READ),
        ({"admin": "yes"}, Permission.NONE),
        ({}, Permission.NONE),
    ],
)
def test_the_highest_of_what_is_held(held: dict[str, object], role: Permission) -> None:
    assert parse_role(held) is role


def test_a_sample_is_one_page_of_what_is_labelled(stub: Stub, bed: Bed) -> None:
    link = {"Link": f'<{stub.url}{ISSUES}?page=2>; rel="next"'}
    stub.get(ISSUES, Reply([issue(3), {**pull(9), "pull_request": {"url": "u"}}], headers=link))
    found, more = inspection(bed).sample(2)
    assert ([each.number for each in found], more) == ([3], True)
    (seen,) = stub.seen
    assert seen.query == {
        "state": "open",
        "labels": "repoagents",
        "per_page": "2",
        "sort": "created",
        "direction": "asc",
    }


def test_without_a_label_every_open_issue_may_be_sampled(stub: Stub, bed: Bed) -> None:
    stub.get(ISSUES, Reply([]))
    everything = GitHubInspection(bed.client, bed.people, bed.clock, None, NEEDED)
    assert everything.sample(10) == ((), False)
    assert "labels" not in stub.seen[0].query


def test_one_issue_by_one_request(stub: Stub, bed: Bed) -> None:
    stub.get(f"{ISSUES}/3", Reply({**issue(3), "comments": 4}))
    found = inspection(bed).issue(3)
    assert found is not None
    assert (found.number, found.comments) == (3, ())
    assert inspection(bed).issue(99) is None
    assert len(stub.seen) == 2
