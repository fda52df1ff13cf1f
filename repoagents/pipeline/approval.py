"""A person's word: publish exactly what was proven, or never."""

from dataclasses import dataclass

from repoagents.domain.effect import Effect, OpenDraftPullRequest, PushBranch, effect_name
from repoagents.domain.run import Run, RunStatus
from repoagents.pipeline import publisher
from repoagents.ports import Approval, House


@dataclass(frozen=True)
class Waiting:
    """A proven change that has not been published: what is withheld, and by which flag."""

    run: Run
    effects: tuple[Effect, ...]
    flags: tuple[str, ...]


def pending(house: House) -> tuple[Waiting, ...]:
    """Every run whose result waits for a person or for a flag, newest first."""
    statuses = (RunStatus.COMPLETED, RunStatus.AWAITING_APPROVAL)
    waiting = (waiting_of(house, run) for run in house.runs.select(statuses, limit=10_000))
    return tuple(found for found in waiting if found is not None)


def waiting_of(house: House, run: Run) -> Waiting | None:
    """What is withheld of one run, or None."""
    effects = house.ledger.withheld(run.id)
    publishable = tuple(e for e in effects if isinstance(e, PushBranch | OpenDraftPullRequest))
    if not publishable:
        return None
    gates = [publisher.gate(house, effect) for effect in publishable]
    flags = dict.fromkeys(gate.flag for gate in gates if not isinstance(gate, Effect))
    return Waiting(run, effects, tuple(flags))


def show(house: House, number: int) -> Waiting | None:
    """What waits on an issue's newest run, or None."""
    run = house.runs.latest(number)
    return waiting_of(house, run) if run is not None else None


def approve(house: House, number: int, by: str) -> str:
    """Publish the stored result without another model call; returns what came of it."""
    waiting = show(house, number)
    if waiting is None:
        return f"refused: nothing of issue {number} waits for a person"
    run = waiting.run
    if waiting.flags:
        flags = " and ".join(waiting.flags)
        return f"refused: {flags} is off; set it in .ai-repoagents/repoagents.yaml first"
    stale = house.workspaces.why_stale(run.head_sha, house.workspaces.refresh())
    if stale is not None:
        return f"refused: {stale}; `repoagents retry {number} --fresh` works on the new base"
    _record(house, run, "approve", by)
    published = publisher.publish(house, run.id, waiting.effects)
    places = ", ".join(receipt.location for receipt in published.done)
    return f"published: {places}"


def reject(house: House, number: int, by: str, note: str = "") -> str:
    """Discard what is withheld; it will never be published."""
    waiting = show(house, number)
    if waiting is None:
        return f"refused: nothing of issue {number} waits for a person"
    _record(house, waiting.run, "reject", by, note)
    house.ledger.discard(waiting.run.id, f"rejected by {by}", house.clock.now())
    names = ", ".join(effect_name(effect) for effect in waiting.effects)
    return f"rejected: {names} of issue {number} will not be published"


def _record(house: House, run: Run, decision: str, by: str, note: str = "") -> None:
    now = house.clock.now()
    house.approvals.add(Approval(run.id, decision, run.head_sha, run.diff_hash, by, now, note))
    house.journal.note(
        f"approval_{decision}",
        f"{by}: {decision} of {run.head_sha[:12]}",
        run=run.id,
        issue=run.issue_number,
    )
