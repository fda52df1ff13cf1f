"""What happened over time, summed up per day by the database."""

from collections import defaultdict
from datetime import date, datetime

from repoagents.domain.reports import Usage
from repoagents.domain.run import RunStatus
from repoagents.ports import Day
from repoagents.store.engine import Door
from repoagents.store.rows import parse_instant, render_instant

# Instants are ISO 8601 in UTC: their first ten characters are the day.
ENDED = """
SELECT substr(finished_at, 1, 10) AS day, status, started_at, finished_at
FROM runs WHERE finished_at >= :since ORDER BY finished_at
"""
SPENT = """
SELECT substr(at, 1, 10) AS day, sum(calls) AS calls, sum(tokens) AS tokens, sum(cost) AS cost
FROM spend WHERE at >= :since GROUP BY substr(at, 1, 10)
"""


class StoredHistory:
    """`ports.History` in the database."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def days(self, since: datetime) -> tuple[Day, ...]:
        """Every day since then on which a run came to rest or something was spent."""
        wanted = {"since": render_instant(since)}
        outcomes: dict[str, dict[RunStatus, int]] = defaultdict(dict)
        seconds: dict[str, list[float]] = defaultdict(list)
        for row in self._door.query(ENDED, wanted):
            day, status = row["day"], RunStatus(row["status"])
            outcomes[day][status] = outcomes[day].get(status, 0) + 1
            if row["started_at"] is not None:
                took = parse_instant(row["finished_at"]) - parse_instant(row["started_at"])
                seconds[day].append(took.total_seconds())
        spent = {
            row["day"]: Usage(int(row["calls"] or 0), int(row["tokens"] or 0), row["cost"])
            for row in self._door.query(SPENT, wanted)
        }
        return tuple(
            Day(
                date.fromisoformat(day),
                outcomes.get(day, {}),
                spent.get(day, Usage()),
                tuple(seconds.get(day, ())),
            )
            for day in sorted(outcomes.keys() | spent.keys())
        )
