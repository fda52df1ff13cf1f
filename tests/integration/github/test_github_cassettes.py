"""What goes over the wire to GitHub, as it was recorded: another wording does not replay.

`pytest --regenerate` records against the loopback GitHub; otherwise no socket is opened.
"""

import hashlib
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_socket
from vcr import VCR
from vcr.cassette import Cassette
from vcr.errors import CannotOverwriteExistingCassetteException
from vcr.record_mode import RecordMode
from vcr.request import Request
from vcr.stubs import VCRHTTPResponse

from repoagents.domain.effect import (
    MergePullRequest,
    OpenDraftPullRequest,
    PostComment,
    React,
    SetLabel,
)
from repoagents.domain.issue import IssueState
from repoagents.domain.people import Permission
from repoagents.domain.pull_request import PullState
from repoagents.github.connection import GitHub
from repoagents.rehearsal.hub.loopback import BOT
from tests.fakes.clock import FakeClock
from tests.integration.github import loopback as story

APP = (1_000_009, 1_000_010)
"""The ids that the loopback GitHub gives to the bot's App and its installation."""
ANY_TOKEN = "ghp_" + "a1" * 18
CASSETTES = Path(__file__).with_name("cassettes")
SITE = "https://github.example"
API = f"{SITE}/api/v3"
TOKEN = re.compile(r"(gh[a-z]_|github_pat_)\w+|eyJ[\w.-]+|(?i:bearer|basic) \S+|-----BEGIN")
"""Whatever looks like a credential of GitHub's."""
MACHINE = re.compile(r"127\.0\.0\.1|localhost|\[::1\]|/(tmp|root|home|Users)/")
"""Whatever tells of the machine that recorded."""
ADDRESS = re.compile(r"https?://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")
SENT = ("accept", "content-type", "x-github-api-version")
"""Headers of a request that are part of what is said."""
KEPT = ("content-type", "link", "location", "x-ratelimit-limit", "x-ratelimit-resource")
"""Headers of an answer that say something to the bot and do not change from day to day."""


def read_issues(github: GitHub) -> None:
    (issue,) = github.tracker.read_issues()
    assert (issue.number, issue.title, issue.labels) == (1, "add() subtracts", (story.TRIGGER,))
    assert scrubbed(issue.source) == f"{SITE}/{story.REPO}/issues/1"


def read_an_issue_with_comments(github: GitHub) -> None:
    issue = github.tracker.read_issue(1)
    assert issue is not None
    assert (issue.state, issue.author) == (IssueState.OPEN, "maya")
    assert [comment.body for comment in issue.comments] == ["It did in 1.0, too."]


def comment(github: GitHub) -> None:
    assert github.tracker.find(story.STATUS) is None
    place = github.tracker.perform(story.STATUS)
    assert github.tracker.find(story.STATUS) == place
    assert github.tracker.perform(story.LATER) == place


def label(github: GitHub) -> None:
    github.tracker.perform(story.LABEL_ON)
    assert github.tracker.find(story.LABEL_ON)
    github.tracker.perform(story.LABEL_OFF)
    assert github.tracker.find(story.LABEL_ON) is None


def open_a_draft_pull_request(github: GitHub) -> None:
    assert github.tracker.find(story.PULL) is None
    place = github.tracker.perform(story.PULL)
    assert scrubbed(place) == f"{SITE}/{story.REPO}/pull/3"
    assert github.tracker.perform(story.REWORDED) == place


def merge_a_pull_request(github: GitHub) -> None:
    github.tracker.perform(story.PULL)
    pulls = github.tracker.pulls
    assert pulls is not None
    pull = pulls.pull_request(story.PULL.head)
    assert pull is not None
    assert (pull.state, pull.draft, pull.mergeable) == (PullState.OPEN, True, True)
    assert pulls.required_checks(pull.base) == ()
    pulls.mark_ready(pull.number)
    merge = MergePullRequest("run-1", 1, story.PULL.head, pull.head_sha)
    assert github.tracker.find(merge) is None
    place = github.tracker.perform(merge)
    assert github.tracker.find(merge) == place


def react(github: GitHub) -> None:
    issue = github.tracker.read_issue(1)
    assert issue is not None
    github.tracker.perform(React("", 1, issue.comments[0].id))


def ask_who_may_ask(github: GitHub) -> None:
    who = github.people.labelled_by(1, story.TRIGGER)
    assert who is not None
    assert github.people.permission(who.by.login) is Permission.MAINTAIN


def ask_who_changed_a_text(github: GitHub) -> None:
    issue = github.tracker.read_issue(1)
    assert issue is not None
    assert github.people.edits_since(issue, FakeClock().now()) == ()


def be_an_app(github: GitHub) -> None:
    assert github.people.viewer().login == "repoagents[bot]"
    assert github.client.credential().kind == "app"


CASES: dict[str, Callable[[GitHub], None]] = {
    case.__name__: case
    for case in (
        read_issues,
        read_an_issue_with_comments,
        comment,
        label,
        open_a_draft_pull_request,
        merge_a_pull_request,
        react,
        ask_who_may_ask,
        ask_who_changed_a_text,
        be_an_app,
    )
}


def scrubbed(text: str) -> str:
    """The text without an address of this machine and without a token."""
    return TOKEN.sub("scrubbed", ADDRESS.sub(SITE, text))


def scrub_request(request: Request) -> Request:
    request.uri = scrubbed(request.uri)
    request.headers = {
        name: value for name, value in request.headers.items() if name.lower() in SENT
    }
    return request


def scrub_answer(answer: dict[str, Any]) -> dict[str, Any]:
    """Only what the bot may look at, with an ETag and a length that fit the scrubbed body."""
    body = scrubbed(answer["body"]["string"].decode())
    headers = {
        name: [scrubbed(value) for value in values]
        for name, values in answer["headers"].items()
        if name.lower() in KEPT
    }
    digest = hashlib.sha256(body.encode()).hexdigest()[:16]
    headers |= {"ETag": [f'W/"{digest}"'], "Content-Length": [str(len(body.encode()))]}
    return {**answer, "headers": headers, "body": {"string": body.encode()}}


def tape(name: str, mode: RecordMode) -> AbstractContextManager[Cassette]:
    """The cassette of a case."""
    recorder = VCR(
        record_mode=mode,
        match_on=["method", "path", "query", "headers", "body"],
        before_record_request=scrub_request,
        before_record_response=scrub_answer,
    )
    tape: AbstractContextManager[Cassette] = recorder.use_cassette(str(CASSETTES / f"{name}.yaml"))
    return tape


def connected(name: str, api_url: str, folder: Path, token: str) -> GitHub:
    """The bot with the credential of a case."""
    if name == be_an_app.__name__:
        return story.connect_as_app(api_url, folder, APP)
    return story.connect_by_token(api_url, folder, token)


def record(name: str, folder: Path) -> None:
    """Play a case against the loopback GitHub and keep what was said."""
    (CASSETTES / f"{name}.yaml").unlink(missing_ok=True)
    with story.open_hub(folder) as hub:
        assert story.install(hub) == APP
        github = connected(name, hub.url, folder, hub.token_of(BOT))
        with tape(name, RecordMode.ONCE):
            CASES[name](github)


@pytest.fixture(autouse=True)
def answers_that_read_like_real_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """vcrpy's answers know `decode_content` in `read`, but not in `read1`."""

    def read1(self: VCRHTTPResponse, amount: int = -1, *, decode_content: bool = False) -> bytes:
        return bytes(self.read(amount))

    monkeypatch.setattr(VCRHTTPResponse, "read1", read1)


@pytest.fixture(scope="session")
def recorded(request: pytest.FixtureRequest) -> Callable[[str, Path], None]:
    """Record anew when that is asked for."""
    wanted = request.config.getoption("--regenerate")
    return record if wanted else lambda name, folder: None


@pytest.mark.parametrize("name", CASES)
def test_it_says_what_it_said(
    name: str, tmp_path: Path, recorded: Callable[[str, Path], None]
) -> None:
    recorded(name, tmp_path)
    pytest_socket.disable_socket(allow_unix_socket=True)
    with tape(name, RecordMode.NONE) as cassette:
        CASES[name](connected(name, API, tmp_path, ANY_TOKEN))
    assert cassette.all_played
    assert cassette.play_count == len(cassette)


@pytest.mark.parametrize(
    ("name", "effect"),
    [
        ("comment", replace(story.STATUS, body="Something else.")),
        ("label", replace(story.LABEL_ON, label="Something else")),
        ("open_a_draft_pull_request", replace(story.PULL, title="Something else")),
    ],
)
def test_another_wording_does_not_replay(
    name: str, effect: PostComment | SetLabel | OpenDraftPullRequest, tmp_path: Path
) -> None:
    github = connected(name, API, tmp_path, ANY_TOKEN)
    pytest_socket.disable_socket(allow_unix_socket=True)
    with (
        tape(name, RecordMode.NONE),
        pytest.raises(CannotOverwriteExistingCassetteException, match="closest differ in body"),
    ):
        github.tracker.perform(effect)


def test_no_cassette_tells_a_secret_or_of_a_machine() -> None:
    tapes = sorted(CASSETTES.iterdir())
    assert [tape.name for tape in tapes] == sorted(f"{name}.yaml" for name in CASES)
    for tape in tapes:
        text = tape.read_text(encoding="utf-8")
        assert not TOKEN.search(text), tape
        assert not MACHINE.search(text), tape
        assert "authorization" not in text.lower(), tape


@pytest.mark.parametrize(
    "secret",
    [
        *("ghp_" + "a1" * 18, "ghs_" + "b2" * 18, "github_pat_" + "c3" * 20),
        *("Bearer eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxIn0.c2lnbmVk", "-----BEGIN RSA PRIVATE KEY"),
    ],
)
def test_what_looks_like_a_secret_is_scrubbed(secret: str) -> None:
    text = scrubbed(f'{{"token": "{secret}", "url": "http://127.0.0.1:4711/api/v3"}}')
    assert secret not in text
    assert f'"url": "{API}"' in text
