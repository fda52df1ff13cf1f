"""The receiver's signs of life: that it answers, and when the last delivery came."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from threading import Event, Thread
from typing import Self

from repoagents.domain.pulse import Part, Pulse
from repoagents.errors import StoreError
from repoagents.ports import Clock, Pulses

BEAT_SECONDS = 30.0


class Heart:
    """Beats twice a minute in a thread of its own, so that no delivery waits for it.

    `heard` is asked when the last genuine delivery came. A state that cannot be written is passed
    over: an old beat says that too.
    """

    def __init__(
        self,
        pulses: Pulses,
        clock: Clock,
        heard: Callable[[], datetime | None],
        every: float = BEAT_SECONDS,
    ) -> None:
        self._pulses = pulses
        self._clock = clock
        self._heard = heard
        self._every = every
        self._over = Event()
        self._thread = Thread(target=self._live, name="heart")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, after a last beat."""
        self._over.set()
        self._thread.join()

    def _live(self) -> None:
        since, over = self._clock.now(), False
        while True:
            with suppress(StoreError):
                self._beat(since)
            if over:
                return
            over = self._over.wait(self._every)

    def _beat(self, since: datetime) -> None:
        now, before = self._clock.now(), self._pulses.find(Part.RECEIVER)
        pulse = before or Pulse(Part.RECEIVER, since, now)
        heard = self._heard() or pulse.heard_at
        self._pulses.put(replace(pulse, since=since, beat_at=now, heard_at=heard))
