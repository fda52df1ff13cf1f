"""The worker's signs of life: what it did and heard, and what an earlier one had heard."""

from dataclasses import replace
from datetime import timedelta

import pytest

from repoagents.domain.pulse import Part, Pause, Pulse, Quota
from repoagents.errors import TrackerError
from repoagents.pipeline.pulse import BEAT_EVERY, beat, first_beat
from repoagents.pipeline.rhythm import Rhythm
from repoagents.pipeline.tick import tick
from tests.fakes.inspection import KnownAccess
from tests.pipeline.conftest import Place


def told(place: Place) -> Pulse:
    """What other processes read."""
    (pulse,) = place.house.pulses.all()
    return pulse


def test_a_worker_tells_that_it_began_and_beats_twice_a_minute(place: Place) -> None:
    begun = place.clock.now()
    pulse = first_beat(place.house)
    assert told(place) == pulse == Pulse(Part.WORKER, begun, begun)
    place.clock.advance(BEAT_EVERY.total_seconds() - 1)
    assert beat(place.house, Rhythm(), pulse) is pulse, "nothing is written meanwhile"
    place.clock.advance(1)
    beat(place.house, Rhythm(), pulse)
    assert told(place) == Pulse(Part.WORKER, begun, begun + BEAT_EVERY)


def test_a_clock_that_was_set_back_does_not_stop_the_heart(place: Place) -> None:
    pulse = first_beat(place.house)
    ahead = replace(pulse, beat_at=place.clock.now() + timedelta(days=1))
    assert beat(place.house, Rhythm(), ahead).beat_at == place.clock.now()


def test_a_poll_shows_at_once_whole_or_failed(place: Place) -> None:
    rhythm, pulse = Rhythm(), first_beat(place.house)
    first = place.clock.now()
    tick(place.house, place.flows, rhythm)
    pulse = beat(place.house, rhythm, pulse)
    assert (told(place).tried_at, told(place).heard_at) == (first, first)
    place.clock.advance(10_000)
    place.tracker.down = True
    tick(place.house, place.flows, rhythm)
    pulse = beat(place.house, rhythm, pulse)
    assert told(place).problem == "the tracker is down"
    assert (told(place).tried_at, told(place).heard_at) == (place.clock.now(), first)
    place.clock.advance(10_000)
    place.tracker.down = False
    tick(place.house, place.flows, rhythm)
    beat(place.house, rhythm, pulse)
    assert (told(place).problem, told(place).heard_at) == ("", place.clock.now())


def test_the_answer_of_a_worker_that_is_to_end_shows_too(place: Place) -> None:
    rhythm, pulse = Rhythm(insists=True), first_beat(place.house)
    place.tracker.down = True
    with pytest.raises(TrackerError):
        tick(place.house, place.flows, rhythm)
    assert beat(place.house, rhythm, pulse).problem == "the tracker is down"


def test_what_an_earlier_worker_heard_stays_known_but_not_its_pause(place: Place) -> None:
    now = place.clock.now()
    quota, pause = Quota(5000, 17, now + timedelta(hours=1)), Pause(now, "the rate limit")
    old = Pulse(Part.WORKER, now, now, now, now, "no route", quota, pause)
    place.house.pulses.put(old)
    place.clock.advance(60)
    later = place.clock.now()
    pulse = first_beat(place.house)
    assert pulse == replace(old, since=later, beat_at=later, pause=None)
    place.clock.advance(60)
    beat(place.house, Rhythm(issue=7), pulse)  # it works on one issue alone, and polls nothing
    assert told(place) == replace(pulse, beat_at=place.clock.now())


def test_limits_are_told_with_a_pause_at_once_and_the_quota_along(place: Place) -> None:
    sight = KnownAccess()
    place.tracker.inspection = sight
    pulse = first_beat(place.house)
    soon = place.clock.now() + timedelta(hours=1)
    sight.quota = Quota(5000, 4999, soon)
    assert beat(place.house, Rhythm(), pulse) is pulse, "every request changes it"
    sight.pause = Pause(soon, "GitHub's rate limit")
    pulse = beat(place.house, Rhythm(), pulse)
    assert (told(place).pause, told(place).quota) == (sight.pause, sight.quota)
    sight.pause = sight.quota = None
    beat(place.house, Rhythm(), pulse)
    assert (told(place).pause, told(place).quota) == (None, Quota(5000, 4999, soon))
