"""The read model that every view of the runs is made from, and its form in JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from repoagents.domain.pulse import Part, Pulse
from repoagents.domain.reports import Usage
from repoagents.domain.rollout import Brake
from repoagents.domain.run import Run, RunStatus, Stage

if TYPE_CHECKING:
    # The ports bring the settings with them, which `status --json` does without.
    from repoagents.ports import Day

EffectRow = tuple[str, str, str, str, str]
"""An effect of a run: name, state, the flag that withheld it, the reason, where it can be seen."""


@dataclass(frozen=True)
class Card:
    """One run with what was kept of it.

    `headline` says what happened and what is asked of the reader. `timings` are stage, round and
    seconds, in order; `findings` are severity, who found it, and a sentence; `reasons` are the
    latest verdict's, and then what it wants mended. `files` are the names in the run's artifact
    folder. `waits` is whether its result waits for a person's word or for a flag.
    """

    run: Run
    headline: str
    timings: tuple[tuple[Stage, int, float], ...] = ()
    effects: tuple[EffectRow, ...] = ()
    usage: Usage = field(default_factory=Usage)
    findings: tuple[tuple[str, str, str], ...] = ()
    reasons: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    waits: bool = False

    @property
    def folder(self) -> str:
        """The run's folder below `artifacts/` and `workspaces/`."""
        return f"issue-{self.run.issue_number}/{self.run.id}"


@dataclass(frozen=True)
class Caps:
    """What was spent in the sliding windows, and what may be: `limits` by configuration key."""

    hour: Usage = field(default_factory=Usage)
    day: Usage = field(default_factory=Usage)
    limits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """What was known at one instant: runs newest first, how many there are of each status.

    `holder` is a line about the worker that holds the lock, empty when none is live. `cards` are
    the newest runs and all that need somebody, `days` what each recent day brought. `open_pulls` is
    how many pull requests of the bot's are open. `flags` are the safety flags. `rehearsal` says,
    when it is not empty, that this is no live repository: it is the first line of everything that
    is made from the snapshot. `brake` holds the bot to an earlier phase than its flags name.
    """

    now: datetime
    runs: tuple[Run, ...] = ()
    counts: Mapping[RunStatus, int] = field(default_factory=dict)
    holder: str = ""
    pulses: tuple[Pulse, ...] = ()
    repo: str = ""
    version: str = ""
    installation: str = ""
    cards: tuple[Card, ...] = ()
    days: "tuple[Day, ...]" = ()
    caps: Caps = field(default_factory=Caps)
    open_pulls: int = 0
    flags: Mapping[str, bool] = field(default_factory=dict)
    free_bytes: int | None = None
    rehearsal: str = ""
    brake: Brake | None = None

    @property
    def total(self) -> int:
        """How many runs there are, also beyond `runs`."""
        return sum(self.counts.values())

    @property
    def counted(self) -> tuple[tuple[RunStatus, int], ...]:
        """Every status that any run has, in order, and how many have it."""
        return tuple(
            (status, self.counts[status]) for status in RunStatus if self.counts.get(status)
        )


def run_row(run: Run) -> dict[str, object]:
    """A run as the commands' JSON shows it: stable keys, instants in ISO 8601."""
    failure = run.failure
    return {
        "id": run.id,
        "issue": run.issue_number,
        "title": run.title,
        "status": run.status.value,
        "stage": run.stage.value if run.stage else None,
        "attempt": run.attempt,
        "round": run.round,
        "failure": failure
        and {
            "kind": failure.kind.value,
            "message": failure.message,
            "next_step": failure.next_step,
        },
        "next_at": instant(run.next_at),
        "base_sha": run.base_sha,
        "head_sha": run.head_sha,
        "branch": run.branch,
        "verified": run.verified,
        "created_at": instant(run.created_at),
        "updated_at": instant(run.updated_at),
        "finished_at": instant(run.finished_at),
    }


def effect_row(effect: EffectRow) -> dict[str, str]:
    """An effect as the commands' JSON shows it."""
    return dict(zip(("name", "state", "flag", "reason", "location"), effect, strict=True))


def stage_row(timing: tuple[Stage, int, float]) -> dict[str, object]:
    """A finished stage as the commands' JSON shows it."""
    stage, round_, seconds = timing
    return {"stage": stage.value, "round": round_, "seconds": seconds}


def pulse_row(pulse: Pulse) -> dict[str, object]:
    """The signs of life of one part."""
    return {
        "since": instant(pulse.since),
        "beat_at": instant(pulse.beat_at),
        "tried_at": instant(pulse.tried_at),
        "heard_at": instant(pulse.heard_at),
        "problem": pulse.problem,
    }


def rate_limit_row(pulse: Pulse) -> dict[str, object]:
    """GitHub's limits as the worker was told them; null is what was not told."""
    quota, pause = pulse.quota, pulse.pause
    return {
        "limit": quota.limit if quota else None,
        "remaining": quota.remaining if quota else None,
        "reset_at": instant(quota.reset_at) if quota else None,
        "paused_until": instant(pause.until) if pause else None,
        "paused_because": pause.reason if pause else "",
    }


def snapshot_row(snapshot: Snapshot) -> dict[str, object]:
    """A snapshot as `status --json` shows it."""
    known = {pulse.part: pulse for pulse in snapshot.pulses}
    worker = known.get(Part.WORKER)
    return {
        "rendered_at": instant(snapshot.now),
        "worker": snapshot.holder,
        "pulse": {part.value: pulse_row(known[part]) if part in known else None for part in Part},
        "rate_limit": rate_limit_row(worker) if worker else None,
        "counts": {status.value: count for status, count in snapshot.counted},
        "held": brake_row(snapshot.brake) if snapshot.brake else None,
        "runs": [run_row(run) for run in snapshot.runs],
    }


def brake_row(brake: Brake) -> dict[str, object]:
    """What holds the bot to an earlier phase, and why."""
    return {
        "phase": brake.phase.value,
        "reason": brake.reason,
        "issue": brake.issue_number,
        "at": instant(brake.at),
    }


def instant(at: datetime | None) -> str | None:
    """An instant in ISO 8601, as JSON shows it."""
    return at.isoformat() if at else None
