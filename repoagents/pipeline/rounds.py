"""A published run goes back to the builder: on the base it had, or on one that has moved on."""

from dataclasses import dataclass

from repoagents.domain.run import PROVEN, Run, Stage
from repoagents.pipeline.boundary import change
from repoagents.pipeline.roles import input_hash
from repoagents.ports import House, StageKey


@dataclass(frozen=True)
class Moved:
    """The base that a run moves on to with its next round, and the tree that this begins from.

    `tree` holds both the change and the base. `contract` is what the merge of the two has left to
    decide, empty when it was clean.
    """

    base_sha: str
    tree: str
    contract: tuple[str, ...] = ()


def keep_move(house: House, run: Run, moved: Moved) -> None:
    """Write down where the next round begins; the same again for the same commit and base."""
    hashed = input_hash(run.head_sha, moved.base_sha)
    key = StageKey(run.id, run.attempt, Stage.PREPARE, run.round + 1, hashed)
    house.stages.record(key, moved, house.clock.now(), 0.0)


def move_into(house: House, run: Run, round_: int) -> Moved | None:
    """What this round begins from on a newer base; None when it goes on from the last round."""
    moved = house.stages.last(run.id, Stage.PREPARE, Moved, round_)
    return moved if moved is not None and moved.base_sha == run.base_sha else None


def recall(house: House, run: Run) -> None:
    """Bring what a round begins from into the bot's own clone: somebody may have deleted that."""
    house.workspaces.recall(run.branch, run.head_sha)
    moved = move_into(house, run, run.round)
    if moved and moved.contract:
        # The same merge leaves the same conflict: a tree that no branch holds is made again.
        house.workspaces.merge_base(run.head_sha, moved.base_sha, "", run.created_at)


def moves(house: House, run: Run, last: int) -> tuple[Moved, ...]:
    """The moves to a newer base that the run's rounds up to this one began with."""
    rounds = range(1, last + 1)
    known = (house.stages.last(run.id, Stage.PREPARE, Moved, round_) for round_ in rounds)
    return tuple(moved for moved in known if moved is not None)


def queue(house: House, run: Run) -> None:
    """Queue the next round, on the base that was written down for it."""
    now = house.clock.now()
    moved = house.stages.last(run.id, Stage.PREPARE, Moved, run.round + 1)

    def move(was: Run) -> Run:
        if was.status not in PROVEN:
            return was
        return (was.on_base(moved.base_sha, now) if moved else was).requeue(now)

    change(house, run.id, move)
