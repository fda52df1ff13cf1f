"""What calls cost, reserved before and settled after; windows slide."""

from datetime import datetime, timedelta

from repoagents.domain.reports import Usage
from repoagents.domain.run import Stage
from repoagents.ports import Spent
from repoagents.store.engine import Door
from repoagents.store.rows import Column, Row, insert_into, render_instant

HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)

_SUM = "sum(calls) AS calls, sum(tokens) AS tokens, sum(cost) AS cost FROM spend"
SUMS = f"""
SELECT 'run' AS span, {_SUM} WHERE run_id = :run
UNION ALL SELECT 'hour', {_SUM} WHERE at > :hour
UNION ALL SELECT 'day', {_SUM} WHERE at > :day
"""
STAGES = f"SELECT stage, {_SUM} WHERE run_id = :run GROUP BY stage ORDER BY min(seq)"
SETTLE = (
    "UPDATE spend SET calls = :calls, tokens = :tokens, cost = :cost, settled = 1 WHERE seq = :seq"
)


class StoredSpend:
    """`ports.Spend` in the database."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def spent(self, run_id: str, now: datetime) -> Spent:
        """Sums of the run, the last 3600 seconds and the last 24 hours, reservations included.

        What lies in the future counts as well: a clock that was set back must not free a budget.
        """
        since = {"hour": render_instant(now - HOUR), "day": render_instant(now - DAY)}
        rows = self._door.query(SUMS, {"run": run_id} | since)
        sums = {row["span"]: parse_usage(row) for row in rows}
        return Spent(run=sums["run"], hour=sums["hour"], day=sums["day"])

    def of_stages(self, run_id: str) -> tuple[tuple[Stage, Usage], ...]:
        """Sums of the run by stage, in the order of their first calls."""
        rows = self._door.query(STAGES, {"run": run_id})
        return tuple((Stage(row["stage"]), parse_usage(row)) for row in rows)

    def reserve(self, run_id: str, stage: Stage, usage: Usage, at: datetime) -> int:
        """Reserve before the call; returns the reservation's number."""
        columns: dict[str, Column] = {
            "run_id": run_id,
            "stage": stage.value,
            "calls": usage.calls,
            "tokens": usage.tokens,
            "cost": usage.cost,
            "at": render_instant(at),
            "settled": 0,
        }
        with self._door.begin() as execute:
            (row,) = execute(f"{insert_into('spend', columns)} RETURNING seq", columns)
        return int(row["seq"])

    def settle(self, reservation: int, usage: Usage) -> None:
        """Replace a reservation by what the call really cost; its instant stays."""
        cost = {"calls": usage.calls, "tokens": usage.tokens, "cost": usage.cost}
        with self._door.begin() as execute:
            execute(SETTLE, cost | {"seq": reservation})


def parse_usage(row: Row) -> Usage:
    """Summed calls, tokens and cost; of no known cost the sum is NULL: unknown, as in `Usage`."""
    return Usage(int(row["calls"] or 0), int(row["tokens"] or 0), row["cost"])
