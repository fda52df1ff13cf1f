"""The primary rate limit: so many requests an hour, and what every reply says about it."""

from datetime import timedelta

from repoagents.ports import Clock
from repoagents.rehearsal.hub.records import Json

WINDOW = timedelta(hours=1)


class Quota:
    """Requests that counted in the current hour; `limit` may be lowered to meet the end of it."""

    def __init__(self, clock: Clock, limit: int = 5000) -> None:
        self._clock = clock
        self.limit = limit
        self.used = 0
        self._reset = clock.now() + WINDOW

    def spend(self) -> bool:
        """Count one request; False when none is left."""
        if self._clock.now() >= self._reset:
            self.used, self._reset = 0, self._clock.now() + WINDOW
        if self.used >= self.limit:
            return False
        self.used += 1
        return True

    def refund(self) -> None:
        """Take one back: a 304 costs nothing."""
        self.used -= 1

    @property
    def figures(self) -> Json:
        """The numbers, as `/rate_limit` gives them; `reset` in seconds since 1970."""
        remaining = max(0, self.limit - self.used)
        reset = int(self._reset.timestamp())
        return {"limit": self.limit, "used": self.used, "remaining": remaining, "reset": reset}

    @property
    def headers(self) -> dict[str, str]:
        """The same as headers."""
        named = {f"X-RateLimit-{key.capitalize()}": str(n) for key, n in self.figures.items()}
        return named | {"X-RateLimit-Resource": "core"}
