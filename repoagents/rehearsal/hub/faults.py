"""Faults on demand: what goes wrong with the next request that fits."""

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from threading import Lock

from repoagents.rehearsal.hub.records import Json


class Fault(StrEnum):
    """One way in which a request to GitHub can go wrong."""

    BAD_GATEWAY = "502 before"
    BAD_GATEWAY_AFTER = "502 after commit"
    RESET_AFTER = "reset after commit"
    TOO_MANY = "429 without Retry-After"
    SECONDARY = "403 secondary limit"
    PRIMARY = "403 primary limit"
    TRUNCATED = "truncated JSON"
    LAG = "list lag"
    MOVED = "307 to the moved repository"
    UNAUTHORIZED = "401 token expired"
    PAGE = "a page for an answer"


@dataclass
class Planned:
    """A fault that waits for its request.

    `seconds` is the Retry-After; `reads` is how many readings do not see yet what the write has
    made, at least one for a list that lags.
    """

    method: str
    path: str
    fault: Fault
    times: int
    seconds: int
    reads: int


class Faults:
    """What is planned, and what is still hidden from readers."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._planned: list[Planned] = []
        self._hidden: dict[object, int] = {}

    def next(
        self,
        method: str,
        path: str,
        fault: Fault | str,
        *,
        times: int = 1,
        seconds: int = 1,
        reads: int = 0,
    ) -> None:
        """Plan a fault for the next requests with this method (`*`: any) and path pattern."""
        with self._lock:
            self._planned.append(Planned(method, path, Fault(fault), times, seconds, reads))

    def take(self, method: str, path: str) -> Planned | None:
        """The fault for this request, used up by it."""
        with self._lock:
            for planned in self._planned:
                if planned.method in (method, "*") and fnmatchcase(path, planned.path):
                    planned.times -= 1
                    if not planned.times:
                        self._planned.remove(planned)
                    return planned
        return None

    def hide(self, value: object, reads: int) -> None:
        """Let what a write has just made stay unseen for the next readings."""
        if isinstance(value, dict) and "id" in value:
            with self._lock:
                self._hidden[value["id"]] = reads

    def show(self) -> None:
        """Let everything be seen."""
        with self._lock:
            self._hidden.clear()

    def veil(self, value: object) -> object | None:
        """A reading without what is still hidden; None when it was just that."""
        with self._lock:
            if not self._hidden:
                return value
            if isinstance(value, list):
                return [item for item in value if not self._unseen(item)]
            return None if self._unseen(value) else value

    def _unseen(self, item: object) -> bool:
        known: Json = item if isinstance(item, dict) else {}
        left = self._hidden.get(known.get("id"), 0)
        if left:
            self._hidden[known["id"]] = left - 1
        return left > 0
