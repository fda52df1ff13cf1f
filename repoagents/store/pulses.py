"""Signs of life: one row for each part, replaced at every beat."""

from repoagents.domain.pulse import Part, Pulse
from repoagents.store.engine import Door
from repoagents.store.reader import Reader
from repoagents.store.rows import Column, insert_into, render_instant, storable


class StoredPulses:
    """`ports.Pulses` in the database."""

    def __init__(self, door: Door, reader: Reader) -> None:
        self._door = door
        self._reader = reader

    def put(self, pulse: Pulse) -> None:
        """Replace what the part told before."""
        columns = _columns(pulse)
        later = ", ".join(f"{name} = excluded.{name}" for name in columns if name != "part")
        put = f"{insert_into('pulses', columns)} ON CONFLICT (part) DO UPDATE SET {later}"
        with self._door.begin() as execute:
            execute(put, columns)

    def find(self, part: Part) -> Pulse | None:
        """What the part told last."""
        return next((pulse for pulse in self.all() if pulse.part is part), None)

    def all(self) -> tuple[Pulse, ...]:
        """What each part told last."""
        return self._reader.pulses()


def _columns(pulse: Pulse) -> dict[str, Column]:
    columns: dict[str, Column] = {
        "part": pulse.part.value,
        "since": render_instant(pulse.since),
        "beat_at": render_instant(pulse.beat_at),
        "tried_at": render_instant(pulse.tried_at) if pulse.tried_at else None,
        "heard_at": render_instant(pulse.heard_at) if pulse.heard_at else None,
        "problem": storable(pulse.problem),
        **dict.fromkeys(("quota_limit", "quota_left", "quota_reset_at")),
        **dict.fromkeys(("paused_until", "pause_reason")),
    }
    if quota := pulse.quota:
        columns |= {"quota_limit": quota.limit, "quota_left": quota.remaining}
        columns["quota_reset_at"] = render_instant(quota.reset_at)
    if pause := pulse.pause:
        columns["paused_until"] = render_instant(pause.until)
        columns["pause_reason"] = storable(pause.reason)
    return columns
