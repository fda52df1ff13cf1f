"""Effects: intended, done, withheld or discarded, one row per run and key."""

from datetime import datetime

from repoagents.domain.effect import Effect, Receipt, effect_name
from repoagents.ports import LedgerRow
from repoagents.store.codec import decode_effect, encode_effect
from repoagents.store.engine import Door
from repoagents.store.open_pulls import DECISIVE, note_anew
from repoagents.store.reader import Reader
from repoagents.store.rows import Column, insert_into, parse_instant, render_instant, storable

INTENDED = "intended"
DONE = "done"
WITHHELD = "withheld"
DISCARDED = "discarded"

OPEN = f"""
run_id = :run_id AND (state = '{WITHHELD}' OR (state = '{INTENDED}' AND flag <> ''))
"""
RECEIPT = f"""
SELECT location, at FROM effects
WHERE run_id = :run_id AND key = :key AND state = '{DONE}' AND effect = :effect
"""  # noqa: S608 - states only
UNSAID = f"""
SELECT DISTINCT run_id FROM effects WHERE state = '{INTENDED}' AND name IN ('comment', 'label')
"""  # noqa: S608 - as above
OPEN_EFFECTS = f"SELECT effect FROM effects WHERE {OPEN} ORDER BY seq"  # noqa: S608 - as above
DISCARD = f"""
UPDATE effects SET state = '{DISCARDED}', reason = :reason, at = :at WHERE {OPEN}
"""  # noqa: S608 - as above


class StoredLedger:
    """`ports.Ledger` in the database.

    The flag that withheld an effect stays with it until the effect is done: one that was intended
    and cut off by a crash is still offered for approval.
    """

    def __init__(self, door: Door, reader: Reader) -> None:
        self._door = door
        self._reader = reader

    def intend(
        self, run_id: str, effect: Effect, at: datetime, location: str | None = None
    ) -> None:
        """Write the intent; an effect that is done with this very content stays done."""
        place = {} if location is None else {"location": storable(location)}
        self._put(run_id, effect, {"state": INTENDED, "at": render_instant(at)} | place)

    def receipt(self, effect: Effect) -> Receipt | None:
        """The receipt, when this effect with this content is known to have taken place."""
        rows = self._door.query(
            RECEIPT,
            {"run_id": effect.run_id, "key": effect.key, "effect": encode_effect(effect)},
        )
        if not rows:
            return None
        return Receipt(effect.key, rows[0]["location"], parse_instant(rows[0]["at"]))

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
        rows = self._door.query(OPEN_EFFECTS, {"run_id": run_id})
        return tuple(decode_effect(row["effect"]) for row in rows)

    def discard(self, run_id: str, reason: str, at: datetime) -> None:
        """A person said no to what `withheld` returns."""
        said = {"run_id": run_id, "reason": storable(reason), "at": render_instant(at)}
        with self._door.begin() as execute:
            execute(DISCARD, said)

    def rows(self, run_id: str) -> tuple[LedgerRow, ...]:
        """All effects of a run, in the order first intended."""
        return self._reader.effects(run_id)

    def unsaid(self) -> tuple[str, ...]:
        """The runs whose comment or label was intended, and is not known to be done."""
        return tuple(row["run_id"] for row in self._door.query(UNSAID, {}))

    def _put(self, run_id: str, effect: Effect, columns: dict[str, str]) -> None:
        said = columns | {"effect": encode_effect(effect)}
        first: dict[str, Column] = {"flag": "", "reason": "", "location": "", **said}
        first |= {"run_id": run_id, "key": effect.key, "name": effect_name(effect)}
        later = ", ".join(f"{name} = excluded.{name}" for name in said)
        put = (
            f"{insert_into('effects', first)} ON CONFLICT (run_id, key) DO UPDATE SET {later} "
            f"WHERE effects.state <> '{DONE}' OR effects.effect <> excluded.effect"
        )
        with self._door.begin() as execute:
            execute(put, first)
            if isinstance(effect, DECISIVE):
                note_anew(execute, run_id)
