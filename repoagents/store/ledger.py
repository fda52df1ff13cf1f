"""Effects: intended, done, withheld or discarded, one row per run and key."""

from datetime import datetime

import sqlalchemy as sa

from repoagents.domain.effect import Effect, Receipt, effect_name
from repoagents.ports import LedgerRow
from repoagents.store import schema
from repoagents.store.codec import decode_effect, encode_effect
from repoagents.store.engine import Door
from repoagents.store.reader import Reader
from repoagents.store.rows import parse_instant, render_instant, storable

INTENDED = "intended"
DONE = "done"
WITHHELD = "withheld"
DISCARDED = "discarded"


class StoredLedger:
    """`ports.Ledger` in the database.

    The flag that withheld an effect stays with it until the effect is done: one that was intended
    and cut off by a crash is still offered for approval.
    """

    def __init__(self, door: Door, reader: Reader) -> None:
        self._door = door
        self._reader = reader

    def intend(self, run_id: str, effect: Effect, at: datetime) -> None:
        """Write the intent; an effect that is done with this very content stays done."""
        self._put(run_id, effect, {"state": INTENDED, "at": render_instant(at)})

    def receipt(self, effect: Effect) -> Receipt | None:
        """The receipt, when this effect with this content is known to have taken place."""
        table = schema.effects
        select = sa.select(table.c.location, table.c.at).where(
            table.c.run_id == effect.run_id,
            table.c.key == effect.key,
            table.c.state == DONE,
            table.c.effect == encode_effect(effect),
        )
        with self._door.begin() as connection:
            row = connection.execute(select).one_or_none()
        return row and Receipt(effect.key, row.location, parse_instant(row.at))

    def close(self, run_id: str, effect: Effect, receipt: Receipt) -> None:
        """Write the receipt, whatever stood there before."""
        done = {"state": DONE, "flag": "", "reason": "", "location": storable(receipt.location)}
        self._put(run_id, effect, done | {"at": render_instant(receipt.at)})

    def withhold(self, run_id: str, effect: Effect, flag: str, reason: str, at: datetime) -> None:
        """Keep an effect that a flag withheld; one that is done with this content stays done."""
        held = {"state": WITHHELD, "flag": flag, "reason": storable(reason)}
        self._put(run_id, effect, held | {"at": render_instant(at)})

    def withheld(self, run_id: str) -> tuple[Effect, ...]:
        """The effects that a flag withheld and that are not done yet, in the order intended."""
        table = schema.effects
        select = sa.select(table.c.effect).where(*_open(run_id)).order_by(table.c.seq)
        with self._door.begin() as connection:
            return tuple(decode_effect(text) for text in connection.scalars(select))

    def discard(self, run_id: str, reason: str, at: datetime) -> None:
        """A person said no to what `withheld` returns."""
        update = (
            sa.update(schema.effects)
            .where(*_open(run_id))
            .values(state=DISCARDED, reason=storable(reason), at=render_instant(at))
        )
        with self._door.begin() as connection:
            connection.execute(update)

    def rows(self, run_id: str) -> tuple[LedgerRow, ...]:
        """All effects of a run, in the order first intended."""
        return self._reader.effects(run_id)

    def _put(self, run_id: str, effect: Effect, columns: dict[str, str]) -> None:
        table = schema.effects
        text = encode_effect(effect)
        first = {"flag": "", "reason": "", "location": ""} | columns
        insert = self._door.insert(table).values(
            run_id=run_id, key=effect.key, name=effect_name(effect), effect=text, **first
        )
        upsert = insert.on_conflict_do_update(
            index_elements=[table.c.run_id, table.c.key],
            set_=columns | {"effect": text},
            where=sa.or_(table.c.state != DONE, table.c.effect != text),
        )
        with self._door.begin() as connection:
            connection.execute(upsert)


def _open(run_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    table = schema.effects.c
    cut_off = sa.and_(table.state == INTENDED, table.flag != "")
    return (table.run_id == run_id, sa.or_(table.state == WITHHELD, cut_off))
