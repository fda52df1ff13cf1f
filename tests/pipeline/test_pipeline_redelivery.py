"""Deliveries that did not arrive are asked for again: at the start, each hour, never for ever."""

from datetime import UTC, datetime, timedelta

import pytest

from repoagents.domain.delivery import Delivery
from repoagents.domain.settings import SafetySettings
from repoagents.errors import Forbidden, GitHubError, NotFound, RateLimited, Unavailable
from repoagents.pipeline.errands import ask_again_when_due, run_errands
from repoagents.pipeline.redelivery import ask_again
from repoagents.pipeline.rhythm import Rhythm
from repoagents.policy.redelivery import MOST_PER_HOUR
from tests.fakes.hooks import MemoryHooks
from tests.pipeline.conftest import Place

DOWN, UP = 502, 202
LATER = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def hooks(place: Place) -> MemoryHooks:
    """The webhook of the place's tracker; its receiver is down."""
    made = MemoryHooks(place.clock, status=DOWN)
    place.tracker.hooks = made
    place.with_settings(safety=SafetySettings(allow_write_comments=True))
    return made


async def pass_hours(place: Place, rhythm: Rhythm, hours: int) -> None:
    """What the worker does in that time, as far as webhooks go."""
    for _ in range(hours * 6):
        await ask_again_when_due(place.house, rhythm)
        place.clock.advance(600)


async def test_what_was_missed_is_asked_for_when_the_worker_starts(
    place: Place, hooks: MemoryHooks
) -> None:
    hooks.status = UP
    hooks.send("came")
    hooks.status = DOWN
    hooks.send("missed")
    hooks.status = UP
    await run_errands(place.house, place.flows, Rhythm())
    assert hooks.asked == ["missed"]
    (line,) = [line for line in place.journal.lines if line[0] == "redelivery_asked"]
    assert line[1].startswith("issues of 2026-")
    assert "answered 502" in line[1]
    assert line[2] == {"delivery": "missed"}


async def test_and_then_each_hour(place: Place, hooks: MemoryHooks) -> None:
    rhythm = Rhythm()
    await pass_hours(place, rhythm, 1)
    assert hooks.listed == 1
    hooks.send("missed")
    hooks.status = UP
    await pass_hours(place, rhythm, 3)
    assert hooks.listed == 4
    assert hooks.asked == ["missed"]


async def test_a_receiver_that_stays_down_is_asked_three_times_in_all(
    place: Place, hooks: MemoryHooks
) -> None:
    hooks.send("missed")
    await pass_hours(place, Rhythm(), 24 * 8)
    assert hooks.asked == ["missed"] * 3
    hours = [(sending.at - hooks.sent[0].at) // timedelta(hours=1) for sending in hooks.sent]
    assert hours == [0, 0, 4, 28]


async def test_nothing_is_asked_for_while_every_flag_is_off(
    place: Place, hooks: MemoryHooks
) -> None:
    place.with_settings(safety=SafetySettings())
    hooks.send("missed")
    await pass_hours(place, Rhythm(), 30)
    assert hooks.asked == []


async def test_a_worker_that_starts_again_and_again_asks_no_more_often(
    place: Place, hooks: MemoryHooks
) -> None:
    hooks.send("missed")
    for _ in range(300):
        await ask_again_when_due(place.house, Rhythm())
        place.clock.advance(5)
    assert hooks.asked == ["missed"]


async def test_a_long_outage_is_made_good_for_bit_by_bit(place: Place, hooks: MemoryHooks) -> None:
    for number in range(MOST_PER_HOUR * 2 + 1):
        hooks.send(f"missed-{number}")
    hooks.status, rhythm = UP, Rhythm()
    await ask_again_when_due(place.house, rhythm)
    assert hooks.asked == [f"missed-{number}" for number in range(MOST_PER_HOUR)]
    await ask_again_when_due(place.house, Rhythm())
    assert len(hooks.asked) == MOST_PER_HOUR, "a new worker has no room of its own"
    await pass_hours(place, rhythm, 4)
    assert len(hooks.asked) == len(set(hooks.asked)) == MOST_PER_HOUR * 2 + 1


@pytest.mark.parametrize("taken", [False, True])
async def test_what_is_known_here_did_arrive(place: Place, hooks: MemoryHooks, taken: bool) -> None:
    """Our answer was lost, or came too late."""
    hooks.send("recorded")
    hooks.send("missed")
    place.house.deliveries.put(Delivery("recorded", "issues", place.clock.now()))
    if taken:
        place.house.deliveries.take("recorded", "looked", place.clock.now())
    await ask_again(place.house, hooks)
    assert hooks.asked == ["missed"]


@pytest.mark.parametrize(
    "error",
    [Unavailable("502"), RateLimited("wait", retry_at=LATER), Forbidden("expired", kind="auth")],
    ids=lambda error: error.kind,
)
async def test_an_outage_is_told_and_looked_past_in_an_hour(
    place: Place, hooks: MemoryHooks, error: GitHubError
) -> None:
    hooks.send("missed")
    hooks.faults["list"] = error
    rhythm = Rhythm(insists=True)
    await pass_hours(place, rhythm, 1)
    assert place.journal.codes() == ["redelivery_failed"]
    hooks.faults.clear()
    await pass_hours(place, rhythm, 1)
    assert hooks.asked == ["missed"]


@pytest.mark.parametrize("where", ["list", "missed"])
async def test_a_missing_permission_is_told_once_and_then_left(
    place: Place, hooks: MemoryHooks, where: str
) -> None:
    hooks.send("missed")
    hooks.send("missed, too")
    hooks.faults[where] = Forbidden("GitHub answered 403", next_step="Grant it; polling does.")
    await pass_hours(place, Rhythm(), 24)
    ((code, message, _),) = place.journal.lines
    assert code == "redelivery_refused"
    assert message == "GitHub answered 403. Grant it; polling does."
    assert hooks.listed == 1


async def test_one_that_is_gone_keeps_no_other_from_being_sent(
    place: Place, hooks: MemoryHooks
) -> None:
    hooks.send("gone")
    hooks.send("missed")
    hooks.faults["gone"] = NotFound("GitHub answered 404")
    assert await ask_again(place.house, hooks)
    assert hooks.asked == ["gone", "missed"]
    assert place.journal.codes() == ["redelivery_failed", "redelivery_asked"]


async def test_an_outage_between_two_ends_the_round(place: Place, hooks: MemoryHooks) -> None:
    hooks.send("first")
    hooks.send("second")
    hooks.faults["first"] = Unavailable("no answer")
    assert await ask_again(place.house, hooks)
    assert hooks.asked == ["first"]
    assert place.journal.codes() == ["redelivery_failed"]


async def test_a_worker_for_one_issue_asks_for_nothing(place: Place, hooks: MemoryHooks) -> None:
    hooks.send("missed")
    await run_errands(place.house, place.flows, Rhythm(issue=1))
    assert hooks.listed == 0


async def test_without_webhooks_there_is_nothing_to_do(place: Place) -> None:
    await run_errands(place.house, place.flows, Rhythm())
    assert place.journal.codes() == []
