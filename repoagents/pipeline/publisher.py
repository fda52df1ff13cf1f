"""Effects: gate, intent, look-up, action, receipt; never repeated blindly."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from repoagents.domain.effect import (
    Effect,
    MergePullRequest,
    PostComment,
    PushBranch,
    Receipt,
    ReplyToRemark,
    Withheld,
    effect_name,
)
from repoagents.domain.engines import rehearses
from repoagents.domain.rollout import Brake
from repoagents.domain.run import Run
from repoagents.errors import GitError
from repoagents.policy import notice, safety
from repoagents.ports import Bench, Books, House, LedgerRow


@dataclass(frozen=True)
class Published:
    """What came of a list of effects.

    One that was sent a moment ago, and may stand without being seen yet, is in neither list.
    """

    done: tuple[Receipt, ...]
    withheld: tuple[Withheld, ...]


def publish(
    house: House, run_id: str, effects: tuple[Effect, ...], *, anew: bool = True
) -> Published:
    """Carry out what the flags allow, in order, and keep the rest as withheld.

    Without `anew`, a comment or reply is only brought up to date where it stands.
    """
    done: list[Receipt] = []
    withheld: list[Withheld] = []
    for effect in effects:
        gated = gate(house, effect)
        if isinstance(gated, Withheld):
            withhold(house, run_id, gated)
            withheld.append(gated)
        elif (receipt := _carry_out(house, run_id, gated, anew=anew)) is not None:
            done.append(receipt)
    return Published(tuple(done), tuple(withheld))


def withhold(house: House, run_id: str, held: Withheld) -> None:
    """Keep in the ledger what the gate did not let through, and why."""
    house.ledger.withhold(run_id, held.effect, held.flag, held.reason, house.clock.now())
    house.journal.note(
        "effect_withheld",
        f"{effect_name(held.effect)} withheld: {held.reason}",
        run=run_id,
        issue=held.effect.issue_number,
        flag=held.flag,
    )


def gate(
    place: Bench | Books, effect: Effect, *, dry_run: bool = False, brake: Brake | None = None
) -> Effect | Withheld:
    """The safety gate under this place's settings, and under what its books hold it to.

    A place without books is told of the `brake`.
    """
    settings = place.settings
    brake = place.brakes.find() if isinstance(place, Books) else brake
    rehearsal = rehearses(settings)
    return safety.gate(effect, settings, dry_run=dry_run, rehearsal=rehearsal, brake=brake)


def merge_of(run: Run) -> MergePullRequest:
    """The merge of exactly the commit that carries the run's change."""
    return MergePullRequest(run.id, run.issue_number, run.branch, run.head_sha)


def push_of(run: Run) -> PushBranch:
    """The push of the commit that carries the run's change to its branch."""
    return PushBranch(run.id, run.issue_number, run.branch, run.head_sha)


def pushed_ago(house: House, run: Run) -> timedelta:
    """How long the run's commit has been on its branch; nothing where that is not known."""
    key, now = push_of(run).key, house.clock.now()
    return now - max((row.at for row in house.ledger.rows(run.id) if row.key == key), default=now)


def is_done(house: House, run: Run, name: str) -> bool:
    """Whether the run's effect of this name is known to stand."""
    return any(row.name == name and row.state == "done" for row in house.ledger.rows(run.id))


def left_alone(house: House, run: Run, names: Collection[str], since: datetime) -> tuple[str, ...]:
    """The keys of effects of these names that could not be done, and are not tried again yet.

    What is refused for good costs less and less: each wait is as long as all before it `since`
    there was something to do.
    """
    now = house.clock.now()
    tried = (row for row in house.ledger.rows(run.id) if row.state == "intended")
    rows = (row for row in tried if row.name in names)
    return tuple(row.key for row in rows if not notice.is_worth_a_try(since, row.at, now))


def adopt(house: House, effect: Effect, location: str) -> None:
    """Write down as done what was found to stand, whoever did it."""
    now = house.clock.now()
    house.ledger.intend(effect.run_id, effect, now)
    house.ledger.close(effect.run_id, effect, Receipt(effect.key, location, now))


def is_ours(house: House, issue_number: int, commit: str) -> bool:
    """Whether a branch of this issue stands at this commit by the bot's own doing.

    What was intended counts: it may have been pushed before the receipt was written.
    """
    runs = house.runs.of_issue(issue_number)
    if any(run.head_sha == commit for run in runs):
        return True
    ends = f":{commit}"
    rows = (row for run in runs for row in house.ledger.rows(run.id) if row.name == "branch")
    return any(row.key.endswith(ends) and row.state in ("intended", "done") for row in rows)


def is_put_back(house: House, issue_number: int, branch: str, commit: str) -> bool:
    """Whether the bot is known to have pushed another commit to the branch after this one."""
    begins = f"branch:{branch}:"
    pushed = [
        row.key.removeprefix(begins)
        for run in reversed(house.runs.of_issue(issue_number))
        for row in house.ledger.rows(run.id)
        if row.key.startswith(begins) and row.state == "done"
    ]
    return commit in pushed and commit != pushed[-1]


def _carry_out(house: House, run_id: str, effect: Effect, *, anew: bool) -> Receipt | None:
    """Perform one effect exactly once, whatever an earlier process got done of it.

    None when it may have been done a moment ago and cannot be seen yet: a later call looks again.
    """
    known = house.ledger.receipt(effect)
    if known is not None:
        return known
    now = house.clock.now()
    rows = _earlier(house, effect)
    sent = {row.run_id: row.at for row in rows if row.state == "intended" and not row.location}
    # Once this run waits, the wait of an earlier one goes on in it.
    unanswered = sent.get(run_id, max(sent.values(), default=None))
    unseen = unanswered is not None and notice.may_be_unseen(unanswered, now)
    # A wait that has begun goes on, but for one that a clock set back would make longer.
    house.ledger.intend(run_id, effect, min(unanswered, now) if unanswered and unseen else now)
    location = _find(house, effect) or _amend(house, effect, rows)
    found = location is not None
    if location is None:
        if unseen or not anew:
            return None
        if rows:
            house.ledger.intend(run_id, effect, now, "")
        location = _perform(house, effect)
    receipt = Receipt(effect.key, location, house.clock.now())
    if found or unanswered is None:
        house.ledger.close(run_id, effect, receipt)
    else:
        # Sent for a second time: only a later look can tell that it stands alone.
        house.ledger.intend(run_id, effect, receipt.at, location)
    house.journal.note(
        "effect_done",
        f"{effect_name(effect)}: {location}",
        run=run_id,
        issue=effect.issue_number,
    )
    return receipt


def _earlier(house: House, effect: Effect) -> tuple[LedgerRow, ...]:
    """What the ledger holds of this very comment or reply, newest first; of the rest, nothing.

    The others may be done twice: GitHub takes the second for the first, or refuses it.
    """
    if not isinstance(effect, PostComment | ReplyToRemark):
        return ()
    runs = house.runs.of_issue(effect.issue_number)
    rows = (row for run in runs for row in house.ledger.rows(run.id))
    name = effect_name(effect) if isinstance(effect, PostComment) else ""
    same = [row for row in rows if row.name == name or row.key == effect.key]
    return tuple(sorted(same, key=lambda row: row.at, reverse=True))


def _amend(house: House, effect: Effect, rows: tuple[LedgerRow, ...]) -> str | None:
    if not rows:
        return None
    places = (row.location for row in rows if row.location)
    return house.tracker.amend(effect, next(places, ""))


def _find(house: House, effect: Effect) -> str | None:
    # A push looks for itself, and of a commit that is there already it says only where.
    return None if isinstance(effect, PushBranch) else house.tracker.find(effect)


def _perform(house: House, effect: Effect) -> str:
    if not isinstance(effect, PushBranch):
        return house.tracker.perform(effect)
    number, head = effect.issue_number, house.workspaces.branch_head(effect.branch)
    ours = head is None or is_ours(house, number, head)
    if head is not None and (not ours or is_put_back(house, number, effect.branch, head)):
        what = "where somebody has put it back to" if ours else "which is not this bot's commit"
        raise GitError(
            f"branch {effect.branch} stands at {head[:12]}, {what}",
            next_step="look at the branch; delete or rename it to let the bot publish there",
        )
    return house.workspaces.push(effect.branch, effect.commit, head)
