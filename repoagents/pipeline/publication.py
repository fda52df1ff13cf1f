"""The publish stage: from a proven tree to its commit, its branch and its draft pull request."""

import asyncio
from dataclasses import replace

from repoagents.domain.effect import (
    OpenDraftPullRequest,
    PostComment,
    PushBranch,
    Withheld,
    effect_name,
)
from repoagents.domain.pull_request import PullState
from repoagents.domain.reports import VerdictKind, Verification
from repoagents.domain.run import Run, Stage
from repoagents.pipeline import dossier, publisher
from repoagents.pipeline.boundary import StepResult, change
from repoagents.pipeline.pulls import note_end, why_over
from repoagents.pipeline.reconcile import call_off, why_stop
from repoagents.pipeline.stages import Attempt, Built
from repoagents.policy import safety
from repoagents.ports import CLOSED, Approval, CommitRequest, House
from repoagents.views import handoff
from repoagents.views.snapshot import EffectRow

ANEW = "anew"
"""The decision of whoever asks anew for a change whose pull request was closed."""


async def publish(attempt: Attempt, run: Run, round_: int) -> StepResult:
    """Build the commit, then bring branch and pull request as far as the flags allow."""
    await asyncio.to_thread(_publish, attempt.house, run, round_)
    return StepResult(VerdictKind.PUBLISH.value)


def _publish(house: House, run: Run, round_: int) -> None:
    if not _is_wanted(house, run) or _is_over(house, run):
        return
    built = house.stages.last(run.id, Stage.BUILD, Built, round_)
    proof = house.stages.last(run.id, Stage.VERIFY, Verification, round_)
    if built is None:
        raise LookupError(f"run {run.id} has no change in round {round_}")
    settings = house.settings
    message = handoff.render_commit_message(
        settings.commit.message_template,
        title=run.title,
        number=run.issue_number,
        summary=built.report.summary,
        run_id=run.id,
    )
    branch = _branch_of(house, run)
    head = _commit(house, run, branch, built.change.tree, message)
    now = house.clock.now()
    verified = proof is not None and proof.verified
    run = change(
        house,
        run.id,
        lambda was: was.carried_by(head, built.change.diff_hash, branch, now).proven(verified, now),
    )
    push, pull_request = _effects_of(house, run)
    publisher.publish(house, run.id, (push,))
    if _is_wanted(house, run):
        publisher.publish(house, run.id, (pull_request,))


def _is_wanted(house: House, run: Run) -> bool:
    """Whether somebody still wants the run; called off when nobody does."""
    reason = why_stop(house, run)
    if reason is not None:
        call_off(house, run, reason)
    return reason is None


def _is_over(house: House, run: Run) -> bool:
    """Whether a person has ended the pull request while a later round was built.

    The run is called off then. A closing that is on record ends nothing: somebody has asked anew
    since.
    """
    pulls = house.tracker.pulls
    if pulls is None or not publisher.is_done(house, run, "draft_pull_request"):
        return False
    pull = pulls.pull_request(run.branch)
    if pull is None:
        return False
    if pull.state is not PullState.OPEN and note_end(house, run, pull):
        call_off(house, run, why_over(pull))
        return True
    words = house.approvals.select(run.id)
    if words and words[-1].decision == CLOSED:
        # The no is not the last word any more: what is open is looked after.
        now = house.clock.now()
        house.approvals.add(Approval(run.id, ANEW, run.head_sha, run.diff_hash, "", now))
    return False


def _branch_of(house: House, run: Run) -> str:
    """The run's branch: that of the issue's open pull request, whatever its title is by now."""
    named = run.branch or safety.branch_name(run.issue_number, run.title, run.id)
    pulls = house.tracker.pulls
    if run.branch or pulls is None:
        return named
    earlier = dict.fromkeys(was.branch for was in house.runs.of_issue(run.issue_number))
    for branch in filter(None, earlier):
        pull = pulls.pull_request(branch) if branch != named else None
        if pull is not None and pull.state is PullState.OPEN:
            return branch
    return named


def _commit(house: House, run: Run, branch: str, tree: str, message: str) -> str:
    """The commit of this tree, following what the bot has on the branch already.

    So a later round, or a later run of the issue, is pushed without force.
    """
    request = CommitRequest(run.id, run.base_sha, tree, message, run.created_at)
    push = PushBranch(run.id, run.issue_number, branch, "")
    if isinstance(publisher.gate(house, push), Withheld):
        return house.workspaces.commit(request)
    onto = house.workspaces.branch_head(branch)
    if onto is None or not publisher.is_ours(house, run.issue_number, onto):
        return house.workspaces.commit(request)
    house.workspaces.recall(branch, onto)
    if house.workspaces.tree_of(onto) == tree and _holds(house, run, onto, message):
        return onto
    return house.workspaces.commit(replace(request, onto=onto))


def _holds(house: House, run: Run, commit: str, message: str) -> bool:
    """Whether a commit has the run's base below it; what a conflict came to may equal one side."""
    merged = house.workspaces.merge_base(commit, run.base_sha, message, run.created_at)
    return merged == commit


def _effects_of(house: House, run: Run) -> tuple[PushBranch | OpenDraftPullRequest, ...]:
    """Branch and draft pull request of a run whose commit is built."""
    number, base = run.issue_number, base_of(house)
    held = _held_later(house, run)
    merges = house.tracker.pulls is not None and all(name != "merge" for name, *_ in held)
    told = dossier.gather(house, run)
    title, body = handoff.render_pull_request(told, held, merges=merges)
    return (
        publisher.push_of(run),
        OpenDraftPullRequest(run.id, number, title, body, run.branch, base),
    )


def _held_later(house: House, run: Run) -> tuple[EffectRow, ...]:
    """What a flag holds back of that which would follow the pull request."""
    if house.tracker.pulls is None:
        return ()
    later = (PostComment(run.id, run.issue_number, "", ""), publisher.merge_of(run))
    gates = (publisher.gate(house, effect) for effect in later)
    return tuple(
        (effect_name(gate.effect), "withheld", gate.flag, gate.reason, "")
        for gate in gates
        if isinstance(gate, Withheld)
    )


def base_of(house: House) -> str:
    """The branch that changes start from and go into."""
    return house.settings.tracker.base_branch or house.workspaces.base_branch()
