"""The traps of the way to GitHub, each over real HTTP: what is sent, how often, and to whom."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from repoagents.domain.pulse import Pause
from repoagents.errors import (
    ConfigError,
    Forbidden,
    GitHubError,
    NotFound,
    RateLimited,
    Unavailable,
)
from repoagents.github.answers import Ask
from repoagents.github.client import Door
from tests.fakes.clock import FakeClock
from tests.integration.github.stub import ROOT, TOKEN, Bed, Reply, Seen, Stub, build

LIST, COMMENTS = f"{ROOT}/issues", f"{ROOT}/issues/1/comments"
BODY = {"body": "Hello."}
LOST: dict[str, Reply] = {
    "502": Reply(raw=b"<html>Unicorn!</html>", status=502, headers={"Content-Type": "text/html"}),
    "500": Reply({"message": "Server Error"}, 500),
    "reset": Reply(breaks="reset"),
    "short": Reply(BODY, breaks="short"),
    "silent": Reply(breaks="hang"),
}


# --- what is sent -----------------------------------------------------------------------------


def test_every_request_says_who_asks_and_in_which_version(bed: Bed) -> None:
    bed.stub.get(LIST, Reply([]))
    bed.stub.on("POST", COMMENTS, Reply({}, 201))
    bed.client.listing(LIST)
    bed.client.write("POST", COMMENTS, BODY)
    for seen in bed.stub.seen:
        assert seen.headers["x-github-api-version"] == "2022-11-28"
        assert seen.headers["accept"] == "application/vnd.github+json"
        assert seen.headers["authorization"] == f"Bearer {TOKEN}"
        assert seen.headers["user-agent"].startswith("repoagents/")
    assert bed.stub.seen[1].body == BODY


def test_a_netrc_of_the_operator_does_not_replace_the_credential(
    bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    bed.stub.get("/user", Reply({"id": 1}))
    bed.client.get("/user")
    assert bed.stub.seen[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_cookies_are_not_kept(bed: Bed) -> None:
    bed.stub.get("/user", Reply({"id": 1}, headers={"Set-Cookie": "session=1; Path=/"}))
    bed.client.get("/user")
    bed.client.get("/user")
    assert ["cookie" in seen.headers for seen in bed.stub.seen] == [False, False]


def test_an_enterprise_server_has_its_api_below_a_path(stub: Stub, clock: FakeClock) -> None:
    bed = build(stub, clock, prefix="/api/v3")
    stub.get(f"/api/v3{LIST}", Reply([]))
    stub.on("POST", "/api/graphql", Reply({"data": {"viewer": {"login": "x"}}}))
    bed.client.listing(LIST)
    assert bed.client.query("query { viewer { login } }") == {"viewer": {"login": "x"}}
    assert stub.asked == [f"GET /api/v3{LIST}", "POST /api/graphql"]
    bed.door.close()


@pytest.mark.parametrize(
    "url", ["ftp://example.com", "https://me:secret@example.com", "api.github.com", "https://"]
)
def test_an_odd_api_url_is_refused(url: str, clock: FakeClock) -> None:
    with pytest.raises(ConfigError, match=r"tracker\.api_url"):
        Door(url, clock)


def test_a_token_never_goes_out_in_the_clear(clock: FakeClock) -> None:
    with pytest.raises(ConfigError, match="in the clear"):
        Door("http://github.example.com/api/v3", clock)


def test_threads_do_not_mix_up_their_requests(bed: Bed) -> None:
    def echo(seen: Seen) -> Reply:
        time.sleep(0.002)
        return Reply({"path": seen.path})

    paths = [f"{ROOT}/issues/{number}" for number in range(40)]
    for path in paths:
        bed.stub.get(path, echo)
    answers: dict[str, object] = {}

    def ask(path: str) -> None:
        answers[path] = bed.client.get(path)["path"]

    threads = [threading.Thread(target=ask, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {path: path for path in paths}


# --- what is sent again -----------------------------------------------------------------------


@pytest.mark.parametrize("reply", LOST.values(), ids=LOST)
def test_a_write_is_sent_once_whatever_becomes_of_its_answer(bed: Bed, reply: Reply) -> None:
    bed.stub.on("POST", COMMENTS, reply)
    bed.expect(reply)
    with pytest.raises(Unavailable, match=f"POST {COMMENTS}"):
        bed.client.write("POST", COMMENTS, BODY)
    assert bed.stub.count("POST") == 1


@pytest.mark.parametrize("verb", ["POST", "PATCH", "PUT", "DELETE"])
def test_no_kind_of_write_is_sent_twice(bed: Bed, verb: str) -> None:
    bed.stub.on(verb, COMMENTS, LOST["502"])
    with pytest.raises(Unavailable):
        bed.client.write(verb, COMMENTS, BODY)
    assert bed.stub.count(verb) == 1


@pytest.mark.parametrize("name", ["502", "500", "reset"])
def test_a_read_is_tried_again(bed: Bed, name: str) -> None:
    bed.stub.get("/user", LOST[name], Reply({"id": 1}))
    assert bed.client.get("/user") == {"id": 1}


def test_a_read_that_keeps_failing_is_told(bed: Bed) -> None:
    bed.stub.get("/user", LOST["502"])
    with pytest.raises(Unavailable, match="502") as caught:
        bed.client.get("/user")
    assert bed.stub.count("GET") == 3
    assert caught.value.kind == "unreachable"
    assert "githubstatus" in caught.value.next_step


def test_a_retry_after_of_a_failing_server_is_not_slept_by_the_library(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    bed.stub.get("/user", Reply({}, 503, {"Retry-After": "20"}), Reply({"id": 1}))
    assert bed.client.get("/user") == {"id": 1}
    assert max(slept, default=0) < 1


def test_a_write_goes_out_on_a_connection_of_its_own(bed: Bed) -> None:
    """On a connection that was kept open, a broken one would leave the outcome unknown."""
    bed.stub.get("/user", Reply({"id": 1}))
    bed.stub.on("POST", COMMENTS, Reply({"id": 1}, 201))
    bed.client.get("/user")
    bed.client.write("POST", COMMENTS, BODY)
    bed.client.get("/user")
    first, write, second = (seen.connection for seen in bed.stub.seen)
    assert first == second != write


def test_nobody_listening_is_told(clock: FakeClock) -> None:
    door = Door("http://127.0.0.1:9", clock)
    with pytest.raises(Unavailable, match="refused") as caught:
        door.send(Ask("POST", "/x", body={}), f"Bearer {TOKEN}")
    assert "tracker.api_url" in caught.value.next_step
    assert TOKEN not in str(caught.value)
    door.close()


# --- redirects --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirected_listing_keeps_its_query(bed: Bed, status: int) -> None:
    target = f"{bed.stub.url}/repositories/1/issues"
    bed.stub.get(LIST, Reply(status=status, headers={"Location": target}))
    bed.stub.get("/repositories/1/issues", Reply([]))
    bed.client.listing(LIST, {"state": "all", "labels": "a b"})
    first, second = bed.stub.seen
    assert first.query == second.query == {"state": "all", "labels": "a b", "per_page": "100"}
    assert second.headers["authorization"] == f"Bearer {TOKEN}"
    assert bed.journal.codes() == ["github_moved"]
    bed.client.listing(LIST)
    assert bed.journal.codes() == ["github_moved"], "said once"


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirected_write_is_the_same_write(bed: Bed, status: int) -> None:
    target = f"{bed.stub.url}/repositories/1/issues/1/comments"
    bed.stub.on("POST", COMMENTS, Reply(status=status, headers={"Location": target}))
    bed.stub.on("POST", "/repositories/1/issues/1/comments", Reply({"id": 5}, 201))
    assert bed.client.write("POST", COMMENTS, BODY) == {"id": 5}
    assert [seen.body for seen in bed.stub.seen] == [BODY, BODY]


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_write_that_is_redirected_otherwise_fails(bed: Bed, status: int) -> None:
    target = f"{bed.stub.url}/elsewhere"
    bed.stub.on("POST", COMMENTS, Reply(status=status, headers={"Location": target}))
    with pytest.raises(GitHubError, match="nothing was written") as caught:
        bed.client.write("POST", COMMENTS, BODY)
    assert len(bed.stub.seen) == 1
    assert "tracker.repo" in caught.value.next_step


@pytest.mark.parametrize("status", [307, 308])
def test_a_write_does_not_follow_an_issue_into_another_repository(bed: Bed, status: int) -> None:
    target = f"{bed.stub.url}/repositories/2/issues/78/comments"
    bed.stub.on("POST", COMMENTS, Reply(status=status, headers={"Location": target}))
    with pytest.raises(GitHubError, match="nothing was written"):
        bed.client.write("POST", COMMENTS, BODY)
    assert len(bed.stub.seen) == 1


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_another_host_gets_neither_request_nor_credential(
    bed: Bed, elsewhere: Stub, verb: str
) -> None:
    bed.stub.on(verb, LIST, Reply(status=307, headers={"Location": f"{elsewhere.url}{LIST}"}))
    ask = Ask(verb, LIST, body=None if verb == "GET" else BODY)
    with pytest.raises(GitHubError, match="no credential of ours"):
        bed.door.send(ask, f"Bearer {TOKEN}")
    assert elsewhere.seen == []


@pytest.mark.parametrize("location", ["", "ftp://127.0.0.1/x", "//127.0.0.1:1/x"])
def test_an_odd_redirect_is_refused(bed: Bed, location: str) -> None:
    bed.stub.get(LIST, Reply(status=302, headers={"Location": location} if location else {}))
    with pytest.raises(GitHubError):
        bed.client.listing(LIST)
    assert {seen.path for seen in bed.stub.seen} <= {LIST, "/"}


def test_redirects_in_circles_end(bed: Bed) -> None:
    bed.stub.get(LIST, Reply(status=302, headers={"Location": f"{bed.stub.url}{LIST}"}))
    with pytest.raises(GitHubError, match="circles"):
        bed.client.listing(LIST)
    assert len(bed.stub.seen) == 4


# --- answers that are none --------------------------------------------------------------------

HTML = {"Content-Type": "text/html"}
UNUSABLE: dict[str, Reply] = {
    "html": Reply(raw=b"<html>Hello</html>", headers=HTML),
    "cut": Reply(raw=b'{"id": 1, "body": "x'),
    "deep": Reply(raw=b"[" * 200_000),
    "bytes": Reply(raw=b'{"id": "\xff\xfe"}'),
    "short": Reply({"id": 1, "body": "x" * 100}, breaks="short"),
    "gzip": Reply(raw=b"not gzip", headers={"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("reply", UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_answer_is_told_and_nothing_else_is_raised(bed: Bed, reply: Reply) -> None:
    bed.stub.get("/user", reply)
    with pytest.raises(Unavailable, match="GET /user"):
        bed.client.get("/user")


@pytest.mark.parametrize("content", [b"{}", b"null", b'"x"', b"3", b""])
def test_a_listing_that_is_no_list_is_not_taken_for_an_empty_one(bed: Bed, content: bytes) -> None:
    bed.stub.get(LIST, Reply(raw=content))
    with pytest.raises(Unavailable, match="not a list"):
        bed.client.listing(LIST)


def test_an_endless_processing_answer_ends(bed: Bed) -> None:
    bed.stub.get("/user", Reply({}, 202))
    bed.client.get("/user")
    assert len(bed.stub.seen) == 1, "PyGithub waits two seconds and asks again, for ever"


def test_an_answer_that_trickles_in_is_given_up(stub: Stub, clock: FakeClock) -> None:
    """The time for the whole is measured; here every look at the clock takes half a minute."""

    class Hasty(FakeClock):
        def monotonic(self) -> float:
            self.advance(30)
            return super().monotonic()

    stub.get("/user", Reply(raw=b'"' + b"x" * 3_000_000 + b'"'))
    bed = build(stub, Hasty())
    with pytest.raises(Unavailable, match="too slowly"):
        bed.client.get("/user")
    bed.door.close()


def test_an_answer_without_end_is_given_up(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repoagents.github.client.MOST_BYTES", 1000)
    bed.stub.get("/user", Reply({"x": "y" * 2000}))
    with pytest.raises(Unavailable, match="larger than"):
        bed.client.get("/user")


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "kind", "step"),
    [
        (Reply({"message": "Bad credentials"}, 401), "auth", "doctor"),
        (Reply({"message": "Resource not accessible"}, 403), "forbidden", "permission"),
        (
            Reply({"message": "No"}, 403, {"X-Accepted-GitHub-Permissions": "issues=write"}),
            "forbidden",
            "issues=write",
        ),
        (Reply({"message": "SSO"}, 403, {"X-GitHub-SSO": "required; url=x"}), "forbidden", "sign-"),
        (Reply({"message": "Not Found"}, 404), "not_found", "may write"),
        (Reply({"message": "Gone"}, 410), "not_found", "may write"),
    ],
)
def test_a_refusal_says_what_to_do(bed: Bed, reply: Reply, kind: str, step: str) -> None:
    bed.stub.on("POST", COMMENTS, reply)
    with pytest.raises(GitHubError) as caught:
        bed.client.write("POST", COMMENTS, BODY)
    assert isinstance(caught.value, Forbidden | NotFound)
    assert caught.value.kind == kind
    assert step in caught.value.next_step
    assert str(reply.status) in str(caught.value)
    assert reply.json["message"] in str(caught.value)


def test_a_refused_field_is_named(bed: Bed) -> None:
    errors = [{"message": "body is too long (maximum is 65536 characters)"}, {"field": "x"}, "y"]
    bed.stub.on("POST", COMMENTS, Reply({"message": "Validation Failed", "errors": errors}, 422))
    with pytest.raises(GitHubError, match="Validation Failed; body is too long") as caught:
        bed.client.write("POST", COMMENTS, BODY)
    assert caught.value.kind == "failed"


def test_what_github_says_cannot_write_on_the_terminal(bed: Bed) -> None:
    bed.stub.get("/user", Reply({"message": "Gone\n\x1b]8;;evil\x07" + "x" * 900}, 404))
    with pytest.raises(NotFound) as caught:
        bed.client.get("/user")
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


# --- limits -----------------------------------------------------------------------------------

AHEAD = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0"}


def limited(clock: FakeClock, status: int, seconds: int) -> Reply:
    """GitHub's primary limit, by a clock of its own that is an hour ahead."""
    reset = int(clock.now().timestamp()) + 3600 + seconds
    date = "Wed, 04 Mar 2026 06:06:07 GMT"
    headers = {**AHEAD, "X-RateLimit-Reset": str(reset), "Date": date}
    return Reply({"message": "API rate limit exceeded for user."}, status, headers)


@pytest.mark.parametrize("status", [403, 429])
def test_an_hour_of_waiting_is_told_not_slept(bed: Bed, status: int) -> None:
    bed.stub.get("/user", limited(bed.clock, status, 1800))
    with pytest.raises(RateLimited, match="rate limit") as caught:
        bed.client.get("/user")
    assert (caught.value.retry_at - bed.clock.now()).total_seconds() == 1801
    assert caught.value.kind == "rate_limited"
    assert bed.clock.slept == []
    with pytest.raises(RateLimited):
        bed.client.write("POST", COMMENTS, BODY)
    assert len(bed.stub.seen) == 1, "whoever goes on asking may be banned"
    bed.clock.advance(1801)
    bed.stub.get("/user", Reply({"id": 1}))
    assert bed.client.get("/user") == {"id": 1}


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_a_short_retry_after_is_waited_for_by_the_clock(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, status: int, verb: str
) -> None:
    told = Reply({"message": "Slow down."}, status, {"Retry-After": "5"})
    bed.stub.on(verb, COMMENTS, told, Reply({"id": 1}))
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    if verb == "GET":
        bed.client.get(COMMENTS)
    else:
        bed.client.write(verb, COMMENTS, BODY)
    assert slept == [], "the library slept"
    assert bed.clock.slept == [5.0]
    assert bed.stub.count(verb) == 2


def test_a_long_retry_after_is_told(bed: Bed) -> None:
    bed.stub.get("/user", Reply({"message": "x"}, 403, {"Retry-After": "6"}))
    with pytest.raises(RateLimited):
        bed.client.get("/user")
    assert bed.clock.slept == []


def test_a_429_without_a_time_is_a_limit_that_doubles(bed: Bed) -> None:
    bed.stub.get("/user", Reply({"message": "Too Many"}, 429))
    waits = []
    for _ in range(6):
        with pytest.raises(RateLimited) as caught:
            bed.client.get("/user")
        waits.append((caught.value.retry_at - bed.clock.now()).total_seconds())
        bed.clock.advance(waits[-1])
    assert waits == [60, 120, 240, 480, 960, 960]
    assert bed.stub.count("GET") == 6


def test_a_secondary_limit_is_known_by_its_words(bed: Bed) -> None:
    words = "You have exceeded a secondary rate limit. Please wait a few minutes."
    bed.stub.get("/user", Reply({"message": words}, 403))
    with pytest.raises(RateLimited):
        bed.client.get("/user")


def test_limits_without_end_end(bed: Bed) -> None:
    bed.stub.get("/user", Reply({"message": "x"}, 429, {"Retry-After": "0"}))
    with pytest.raises(RateLimited):
        bed.client.get("/user")
    assert bed.stub.count("GET") == 3


@pytest.mark.parametrize("value", ["soon", "nan", "-1", "inf", "", "9" * 400])
def test_an_odd_retry_after_is_still_a_limit(bed: Bed, value: str) -> None:
    bed.stub.get("/user", Reply({"message": "x"}, 429, {"Retry-After": value}))
    with pytest.raises(RateLimited):
        bed.client.get("/user")


def test_a_retry_after_may_be_a_date(bed: Bed) -> None:
    later = "Wed, 04 Mar 2026 05:16:07 GMT"
    bed.stub.get("/user", Reply({"message": "x"}, 429, {"Retry-After": later}))
    with pytest.raises(RateLimited) as caught:
        bed.client.get("/user")
    assert (caught.value.retry_at - bed.clock.now()).total_seconds() == 600
    assert bed.client.pause == Pause(caught.value.retry_at, str(caught.value))
    bed.clock.advance(600)
    assert bed.client.pause is None, "it is over"


def test_the_quota_is_known_after_an_answer(bed: Bed) -> None:
    assert bed.client.quota is None
    headers = {**AHEAD, "X-RateLimit-Remaining": "4321", "X-RateLimit-Reset": "1772600000"}
    bed.stub.get("/user", Reply({"id": 1}, headers=headers))
    bed.client.get("/user")
    quota = bed.client.quota
    assert quota is not None
    assert (quota.limit, quota.remaining) == (5000, 4321)
    assert quota.reset_at.timestamp() == 1772600000
    bed.stub.get("/user", Reply({"id": 1}, headers={**headers, "X-RateLimit-Remaining": "lots"}))
    bed.client.get("/user")
    assert bed.client.quota == quota
    search = {**headers, "X-RateLimit-Resource": "search", "X-RateLimit-Remaining": "9"}
    bed.stub.get("/user", Reply({"id": 1}, headers=search))
    bed.client.get("/user")
    assert bed.client.quota == quota


def test_writes_of_many_threads_go_out_one_by_one(bed: Bed) -> None:
    together, most = 0, 0
    lock = threading.Lock()

    def slow(seen: Seen) -> Reply:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        time.sleep(0.02)
        with lock:
            together -= 1
        return Reply({"id": 1}, 201)

    bed.stub.on("POST", COMMENTS, slow)
    write: Callable[[], object] = lambda: bed.client.write("POST", COMMENTS, BODY)  # noqa: E731
    threads = [threading.Thread(target=write) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert bed.clock.slept == [1.0] * 4
    assert bed.stub.count("POST") == 5


# --- lag --------------------------------------------------------------------------------------


def test_what_a_server_does_not_know_yet_is_looked_for_again(bed: Bed) -> None:
    missing = Reply({"message": "Not Found"}, 404)
    bed.stub.get(f"{ROOT}/issues/1", missing, missing, Reply({"number": 1}))
    assert bed.client.look(f"{ROOT}/issues/1") == ({"number": 1}, False)
    assert bed.clock.slept == [1.0, 2.0]


def test_what_a_server_shows_as_it_was_before_is_looked_at_again(bed: Bed) -> None:
    path = f"{ROOT}/issues/1"
    before, after = (
        Reply({"number": 1, "updated_at": f"2026-01-02T03:04:0{second}Z"}) for second in (5, 6)
    )
    bed.stub.get(path, after, before, before, after)
    assert bed.client.look(path) == bed.client.look(path) == (after.json, False)
    assert bed.clock.slept == [1.0, 2.0]
    bed.stub.get(path, before)
    with pytest.raises(Unavailable, match="what was there before"):
        bed.client.look(path)
    bed.clock.advance(60)
    assert bed.client.look(path) == (before.json, False), "what does not catch up is the truth"


def test_what_is_not_there_is_told_soon(bed: Bed) -> None:
    with pytest.raises(NotFound):
        bed.client.look(f"{ROOT}/issues/1")
    assert bed.stub.count("GET") == 3
    with pytest.raises(NotFound):
        bed.client.get(f"{ROOT}/issues/1")
    assert bed.stub.count("GET") == 4


def test_a_graphql_error_is_told(bed: Bed) -> None:
    bed.stub.on("POST", "/graphql", Reply({"errors": [{"message": "No such field"}]}))
    with pytest.raises(GitHubError, match="No such field"):
        bed.client.query("query { x }")
