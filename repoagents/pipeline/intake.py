"""From an issue to a queued run: eligibility, the checkout's state, the frozen text."""

from dataclasses import dataclass

from repoagents.domain.effect import OpenDraftPullRequest, Withheld
from repoagents.domain.issue import Issue
from repoagents.domain.people import Account, Act
from repoagents.domain.run import AT_WORK, Run, RunStatus
from repoagents.pipeline import handover, people, publisher
from repoagents.pipeline.followup import with_open_pull_request
from repoagents.policy import eligibility
from repoagents.ports import Bench, House, Request

MOST_NAMED = 10
"""How many of the issues whose pull requests are open are named."""


@dataclass(frozen=True)
class Wish:
    """How an issue was asked for: by hand (no label needed), again, or anew from the plan on.

    `asked` is who asked by hand and when, None for the operator.
    """

    by_hand: bool = False
    forced: bool = False
    fresh: bool = False
    note: str = ""
    asked: Act | None = None


def wish_of(request: Request, *, fresh: bool = False) -> Wish:
    """What the operator, or a comment, asks for."""
    heard = request.comment_id is not None
    asked = Act(Account(request.by, 0), request.at) if heard else None
    return Wish(by_hand=True, forced=request.force, fresh=fresh, note=request.note, asked=asked)


def why_dirty(bench: Bench) -> str | None:
    """Why no new run may start: the checkout holds uncommitted work and the policy is block."""
    policy = bench.settings.workspace.dirty_policy
    if policy == "allow":
        return None
    paths = bench.workspaces.dirty_paths()
    if not paths:
        return None
    shown = ", ".join(paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
    if policy == "warn":
        bench.journal.warn("checkout_dirty", f"uncommitted changes in the checkout: {shown}")
        return None
    return (
        f"the checkout has uncommitted changes ({shown}); commit or stash them: the base and the "
        "project's files must be what was committed (workspace.dirty_policy: block)"
    )


def why_too_many(house: House) -> str | None:
    """Why no further run may start: as many pull requests of ours are open as may be, or None.

    Runs at work count too, where they will open one: or those of one poll would pass the limit.
    """
    limit = house.settings.limits.open_pull_requests
    found, coming = with_open_pull_request(house), 0
    if house.tracker.pulls is not None and _lets_out_pull_requests(house):
        coming = len(house.runs.select(AT_WORK, limit=limit))
    if len(found) + coming < limit:
        return None
    whose = ", ".join(f"#{run.issue_number}" for run in found[:MOST_NAMED])
    named = f" (of {whose})" if whose else ""
    more = f" and {coming} runs may open another" if coming else ""
    return (
        f"open pull requests of the bot: {len(found)}{named}{more}; "
        f"limits.open_pull_requests is {limit}: merge or close one"
    )


def _lets_out_pull_requests(house: House) -> bool:
    """Whether what is proven now becomes a pull request."""
    effect = OpenDraftPullRequest("", 0, "", "", "", "")
    return not isinstance(publisher.gate(house, effect), Withheld)


def _why_not(house: House, issue: Issue, wish: Wish, latest: Run | None) -> str | None:
    """Why the issue itself stands in the way, or None."""
    reason = eligibility.why_not(
        issue, latest, house.settings, forced=wish.forced, again=wish.fresh, by_hand=wish.by_hand
    )
    if reason is not None or wish.forced:
        return reason
    return eligibility.why_not_alone(issue, house.installation)


def accept(house: House, issue: Issue, wish: Wish) -> Run | str:
    """A queued run for the issue, or the reason why there is none.

    Who asked is read last, for that costs requests. Raises `people.AskerUnknown` when it cannot.
    """
    latest = house.runs.latest(issue.number)
    reason = _why_not(house, issue, wish, latest) or why_dirty(house) or why_too_many(house)
    asked = wish.asked
    if reason is None and not wish.by_hand:
        asked, reason = people.vouch(house, issue)
    elif reason is None and asked is not None:
        reason = people.why_not_as_commanded(house, issue, asked.at)
    if reason is not None:
        return reason
    if asked is not None:
        issue = issue.as_asked(asked.by.login, asked.at)
    now = house.clock.now()
    run = Run(
        id=f"{now:%Y%m%d-%H%M%S}-{house.clock.token(6)}",
        issue_number=issue.number,
        title=issue.title,
        fingerprint=issue.fingerprint,
        status=RunStatus.QUEUED,
        created_at=now,
        updated_at=now,
        note=wish.note,
        asked_by=asked.by.login if asked else "",
    )
    if not house.runs.add(run, issue):
        return f"issue {issue.number} already has an active run"
    if latest is not None and latest.status in (RunStatus.BLOCKED, RunStatus.FAILED):
        superseded = latest.supersede(now)
        if house.runs.replace(latest, superseded):
            handover.renew(house, superseded)
    house.journal.note("run_queued", f"issue {issue.number} queued: {issue.title}", **run.tags)
    return run
