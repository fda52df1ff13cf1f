"""From an approval to the merge: exactly what was approved, when it is green and up to date."""

import asyncio
from dataclasses import replace

from repoagents.domain.change import Base, Conflict
from repoagents.domain.effect import Withheld
from repoagents.domain.pull_request import PullRequest, PullState
from repoagents.domain.reports import CheckOutcome, Verification
from repoagents.domain.run import Failure, FailureClass, Run, RunStatus, Stage
from repoagents.errors import GitHubError, RateLimited, Unavailable
from repoagents.pipeline import outcome, publisher, rounds, stages
from repoagents.pipeline.boundary import change, current
from repoagents.pipeline.publication import base_of
from repoagents.pipeline.pulls import objecting, pulls_of
from repoagents.pipeline.reconcile import call_off, why_stop
from repoagents.pipeline.roles import input_hash
from repoagents.pipeline.rounds import Moved
from repoagents.pipeline.verify import Proving, verify_change
from repoagents.policy import feedback, merging
from repoagents.policy.wording import one_line
from repoagents.ports import Approval, House

CARRIED = "carried"
"""The decision that takes an approval along to the commit that merges the base into its own."""

REASON_LIMIT = 400
"""Characters of what a pull request waits for: what is kept must be what is compared."""


def land(house: House, run: Run, pull: PullRequest, approved: Approval) -> str:
    """Merge what was approved, if nothing stands in the way; returns what came of it.

    What stands in the way is looked at anew each time: nothing is tried on an earlier look's word.
    """
    gated = publisher.gate(house, publisher.merge_of(run))
    if isinstance(gated, Withheld):
        publisher.withhold(house, run.id, gated)
        return f"approved: {gated.reason}; {pull.url}"
    reason = _why_not_now(house, run, pull, approved)
    if reason is None and pull.draft:
        pull = _made_ready(house, run, pull)
        reason = _why_not_now(house, run, pull, approved)
    if reason is not None:
        wait(house, run, reason)
        return f"approved: the merge waits, for {reason}"
    if pull.base_sha != run.base_sha and _is_rewritten(house, run, house.workspaces.refresh()):
        return f"refused: the history of {pull.base} was rewritten"
    if not _stands(house, run, approved):
        return "refused: it was called off, or the approval taken back, in the meantime"
    return _merge(house, run, pull)


def _merge(house: House, run: Run, pull: PullRequest) -> str:
    """Merge it, unless that is withheld: the flag or the brake may have changed since."""
    try:
        came = publisher.publish(house, run.id, (publisher.merge_of(run),))
    except (Unavailable, RateLimited):
        raise
    except GitHubError as error:
        wait(house, run, f"GitHub refuses the merge: {error}")
        return f"approved: the merge waits, for {error}"
    if came.withheld:
        return f"approved: {came.withheld[0].reason}; {pull.url}"
    settle(house, run)
    return f"merged: {came.done[0].location}"


def settle(house: House, run: Run) -> None:
    """The pull request is merged: so the run is completed."""

    def move(was: Run) -> Run:
        waits = was.status is RunStatus.AWAITING_APPROVAL
        return was.complete(house.clock.now()) if waits else was

    wait(house, run, "")
    change(house, run.id, move)
    outcome.say(house, run.id)


def wait(house: House, run: Run, reason: str) -> None:
    """Keep what the pull request waits for as the run's last event; log it when it is new.

    `reason` is empty when nothing but people is in the way.
    """
    reason = one_line(reason, REASON_LIMIT)
    if current(house, run.id).last_event == reason:
        return
    house.runs.progress(run.id, Stage.PUBLISH, reason, house.clock.now())
    if reason:
        house.journal.note("merge_waits", reason, **run.tags)


def block(house: House, run: Run, message: str, next_step: str) -> None:
    """Stop until a person acts on the pull request; a completed run stays so, and says it."""
    failure = Failure(FailureClass.PULL_REQUEST, message, next_step)

    def move(was: Run) -> Run:
        waits = was.status is RunStatus.AWAITING_APPROVAL
        return was.block(failure, house.clock.now()) if waits else was

    wait(house, run, message)
    change(house, run.id, move)
    outcome.say(house, run.id)


async def catch_up(house: House, run: Run, approved: Approval) -> None:
    """Merge the newest base into the approved commit, verify that, and push it.

    The approved content with a clean merge of the base that the project's own checks prove keeps
    the approval; without such a proof the new commit has to be approved anew. So has what the
    builder makes of a conflict.
    """
    gated = publisher.gate(house, publisher.push_of(run))
    if isinstance(gated, Withheld):
        await asyncio.to_thread(wait, house, run, gated.reason)
        return
    base = await asyncio.to_thread(house.workspaces.refresh)
    await asyncio.to_thread(house.workspaces.recall, run.branch, run.head_sha)
    if await asyncio.to_thread(_is_rewritten, house, run, base):
        return
    message = f"Merge branch {base.branch} into {run.branch}"
    # The approval's instant is on record, so that a repeat makes the same commit.
    head = await asyncio.to_thread(
        house.workspaces.merge_base, run.head_sha, base.sha, message, approved.at
    )
    if isinstance(head, Conflict):
        await asyncio.to_thread(_give_back, house, run, base, head)
        return
    if head == run.head_sha:
        await asyncio.to_thread(wait, house, run, f"{base.branch} has moved on")
        return
    tree = await asyncio.to_thread(house.workspaces.tree_of, head)
    proof = await _prove(house, run, tree)
    if proof is not None:
        await asyncio.to_thread(_take_along, house, run, approved, base, head, proof)


def _is_rewritten(house: House, run: Run, base: Base) -> bool:
    """Whether the base has lost what the change was proven on: a merge would bring that back."""
    house.workspaces.recall(run.branch, run.head_sha)
    joined = house.workspaces.merge_base(base.sha, run.base_sha, "", run.created_at)
    if joined == base.sha:
        return False
    message = (
        f"{base.branch} no longer holds {run.base_sha[:12]}, which the change was proven on: "
        "its history was rewritten"
    )
    step = f"`repoagents retry {run.issue_number} --fresh` works on the new base"
    block(house, run, message, step)
    return True


def _give_back(house: House, run: Run, base: Base, conflict: Conflict) -> None:
    """Let the builder decide what the merge could not, once; after that a person."""
    if any(moved.contract for moved in rounds.moves(house, run, run.round)):
        step = (
            f"merge {base.branch} into {run.branch} by hand, or close the pull request and "
            f"`repoagents retry {run.issue_number} --fresh` works on the new base"
        )
        block(house, run, f"{base.branch} has moved on and conflicts with the change again", step)
        return
    contract = feedback.resolve(conflict, base.branch)
    rounds.keep_move(house, run, Moved(base.sha, conflict.tree, contract))
    house.journal.note(
        "conflict_sent_back",
        f"{base.branch} at {base.sha[:12]} conflicts in {len(conflict.paths)} path(s): "
        "the builder gets one round",
        **run.tags,
    )
    rounds.queue(house, run)


async def _prove(house: House, run: Run, tree: str) -> Verification | None:
    """The project's own checks on this tree, run once; None when the run was called off."""
    limit = house.settings.agent.run_timeout_seconds
    deadline = house.clock.monotonic() + limit
    attempt = stages.Attempt(house, run.id, run.generation, run.attempt, deadline)
    begun = await stages.prepare(attempt, run)
    if begun.word != "done":
        # No flow is under way that would say so.
        await asyncio.to_thread(outcome.say, house, run.id)
        return None
    worktree = await attempt.open(run)
    proving = Proving(house, run, worktree, deadline)
    key = attempt.key(run, Stage.VERIFY, run.round, input_hash(tree, house.settings.verify))
    proof, _ = await attempt.once(
        key, Verification, lambda: verify_change(proving, tree, f"merged-{tree[:8]}")
    )
    return proof


def _take_along(
    house: House, run: Run, approved: Approval, base: Base, head: str, proof: Verification
) -> None:
    """Make the proven merge the run's commit and push it, with its approval where that carries."""
    reason = why_stop(house, run)
    if reason is not None:
        call_off(house, run, reason)
        outcome.say(house, run.id)
        return
    if not _stands(house, run, approved):
        return
    broken = [r.name for r in proof.results if r.required and r.outcome is not CheckOutcome.PASSED]
    if broken:
        message = f"with {base.branch} merged in, {', '.join(broken)} does not pass"
        step = f"`repoagents retry {run.issue_number} --fresh` works on the new base"
        block(house, run, message, step)
        return
    diff = house.workspaces.change_set(base.sha, house.workspaces.tree_of(head)).diff_hash
    now = house.clock.now()
    if proof.verified:
        carried = replace(approved, decision=CARRIED, head_sha=head, diff_hash=diff, at=now)
        house.approvals.add(carried)
    rounds.keep_move(house, run, Moved(base.sha, house.workspaces.tree_of(head)))

    def move(was: Run) -> Run:
        if (was.status, was.head_sha) != (run.status, run.head_sha):
            return was
        return was.carried_by(head, diff, run.branch, now).on_base(base.sha, now)

    moved = change(house, run.id, move)
    if moved.head_sha != head:
        return
    house.journal.note(
        "base_merged", f"{base.branch} at {base.sha[:12]} is merged in: {head[:12]}", **run.tags
    )
    publisher.publish(house, run.id, (publisher.push_of(moved),))


def _stands(house: House, run: Run, approved: Approval) -> bool:
    """Whether run and approval are as they were: a person may have said no since."""
    now = current(house, run.id)
    content = (approved.head_sha, approved.diff_hash)
    words = house.approvals.select(run.id)
    said = [word for word in words if (word.head_sha, word.diff_hash) == content]
    return (now.status, now.head_sha) == (run.status, run.head_sha) and approved == said[-1]


def _why_not_now(house: House, run: Run, pull: PullRequest, approved: Approval) -> str | None:
    terms = merging.Terms(
        approved.head_sha,
        base_of(house),
        pulls_of(house).required_checks(pull.base),
        objecting(house, pull),
        publisher.pushed_ago(house, run),
    )
    return merging.why_no_merge(pull, terms)


def _made_ready(house: House, run: Run, pull: PullRequest) -> PullRequest:
    """The pull request without its draft state, read anew: checks may have begun with it."""
    pulls = pulls_of(house)
    pulls.mark_ready(pull.number)
    house.journal.note("draft_ended", f"ready to merge: {pull.url}", **run.tags)
    return pulls.pull_request(run.branch) or replace(pull, state=PullState.CLOSED)
