"""A clock that stands still until somebody moves it, and chance that repeats itself."""

import hashlib
import os
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


class FakeClock:
    """`ports.Clock`: `instant` may be set, to any direction; sleeping moves it on at once."""

    def __init__(self, instant: datetime = START) -> None:
        self.instant = instant
        self.slept: list[float] = []
        self._elapsed = 0.0
        self._drawn = 0

    def now(self) -> datetime:
        """The instant that was set."""
        return self.instant

    def monotonic(self) -> float:
        """Seconds advanced so far, whatever was done to `instant`."""
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.instant += timedelta(seconds=seconds)
        self._elapsed += seconds

    async def sleep(self, seconds: float) -> None:
        """Let that time pass without waiting."""
        self.slept.append(seconds)
        self.advance(seconds)

    def token(self, size: int) -> str:
        """Hexadecimal characters: different each time, the same for each clock of a process.

        Another process gets others: runs are named by them, and their processes are found by that
        name on the whole machine.
        """
        return self._draw(f"{os.getpid()} ").ljust(size, "0")[:size]

    def fraction(self) -> float:
        """A number in [0, 1): different each time, the same in each test run."""
        return int(self._draw()[:8], 16) / 2**32

    def _draw(self, salt: str = "") -> str:
        self._drawn += 1
        return hashlib.sha256(f"{salt}{self._drawn}".encode()).hexdigest()


class GitHubsClock(FakeClock):
    """The same instants as the bot's, and tokens of its own: two threads must not draw one."""

    def __init__(self, bots: FakeClock) -> None:
        super().__init__()
        self._bots = bots

    def now(self) -> datetime:
        """The bot's instant."""
        return self._bots.now()
