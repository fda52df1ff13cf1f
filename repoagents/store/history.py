"""What happened over time, summed up per day, and what was kept of many runs at once."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import TypeVar

from repoagents.domain.reports import Review, Usage, Verdict
from repoagents.domain.run import RunStatus, Stage
from repoagents.errors import ValueUnreadable
from repoagents.ports import Day, Kept
from repoagents.store.codec import decode
from repoagents.store.engine import Door
from repoagents.store.reader import parse_effect
from repoagents.store.rows import Column, Row, parse_instant, render_instant
from repoagents.store.spend import parse_usage

T = TypeVar("T")

AT_ONCE = 500
"""How many runs one query asks for: databases bound the parameters of one."""

# Only what is told is read: a plan or a change is long, and stays where it is.
STAGES = """
SELECT run_id, stage, round, seconds,
    CASE WHEN stage IN ('review', 'verdict') THEN value ELSE '' END AS value
FROM stages WHERE run_id IN ({}) ORDER BY seq
"""
EFFECTS = """
SELECT run_id, key, name, state, flag, reason, location, at
FROM effects WHERE run_id IN ({}) ORDER BY seq
"""
COSTS = """
SELECT run_id, sum(calls) AS calls, sum(tokens) AS tokens, sum(cost) AS cost
FROM spend WHERE run_id IN ({}) GROUP BY run_id
"""

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
        spent = {row["day"]: parse_usage(row) for row in self._door.query(SPENT, wanted)}
        return tuple(
            Day(
                date.fromisoformat(day),
                outcomes.get(day, {}),
                spent.get(day, Usage()),
                tuple(seconds.get(day, ())),
            )
            for day in sorted(outcomes.keys() | spent.keys())
        )

    def kept(self, run_ids: Sequence[str]) -> Mapping[str, Kept]:
        """What is held of each of these runs."""
        stages, effects, costs = (
            _by_run(self._rows(query, run_ids)) for query in (STAGES, EFFECTS, COSTS)
        )
        return {
            run_id: Kept(
                timings=tuple(
                    (Stage(row["stage"]), row["round"], row["seconds"]) for row in stages[run_id]
                ),
                effects=tuple(parse_effect(row) for row in effects[run_id]),
                usage=next(map(parse_usage, costs[run_id]), Usage()),
                review=_last(stages[run_id], Stage.REVIEW, Review),
                verdict=_last(stages[run_id], Stage.VERDICT, Verdict),
            )
            for run_id in run_ids
        }

    def _rows(self, query: str, run_ids: Sequence[str]) -> Iterator[Row]:
        for first in range(0, len(run_ids), AT_ONCE):
            asked = run_ids[first : first + AT_ONCE]
            names: dict[str, Column] = {f"run{place}": one for place, one in enumerate(asked)}
            places = ", ".join(f":{name}" for name in names)
            yield from self._door.query(query.format(places), names)


def _by_run(rows: Iterator[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["run_id"]].append(row)
    return found


def _last(rows: Sequence[Row], stage: Stage, kind: type[T]) -> T | None:
    """The newest value; None as well for one that another version wrote.

    What is known of all runs is not withheld because of one.
    """
    newest = next((row["value"] for row in reversed(rows) if row["stage"] == stage), None)
    try:
        return None if newest is None else decode(newest, kind)
    except ValueUnreadable:
        return None
