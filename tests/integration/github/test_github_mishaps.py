"""What a broken, a mistaken or a hostile server sends: an error of ours, and never a wrong fact."""

from datetime import timedelta

import pytest

from repoagents.domain.effect import SetLabel
from repoagents.errors import ConfigError, GitHubError, NotFound, RateLimited, Unavailable
from repoagents.github.answers import Answer, Ask
from repoagents.github.auth import Credential, GivenToken
from repoagents.github.budget import Pace
from repoagents.github.checks import GitHubChecks
from repoagents.github.client import Door
from repoagents.github.hooks import GitHubHooks
from repoagents.github.inspection import GitHubInspection
from tests.fakes.clock import FakeClock
from tests.integration.github.stub import ROOT, TOKEN, Bed, Reply, Seen, Stub, build, issue, pull

SPENT = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0"}
FAR_DATE = "Wed, 04 Mar 2026 05:16:07 +99999999999999999999"
LIST = f"{ROOT}/issues"
ODD_HOOKS = ("http://[/webhooks/github", "https://h:x/webhooks/github", "", None, 7)


# --- times ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {**SPENT, "X-RateLimit-Reset": "\N{SUPERSCRIPT TWO}"},
        {**SPENT, "X-RateLimit-Reset": "9" * 400},
        {**SPENT, "X-RateLimit-Reset": "9" * 5000},
        {**SPENT, "X-RateLimit-Reset": "1"},
        {**SPENT, "X-RateLimit-Reset": "1772600000", "Date": FAR_DATE},
        {"Retry-After": FAR_DATE},
        {"Retry-After": "Fri, 31 Dec 9999 23:59:59 -2359"},
        {"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"},
        {"Retry-After": "1000000000"},
    ],
)
def test_a_limit_with_an_absurd_time_is_a_limit_of_a_day_at_most(
    bed: Bed, headers: dict[str, str]
) -> None:
    bed.stub.get("/user", Reply({"message": "x"}, 429, headers))
    with pytest.raises(RateLimited) as caught:
        bed.client.get("/user")
    assert caught.value.retry_at - bed.clock.now() <= timedelta(days=1)


@pytest.mark.parametrize("at", ["9999-12-31 23:59:59 -2359", "0001-01-01 00:00:00 +2359"])
def test_a_token_with_an_absurd_end_has_none(bed: Bed, at: str) -> None:
    headers = {"GitHub-Authentication-Token-Expiration": at}
    bed.stub.get("/user", Reply({"id": 1}, headers=headers))
    bed.client.get("/user")
    expires = bed.client.credential().expires_at
    assert expires is None or expires.utcoffset() == timedelta()


def test_an_absurd_date_says_nothing_of_our_clock(bed: Bed) -> None:
    bed.stub.get("/user", Reply({"id": 1}, headers={"Date": FAR_DATE}))
    bed.client.get("/user")
    inspection = GitHubInspection(bed.client, bed.people, bed.clock, None, {})
    assert inspection._clock_ahead() == timedelta()


def limit(pace: Pace, seconds: int) -> None:
    """GitHub tells of a limit that lasts for so long."""
    assert pace.learn(Ask("GET", "/x"), Answer(429, {"retry-after": str(seconds)}, b""))


def test_a_clock_that_was_set_back_makes_no_token_new(stub: Stub, clock: FakeClock) -> None:
    """Else each refusal would be doubted for three seconds, until the clock has caught up."""
    at = clock.now() + timedelta(hours=1)
    source = GivenToken(Credential("app", "an App", TOKEN, issued_at=at))
    bed = build(stub, clock, source)
    with pytest.raises(NotFound):
        bed.client.get("/user")
    assert clock.slept == []
    bed.door.close()


def test_a_limit_ends_although_the_clock_was_set_back(clock: FakeClock) -> None:
    pace = Pace(clock)
    limit(pace, 600)
    clock.instant -= timedelta(days=1)
    with pytest.raises(RateLimited) as caught:
        pace.admit()
    assert caught.value.retry_at == clock.now() + timedelta(seconds=600)
    clock.advance(600)
    pace.admit()
    assert clock.slept == []


def test_a_limit_ends_after_a_night_in_which_the_machine_slept(clock: FakeClock) -> None:
    """Then only the time of day has gone on."""
    pace = Pace(clock)
    limit(pace, 600)
    clock.instant += timedelta(hours=8)
    pace.admit()


def test_a_longer_limit_that_comes_while_one_is_waited_for_stands(clock: FakeClock) -> None:
    class Told(FakeClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            if len(self.slept) == 1:
                limit(pace, 600)

    pace = Pace(Told())
    limit(pace, 3)
    with pytest.raises(RateLimited):
        pace.admit()


def test_a_shorter_limit_does_not_replace_a_longer_one(clock: FakeClock) -> None:
    """The answers to requests that went out together come in any order."""
    pace = Pace(clock)
    limit(pace, 600)
    limit(pace, 1)
    with pytest.raises(RateLimited):
        pace.admit()


def test_limits_that_come_together_count_as_one(clock: FakeClock) -> None:
    pace, answer = Pace(clock), Answer(429, {}, b"")
    limited = [pace.learn(Ask("GET", "/x"), answer) for _ in range(4)][-1]
    assert limited is not None
    assert limited.retry_at - clock.now() == timedelta(seconds=60)


def test_a_limit_on_queries_is_a_limit_although_the_status_is_a_success(bed: Bed) -> None:
    """It leaves the way open for all else: GitHub counts its points apart."""
    headers = {**SPENT, "X-RateLimit-Resource": "graphql", "X-RateLimit-Reset": "1772601000"}
    errors = [{"type": "RATE_LIMITED", "message": "API rate limit exceeded for user ID 1."}]
    bed.stub.on("POST", "/graphql", Reply({"errors": errors}, headers=headers))
    bed.stub.get("/user", Reply({"id": 1}))
    with pytest.raises(RateLimited) as caught:
        bed.client.query("query { x }")
    assert timedelta() < caught.value.retry_at - bed.clock.now() <= timedelta(hours=2)
    assert bed.client.get("/user") == {"id": 1}


# --- answers that are no facts ----------------------------------------------------------------

EMPTY = [Reply(raw=b""), Reply(status=204), Reply([]), Reply(raw=b"null"), Reply(raw=b'"x"')]


@pytest.mark.parametrize("reply", EMPTY)
def test_an_answer_that_is_no_object_is_not_taken_for_an_empty_one(bed: Bed, reply: Reply) -> None:
    bed.stub.get("/user", reply)
    bed.stub.on("POST", "/graphql", reply)
    for ask in (
        lambda: bed.client.get("/user"),
        lambda: bed.client.look("/user"),
        lambda: bed.client.as_app("/user"),
        lambda: bed.client.query("query { x }"),
    ):
        with pytest.raises(Unavailable, match="not an object"):
            ask()


def test_a_pull_request_is_not_closed_by_an_empty_answer(bed: Bed) -> None:
    bed.stub.get(f"{ROOT}/pulls", Reply([pull(9)]))
    bed.stub.get(f"{ROOT}/pulls/9", Reply(raw=b""))
    with pytest.raises(Unavailable):
        bed.tracker.pulls.pull_request("repoagents/issue-1")


def test_a_label_is_not_off_because_of_an_empty_answer(bed: Bed) -> None:
    bed.stub.get(f"{ROOT}/issues/1", Reply(raw=b""))
    with pytest.raises(Unavailable):
        bed.tracker.find(SetLabel("run", 1, "wip", on=False))


def test_a_write_may_be_answered_by_nothing(bed: Bed) -> None:
    bed.stub.on("DELETE", f"{LIST}/1/labels/x", Reply(status=204))
    assert bed.client.write("DELETE", f"{LIST}/1/labels/x", None) == {}


@pytest.mark.parametrize("cut", [b'[{"number": 1, "ti', b"<html>", b"", b'{"message": "odd"}'])
def test_an_answer_that_cannot_be_read_is_not_remembered(bed: Bed, cut: bytes) -> None:
    """Its ETag is that of the whole answer: GitHub would say that nothing has changed, for ever."""
    etag, cuts = 'W/"1"', [cut]

    def answer(seen: Seen) -> Reply:
        if seen.headers.get("if-none-match") == etag:
            return Reply(status=304, headers={"ETag": etag})
        if cuts:
            return Reply(raw=cuts.pop(), headers={"ETag": etag})
        return Reply([issue(1)], headers={"ETag": etag})

    bed.stub.get(LIST, answer)
    with pytest.raises(Unavailable):
        bed.tracker.read_issues()
    assert [found.number for found in bed.tracker.read_issues()] == [1]


def test_checks_without_an_end_end(bed: Bed) -> None:
    """A server that does not know of pages gives the first one again and again."""
    run = {"name": "ci", "status": "completed", "conclusion": "success"}
    bed.stub.get(f"{ROOT}/commits/{'a' * 40}/check-runs", Reply({"check_runs": [run] * 100}))
    with pytest.raises(GitHubError, match="do not end"):
        list(GitHubChecks(bed.client)._runs("a" * 40))


def test_checks_that_are_not_told_are_not_none(bed: Bed) -> None:
    bed.stub.get(f"{ROOT}/commits/{'a' * 40}/check-runs", Reply({"message": "odd"}))
    with pytest.raises(Unavailable, match="check_runs"):
        list(GitHubChecks(bed.client)._runs("a" * 40))


def test_what_is_never_asked_again_is_not_kept_for_ever(bed: Bed) -> None:
    """Each poll asks from another instant on: what it was told may be dropped, and is bounded."""
    bed.stub.get(LIST, Reply([issue(1)], headers={"ETag": '"1"'}))
    for _ in range(20):
        bed.clock.advance(60)
        assert bed.people.commented_since(bed.clock.now()) == (1,)
    assert len(bed.client._pages._whole) <= 1


# --- where it leads ---------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["http://[::1", "http://127.0.0.1:99999/x", "//[", "\\\\x"])
def test_a_page_or_a_redirect_that_is_no_address_is_refused(bed: Bed, target: str) -> None:
    bed.stub.get(LIST, Reply([issue(1)], headers={"Link": f'<{target}>; rel="next"'}))
    with pytest.raises(GitHubError):
        bed.client.listing(LIST)
    bed.stub.get("/user", Reply(status=302, headers={"Location": target}))
    with pytest.raises(GitHubError):
        bed.client.get("/user")


def test_a_webhook_that_leads_to_no_address_is_not_ours(bed: Bed) -> None:
    hooks = [{"id": n, "active": True, "config": {"url": url}} for n, url in enumerate(ODD_HOOKS)]
    bed.stub.get(f"{ROOT}/hooks", Reply(hooks))
    assert GitHubHooks(bed.client, None)._ours() == ()


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "https://api.github.com:port",
        "https://api.github.com:99999",
        "https://me:hidden@api.github.com",
        "https://api.github.com/?access_token=hidden",
        "https://api.github.com/#x",
        "https://api. github.com",
        "https://api.github.com/v3 ",
        "https://api.github.com\\@example.com",
    ],
)
def test_an_api_url_that_cannot_be_meant_is_refused_unshown(url: str, clock: FakeClock) -> None:
    with pytest.raises(ConfigError, match=r"tracker\.api_url") as caught:
        Door(url, clock)
    assert "hidden" not in str(caught.value) + caught.value.next_step


def test_a_host_has_one_name_in_whatever_case_and_with_its_port(
    stub: Stub, clock: FakeClock
) -> None:
    """Pages and redirects name it as GitHub does, not as the operator has typed it."""
    typed = stub.url.replace("127.0.0.1", "LocalHost")
    door = Door(f"{typed}//", clock)
    stub.get("/two", Reply({"id": 2}))
    answer = door.send(Ask("GET", f"{typed.lower()}/two"), f"Bearer {TOKEN}")
    assert answer.status == 200
    door.close()
    public = Door("https://API.GitHub.com:443", clock)
    public._refuse_elsewhere(Ask("GET", "/x"), "https://api.github.com/repositories/1")
    with pytest.raises(GitHubError, match="no credential of ours"):
        public._refuse_elsewhere(Ask("GET", "/x"), "https://api.github.com:8443/repositories/1")


# --- proxies ----------------------------------------------------------------------------------


def test_what_runs_on_this_machine_is_asked_without_the_proxy(
    stub: Stub, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    bed = build(stub, clock)
    stub.get("/user", Reply({"id": 1}))
    stub.on("POST", "/x", Reply({"id": 2}, 201))
    assert bed.client.get("/user") == {"id": 1}
    assert bed.client.write("POST", "/x", {}) == {"id": 2}
    bed.door.close()


@pytest.mark.parametrize("proxy", ["http://me:hidden/word@h:1", "http://me:hidden#word@h:1"])
def test_a_proxy_that_was_mistyped_is_not_quoted(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, proxy)
    door = Door("https://api.github.com", clock)
    with pytest.raises(GitHubError) as caught:
        door.send(Ask("GET", "/x"), f"Bearer {TOKEN}")
    assert "hidden" not in str(caught.value) + caught.value.next_step
    assert "proxy" in str(caught.value)
    door.close()


def test_a_proxy_that_is_not_there_is_told_in_plain_words(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    door = Door("https://api.github.com", clock)
    with pytest.raises(Unavailable, match=r"proxy.*refused$"):
        door.send(Ask("GET", "/x"), f"Bearer {TOKEN}")
    door.close()
