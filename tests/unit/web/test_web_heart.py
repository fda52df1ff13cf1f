"""The receiver's signs of life, on a memory of pulses."""

import threading
from dataclasses import replace
from datetime import datetime

from repoagents.domain.pulse import Part, Pulse
from repoagents.errors import StoreError
from repoagents.web.heart import Heart
from tests.fakes.clock import FakeClock


class MemoryPulses:
    """`ports.Pulses` that keeps every beat; `broken` refuses to."""

    def __init__(self, known: Pulse | None = None) -> None:
        self.beats: list[Pulse] = [known] if known else []
        self.broken = False
        self.came = threading.Event()

    def put(self, pulse: Pulse) -> None:
        """Keep it."""
        self.came.set()
        if self.broken:
            raise StoreError("the disk is full")
        self.beats.append(pulse)

    def find(self, part: Part) -> Pulse | None:
        """The last one."""
        return self.beats[-1] if self.beats else None

    def all(self) -> tuple[Pulse, ...]:
        """The last one."""
        return tuple(self.beats[-1:])


def test_it_beats_at_the_start_now_and_then_and_at_the_end() -> None:
    clock, pulses, heard = FakeClock(), MemoryPulses(), list[datetime]()
    begun = clock.now()
    with Heart(pulses, clock, lambda: heard[-1] if heard else None, every=0.01):
        for _ in range(3):
            pulses.came.clear()
            assert pulses.came.wait(100)
        heard.append(clock.now())
    assert len(pulses.beats) >= 4
    assert pulses.beats[0] == Pulse(Part.RECEIVER, begun, begun)
    assert pulses.beats[-1] == Pulse(Part.RECEIVER, begun, clock.now(), heard_at=heard[0])


def test_what_an_earlier_receiver_heard_stays_known() -> None:
    clock = FakeClock()
    known = Pulse(Part.RECEIVER, clock.now(), clock.now(), heard_at=clock.now())
    clock.advance(60)
    pulses = MemoryPulses(known)
    with Heart(pulses, clock, lambda: None):
        pass
    assert pulses.beats[-1] == replace(known, since=clock.now(), beat_at=clock.now())


def test_a_state_that_cannot_be_written_stops_nothing() -> None:
    pulses = MemoryPulses()
    pulses.broken = True
    with Heart(pulses, FakeClock(), lambda: None, every=0.01):
        for _ in range(2):
            pulses.came.clear()
            assert pulses.came.wait(100)
    assert pulses.beats == []
