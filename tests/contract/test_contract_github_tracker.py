"""The tracker on GitHub keeps what every tracker promises, over HTTP on the loopback GitHub."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from repoagents.bootstrap import SystemClock
from repoagents.domain.effect import (
    Effect,
    OpenDraftPullRequest,
    PostComment,
    React,
    SetLabel,
)
from repoagents.domain.people import AccountKind, Permission
from repoagents.domain.settings import TrackerSettings
from repoagents.errors import Forbidden, GitHubError, NotFound, RateLimited, Unavailable
from repoagents.github.auth import Surroundings
from repoagents.github.connection import GitHub, connect
from repoagents.github.tracker import GitHubTracker
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.faults import Fault
from repoagents.rehearsal.hub.loopback import BOT
from tests.contract import test_contract_tracker as promises
from tests.contract.conftest import Sample
from tests.fakes.clock import FakeClock
from tests.fakes.world import ListJournal

SHARED = [
    promises.test_an_empty_tracker_has_no_issues,
    promises.test_issues_come_whole_and_by_number,
    promises.test_closed_issues_are_read_but_not_listed,
    promises.test_listing_and_reading_agree,
    promises.test_the_fingerprint_is_that_of_the_text_alone,
]
"""The cases of the other trackers that need no file to look into."""

FIRST, SECOND = promises.comment("First."), promises.comment("Second.")
ELSEWHERE = promises.comment("First.", marker="<!-- repoagents:ffff:issue=2 -->")
ON_ANOTHER = promises.comment("First.", number=1)
PULL = promises.PULL_REQUEST
REWORDED = replace(PULL, body="Reworded.")
COMMENTS = "*/issues/*/comments"


@dataclass
class HubBed:
    """A tracker on a loopback GitHub, filled as the other ones are."""

    hub: LoopbackGitHub
    github: GitHub
    clock: FakeClock

    @property
    def tracker(self) -> GitHubTracker:
        """The tracker."""
        return self.github.tracker

    def fill(self, *samples: Sample) -> None:
        """Put exactly these issues into the repository."""
        issues = self.hub.forge.repository.issues
        issues.clear()
        filled = {}
        for sample in samples:
            opened = self.hub.open_issue(sample.title, sample.body, by="maya")
            issues[sample.number] = made = issues.pop(opened)
            made.number = sample.number
            for label in sample.labels:
                self.hub.label(sample.number, label, by="maya")
            if sample.state == "closed":
                self.hub.close(sample.number, by="maya")
            filled[sample.number] = issues.pop(sample.number)
        issues.update(filled)


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[HubBed]:
    clock = FakeClock()
    with LoopbackGitHub(tmp_path / "hub", SystemClock(), os.environ) as hub:
        hub.add_account("maya", "admin")
        hub.add_account("tom", "triage")
        hub.commit_on("main", by="maya", files={"README.md": "# A\n"}, message="Start")
        hub.commit_on("repoagents/2", by=BOT, files={"b.py": "b = 1\n"}, message="Mend")
        settings = TrackerSettings(repo=hub.full_name, api_url=hub.url, trigger_label=None)
        around = Surroundings({"GITHUB_TOKEN": hub.token_of(BOT)}, tmp_path, lambda: "")
        yield HubBed(hub, connect(settings, around, {}, clock, ListJournal()), clock)


@pytest.fixture
def taking(bed: HubBed) -> HubBed:
    """A repository with issues 1 and 2."""
    bed.fill(Sample(1), Sample(2))
    return bed


@pytest.mark.parametrize("case", SHARED, ids=lambda case: case.__name__.removeprefix("test_"))
def test_a_case_of_the_other_trackers_holds(case: Callable[..., None], bed: HubBed) -> None:
    case(bed)


# --- effects ----------------------------------------------------------------------------------


def test_what_was_never_performed_is_not_found(taking: HubBed) -> None:
    effects: list[Effect] = [FIRST, SECOND, ELSEWHERE, ON_ANOTHER, PULL]
    assert [taking.github.tracker.find(effect) for effect in effects] == [None] * len(effects)
    assert taking.hub.writes == ()


@pytest.mark.parametrize("effect", [FIRST, PULL])
def test_doing_it_twice_is_doing_it_once(
    taking: HubBed, effect: PostComment | OpenDraftPullRequest
) -> None:
    tracker = taking.github.tracker
    assert tracker.perform(effect) == tracker.perform(effect) == tracker.find(effect)
    assert len(taking.hub.comments(2)) + len(taking.hub.pulls) == 1


def test_a_new_text_takes_the_place_of_the_old_one(taking: HubBed) -> None:
    tracker = taking.github.tracker
    tracker.perform(FIRST)
    location = tracker.perform(SECOND)
    assert tracker.find(SECOND) == location
    assert tracker.find(FIRST) is None
    (only,) = taking.hub.comments(2)
    assert only.body.endswith("Second.")


def test_a_comment_that_stands_twice_becomes_one(taking: HubBed) -> None:
    first = taking.hub.comment(2, f"{FIRST.marker}\nFirst.", by=BOT)
    taking.hub.comment(2, f"{FIRST.marker}\nForged.", by="tom")
    for _ in range(2):
        taking.hub.comment(2, f"{FIRST.marker}\nFirst.", by=BOT)
    tracker = taking.github.tracker
    assert tracker.find(FIRST) is None, "it does not stand alone"
    location = tracker.amend(FIRST, "")
    assert location == tracker.find(FIRST)
    assert [said.by for said in taking.hub.comments(2)] == [BOT, "tom"]
    assert (location or "").endswith(f"#issuecomment-{first.id}"), "the first one stays"


def test_what_is_not_listed_yet_is_edited_by_its_place_alone(taking: HubBed) -> None:
    tracker = taking.github.tracker
    assert tracker.amend(FIRST, "") is None
    taking.hub.faults.next("POST", COMMENTS, Fault.LAG, reads=100)
    location = tracker.perform(FIRST)
    assert tracker.amend(SECOND, "") is None
    assert tracker.amend(SECOND, location) == location
    taking.hub.forge.repository.delete_comment(taking.hub.comments(2)[0].id, "maya")
    assert tracker.amend(SECOND, location) is None
    assert taking.hub.comments(2) == ()


def test_comments_of_two_installations_or_issues_are_two(taking: HubBed) -> None:
    tracker = taking.github.tracker
    tracker.perform(FIRST)
    assert tracker.find(ELSEWHERE) is None
    assert tracker.find(ON_ANOTHER) is None
    tracker.perform(ELSEWHERE)
    tracker.perform(SECOND)
    assert tracker.find(ELSEWHERE) is not None
    assert len(taking.hub.comments(2)) == 2


def test_a_comment_is_ours_and_leaves_the_fingerprint(taking: HubBed) -> None:
    before = taking.github.tracker.read_issue(2)
    taking.hub.comment(2, f"{FIRST.marker}\nForged.", by="tom")
    taking.github.tracker.perform(FIRST)
    after = taking.github.tracker.read_issue(2)
    assert before is not None
    assert after is not None
    assert [(c.author, c.ours) for c in after.comments] == [("tom", False), (BOT, True)]
    assert after.fingerprint == before.fingerprint
    assert after.comments[1].author_id == taking.github.people.viewer().id


def test_a_comment_may_hold_any_text(taking: HubBed) -> None:
    effect = promises.comment('Quotes ", backslash \\, tab \t, ü, ☂, \ud800 and \0.\r\nNew line.')
    location = taking.github.tracker.perform(effect)
    assert taking.github.tracker.find(effect) == location


def test_a_comment_on_no_issue_is_refused(taking: HubBed) -> None:
    with pytest.raises(GitHubError):
        taking.github.tracker.perform(promises.comment(number=77))


def test_a_branch_is_nothing_for_a_tracker(taking: HubBed) -> None:
    with pytest.raises(GitHubError, match="cannot carry out"):
        taking.github.tracker.perform(promises.PushBranch("run-1", 2, "repoagents/2", "0" * 40))


def test_a_text_of_ours_is_brought_up_to_date(taking: HubBed) -> None:
    tracker = taking.github.tracker
    location = tracker.perform(PULL)
    assert tracker.find(REWORDED) is None
    assert tracker.perform(REWORDED) == location == tracker.find(REWORDED)
    (pull,) = taking.hub.pulls
    assert (pull.body or "").startswith("Reworded.")
    assert pull.pull is not None
    assert pull.pull.draft


def test_a_text_that_a_person_has_edited_stays(taking: HubBed) -> None:
    tracker = taking.github.tracker
    location = tracker.perform(PULL)
    (pull,) = taking.hub.pulls
    taking.hub.edit_issue(pull.number, by="maya", body=f"A note of mine.\n{pull.body}")
    assert tracker.find(REWORDED) == location == tracker.perform(REWORDED)
    assert (pull.body or "").startswith("A note of mine.")


def test_a_pull_request_of_a_fork_is_not_ours(taking: HubBed) -> None:
    sha = taking.hub.heads["repoagents/2"]
    taking.hub.open_pull_from_fork("Theirs", head="repoagents/2", sha=sha, by="tom")
    assert taking.github.tracker.find(PULL) is None
    taking.github.tracker.perform(PULL)
    assert len(taking.hub.pulls) == 2


def test_a_closed_pull_request_is_a_no_to_this_content_alone(taking: HubBed) -> None:
    tracker = taking.github.tracker
    tracker.perform(PULL)
    (pull,) = taking.hub.pulls
    taking.hub.close_pull(pull.number, by="maya")
    with pytest.raises(GitHubError, match="that is a no"):
        tracker.perform(PULL)
    taking.hub.commit_on("repoagents/2", by=BOT, files={"b.py": "b = 2\n"}, message="Again")
    tracker.perform(PULL)
    assert len(taking.hub.pulls) == 2


def test_one_label_is_set_and_the_others_stay(taking: HubBed) -> None:
    tracker = taking.github.tracker
    taking.hub.create_label("Waiting")
    taking.hub.label(2, "bug", by="maya")
    on, off = SetLabel("run-1", 2, "waiting", on=True), SetLabel("run-1", 2, "waiting", on=False)
    assert tracker.find(on) is None
    assert tracker.find(off) is not None
    tracker.perform(on)
    assert {label.lower() for label in taking.hub.labels(2)} == {"bug", "waiting"}
    assert tracker.find(on) is not None
    tracker.perform(off)
    tracker.perform(off)
    assert taking.hub.labels(2) == ("bug",)


def test_a_pair_of_eyes_is_put_below_a_comment_once(taking: HubBed) -> None:
    said = taking.hub.comment(2, "/repoagents run", by="maya")
    eyes, tracker = React("", 2, said.id), taking.github.tracker
    for _ in range(2):
        assert tracker.find(eyes) is None
        assert str(said.id) in tracker.perform(eyes)
    (found,) = taking.hub.comments(2)
    assert [(reaction.content, reaction.by) for reaction in found.reactions] == [("eyes", BOT)]
    with pytest.raises(NotFound):
        tracker.perform(replace(eyes, comment_id=999_999))


# --- faults -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.BAD_GATEWAY_AFTER, Fault.RESET_AFTER, Fault.TRUNCATED])
@pytest.mark.parametrize("effect", [FIRST, PULL])
def test_a_write_whose_answer_was_lost_is_adopted(
    taking: HubBed, fault: Fault, effect: PostComment | OpenDraftPullRequest
) -> None:
    taking.hub.faults.next("POST", "*", fault)
    location = taking.github.tracker.perform(effect)
    assert location == taking.github.tracker.find(effect)
    assert len(taking.hub.comments(2)) + len(taking.hub.pulls) == 1
    assert len([seen for seen in taking.hub.writes if seen.method == "POST"]) == 1


@pytest.mark.parametrize("effect", [FIRST, PULL])
def test_a_write_that_was_lost_is_told_and_done_at_the_next_try(
    taking: HubBed, effect: PostComment | OpenDraftPullRequest
) -> None:
    taking.hub.faults.next("POST", "*", Fault.BAD_GATEWAY)
    with pytest.raises(Unavailable):
        taking.github.tracker.perform(effect)
    assert taking.github.tracker.find(effect) is None
    taking.github.tracker.perform(effect)
    assert len(taking.hub.comments(2)) + len(taking.hub.pulls) == 1


@pytest.mark.parametrize("fault", [Fault.TOO_MANY, Fault.PRIMARY])
def test_limits_are_told_and_nothing_is_done(taking: HubBed, fault: Fault) -> None:
    taking.hub.faults.next("POST", "*", fault, seconds=900)
    with pytest.raises(RateLimited):
        taking.github.tracker.perform(FIRST)
    assert taking.hub.comments(2) == ()


def test_a_renamed_repository_is_still_written_to(taking: HubBed) -> None:
    taking.hub.rename("example/renamed")
    tracker = taking.github.tracker
    assert [issue.number for issue in tracker.read_issues()] == [1, 2]
    read = tracker.read_issue(2)
    assert read is not None
    assert read.number == 2
    tracker.perform(FIRST)
    assert len(taking.hub.comments(2)) == 1


def test_a_moved_issue_is_gone(taking: HubBed) -> None:
    taking.hub.transfer(2, "example/other", by="maya")
    assert taking.github.tracker.read_issue(2) is None
    assert taking.github.tracker.read_issue(99) is None


def test_a_credential_that_lost_its_access_ends_no_run(taking: HubBed) -> None:
    taking.hub.make_private()
    taking.hub.add_account(BOT, "none")
    with pytest.raises(GitHubError):
        taking.github.tracker.read_issue(2)


# --- people -----------------------------------------------------------------------------------


def test_who_set_a_label_and_what_they_may_do(taking: HubBed) -> None:
    people = taking.github.people
    before = SystemClock().now() - timedelta(seconds=1)
    taking.hub.label(2, "repoagents", by="tom")
    who = people.labelled_by(2, "RepoAgents")
    assert who is not None
    assert (who.by.login, who.by.kind) == ("tom", AccountKind.USER)
    assert before <= who.at <= SystemClock().now()
    assert people.permission("tom") is Permission.TRIAGE
    assert people.permission("maya") is Permission.ADMIN
    assert people.permission("nobody-at-all") is Permission.NONE
    taking.hub.unlabel(2, "repoagents", by="maya")
    assert people.labelled_by(2, "repoagents") is None


def test_who_changed_a_text_is_told_from_an_instant_on(taking: HubBed) -> None:
    tracker, people = taking.github.tracker, taking.github.people
    before = SystemClock().now() - timedelta(seconds=2)

    def editors(since: timedelta = timedelta()) -> list[str]:
        issue = tracker.read_issue(2)
        assert issue is not None
        return [act.by.login for act in people.edits_since(issue, before + since)]

    assert editors() == []
    taking.hub.edit_issue(2, title="A new title", by="tom")
    assert editors() == ["tom"]
    taking.hub.edit_issue(2, body="A new text.", by="maya")
    assert editors()[0] == "maya"
    assert set(editors()) >= {"maya", "tom"}
    assert editors(timedelta(hours=1)) == []


def test_a_change_since_the_text_was_read_is_no_answer(taking: HubBed) -> None:
    tracker, people = taking.github.tracker, taking.github.people
    issue = tracker.read_issue(2)
    assert issue is not None
    taking.hub.edit_issue(2, body="Another text.", by="tom")
    with pytest.raises(Unavailable, match="while it was read"):
        people.edits_since(issue, SystemClock().now() - timedelta(hours=1))


def test_the_edits_of_one_text_are_asked_for_once(taking: HubBed) -> None:
    issue = taking.github.tracker.read_issue(2)
    assert issue is not None
    at = SystemClock().now()
    before = len(taking.hub.requests)
    for _ in range(3):
        taking.github.people.edits_since(issue, at)
    assert len(taking.hub.requests) == before + 1
    taking.github.people.edits_since(issue, at + timedelta(seconds=1))
    assert len(taking.hub.requests) == before + 2


def test_a_reader_may_not_ask_what_others_may_do(taking: HubBed) -> None:
    taking.hub.add_account(BOT, "read")
    with pytest.raises(Forbidden):
        taking.github.people.permission("tom")


def test_what_was_commented_on_is_among_what_changed(taking: HubBed) -> None:
    at = SystemClock().now()
    taking.hub.comment(2, "Hello.", by="tom")
    assert 2 in taking.github.people.commented_since(at)
