"""The worker's signs of life: what it did and heard, noted for other processes to read."""

from dataclasses import replace
from datetime import timedelta

from repoagents.domain.pulse import Part, Pulse
from repoagents.pipeline.rhythm import Rhythm
from repoagents.ports import House

BEAT_EVERY = timedelta(seconds=30)


def first_beat(house: House) -> Pulse:
    """The pulse of a worker that begins; what earlier ones heard stays known."""
    now, known = house.clock.now(), house.pulses.find(Part.WORKER)
    pulse = replace(known, since=now, pause=None) if known else Pulse(Part.WORKER, now, now)
    return _noted(house, pulse)


def beat(house: House, rhythm: Rhythm, pulse: Pulse) -> Pulse:
    """The pulse as it is now; noted when something changed, and every half minute."""
    sight = house.tracker.inspection
    seen = replace(pulse, pause=sight.pause if sight else None)
    last = rhythm.last_poll
    if last.begun_at is not None:
        heard = last.read_at or pulse.heard_at
        seen = replace(seen, tried_at=last.begun_at, heard_at=heard, problem=last.problem)
    quiet = house.clock.now() - pulse.beat_at
    if seen == pulse and timedelta() <= quiet < BEAT_EVERY:
        return pulse
    # The quota changes with each request, and is told along with the rest.
    quota = sight.quota if sight else None
    return _noted(house, replace(seen, quota=quota or pulse.quota))


def _noted(house: House, pulse: Pulse) -> Pulse:
    pulse = replace(pulse, beat_at=house.clock.now())
    house.pulses.put(pulse)
    return pulse
