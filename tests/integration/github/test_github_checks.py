"""What a failed check left behind: annotations, and the end of a log on another host."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from repoagents.bootstrap import SystemClock
from repoagents.domain.pull_request import Annotation as Remark
from repoagents.domain.pull_request import CheckDetail, CheckRun
from repoagents.domain.settings import TrackerSettings
from repoagents.errors import Forbidden, GitHubError, Unavailable
from repoagents.github.auth import Surroundings
from repoagents.github.checks import LOG_BYTES, GitHubChecks
from repoagents.github.client import Door
from repoagents.github.connection import GitHub, connect
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.loopback import BOT
from repoagents.rehearsal.hub.records import Annotation
from tests.fakes.clock import FakeClock
from tests.fakes.world import ListJournal
from tests.integration.github.stub import ROOT, Bed, Reply, Stub

JOB = CheckRun("ci", "failure", id=7, has_log=True)
NOTES, LOG = f"{ROOT}/check-runs/7/annotations", f"{ROOT}/actions/jobs/7/logs"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LoopbackGitHub]:
    """A repository with one commit."""
    with LoopbackGitHub(tmp_path / "hub", SystemClock(), os.environ, "example/work") as made:
        made.add_account("mia", "write")
        made.commit_on("main", by="mia", files={"a.txt": "one\n"}, message="Start")
        yield made


def connected(hub: LoopbackGitHub, folder: Path, token: str) -> GitHub:
    settings = TrackerSettings(repo="example/work", api_url=hub.url)
    around = Surroundings({"GITHUB_TOKEN": token}, folder, lambda: "")
    return connect(settings, around, {}, SystemClock(), ListJournal())


def failed(hub: LoopbackGitHub, github: GitHub, **left: object) -> CheckRun:
    """A job that has failed, as the bot reads it."""
    hub.set_check(hub.heads["main"], "ci", "failure", **left)
    (check,) = GitHubChecks(github.client).of(hub.heads["main"])
    return check


def test_annotations_and_the_log_of_a_job_are_read(hub: LoopbackGitHub, tmp_path: Path) -> None:
    github = connected(hub, tmp_path, hub.token_of(BOT))
    left = [Annotation("b.py", 0, "slow", "warning"), Annotation("a.py", 2, "1 != 2")]
    check = failed(hub, github, log="so\nit\nfailed\n", annotations=left)
    assert check.has_log
    assert github.tracker.pulls.check_detail(check) == CheckDetail(
        (Remark("a.py", 2, "failure", "1 != 2"), Remark("b.py", 0, "warning", "slow")),
        "so\nit\nfailed\n",
    )
    (fetched,) = hub.fetched
    assert fetched.path == f"/logs/{check.id}"
    assert "authorization" not in fetched.headers
    assert "cookie" not in fetched.headers
    assert hub.token_of(BOT) not in str(fetched)


@pytest.mark.parametrize(
    ("status", "queued"),
    [("queued", True), ("waiting", True), ("in_progress", False), ("completed", False)],
)
def test_a_check_run_says_whether_it_has_begun(bed: Bed, status: str, queued: bool) -> None:
    told = {"id": 7, "name": "ci", "status": status, "conclusion": None}
    bed.stub.get(f"{ROOT}/commits/abc/check-runs", Reply({"check_runs": [told]}))
    bed.stub.get(f"{ROOT}/commits/abc/status", Reply({"statuses": []}))
    (check,) = GitHubChecks(bed.client).of("abc")
    assert check.queued is queued


def test_a_status_has_neither(hub: LoopbackGitHub, tmp_path: Path) -> None:
    github = connected(hub, tmp_path, hub.token_of(BOT))
    count = len(hub.requests)
    assert github.tracker.pulls.check_detail(CheckRun("old", "failure")) == CheckDetail()
    assert len(hub.requests) == count


def test_without_the_permission_it_is_said(hub: LoopbackGitHub, tmp_path: Path) -> None:
    token = hub.fine_grained_token(BOT, {"checks": "read", "statuses": "read"})
    github = connected(hub, tmp_path, token)
    check = failed(hub, github, log="secret\n")
    detail = github.tracker.pulls.check_detail(check)
    assert detail.log == ""
    assert detail.unread == ("its log cannot be read: the bot's credential lacks actions: read",)
    assert hub.fetched == ()


def detail(bed: Bed) -> CheckDetail:
    return bed.tracker.pulls.check_detail(JOB)


def handed_on(bed: Bed, location: str) -> None:
    bed.stub.get(NOTES, Reply([]))
    bed.stub.get(LOG, Reply(None, 302, {"Location": location}))


def test_only_the_end_of_a_long_log_is_kept(bed: Bed, elsewhere: Stub) -> None:
    log = b"".join(b"line %d\n" % number for number in range(100_000))
    elsewhere.get("/blob", Reply(raw=log))
    handed_on(bed, f"{elsewhere.url}/blob?sig=1")
    assert detail(bed).log.encode() == log[-LOG_BYTES:]
    (seen,) = elsewhere.seen
    assert seen.query == {"sig": "1"}
    assert "authorization" not in seen.headers


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(raw=b"gone", status=404), "answers 404"),
        (Reply(None, 302, {"Location": "http://127.0.0.1:1/again"}), "answers 302"),
        (Reply(raw=b"x" * 100, breaks="short"), "no whole answer"),
        (Reply(breaks="reset"), "no whole answer"),
        (Reply(breaks="hang"), "no whole answer"),
    ],
    ids=["gone", "redirect", "short", "reset", "silent"],
)
def test_a_host_that_gives_nothing_holds_up_nothing(
    bed: Bed, elsewhere: Stub, reply: Reply, why: str
) -> None:
    elsewhere.get("/blob", reply)
    bed.expect(reply)
    handed_on(bed, f"{elsewhere.url}/blob?sig=s3cret")
    (said,) = detail(bed).unread
    assert len(elsewhere.seen) == 1
    assert why in said
    assert "s3cret" not in said


def test_a_log_without_an_end_is_given_up(
    bed: Bed, elsewhere: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repoagents.github.client.MOST_BYTES", 1000)
    elsewhere.get("/blob", Reply(raw=b"x" * 2000))
    handed_on(bed, f"{elsewhere.url}/blob")
    assert "no whole answer" in detail(bed).unread[0]


@pytest.mark.parametrize(
    "location",
    ["", "/relative", "ftp://x/y", "http://example.com/log", "https://me:pw@x/", "https://[/log"],
)
def test_an_odd_address_is_not_asked(bed: Bed, location: str) -> None:
    handed_on(bed, location)
    (said,) = detail(bed).unread
    assert "its log cannot be read" in said


def test_github_itself_names_no_address_in_the_clear(clock: FakeClock) -> None:
    door = Door("https://api.github.example", clock)
    with pytest.raises(GitHubError, match="no https"):
        door.tail("http://127.0.0.1:1/log", 10)


@pytest.mark.parametrize(
    ("status", "why"),
    [(404, "it is gone, or"), (410, "it is gone, or"), (403, "lacks actions: read")],
)
def test_what_is_gone_or_forbidden_is_said(bed: Bed, status: int, why: str) -> None:
    bed.stub.get(NOTES, Reply({"message": "No"}, status))
    bed.stub.get(LOG, Reply({"message": "No"}, status))
    one, other = detail(bed).unread
    assert one.startswith("its annotations cannot be read")
    assert why in other


@pytest.mark.parametrize("status", [401, 502])
def test_an_outage_is_no_missing_permission(bed: Bed, status: int) -> None:
    bed.stub.get(NOTES, Reply([]))
    bed.stub.get(LOG, Reply({"message": "No"}, status))
    with pytest.raises((Unavailable, Forbidden)):
        detail(bed)


def test_a_log_that_github_keeps_itself_is_read_there(bed: Bed) -> None:
    bed.stub.get(NOTES, Reply([]))
    bed.stub.get(LOG, Reply(raw=b"here\n"))
    assert detail(bed) == CheckDetail(log="here\n")
