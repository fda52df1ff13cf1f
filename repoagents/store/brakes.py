"""The brake: one note beside the schema's, so that whoever opens the state finds it."""

import json

from repoagents.domain.rollout import Brake
from repoagents.store.engine import Door
from repoagents.store.reader import BRAKE, Reader
from repoagents.store.rows import render_instant, storable

PULL = """
INSERT INTO meta (key, value) VALUES (:key, :value)
ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""


class StoredBrakes:
    """`ports.Brakes` in the database."""

    def __init__(self, door: Door, reader: Reader) -> None:
        self._door = door
        self._reader = reader

    def pull(self, brake: Brake) -> None:
        """Hold to this phase, in the place of what held before."""
        row = {
            "phase": brake.phase.value,
            "reason": storable(brake.reason),
            "run": brake.run_id,
            "issue": brake.issue_number,
            "at": render_instant(brake.at),
        }
        with self._door.begin() as execute:
            execute(PULL, {"key": BRAKE, "value": json.dumps(row)})

    def find(self) -> Brake | None:
        """What holds the bot now; None when nothing does."""
        return self._reader.brake()

    def release(self) -> None:
        """A person lets it go."""
        with self._door.begin() as execute:
            execute("DELETE FROM meta WHERE key = :key", {"key": BRAKE})
