"""Finished stages' values."""

from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa

from repoagents.domain.run import Stage
from repoagents.ports import StageKey
from repoagents.store import schema
from repoagents.store.codec import decode, encode
from repoagents.store.engine import Door
from repoagents.store.reader import Reader
from repoagents.store.rows import render_instant

T = TypeVar("T")


class StoredStages:
    """`ports.Stages` in the database."""

    def __init__(self, door: Door, reader: Reader) -> None:
        self._door = door
        self._reader = reader

    def record(self, key: StageKey, value: object, at: datetime, seconds: float) -> None:
        """Keep a value as the newest; the same key again replaces its earlier value."""
        table = schema.stages
        columns: dict[str, str | int] = {
            "run_id": key.run_id,
            "attempt": key.attempt,
            "stage": key.stage.value,
            "round": key.round,
            "input_hash": key.input_hash,
        }
        earlier = sa.delete(table).where(*(table.c[name] == v for name, v in columns.items()))
        insert = sa.insert(table).values(
            **columns, value=encode(value), at=render_instant(at), seconds=seconds
        )
        with self._door.begin() as connection:
            connection.execute(earlier)
            connection.execute(insert)

    def find(self, key: StageKey, kind: type[T]) -> T | None:
        """The newest value for the same run, stage, round and input hash, of any attempt."""
        table = schema.stages.c
        return self._newest(
            kind, *_of(key.run_id, key.stage, key.round), table.input_hash == key.input_hash
        )

    def last(self, run_id: str, stage: Stage, kind: type[T], round: int | None = None) -> T | None:
        """The newest value of a stage, of that round when one is named, or None."""
        return self._newest(kind, *_of(run_id, stage, round))

    def void(self, run_id: str, stage: Stage, round: int) -> None:
        """Forget a stage's values of one round, so that it is run again."""
        with self._door.begin() as connection:
            connection.execute(sa.delete(schema.stages).where(*_of(run_id, stage, round)))

    def timings(self, run_id: str) -> tuple[tuple[Stage, int, float], ...]:
        """Stage, round and seconds, in the order recorded."""
        return self._reader.timings(run_id)

    def _newest(self, kind: type[T], *conditions: sa.ColumnElement[bool]) -> T | None:
        table = schema.stages
        select = sa.select(table.c.value).where(*conditions).order_by(table.c.seq.desc()).limit(1)
        with self._door.begin() as connection:
            text = connection.scalar(select)
        return None if text is None else decode(text, kind)


def _of(run_id: str, stage: Stage, round_: int | None) -> tuple[sa.ColumnElement[bool], ...]:
    table = schema.stages.c
    conditions = (table.run_id == run_id, table.stage == stage.value)
    return conditions if round_ is None else (*conditions, table.round == round_)
