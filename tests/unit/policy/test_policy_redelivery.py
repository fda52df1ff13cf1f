"""Which deliveries GitHub is asked to send again: those that did not arrive, and never for ever."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.delivery import OBJECTS, Sending
from repoagents.policy.redelivery import (
    LOOK_BACK,
    MOST_PER_HOUR,
    PAUSES,
    WITHOUT_ISSUE,
    find_missed,
    room_left,
)

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)


def sent(hours_ago: float, status: int, *, again: bool = False, name: str = "guid") -> Sending:
    at = NOW - hours_ago * HOUR
    return Sending(name, int(hours_ago * 3600), 7, "issues", at, status, again)


@pytest.mark.parametrize("status", [0, 301, 404, 408, 429, 500, 502, 503, 504])
def test_what_nobody_answered_is_missed(status: int) -> None:
    sending = sent(0, status)
    assert find_missed([sending], NOW) == (sending,)


@pytest.mark.parametrize("status", [200, 202, 204, 400, 401, 403, 405, 413, 415, 431])
def test_what_arrived_or_was_refused_is_not(status: int) -> None:
    assert find_missed([sent(1, status)], NOW) == ()


@pytest.mark.parametrize("event", sorted(WITHOUT_ISSUE | {"push", "star"}))
def test_what_nobody_would_look_at_is_left(event: str) -> None:
    assert find_missed([Sending("guid", 1, 7, event, NOW, 502)], NOW) == ()


def test_every_event_about_an_issue_is_asked_for() -> None:
    sendings = [Sending(event, 1, 7, event, NOW, 502) for event in sorted(OBJECTS)]
    missed = {sending.event for sending in find_missed(sendings, NOW)}
    assert missed == OBJECTS.keys() - {"ping", "installation"}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_one_arrival_is_enough_whenever_it_was(order: tuple[int, ...]) -> None:
    tries = [sent(60, 502), sent(50, 202, again=True), sent(40, 502, again=True)]
    assert find_missed([tries[n] for n in order], NOW) == ()


def test_the_latest_sending_is_sent_again_and_the_oldest_delivery_first() -> None:
    again = sent(5, 504, again=True, name="old")
    young = sent(1, 502, name="young")
    assert find_missed([young, again, sent(9, 502, name="old")], NOW) == (again, young)


@pytest.mark.parametrize(
    ("asked_hours_ago", "due"),
    [
        ((), True),
        ((3.9,), False),
        ((4,), True),
        ((30, 23.9), False),
        ((30, 24), True),
        ((60, 50, 40), False),
    ],
)
def test_the_pauses_grow_and_there_is_no_fourth_time(
    asked_hours_ago: tuple[float, ...], due: bool
) -> None:
    tries = [sent(70, 502), *(sent(hours, 502, again=True) for hours in asked_hours_ago)]
    assert bool(find_missed(tries, NOW)) is due


def test_what_lost_its_beginning_is_left_for_nobody_knows_how_often_it_was_asked_for() -> None:
    assert find_missed([sent(30, 502, again=True)], NOW) == ()


def test_the_last_hour_counts_against_the_room() -> None:
    recent = [sent(0.5, 202, again=True), sent(1, 202, again=True), sent(0.1, 502)]
    assert room_left(recent, NOW) == MOST_PER_HOUR - 1
    assert room_left([sent(0.5, 502, again=True)] * 99, NOW) == 0


@given(
    st.lists(st.integers(0, 90), min_size=1, max_size=8),
    st.lists(st.floats(0, 12), min_size=20, max_size=60),
    st.integers(0, 100),
)
def test_whatever_happens_it_ends(
    starts: list[int], pauses: list[float], up_after_hours: int
) -> None:
    """Looked at however often, each delivery is asked for three times at most, and once it came."""
    listed = [
        Sending(f"guid-{n}", n, 7, "issues", NOW + start * HOUR, 502)
        for n, start in enumerate(starts)
    ]
    now, asked = NOW, dict.fromkeys((sending.delivery_id for sending in listed), 0)
    for pause in pauses:
        now += pause * HOUR
        seen = [each for each in listed if now - LOOK_BACK <= each.at <= now]
        for sending in find_missed(seen, now)[: room_left(seen, now)]:
            status = 202 if now - NOW > up_after_hours * HOUR else 502
            arrived = [e for e in listed if e.delivery_id == sending.delivery_id and e.status < 300]
            assert not arrived
            listed.append(
                Sending(sending.delivery_id, len(listed), 7, "issues", now, status, again=True)
            )
            asked[sending.delivery_id] += 1
    assert max(asked.values()) <= len(PAUSES)
