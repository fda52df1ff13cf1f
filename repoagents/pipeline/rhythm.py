"""What the worker's loop keeps in memory from one tick for the next."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from repoagents.ports import House


@dataclass
class LastPoll:
    """How the last poll of the tracker went."""

    begun_at: datetime | None = None
    """When it began; None has the next tick poll."""
    read_at: datetime | None = None
    """When the last one began that read the whole tracker."""
    problem: str = ""
    """Why the last one did not; empty when it did."""
    heard_at: datetime | None = None
    """When comments were last asked for."""
    bare: bool = False
    """Whether it found no issue with the trigger label, and has told how to set one."""


@dataclass
class Errands:
    """When each errand was last begun."""

    swept_at: datetime | None = None
    followed_at: datetime | None = None
    """When the pull requests were last looked at; None has them looked at now."""
    asked_at: datetime | None = None
    """When GitHub was last asked for the deliveries that did not arrive."""
    may_ask: bool = True
    """False once GitHub has refused that."""


@dataclass
class Rhythm:
    """What the worker is for, what it did when, and what it has to come back to."""

    issue: int | None = None
    """The one issue that it works on; None for all of them."""
    insists: bool = False
    """Whether an unreadable tracker ends the worker: of one that is to end, it is the answer."""
    polls: bool = True
    last_poll: LastPoll = field(default_factory=LastPoll)
    errands: Errands = field(default_factory=Errands)
    again: set[int] = field(default_factory=set)
    """The issues whose last look failed: the next poll looks at them again."""
    said: dict[int, str] = field(default_factory=dict)
    """What was last told of each issue, which is not told twice."""
    later: dict[str, datetime] = field(default_factory=dict)
    """Requests that an outage stood in the way of, and when they are taken up again."""


def poll_interval(house: House) -> timedelta:
    """How often the tracker is polled."""
    return timedelta(seconds=house.settings.tracker.poll_interval_seconds)


def is_due(last: datetime | None, interval: timedelta, now: datetime) -> bool:
    """Whether the interval is over; a clock that was set back counts as over."""
    return last is None or now - last >= interval or now < last
