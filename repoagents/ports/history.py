"""What happened over time, and what was kept of many runs: the door that reports read by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from repoagents.domain.reports import Review, Usage, Verdict
from repoagents.domain.run import RunStatus, Stage
from repoagents.ports.records import LedgerRow


@dataclass(frozen=True)
class Day:
    """What one day (UTC) brought: how runs ended, what calls cost, how long runs took.

    `outcomes` counts the runs that came to rest on that day by the status that they have now.
    `seconds` has one entry for each of them: from its first attempt's start to its end.
    """

    day: date
    outcomes: Mapping[RunStatus, int]
    usage: Usage
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class Kept:
    """What the books hold of one run that reports tell in full; `usage` is all that it spent."""

    timings: tuple[tuple[Stage, int, float], ...] = ()
    effects: tuple[LedgerRow, ...] = ()
    usage: Usage = field(default_factory=Usage)
    review: Review | None = None
    verdict: Verdict | None = None


class History(Protocol):
    """What happened over time, for charts and key figures, and what was kept of many runs."""

    def days(self, since: datetime) -> tuple[Day, ...]:
        """Every day since then on which something happened, oldest first."""

    def kept(self, run_ids: Sequence[str]) -> Mapping[str, Kept]:
        """What is held of each of these runs, in a handful of queries however many they are."""
