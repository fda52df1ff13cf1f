"""Pull requests read whole and merged, on the loopback GitHub."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from repoagents.bootstrap import SystemClock
from repoagents.domain.effect import MergePullRequest, OpenDraftPullRequest, ReplyToRemark
from repoagents.domain.people import AccountKind
from repoagents.domain.pull_request import PullRequest, PullState, RequiredCheck, ReviewState
from repoagents.domain.settings import TrackerSettings
from repoagents.errors import GitHubError, NotFound
from repoagents.github.auth import Surroundings
from repoagents.github.connection import GitHub, connect
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.checks import Protection
from repoagents.rehearsal.hub.loopback import BOT
from tests.fakes.world import ListJournal

BRANCH = "repoagents/issue-1-a-bug"


@pytest.fixture
def hub(tmp_path: Path, git_repository: Callable[..., Path]) -> Iterator[LoopbackGitHub]:
    """A repository with a branch of the bot's, and an issue."""
    source = git_repository({"a.txt": "one\n"}, name="source")
    with LoopbackGitHub(tmp_path / "hub", SystemClock(), os.environ, "example/work") as made:
        made.seed(source)
        made.add_account("mia", "write")
        made.open_issue("A bug", "It is wrong.", by="mia")
        made.commit_on(BRANCH, by=BOT, files={"a.txt": "two\n"}, message="Mend it")
        yield made


@pytest.fixture
def github(hub: LoopbackGitHub, tmp_path: Path) -> GitHub:
    """The bot's view of it."""
    settings = TrackerSettings(repo="example/work", api_url=hub.url, clone_url=hub.clone_url)
    around = Surroundings({"GITHUB_TOKEN": hub.token_of(BOT)}, tmp_path, lambda: "")
    return connect(settings, around, {}, SystemClock(), ListJournal())


@pytest.fixture
def number(github: GitHub, hub: LoopbackGitHub) -> int:
    """The draft pull request's."""
    github.tracker.perform(OpenDraftPullRequest("r", 1, "Mend it", "Why.", BRANCH, "main"))
    return hub.pulls[-1].number


def read(github: GitHub) -> PullRequest:
    """The pull request as it stands."""
    found = github.tracker.pulls.pull_request(BRANCH)
    assert found is not None
    return found


def test_a_draft_is_read_whole(github: GitHub, hub: LoopbackGitHub, number: int) -> None:
    pull = read(github)
    assert (pull.number, pull.state, pull.draft) == (number, PullState.OPEN, True)
    assert pull.head_sha == hub.heads[BRANCH]
    assert (pull.base, pull.base_sha, pull.behind) == ("main", hub.heads["main"], False)
    assert pull.author_id == github.people.viewer().id
    assert (pull.reviews, pull.checks, pull.threads) == ((), (), ())
    assert github.tracker.pulls.pull_request("repoagents/other") is None


def test_a_base_that_moved_on_is_told(github: GitHub, hub: LoopbackGitHub, number: int) -> None:
    sha = hub.commit_on("main", by="mia", files={"b.txt": "new\n"}, message="More")
    pull = read(github)
    assert (pull.behind, pull.base_sha) == (True, sha)


def test_whether_it_can_be_merged_is_known_a_moment_later(
    github: GitHub, hub: LoopbackGitHub, number: int
) -> None:
    hub.forge.pulls.lazy = True
    hub.commit_on(BRANCH, by=BOT, files={"c.txt": "c\n"}, message="Again")
    known = {read(github).mergeable for _ in range(3)}
    assert True in known
    hub.commit_on("main", by="mia", files={"a.txt": "another\n"}, message="Elsewhere")
    assert False in {read(github).mergeable for _ in range(3)}


def test_reviews_come_oldest_first_with_their_commits(
    github: GitHub, hub: LoopbackGitHub, number: int
) -> None:
    hub.add_account("helper", "write", kind="Bot")
    hub.review(number, by="mia", state="CHANGES_REQUESTED")
    first = hub.heads[BRANCH]
    second = hub.commit_on(BRANCH, by=BOT, files={"a.txt": "three\n"}, message="Again")
    hub.review(number, by="mia", state="APPROVED")
    hub.review(number, by="helper", state="COMMENTED")
    words = [(r.author.login, r.author.kind, r.state, r.sha) for r in read(github).reviews]
    assert words == [
        ("mia", AccountKind.USER, ReviewState.CHANGES_REQUESTED, first),
        ("mia", AccountKind.USER, ReviewState.APPROVED, second),
        ("helper", AccountKind.BOT, ReviewState.COMMENTED, second),
    ]


def test_remarks_come_by_thread_oldest_first(
    github: GitHub, hub: LoopbackGitHub, number: int
) -> None:
    first = hub.remark(number, "Why two?", by="mia", path="a.txt", line=1)
    hub.remark(number, "And this?", by="mia", path="a.txt", line=1)
    issue, pull = hub.forge.pulls.read(number)
    ours = "<!-- repoagents:0123abcd:answers=1 -->\nBecause."
    for author, text in ((BOT, ours), ("mia", ours), ("mia", "No.")):
        hub.forge.checks.reply(issue, pull, author, text, first.id)
    thread, other = read(github).threads
    assert (thread.id, thread.path, thread.line) == (first.id, "a.txt", 1)
    said = [(r.author.login, r.body, r.ours) for r in thread.remarks]
    assert said == [
        ("mia", "Why two?", False),
        (BOT, ours, True),
        ("mia", ours, False),
        ("mia", "No.", False),
    ], "a mark alone makes nothing ours"
    assert [remark.body for remark in other.remarks] == ["And this?"]
    pull.remarks.remove(first)
    thread, *_ = sorted(read(github).threads, key=lambda thread: thread.id)
    assert (thread.id, len(thread.remarks)) == (first.id, 3), "it goes on without its first"


def test_a_review_comes_with_its_words(github: GitHub, hub: LoopbackGitHub, number: int) -> None:
    said = hub.review(number, by="mia", state="CHANGES_REQUESTED")
    said.body = "Not like this."
    (review,) = read(github).reviews
    assert (review.id, review.body) == (said.id, "Not like this.")


@pytest.mark.parametrize("fault", ["", "502 after commit"])
def test_a_reply_stands_once_in_its_thread(
    github: GitHub, hub: LoopbackGitHub, number: int, fault: str
) -> None:
    remark = hub.remark(number, "Why two?", by="mia", path="a.txt", line=1)
    reply = ReplyToRemark("r", 1, number, remark.id, "<!-- mark -->\nBecause.", remark.id)
    assert github.tracker.find(reply) is None
    if fault:
        hub.faults.next("POST", "*/replies", fault)
    place = github.tracker.perform(reply)
    assert github.tracker.find(reply) == place
    later = replace(reply, body="<!-- mark -->\nBecause, at another commit.")
    assert github.tracker.find(later) == place, "it is known by its mark, whatever it says"
    assert github.tracker.find(replace(reply, body="Other.")) is None
    (thread,) = read(github).threads
    assert [r.body for r in thread.remarks] == ["Why two?", reply.body], "no thread of its own"


@pytest.mark.parametrize("fault", ["", "502 after commit"])
def test_a_review_is_answered_in_the_conversation(
    github: GitHub, hub: LoopbackGitHub, number: int, fault: str
) -> None:
    review = hub.review(number, by="mia", state="CHANGES_REQUESTED")
    reply = ReplyToRemark("r", 1, number, 0, "<!-- mark -->\nBecause.", review.id)
    hub.comment(number, reply.body, by="mia")
    assert github.tracker.find(reply) is None, "somebody else's"
    if fault:
        hub.faults.next("POST", "*/comments", fault)
    place = github.tracker.perform(reply)
    assert github.tracker.find(reply) == place
    assert [said.by for said in hub.comments(number)] == ["mia", BOT]
    assert read(github).threads == ()


def test_checks_and_statuses_are_one_list(github: GitHub, hub: LoopbackGitHub, number: int) -> None:
    sha = hub.heads[BRANCH]
    hub.set_check(sha, "tests", "failure")
    hub.set_check(sha, "slow", None)
    hub.set_status(sha, "legacy", "success")
    hub.set_status(sha, "waiting", "pending")
    found = {check.name: check for check in read(github).checks}
    assert {name: check.conclusion for name, check in found.items()} == {
        "tests": "failure",
        "slow": None,
        "legacy": "success",
        "waiting": None,
    }


def test_more_checks_than_a_page_holds(github: GitHub, hub: LoopbackGitHub, number: int) -> None:
    for name in range(101):
        hub.set_check(hub.heads[BRANCH], f"check-{name}", "success")
    assert len(read(github).checks) == 101


def test_required_checks_of_protection_and_rulesets(
    github: GitHub, hub: LoopbackGitHub, number: int
) -> None:
    assert github.tracker.pulls.required_checks("main") == ()
    hub.protect("main", Protection(checks=("tests", "lint")))
    asked = {RequiredCheck("tests"), RequiredCheck("lint")}
    assert set(github.tracker.pulls.required_checks("main")) == asked


def test_a_check_run_names_its_app(github: GitHub, hub: LoopbackGitHub, number: int) -> None:
    sha = hub.heads[BRANCH]
    hub.set_check(sha, "tests", "success")
    hub.set_status(sha, "legacy", "success")
    assert {check.name: check.app_id for check in read(github).checks} == {
        "tests": 15368,
        "legacy": 0,
    }


def test_a_draft_ends_once(github: GitHub, hub: LoopbackGitHub, number: int) -> None:
    github.tracker.pulls.mark_ready(number)
    assert not read(github).draft
    count = len(hub.requests)
    github.tracker.pulls.mark_ready(number)
    assert [seen.method for seen in hub.requests[count:]] == ["GET"]


def merge_of(hub: LoopbackGitHub, sha: str = "") -> MergePullRequest:
    """The merge of the branch where it stands, or of another commit."""
    return MergePullRequest("r", 1, BRANCH, sha or hub.heads[BRANCH])


def test_a_merge_is_done_once_and_found_again(
    github: GitHub, hub: LoopbackGitHub, number: int
) -> None:
    merge = merge_of(hub)
    assert github.tracker.find(merge) is None
    github.tracker.pulls.mark_ready(number)
    place = github.tracker.perform(merge)
    assert place.endswith(f"/pull/{number}")
    assert github.tracker.find(merge) == place
    assert github.tracker.find(merge_of(hub, "0" * 40)) is None, "of another commit it is not"
    assert read(github).state is PullState.MERGED


@pytest.mark.parametrize("fault", ["502 after commit", "reset after commit"])
def test_a_merge_whose_answer_is_lost_is_found(
    github: GitHub, hub: LoopbackGitHub, number: int, fault: str
) -> None:
    github.tracker.pulls.mark_ready(number)
    merge, before = merge_of(hub), hub.heads["main"]
    hub.faults.next("PUT", "*/merge", fault)
    assert github.tracker.perform(merge).endswith(f"/pull/{number}")
    assert hub.heads["main"] != before
    assert sum(seen.method == "PUT" for seen in hub.requests) == 1


def test_what_moved_is_not_merged(github: GitHub, hub: LoopbackGitHub, number: int) -> None:
    github.tracker.pulls.mark_ready(number)
    merge = merge_of(hub)
    hub.commit_on(BRANCH, by="mia", files={"a.txt": "mine\n"}, message="Another's")
    with pytest.raises(GitHubError, match=r"409|modified"):
        github.tracker.perform(merge)
    assert read(github).state is PullState.OPEN


def test_a_draft_is_not_merged(github: GitHub, hub: LoopbackGitHub, number: int) -> None:
    with pytest.raises(GitHubError):
        github.tracker.perform(merge_of(hub))
    assert read(github).state is PullState.OPEN


def test_without_a_pull_request_there_is_nothing_to_merge(
    github: GitHub, hub: LoopbackGitHub
) -> None:
    with pytest.raises(NotFound):
        github.tracker.perform(merge_of(hub))


def test_a_closed_one_is_read_as_a_no(github: GitHub, hub: LoopbackGitHub, number: int) -> None:
    hub.close_pull(number, by="mia")
    assert read(github).state is PullState.CLOSED
