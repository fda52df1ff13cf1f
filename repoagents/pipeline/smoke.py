"""`github smoke`: one look at GitHub, some requests that only read; or its rehearsal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from repoagents.domain.access import Access
from repoagents.domain.check import Check
from repoagents.domain.issue import Issue
from repoagents.domain.rollout import Brake
from repoagents.domain.run import Run
from repoagents.domain.settings import Settings
from repoagents.domain.smoke import (
    REHEARSAL,
    Auth,
    BranchPolicy,
    IssueRow,
    Issues,
    Level,
    Meta,
    Point,
    Publish,
    RepoAccess,
    Smoke,
    worst,
)
from repoagents.errors import RepoAgentsError
from repoagents.pipeline.checkup_github import count_unlabelled
from repoagents.policy import access as judgement
from repoagents.policy import eligibility
from repoagents.policy import smoke as judge
from repoagents.policy.safety import app_permissions
from repoagents.ports import Bench, Clock, Inspection

LIMIT, MOST = 10, 100
"""How many issues are looked at, and how many at most."""


@dataclass(frozen=True)
class Wish:
    """What a person asked for: this issue, 0 for the first eligible one; so many of them."""

    number: int = 0
    limit: int = LIMIT


@dataclass(frozen=True)
class Surroundings:
    """The checkout as it stands: its origin without credentials, its branch; and what is recorded.

    `latest` finds an issue's newest run, `brake` holds the bot to an earlier phase.
    """

    origin: str
    branch: str
    latest: Callable[[int], Run | None]
    brake: Brake | None = None


def look(bench: Bench, inspection: Inspection, around: Surroundings, wish: Wish) -> Smoke:
    """The report, live: at most twelve requests, none of which writes.

    What GitHub does not answer is an issue of its section; nothing is raised.
    """
    settings = bench.settings
    meta = Meta(settings.tracker.repo, bench.clock.now(), wish.limit)
    origin = judge.judge_remote(around.origin, settings)
    try:
        access = inspection.inspect()
    except RepoAgentsError as error:
        dark = _dark(_point(error), settings, around.branch)
        smoke = Smoke(meta, judge.unconcluded(meta), *dark[:3], origin, *dark[3:], None)
        return judge.conclude(smoke, settings, around.brake)
    auth = judge.judge_auth(access, _checks(bench, access))
    repo = judge.judge_access(access, judgement.judge_repository(access, settings))
    issues, sampled = _issues(bench, inspection, around, access, wish)
    smoke = Smoke(
        meta=meta,
        summary=judge.unconcluded(meta),
        auth=auth,
        repo_access=repo,
        branch_policy=_branch(inspection, access, around.branch, settings),
        origin=origin,
        publish=judge.judge_publish(access, settings, bench.clock.now(), around.brake),
        issues=issues,
        sampled_issue=sampled,
    )
    return judge.conclude(smoke, settings, around.brake)


def rehearse(fixture: Smoke, settings: Settings, clock: Clock, wish: Wish) -> Smoke:
    """The report from a fixture: its sections as they stand, the summary made from them."""
    known = [*fixture.issues.sampled, *([fixture.sampled_issue] if fixture.sampled_issue else [])]
    sampled, issues = fixture.sampled_issue, fixture.issues
    if wish.number:
        sampled = next((row for row in known if row.number == wish.number), None)
        issues = issues if sampled else _missing(issues, f"the fixture has no issue {wish.number}")
    meta = Meta(
        tracker_repo=settings.tracker.repo,
        rendered_at=clock.now(),
        issue_limit=wish.limit,
        source="fixture",
        fixture_path=settings.tracker.smoke_fixture_path,
        rehearsal=REHEARSAL,
    )
    shown = replace(issues, sampled=issues.sampled[: wish.limit])
    smoke = replace(fixture, meta=meta, issues=shown, sampled_issue=sampled)
    return judge.conclude(smoke, settings)


def _checks(bench: Bench, access: Access) -> Sequence[Check]:
    needed = app_permissions(bench.settings)
    found = judgement.judge_credential(access, needed, bench.clock.now())
    return [*found, *judgement.judge_pace(access)]


def _branch(inspection: Inspection, access: Access, local: str, settings: Settings) -> BranchPolicy:
    name = settings.tracker.base_branch or access.default_branch
    try:
        rules = inspection.branch(name)
    except RepoAgentsError as error:
        return BranchPolicy(
            status=Level.ISSUES,
            warnings=(_point(error),),
            default_branch=access.default_branch,
            base_branch=name,
            local_branch=local,
        )
    return judge.judge_branch(rules, access.default_branch, local, settings)


def _issues(
    bench: Bench, inspection: Inspection, around: Surroundings, access: Access, wish: Wish
) -> tuple[Issues, IssueRow | None]:
    label = bench.settings.tracker.trigger_label
    try:
        listed, more = inspection.sample(wish.limit)
        found = eligibility.order(listed, bench.settings)
        points: tuple[Point, ...] = ()
        if not found and label and not wish.number:
            checks = count_unlabelled(inspection.backlog(), access.repo, access.page, label)
            points = judge.points_of(checks)
        named = inspection.issue(wish.number) if wish.number else None
        rows = tuple(_row(issue, bench.settings, around) for issue in found)
    except RepoAgentsError as error:
        return Issues(status=Level.ISSUES, warnings=(_point(error),), count=0, label=label), None
    issues = Issues(
        status=worst(point.level for point in points),
        warnings=points,
        count=len(rows),
        more=more,
        label=label,
        sampled=rows,
    )
    if not wish.number:
        return issues, next((row for row in rows if row.eligible), rows[0] if rows else None)
    if named is None:
        return _missing(issues, f"there is no issue {wish.number}"), None
    return issues, _row(named, bench.settings, around, by_hand=True)


def _row(
    issue: Issue, settings: Settings, around: Surroundings, *, by_hand: bool = False
) -> IssueRow:
    """An issue and whether it would be taken up; a person who names it needs no label."""
    latest = around.latest(issue.number)
    reason = eligibility.why_not(issue, latest, settings, by_hand=by_hand)
    return IssueRow(
        number=issue.number,
        title=issue.title,
        url=issue.source,
        labels=issue.labels,
        eligible=reason is None,
        reason=reason or "",
    )


def _missing(issues: Issues, message: str) -> Issues:
    points = (*issues.warnings, Point(Level.ISSUES, message, "name another with --issue"))
    return replace(issues, status=Level.ISSUES, warnings=points)


def _point(error: RepoAgentsError) -> Point:
    return Point(Level.ISSUES, str(error), error.next_step)


def _dark(
    point: Point, settings: Settings, local: str
) -> tuple[Auth, RepoAccess, BranchPolicy, Publish, Issues]:
    """The sections that need GitHub, when it gives no answer."""
    tracker, unlooked = settings.tracker, (judge.NOT_LOOKED,)
    warn, base = Level.WARN, tracker.base_branch
    return (
        Auth(status=Level.ISSUES, warnings=(point,), source="", token_kind=""),
        RepoAccess(status=warn, warnings=unlooked, full_name=tracker.repo, default_branch=""),
        BranchPolicy(
            status=warn, warnings=unlooked, default_branch="", base_branch=base, local_branch=local
        ),
        Publish(status=warn, warnings=unlooked, comment_writes_ready=False, pr_writes_ready=False),
        Issues(status=warn, warnings=unlooked, count=0, label=tracker.trigger_label),
    )
