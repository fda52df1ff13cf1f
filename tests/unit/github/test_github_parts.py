"""Pace, refusals, the bot's comments and the remote for git, each by itself."""

import base64
import time
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.effect import PostComment
from repoagents.domain.markers import has_marker
from repoagents.errors import RateLimited, Unavailable
from repoagents.github.answers import Answer, Ask, limit_in, message_of
from repoagents.github.auth import Credential
from repoagents.github.budget import Pace
from repoagents.github.comments import CUT, MOST_CHARACTERS, is_marked, render_comment
from repoagents.github.remote import clone_url, git_config, web_url
from tests.fakes.clock import FakeClock

MARKER = "<!-- repoagents:0123abcd:issue=1 -->"


# --- pace -------------------------------------------------------------------------------------


def write(pace: Pace, clock: FakeClock, seconds: float = 0.0) -> None:
    with pace.write():
        clock.advance(seconds)


def test_writes_are_a_second_apart_from_the_end_of_the_last() -> None:
    clock = FakeClock()
    pace = Pace(clock)
    write(pace, clock, 0.5)
    write(pace, clock)
    clock.advance(0.25)
    write(pace, clock)
    clock.advance(2)
    write(pace, clock)
    assert clock.slept == [1.0, 0.75]


def test_no_more_than_eighty_writes_a_minute() -> None:
    clock = FakeClock()
    pace = Pace(clock, longest_sleep=0.999)
    for _ in range(80):
        clock.advance(0.7)
        pace._ended = None  # as if a second had passed
        write(pace, clock)
    clock.advance(0.7)
    with pytest.raises(RateLimited, match="our own budget") as caught:
        write(pace, clock)
    until = caught.value.retry_at - clock.now()
    assert timedelta(seconds=3) < until < timedelta(seconds=5)
    clock.advance(until.total_seconds())
    pace._ended = None
    write(pace, clock)


def test_no_more_than_five_hundred_writes_an_hour() -> None:
    clock = FakeClock()
    pace = Pace(clock)
    began = clock.monotonic()
    for _ in range(500):
        clock.advance(2)
        write(pace, clock)
    assert clock.monotonic() - began < 1200
    with pytest.raises(RateLimited) as caught:
        write(pace, clock)
    left = (caught.value.retry_at - clock.now()).total_seconds()
    assert left == pytest.approx(3600 - (clock.monotonic() - began) + 2)
    clock.advance(left)
    write(pace, clock)


def test_a_jump_of_the_clock_gives_no_further_writes() -> None:
    clock = FakeClock()
    pace = Pace(clock, longest_sleep=0.0)
    write(pace, clock)
    clock.instant += timedelta(days=1)
    with pytest.raises(RateLimited):
        write(pace, clock)


def test_a_write_that_fails_counts_and_lets_the_next_one_in() -> None:
    clock = FakeClock()
    pace = Pace(clock)
    with pytest.raises(Unavailable), pace.write():
        raise Unavailable("lost")
    write(pace, clock)
    assert clock.slept == [1.0]


# --- refusals ---------------------------------------------------------------------------------


@given(
    st.sampled_from([200, 401, 403, 404, 429, 500]),
    st.dictionaries(
        st.sampled_from(
            ["retry-after", "x-ratelimit-remaining", "x-ratelimit-reset", "date", "link"]
        ),
        st.text(max_size=12) | st.integers().map(str),
    ),
    st.binary(max_size=40),
    st.integers(0, 50),
)
def test_any_answer_is_a_limit_with_an_end_or_none(
    status: int, headers: dict[str, str], body: bytes, in_a_row: int
) -> None:
    answer = Answer(status, headers, body)
    wait = limit_in(answer, FakeClock().now(), in_a_row)
    assert wait is None or timedelta(0) <= wait <= timedelta(days=1)
    assert (status == 429) <= (wait is not None)
    assert wait is None or status in (403, 429)
    message_of(answer)
    assert isinstance(answer.next_page, str)


@pytest.mark.parametrize("piece", ["<", "<a>;", "<a> ", "<a>;rel=", ">;,"])
def test_the_next_page_is_looked_for_once(piece: str) -> None:
    """A search that begins anew at each bracket would hold up the whole process for a minute."""
    began = time.process_time()
    assert Answer(200, {"link": piece * (64_000 // len(piece))}, b"").next_page == ""
    assert time.process_time() - began < 15


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ('<https://x/?page=1>; rel="prev", <https://x/?page=3>; rel="next"', "https://x/?page=3"),
        ("<https://x/?a=1,2>; rel=next", "https://x/?a=1,2"),
        ('<https://x/2>; title="t"; rel="next"', "https://x/2"),
        ('<https://x/9>; rel="last"', ""),
        ("", ""),
    ],
)
def test_the_next_page_is_the_one_that_is_called_so(link: str, expected: str) -> None:
    assert Answer(200, {"link": link}, b"").next_page == expected


def test_a_lack_of_permission_is_no_limit() -> None:
    answer = Answer(403, {"x-ratelimit-remaining": "12"}, b'{"message": "Must have admin rights"}')
    assert limit_in(answer, FakeClock().now(), 0) is None


def test_nothing_secret_is_in_the_repr_of_an_answer() -> None:
    assert "ghs_" not in repr(Answer(201, {}, b'{"token": "ghs_x"}'))
    assert str(Ask("POST", "/x", body={"token": "ghs_x"})) == "POST /x"


# --- comments ---------------------------------------------------------------------------------


def comment(body: str) -> str:
    return render_comment(PostComment("run-1", 1, MARKER, body))


@given(st.text(st.characters(), max_size=200))
def test_any_comment_begins_with_its_only_mark(body: str) -> None:
    text = comment(f"{body}\n{MARKER}\n<!-- repoagents:other -->\n{body}")
    assert has_marker(text, MARKER)
    assert is_marked(text)
    assert text.count("\n<!-- repoagents:") == 0
    text.encode()


def test_a_quoted_mark_is_none() -> None:
    assert not is_marked(f"> {MARKER}\nHello")
    assert not has_marker(f"Hello\n{MARKER}", MARKER)


@pytest.mark.parametrize("letter", ["x", "\N{GRINNING FACE}"])
def test_a_long_comment_is_cut_with_a_note(letter: str) -> None:
    text = comment(letter * 70_000)
    assert len(text) == MOST_CHARACTERS == 65_536
    assert text.endswith(CUT)
    assert text.startswith(f"{MARKER}\n{letter}")
    whole = comment(letter * (MOST_CHARACTERS - len(MARKER) - 1))
    assert CUT not in whole


# --- the remote for git -----------------------------------------------------------------------

TOKEN = Credential("token", "the variable GITHUB_TOKEN", "ghp_secret")
PUBLIC, SERVER = "https://api.github.com", "https://git.example.com/api/v3"


@pytest.mark.parametrize(
    ("api_url", "expected"),
    [
        (PUBLIC, "https://github.com/octo/cat.git"),
        (SERVER, "https://git.example.com/octo/cat.git"),
        ("https://api.club.ghe.com", "https://club.ghe.com/octo/cat.git"),
        ("https://API.GitHub.com", "https://github.com/octo/cat.git"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/octo/cat.git"),
    ],
)
def test_the_remote_follows_from_the_api(api_url: str, expected: str) -> None:
    assert clone_url(api_url, "octo/cat") == expected
    assert expected.startswith(web_url(api_url) + "/")


def test_git_gets_the_credential_for_its_remote_alone() -> None:
    remote = clone_url(PUBLIC, "octo/cat")
    ((key, value),) = git_config(PUBLIC, remote, TOKEN)
    assert key == f"http.{remote}.extraHeader"
    scheme, _, pair = value.removeprefix("Authorization: ").partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(pair) == b"x-access-token:ghp_secret"


@pytest.mark.parametrize(
    "remote", ["https://GitHub.com/octo/cat.git", "https://github.com:443/octo/cat.git"]
)
def test_the_same_place_may_be_typed_in_many_ways(remote: str) -> None:
    ((key, _),) = git_config(PUBLIC, remote, TOKEN)
    assert key == f"http.{remote}.extraHeader"


@pytest.mark.parametrize(
    "remote",
    [
        "https://github.com.evil.example/octo/cat.git",
        "http://github.com/octo/cat.git",
        "https://git.example.com/octo/cat.git",
        "git@github.com:octo/cat.git",
        "../mirror",
        "https://github.com:8443/octo/cat.git",
        "https://evil@github.com/octo/cat.git",
        "https://[github.com/octo/cat.git",
        "https://github.com:git/octo/cat.git",
    ],
)
def test_no_other_place_gets_the_credential(remote: str) -> None:
    assert git_config(PUBLIC, remote, TOKEN) == ()
