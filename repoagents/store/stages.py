"""Finished stages' values."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypeVar

from repoagents.domain.run import Stage
from repoagents.ports import StageKey
from repoagents.store.codec import decode, encode
from repoagents.store.engine import Door
from repoagents.store.reader import Reader
from repoagents.store.rows import Column, insert_into, render_instant

T = TypeVar("T")


class StoredStages:
    """`ports.Stages` in the database."""

    def __init__(self, door: Door, reader: Reader) -> None:
        self._door = door
        self._reader = reader

    def record(self, key: StageKey, value: object, at: datetime, seconds: float) -> None:
        """Keep a value as the newest; the same key again replaces its earlier value."""
        name: dict[str, Column] = {
            "run_id": key.run_id,
            "attempt": key.attempt,
            "stage": key.stage.value,
            "round": key.round,
            "input_hash": key.input_hash,
        }
        columns = name | {"value": encode(value), "at": render_instant(at), "seconds": seconds}
        with self._door.begin() as execute:
            execute(f"DELETE FROM stages WHERE {_all_of(name)}", name)  # noqa: S608 - names only
            execute(insert_into("stages", columns), columns)

    def find(self, key: StageKey, kind: type[T]) -> T | None:
        """The newest value for the same run, stage, round and input hash, of any attempt."""
        wanted = {"run_id": key.run_id, "stage": key.stage.value, "round": key.round}
        return self._newest(kind, wanted | {"input_hash": key.input_hash})

    def last(self, run_id: str, stage: Stage, kind: type[T], round: int | None = None) -> T | None:
        """The newest value of a stage, of that round when one is named, or None."""
        wanted: dict[str, Column] = {"run_id": run_id, "stage": stage.value}
        return self._newest(kind, wanted if round is None else wanted | {"round": round})

    def void(self, run_id: str, stage: Stage, round: int) -> None:
        """Forget a stage's values of one round, so that it is run again."""
        name = {"run_id": run_id, "stage": stage.value, "round": round}
        with self._door.begin() as execute:
            execute(f"DELETE FROM stages WHERE {_all_of(name)}", name)  # noqa: S608 - names only

    def timings(self, run_id: str) -> tuple[tuple[Stage, int, float], ...]:
        """Stage, round and seconds, in the order recorded."""
        return self._reader.timings(run_id)

    def _newest(self, kind: type[T], wanted: Mapping[str, Column]) -> T | None:
        rows = self._door.query(
            f"SELECT value FROM stages WHERE {_all_of(wanted)} "  # noqa: S608 - names only
            "ORDER BY seq DESC LIMIT 1",
            wanted,
        )
        return decode(rows[0]["value"], kind) if rows else None


def _all_of(wanted: Iterable[str]) -> str:
    return " AND ".join(f"{name} = :{name}" for name in wanted)
