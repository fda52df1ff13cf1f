"""What every clock promises, on the machine's own and on the one that tests move."""

import asyncio
import string
from datetime import UTC, timedelta

import pytest

from repoagents.bootstrap import SystemClock
from repoagents.ports import Clock
from tests.fakes.clock import START, FakeClock

BRIEF = 0.02
"""Seconds that a test may really wait."""


@pytest.fixture(params=[SystemClock, FakeClock], ids=lambda cls: cls.__name__)
def any_clock(request: pytest.FixtureRequest) -> Clock:
    """Each clock in turn."""
    made: Clock = request.param()
    return made


def test_the_instant_says_that_it_is_utc(any_clock: Clock) -> None:
    assert any_clock.now().tzinfo is UTC
    assert any_clock.now().utcoffset() == timedelta(0)


def test_an_instant_survives_being_written_down(any_clock: Clock) -> None:
    now = any_clock.now()
    assert type(now).fromisoformat(now.isoformat()) == now


async def test_monotonic_seconds_never_go_back(any_clock: Clock) -> None:
    seen = []
    for _ in range(50):
        seen.append(any_clock.monotonic())
        await any_clock.sleep(0)
    assert seen == sorted(seen)


async def test_a_sleep_lasts_as_long_as_it_says(any_clock: Clock) -> None:
    began, instant = any_clock.monotonic(), any_clock.now()
    await any_clock.sleep(BRIEF)
    assert any_clock.monotonic() - began >= BRIEF * 0.9
    assert any_clock.now() > instant


async def test_a_sleep_of_nothing_ends(any_clock: Clock) -> None:
    async with asyncio.timeout(50):
        await any_clock.sleep(0)


async def test_what_was_slept_is_the_difference_of_instants_too(any_clock: Clock) -> None:
    before, instant, begun = any_clock.monotonic(), any_clock.now(), any_clock.monotonic()
    await any_clock.sleep(BRIEF)
    ended, later, after = any_clock.monotonic(), any_clock.now(), any_clock.monotonic()
    assert ended - begun - 0.5 < (later - instant).total_seconds() < after - before + 0.5


@pytest.mark.parametrize("size", [0, 1, 2, 7, 8, 16, 63, 64, 65, 200])
def test_a_token_has_its_size_and_is_hexadecimal(any_clock: Clock, size: int) -> None:
    token = any_clock.token(size)
    assert len(token) == size
    assert set(token) <= set(string.digits + "abcdef")


def test_tokens_differ(any_clock: Clock) -> None:
    tokens = [any_clock.token(16) for _ in range(500)]
    assert len(set(tokens)) == len(tokens)


def test_fractions_are_of_one_and_spread_over_it(any_clock: Clock) -> None:
    drawn = [any_clock.fraction() for _ in range(500)]
    assert all(0 <= fraction < 1 for fraction in drawn)
    assert len(set(drawn)) > 490
    tenths = {int(fraction * 10) for fraction in drawn}
    assert tenths == set(range(10)), "jitter that leaves out a tenth is no jitter"


async def test_a_fake_clock_can_be_put_back_and_its_seconds_go_on() -> None:
    clock = FakeClock()
    await clock.sleep(90)
    clock.instant = START - timedelta(days=1)
    assert clock.now() < START
    assert clock.monotonic() == 90
    clock.advance(10)
    assert (clock.monotonic(), clock.slept) == (100, [90])


def test_a_fake_clock_repeats_itself_in_each_test_run() -> None:
    one, other = FakeClock(), FakeClock()
    assert [one.token(8), one.fraction()] == [other.token(8), other.fraction()]
    assert one.now() == other.now() == START
