"""Looks at each open pull request once per poll, and hands it to who acts on what it shows."""

import asyncio
from collections.abc import Sequence

from repoagents.domain.effect import Withheld
from repoagents.domain.pull_request import PullRequest, PullState
from repoagents.domain.run import AT_WORK, PROVEN, Run, RunStatus
from repoagents.errors import RepoAgentsError, StateUnreadable
from repoagents.pipeline import approval, feedback, merge, outcome, publisher
from repoagents.pipeline.boundary import bugs_told, change, current
from repoagents.pipeline.publication import base_of
from repoagents.pipeline.pulls import note_end, objecting, pulls_of, why_over
from repoagents.pipeline.reconcile import call_off, why_stop
from repoagents.ports import Approval, House

STOPPED = (RunStatus.BLOCKED, RunStatus.FAILED, RunStatus.CANCELLED)
"""Runs that go on only when a person acts; of their pull requests only the end is noticed."""

FOLLOWED = (*PROVEN, *STOPPED)

UNHEARD = (*STOPPED, *AT_WORK)
"""The runs that hear nothing now of what is said at their pull requests."""

LOOKS, SECONDS = 3, 2.0
"""How often, and how long apart, it is asked again whether a pull request can be merged."""


async def follow_up(house: House) -> bool:
    """Look at the pull request of every run that has one open, and act on what it shows.

    Of runs at work only the end is noticed: nobody pays for a round that comes too late. One that
    cannot be read, or acted on, is looked at again the next time. Returns whether there is room
    for a further pull request now, and was none before.
    """
    followed = await asyncio.to_thread(with_open_pull_request, house)
    at_work = await asyncio.to_thread(with_open_pull_request, house, AT_WORK)
    for run in (*at_work, *followed):
        try:
            with bugs_told(house.journal, "in follow-up", **run.tags):
                await _follow(house, run)
        except StateUnreadable:
            raise
        except RepoAgentsError as error:
            house.journal.warn(
                "followup_failed",
                f"the pull request of issue {run.issue_number}: {error}",
                **run.tags,
            )
    limit = house.settings.limits.open_pull_requests
    if len(followed) < limit:
        return False
    return len(await asyncio.to_thread(with_open_pull_request, house)) < limit


def with_open_pull_request(
    house: House, statuses: Sequence[RunStatus] = FOLLOWED
) -> tuple[Run, ...]:
    """The newest run of each issue whose pull request is open, as far as is known here."""
    if house.tracker.pulls is None:
        return ()
    return house.runs.with_open_pull_request(statuses)


async def _follow(house: House, run: Run) -> None:
    pull = await asyncio.to_thread(pulls_of(house).pull_request, run.branch)
    if pull is None:
        if run.status not in UNHEARD:
            gone = f"no pull request from {run.branch} is to be found"
            await asyncio.to_thread(merge.wait, house, run, gone)
        return
    approved = await asyncio.to_thread(_look, house, run, pull)
    if approved is None:
        return
    pull = await _computed(house, run, pull)
    # What a person has pointed at another branch is merged by a person.
    if pull.behind and pull.base == base_of(house):
        await merge.catch_up(house, run, approved)
    else:
        await asyncio.to_thread(merge.land, house, run, pull, approved)


async def _computed(house: House, run: Run, pull: PullRequest) -> PullRequest:
    """The pull request once GitHub has computed whether it can be merged; the question starts it.

    It takes a moment, and no event tells of its end.
    """
    for _ in range(LOOKS):
        if pull.mergeable is not None:
            break
        await house.clock.sleep(SECONDS)
        seen = await asyncio.to_thread(pulls_of(house).pull_request, run.branch)
        pull = seen or pull
    return pull


def _look(house: House, run: Run, pull: PullRequest) -> Approval | None:
    """Settle what is over, stop what must stop; the approval of a pull request that may go on."""
    if pull.state is not PullState.OPEN:
        _end(house, run, pull)
    elif run.status not in UNHEARD and _stands(house, run, pull):
        return _hear(house, run, pull)
    return None


def _stands(house: House, run: Run, pull: PullRequest) -> bool:
    """Whether the pull request is still wanted, ours, and at the run's commit."""
    reason = why_stop(house, run)
    if reason is not None:
        call_off(house, run, reason)
        outcome.say(house, run.id)
    elif not publisher.is_ours(house, run.issue_number, pull.head_sha):
        _freeze(house, run, pull, "a commit that is not the bot's")
    elif pull.head_sha != run.head_sha:
        _bring_up(house, run, pull)
    else:
        return True
    return False


def _bring_up(house: House, run: Run, pull: PullRequest) -> None:
    """Push what was cut off between the commit and its push; leave what somebody has put back."""
    # The listing may only lag behind, but not the branch itself.
    head = house.workspaces.branch_head(run.branch)
    number, branch = run.issue_number, run.branch
    if head == pull.head_sha and publisher.is_put_back(house, number, branch, head):
        _freeze(house, run, pull, "an earlier commit of the bot's: somebody has put it back")
    else:
        publisher.publish(house, run.id, (publisher.push_of(run),))


def _hear(house: House, run: Run, pull: PullRequest) -> Approval | None:
    """Answer, hear approvals, send back what is asked for; the approval of what may be merged."""
    feedback.reply(house, run, pull)
    approved = approval.hear(house, run, pull)
    required = pulls_of(house).required_checks(pull.base)
    settled = approved is not None and not objecting(house, pull)
    if feedback.send_back(house, run, pull, required, approved=settled):
        return None
    shut = isinstance(publisher.gate(house, publisher.merge_of(run)), Withheld)
    if shut or approved is None:
        merge.wait(house, run, feedback.why_stalled(house, run, pull, required) or "")
        return None
    return approved


def _end(house: House, run: Run, pull: PullRequest) -> None:
    """The pull request is merged, by us or by hand, or a person closed it: that is a no."""
    said, reason = pull.state.value, why_over(pull)
    if current(house, run.id).status in AT_WORK:
        # Before the no is known: a round that is about to be published takes a known one for old.
        call_off(house, run, reason)
    else:
        merge.wait(house, run, "")
    note_end(house, run, pull)
    house.journal.note(f"pull_request_{said}", reason, **run.tags)

    def move(was: Run) -> Run:
        now = house.clock.now()
        if was.status is RunStatus.AWAITING_APPROVAL and pull.state is PullState.MERGED:
            return was.complete(now)
        ends = was.status in (RunStatus.AWAITING_APPROVAL, RunStatus.BLOCKED)
        return was.call_off(reason, now) if ends else was

    change(house, run.id, move)
    outcome.say(house, run.id)


def _freeze(house: House, run: Run, pull: PullRequest, what: str) -> None:
    """Somebody else has moved the branch: it is theirs now, and nothing more is pushed."""
    merge.block(
        house,
        run,
        f"{run.branch} stands at {pull.head_sha[:12]}, {what}",
        f"merge or close {pull.url} by hand; the bot pushes nothing more there",
    )
