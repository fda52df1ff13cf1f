"""The tracker in memory keeps what every tracker promises, as far as the pipeline relies on it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from repoagents.domain.effect import Effect, OpenDraftPullRequest, PostComment
from repoagents.domain.issue import Issue, IssueState, normal_labels
from repoagents.errors import TrackerError
from repoagents.ports import Tracker
from tests.contract import test_contract_tracker as promises
from tests.contract.conftest import Sample, make_bed
from tests.fakes.world import MemoryTracker

SHARED = [
    promises.test_an_empty_tracker_has_no_issues,
    promises.test_closed_issues_are_read_but_not_listed,
    promises.test_listing_and_reading_agree,
    promises.test_the_fingerprint_is_that_of_the_text_alone,
    promises.test_a_branch_is_nothing_for_a_tracker,
]
"""The cases of the real trackers that need no file to look into."""


@dataclass
class MemoryBed:
    """A tracker in memory, filled as the real ones are."""

    tracker: MemoryTracker = field(default_factory=MemoryTracker)

    def fill(self, *samples: Sample) -> None:
        """Put exactly these issues into the tracker."""
        self.tracker.issues = {
            sample.number: Issue(
                sample.number,
                sample.title,
                sample.body,
                normal_labels(sample.labels),
                IssueState(sample.state),
            )
            for sample in samples
        }


@pytest.fixture
def memory() -> MemoryBed:
    """A tracker with issues 1 and 2."""
    bed = MemoryBed()
    bed.fill(Sample(1), Sample(2))
    return bed


@pytest.mark.parametrize("case", SHARED, ids=lambda case: case.__name__.removeprefix("test_"))
def test_a_case_of_the_real_trackers_holds(case: Callable[[object], None]) -> None:
    case(MemoryBed())


@pytest.mark.parametrize("effect", [promises.comment(), promises.PULL_REQUEST])
def test_what_was_performed_is_found(
    memory: MemoryBed, effect: PostComment | OpenDraftPullRequest
) -> None:
    shared: Callable[..., None] = promises.test_what_was_performed_is_found
    shared(memory, effect)


# --- the same promises, asked of the port alone, on every tracker that takes effects ----------


@pytest.fixture(params=["memory", "local_file", "local_markdown"])
def taking(request: pytest.FixtureRequest, memory: MemoryBed, tmp_path: Path) -> Tracker:
    """A tracker with issues 1 and 2 that takes comments and pull requests."""
    if request.param == "memory":
        return memory.tracker
    bed = make_bed(request.param, tmp_path)
    bed.fill(Sample(1), Sample(2))
    return bed.tracker


FIRST, SECOND = promises.comment("First."), promises.comment("Second.")
ELSEWHERE = promises.comment("First.", marker="<!-- repoagents:ffff:issue=2 -->")
ON_ANOTHER = promises.comment("First.", number=1)
REWORDED = replace(promises.PULL_REQUEST, body="Reworded.")


def test_what_was_never_performed_is_not_found(taking: Tracker) -> None:
    effects: list[Effect] = [FIRST, SECOND, ELSEWHERE, ON_ANOTHER, promises.PULL_REQUEST]
    assert [taking.find(effect) for effect in effects] == [None] * len(effects)


def test_a_new_text_takes_the_place_of_the_old_one(taking: Tracker) -> None:
    taking.perform(FIRST)
    location = taking.perform(SECOND)
    assert taking.find(SECOND) == location
    assert taking.find(FIRST) is None


def test_comments_of_two_installations_or_issues_are_two(taking: Tracker) -> None:
    taking.perform(FIRST)
    assert taking.find(ELSEWHERE) is None
    assert taking.find(ON_ANOTHER) is None
    taking.perform(ELSEWHERE)
    taking.perform(SECOND)
    assert taking.find(ELSEWHERE) is not None


def test_doing_it_twice_is_doing_it_once(taking: Tracker) -> None:
    for effect in (FIRST, promises.PULL_REQUEST):
        assert taking.perform(effect) == taking.perform(effect) == taking.find(effect)


def test_a_reworded_pull_request_is_not_the_one_that_stands(taking: Tracker) -> None:
    taking.perform(promises.PULL_REQUEST)
    assert taking.find(REWORDED) is None
    location = taking.perform(REWORDED)
    assert taking.find(REWORDED) == location


def test_a_comment_changes_neither_the_listing_nor_the_fingerprint(taking: Tracker) -> None:
    before = [(i.number, i.fingerprint, i.labels, i.state) for i in taking.read_issues()]
    taking.perform(FIRST)
    assert [(i.number, i.fingerprint, i.labels, i.state) for i in taking.read_issues()] == before
    assert taking.problems == ()


def test_looking_for_an_effect_performs_nothing(memory: MemoryBed) -> None:
    assert memory.tracker.find(FIRST) is None
    assert (memory.tracker.writes, memory.tracker.comments) == (0, {})


def test_a_tracker_that_is_down_fails_every_call_and_takes_nothing(memory: MemoryBed) -> None:
    tracker = memory.tracker
    tracker.down = True
    calls: list[Callable[[], object]] = [
        tracker.read_issues,
        lambda: tracker.read_issue(1),
        lambda: tracker.find(FIRST),
        lambda: tracker.perform(FIRST),
        lambda: tracker.perform(promises.PULL_REQUEST),
    ]
    for call in calls:
        with pytest.raises(TrackerError, match="down"):
            call()
    tracker.down = False
    assert tracker.find(FIRST) is None
    assert (tracker.writes, tracker.pull_requests) == (0, {})
