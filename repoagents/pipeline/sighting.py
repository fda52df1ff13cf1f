"""What follows from an issue as it is now: the one path of polls and of deliveries."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from repoagents.domain.issue import Comment, Issue, IssueState
from repoagents.domain.pull_request import PullState
from repoagents.domain.run import AT_WORK, Run, RunStatus
from repoagents.errors import RepoAgentsError, StoreError
from repoagents.pipeline import notice, people, reconcile
from repoagents.pipeline.boundary import bugs_told
from repoagents.pipeline.intake import Wish, accept
from repoagents.pipeline.outcome import say
from repoagents.policy import commands
from repoagents.policy.commands import Command, CommandKind
from repoagents.ports import FROM_COMMENT, Flows, House, Request

COMMANDS_HOLD = timedelta(days=3)
"""How old a command may be when it is first seen: what nobody heard for longer is stale."""

REQUESTS = {
    CommandKind.RUN: "trigger",
    CommandKind.STOP: "cancel",
    CommandKind.RETRY: "retry",
    CommandKind.APPROVE: "approve",
    CommandKind.STATUS: "status",
}

REFUSED = "refused"
"""The kind of a request that nothing follows from; its note says why."""

_PULL = re.compile(r"(?:/pull/|pull request )([0-9]{1,18})\Z")
"""The end of where a pull request stands, by its page or in words."""

Read = Callable[[], Issue | None]


@dataclass(frozen=True)
class Sight:
    """What a look at an issue brought: a new run, or none and why; `whole` unless it failed."""

    words: str
    run: Run | None = None
    whole: bool = True


def look(house: House, flows: Flows, said: dict[int, str], number: int, read: Read) -> Sight:
    """Read one issue and follow what it says.

    Calls off a run that is not wanted any more, keeps new commands for the inbox, queues a run.
    What goes wrong with one issue is told, once per reason in `said`, and never raised, but for a
    state that cannot be read or written.
    """
    try:
        with bugs_told(house.journal, f"in issue {number}", issue=number):
            found = _follow(house, flows, number, read())
    except StoreError:
        raise
    except people.AskerUnknown as error:
        if _is_news(said, number, str(error)):
            house.journal.warn("asker_unread", f"issue {number} is left: {error}", issue=number)
        return Sight(f"left: {error}", whole=False)
    except RepoAgentsError as error:
        if _is_news(said, number, str(error)):
            house.journal.warn(
                "issue_failed", f"issue {number} could not be looked at: {error}", issue=number
            )
        return Sight(f"failed: {error}", whole=False)
    if isinstance(found, Run):
        said.pop(number, None)
        flows.start(found)
        return Sight(f"queued: run {found.id}", found)
    if _is_news(said, number, found):
        house.journal.note("issue_left", f"issue {number}: {found}", issue=number)
    return Sight(f"left: {found}")


def _is_news(said: dict[int, str], number: int, reason: str) -> bool:
    known = said.get(number) == reason
    said[number] = reason
    return not known


def _follow(house: House, flows: Flows, number: int, issue: Issue | None) -> Run | str:
    _call_off_unwanted(house, flows, number, issue)
    if issue is None:
        return f"there is no issue {number}"
    _keep_commands(house, issue)
    return accept(house, issue, Wish())


def _call_off_unwanted(house: House, flows: Flows, number: int, issue: Issue | None) -> None:
    """End the issue's run, and its processes, when the issue does not want it any more.

    Only where a tracker knows accounts: a local one is written by the operator, whose run looks
    for itself before each role.
    """
    run = house.runs.latest(number) if house.tracker.people is not None else None
    waits = run is not None and run.status is RunStatus.AWAITING_APPROVAL
    if run is None or not (waits or run.status in AT_WORK):
        return
    reason = reconcile.why_unwanted(house, run, issue)
    if reason is None or (waits and _is_over(house, run)):
        return
    reconcile.call_off(house, run, reason)
    flows.wake(run)
    if waits:
        say(house, run.id)  # Of the others their flow does.


def _is_over(house: House, run: Run) -> bool:
    """Whether the pull request has ended: a merge closes the issue, and `followup` tells of it."""
    pulls = house.tracker.pulls
    pull = pulls.pull_request(run.branch) if pulls is not None else None
    return pull is not None and pull.state is not PullState.OPEN


def _keep_commands(house: House, issue: Issue) -> None:
    """Put each new command of a permitted person into the inbox, and note each refusal there."""
    settings, closed = house.settings.tracker, issue.state is IssueState.CLOSED
    if house.tracker.people is None or not settings.comment_commands or closed:
        return
    for comment in issue.comments:
        command = _new_command(house, comment)
        if command is None:
            continue
        number, misplaced = _addressed(house, issue, command)
        refusal = people.why_no_command(house, comment, command) or misplaced
        request = Request(
            f"{FROM_COMMENT}{comment.id}",
            # Kept as what it is: after a crash in between it is still taken up, by whoever drains.
            REQUESTS[command.kind] if refusal is None else REFUSED,
            number,
            comment.created_at or house.clock.now(),
            note=command.note if refusal is None else refusal,
            by=comment.author,
        )
        house.inbox.put(request)
        if refusal is None:
            notice.acknowledge(house, number, comment.id)
        else:
            house.inbox.take(request.id, f"refused: {refusal}", house.clock.now())
            house.journal.note(
                "command_refused",
                f"/repoagents {command.kind} on #{issue.number} is refused: {refusal}",
                issue=number,
            )


def _addressed(house: House, issue: Issue, command: Command) -> tuple[int, str | None]:
    """The issue that a command is about, and why it may not stand where it does, or None.

    Below the bot's own pull request it is about the issue of the run that opened it.
    """
    if not issue.pull_request:
        return issue.number, None
    run = _run_behind(house, issue.number)
    if run is None:
        return issue.number, (
            f"#{issue.number} is not the pull request of an issue's newest run: "
            "write it below the issue"
        )
    if command.kind is CommandKind.RUN:
        return run.issue_number, f"work is asked for below the issue, #{run.issue_number}"
    return run.issue_number, None


def _run_behind(house: House, pull: int) -> Run | None:
    """The newest run of an issue whose open pull request has this number, by our own ledger."""
    for run in house.runs.with_open_pull_request(tuple(RunStatus)):
        for row in house.ledger.rows(run.id):
            place = _PULL.search(row.location) if row.name == "draft_pull_request" else None
            if place is not None and int(place[1]) == pull:
                return run
    return None


def _new_command(house: House, comment: Comment) -> Command | None:
    """The command of a comment that is not ours, not old and not taken yet."""
    oldest = house.clock.now() - COMMANDS_HOLD
    old = comment.created_at is not None and comment.created_at < oldest
    command = None if comment.ours or not comment.id or old else commands.parse(comment.body)
    if command is None or house.inbox.outcome(f"{FROM_COMMENT}{comment.id}") is not None:
        return None
    return command
