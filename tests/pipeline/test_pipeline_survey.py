"""The snapshot that reports are made from: what it lists, what it tells in full, what waits."""

from dataclasses import replace
from typing import Literal

import pytest

from repoagents.domain.reports import Decision, ReviewFinding, Severity
from repoagents.domain.run import RunStatus, Stage
from repoagents.domain.settings import LimitSettings, SafetySettings, TrackerSettings
from repoagents.domain.smoke import REHEARSAL
from repoagents.pipeline import approval
from repoagents.pipeline.survey import Host, stand, survey
from tests.fakes.agents import approve
from tests.pipeline.conftest import ISSUE, Place

HOST = Host("1.2.3", "a worker is live", 5_000)


async def test_a_finished_run_is_told_with_all_that_was_kept(place: Place) -> None:
    seen = ReviewFinding(Severity.LOW, "fixed.txt", 3, "tidy up")
    place.agents.reviewer = lambda task, _count: replace(approve(task), findings=(seen,))
    run = await place.flow(place.queue())

    snapshot = survey(place.house, HOST)

    (card,) = snapshot.cards
    assert card.run == run
    assert run.status is RunStatus.COMPLETED
    assert card.headline.startswith("Issue #1: a proven change is ready and not published.")
    assert Stage.VERIFY in [stage for stage, *_ in card.timings]
    assert card.findings == (("low", "reviewer", "fixed.txt:3: tidy up"),)
    assert ("branch", "withheld", "safety.allow_open_pr") in [row[:3] for row in card.effects]
    assert {"handoff.md", "changes.patch", "decision.json"} <= set(card.files)
    assert card.usage.calls == 3
    assert card.waits
    assert snapshot.counts == {RunStatus.COMPLETED: 1}
    assert (snapshot.version, snapshot.holder, snapshot.free_bytes) == (
        HOST.version,
        HOST.holder,
        HOST.free_bytes,
    )
    assert snapshot.flags["safety.allow_open_pr"] is False
    assert snapshot.caps.hour.calls == 3
    assert snapshot.caps.limits["limits.calls_per_hour"] == 100
    assert sum(day.outcomes.get(RunStatus.COMPLETED, 0) for day in snapshot.days) == 1


async def test_what_a_verdict_wants_mended_is_told_with_its_reasons(place: Place) -> None:
    seen = ReviewFinding(Severity.HIGH, "fixed.txt", 3, "it has no unit")
    asks = Decision.REQUEST_CHANGES
    place.agents.reviewer = lambda task, _: replace(approve(task), decision=asks, findings=(seen,))
    stopped = await place.flow(place.queue())
    assert stopped.status is RunStatus.BLOCKED

    (card,) = survey(place.house, HOST).cards

    assert card.reasons[0].startswith("stopped by review")
    assert card.reasons[-1].endswith("fixed.txt:3: it has no unit")


async def test_old_runs_that_need_somebody_are_told_beyond_the_newest(place: Place) -> None:
    asks = Decision.REQUEST_INFO
    place.agents.reviewer = lambda task, _count: replace(approve(task), decision=asks)
    stopped = await place.flow(place.queue())
    assert stopped.status is RunStatus.BLOCKED
    for number in (2, 3):
        run = place.queue(replace(ISSUE, number=number))
        place.house.runs.replace(run, run.cancel(place.clock.now()))

    snapshot = survey(place.house, HOST, cards=1)

    assert [run.issue_number for run in snapshot.runs] == [3, 2, 1]
    assert [card.run.issue_number for card in snapshot.cards] == [3, 1]
    assert snapshot.total == 3


@pytest.mark.parametrize(
    ("tracker", "rehearsed"),
    [
        (TrackerSettings(smoke_fixture_path="ops/smoke.json"), True),
        (TrackerSettings(mode="fixture", fixtures_path="issues.json"), True),
        (TrackerSettings(), False),
        (TrackerSettings(kind="local_file", smoke_fixture_path="ops/smoke.json"), False),
    ],
)
def test_what_is_made_from_a_fixture_is_a_rehearsal(
    place: Place, tracker: TrackerSettings, rehearsed: bool
) -> None:
    place.with_settings(tracker=tracker)
    assert survey(place.house, HOST).rehearsal == (REHEARSAL if rehearsed else "")


@pytest.mark.parametrize(("kind", "counted"), [("github", 1), ("local_markdown", 0)])
async def test_a_draft_that_is_a_file_is_no_open_pull_request(
    kind: Literal["github", "local_markdown"], counted: int, place: Place
) -> None:
    """Nobody could merge or close it, so it would count for ever."""
    place.with_settings(
        safety=SafetySettings(allow_open_pr=True), limits=LimitSettings(open_pull_requests=1)
    )
    await place.flow(place.queue())
    place.with_settings(tracker=replace(place.house.settings.tracker, kind=kind))

    snapshot = survey(place.house, HOST)

    assert ("draft_pull_request", "done") in [row[:2] for row in snapshot.cards[0].effects]
    assert snapshot.open_pulls == counted
    codes = [concern.code for concern in stand(place.house, snapshot, HOST).concerns]
    assert ("pull_requests_full" in codes) == bool(counted)


async def test_only_the_newest_run_of_an_issue_waits(place: Place) -> None:
    await place.flow(place.queue())
    again = await place.flow(place.queue(by_hand=True, forced=True))

    assert [waiting.run.id for waiting in approval.pending(place.house)] == [again.id]
    assert [card.waits for card in survey(place.house, HOST).cards] == [True, False]

    approval.reject(place.house, 1, "operator")

    assert approval.pending(place.house) == ()
    assert [card.waits for card in survey(place.house, HOST).cards] == [False, False]


async def test_a_run_waits_exactly_where_there_is_something_to_approve(place: Place) -> None:
    run = await place.flow(place.queue())
    statuses = (RunStatus.COMPLETED, RunStatus.AWAITING_APPROVAL, RunStatus.CANCELLED)
    for rejected in (False, True):
        if rejected:
            place.house.ledger.discard(run.id, "rejected", place.clock.now())
        for status in statuses:
            now = replace(run, status=status)

            told = approval.waits(now, place.house.ledger.rows(run.id))

            assert told == (approval.waiting_of(place.house, now) is not None)
            assert told is (not rejected or status is RunStatus.AWAITING_APPROVAL)
