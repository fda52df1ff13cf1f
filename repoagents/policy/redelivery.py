"""Which deliveries that did not arrive GitHub is asked to send again, and how many at a time."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from repoagents.domain.delivery import OBJECTS, Sending

LOOK_BACK = timedelta(hours=71)
"""GitHub sends again what is at most three days old; the last hour is left alone."""

PAUSES = (timedelta(0), timedelta(hours=4), timedelta(hours=24))
"""How long the last sending must be over before the first, second and third time that we ask.

There is no fourth. They spread over a weekend's outage, and reach into the day after.
"""

MOST_PER_HOUR = 20
HOUR = timedelta(hours=1)

REFUSALS = frozenset({400, 401, 403, 405, 413, 415, 431})
"""What the receiver answers to a delivery that it would refuse again."""

WITHOUT_ISSUE = frozenset({"installation", "ping"})
"""Events that are read, and lead to nothing to look at."""


def find_missed(sendings: Sequence[Sending], now: datetime) -> tuple[Sending, ...]:
    """The latest sending of each delivery to ask for now, the oldest delivery first.

    `sendings` are those of the last days, all of them.
    """
    tries: dict[str, list[Sending]] = {}
    for sending in sorted(sendings, key=lambda each: (each.at, each.id)):
        tries.setdefault(sending.delivery_id, []).append(sending)
    return tuple(each[-1] for each in tries.values() if _is_due(each, now))


def room_left(sendings: Sequence[Sending], now: datetime) -> int:
    """How many may be asked for now; what was sent again in the last hour counts, for whomever."""
    recent = sum(sending.again and now - sending.at < HOUR for sending in sendings)
    return max(MOST_PER_HOUR - recent, 0)


def _is_due(tries: Sequence[Sending], now: datetime) -> bool:
    """Whether a delivery did not arrive and its next pause is over; `tries` are in order."""
    first, last = tries[0], tries[-1]
    asked = sum(sending.again for sending in tries)
    # Where the first sending is no longer listed, nobody can tell how often it was asked for.
    if first.again or asked >= len(PAUSES) or first.event not in OBJECTS.keys() - WITHOUT_ISSUE:
        return False
    arrived = any(200 <= sending.status < 300 for sending in tries)
    return not arrived and last.status not in REFUSALS and now - last.at >= PAUSES[asked]
