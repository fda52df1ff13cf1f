"""How often GitHub may be asked: its own limits as it tells them, and our budget for writes."""

import asyncio
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from repoagents.domain.pulse import Pause, Quota
from repoagents.errors import RateLimited
from repoagents.github.answers import Answer, Ask, limit_in, message_of
from repoagents.github.auth import Mints
from repoagents.ports import Clock

LONGEST_SLEEP = 5.0
"""Seconds that a call may sleep in all; a longer wait is the caller's, as `RateLimited`."""

BETWEEN_WRITES = 1.0
WRITES = ((60.0, 80), (3600.0, 500))
"""At most so many writes in any span of so many seconds: GitHub's secondary limits for content."""


@dataclass(frozen=True)
class Limit:
    """GitHub's word that nothing is to be asked before an instant.

    It is over when either clock says so: the time of day may be set back, and the other one stands
    still while the machine sleeps.
    """

    asked: str
    told: str
    over_at: datetime
    over_after: float

    def left(self, clock: Clock) -> float:
        """Seconds until it is over."""
        by_day = (self.over_at - clock.now()).total_seconds()
        return min(by_day, self.over_after - clock.monotonic())

    def error(self, clock: Clock) -> RateLimited:
        """What whoever asks meanwhile is told."""
        retry_at = clock.now() + timedelta(seconds=self.left(clock))
        return RateLimited(
            f"{self.asked}: GitHub's rate limit, until {retry_at:%H:%M:%S} UTC: {self.told}",
            retry_at=retry_at,
            next_step="Nothing to do: it goes on by itself. A longer tracker.poll_interval_seconds"
            " asks less.",
        )


class Pace:
    """One per process: everything that asks GitHub with one credential shares it."""

    def __init__(self, clock: Clock, *, longest_sleep: float = LONGEST_SLEEP) -> None:
        self._clock = clock
        self._longest = longest_sleep
        self._writing = threading.Lock()
        self._began: deque[float] = deque(maxlen=max(count for _, count in WRITES))
        self._ended: float | None = None
        self._telling = threading.Lock()
        self._closed: Limit | None = None
        self._in_a_row = 0
        self.quota: Quota | None = None

    @property
    def pause(self) -> Pause | None:
        """Until when nothing is asked of GitHub, by its own word; None when requests go through."""
        closed = self._closed
        if closed is None or closed.left(self._clock) <= 0:
            return None
        error = closed.error(self._clock)
        return Pause(error.retry_at, str(error))

    def admit(self) -> None:
        """Let a request through, or raise the `RateLimited` that GitHub has told us before.

        Whoever goes on asking while it is limited may be banned.
        """
        while (closed := self._closed) is not None:
            seconds = closed.left(self._clock)
            if seconds > self._longest:
                raise closed.error(self._clock)
            self.sleep(seconds)
            with self._telling:
                if self._closed is closed:  # else another thread was told of a new one meanwhile
                    self._closed = None

    def learn(self, ask: Ask, answer: Answer) -> RateLimited | None:
        """Keep what an answer tells of quotas; a rate limit closes the way until its end."""
        self._note(answer.headers)
        now = self._clock.now()
        with self._telling:
            # What was under way when the way was closed is no further limit, nor the end of it.
            closed = self._closed
            row = self._in_a_row if closed is None else max(self._in_a_row - 1, 0)
            wait = limit_in(answer, now, row)
            if wait is None:
                self._in_a_row = 0 if closed is None else self._in_a_row
                return None
            self._in_a_row = row + 1
            over_after = self._clock.monotonic() + wait.total_seconds()
            limit = Limit(str(ask), message_of(answer), now + wait, over_after)
            if closed is None or limit.over_after > closed.over_after:
                self._closed = closed = limit
        return closed.error(self._clock)

    @contextmanager
    def write(self) -> Iterator[None]:
        """The turn of one write: one at a time, a second apart, within the budget."""
        with self._writing:
            seconds = self._until_next_write()
            if seconds > self._longest:
                raise RateLimited(
                    f"our own budget of writes to GitHub is used up for {seconds:.0f} s",
                    retry_at=self._clock.now() + timedelta(seconds=seconds),
                    next_step="Nothing to do: it goes on by itself.",
                )
            self.sleep(seconds)
            self._began.append(self._clock.monotonic())
            try:
                yield
            finally:
                self._ended = self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait in this thread; it must not be one that runs an event loop."""
        if seconds > 0:
            asyncio.run(self._clock.sleep(seconds))

    def _until_next_write(self) -> float:
        now = self._clock.monotonic()
        waits = [0.0 if self._ended is None else self._ended + BETWEEN_WRITES - now]
        for span, count in WRITES:
            if len(self._began) >= count:
                waits.append(self._began[-count] + span - now)
        return max(waits)

    def _note(self, headers: Mapping[str, str]) -> None:
        """Keep the quota that an answer tells; only the REST one is shown."""
        if headers.get("x-ratelimit-resource", "core") != "core":
            return
        try:
            limit, remaining, reset = (
                int(float(headers[f"x-ratelimit-{name}"]))
                for name in ("limit", "remaining", "reset")
            )
            self.quota = Quota(limit, remaining, datetime.fromtimestamp(reset, UTC))
        except (KeyError, ValueError, OverflowError, OSError):
            return  # no quota told, or none that can be read


class Paced:
    """A door that keeps to the pace of all others; a rate limit behind it is raised."""

    def __init__(self, door: Mints, pace: Pace) -> None:
        self._door = door
        self._pace = pace

    def send(self, ask: Ask, authorization: str) -> Answer:
        """The answer, whatever else its status."""
        self._pace.admit()
        answer = self._door.send(ask, authorization)
        limited = self._pace.learn(ask, answer)
        if limited is not None:
            raise limited
        return answer
