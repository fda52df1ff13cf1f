"""How each part of GitHub stands for this configuration, and what the whole comes to."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from repoagents.domain.access import Access, BranchRules
from repoagents.domain.check import Check
from repoagents.domain.effect import (
    Effect,
    MergePullRequest,
    OpenDraftPullRequest,
    PostComment,
    Withheld,
)
from repoagents.domain.engines import rehearses
from repoagents.domain.people import Permission
from repoagents.domain.rollout import Brake
from repoagents.domain.settings import Settings
from repoagents.domain.smoke import (
    Auth,
    BranchPolicy,
    Level,
    Meta,
    Origin,
    Overall,
    Point,
    Publish,
    RepoAccess,
    Smoke,
    Summary,
    worst,
)
from repoagents.policy.access import (
    KINDS,
    judge_credential,
    judge_origin,
    judge_repository,
    parse_slug,
)
from repoagents.policy.safety import app_permissions, gate

COMMENT = PostComment("", 1, "", "")
PULL = OpenDraftPullRequest("", 1, "", "", "", "")
MERGE = MergePullRequest("", 1, "", "")
"""What is asked of the gate: whether such a write goes out at all."""

WRITES: tuple[tuple[str, Effect, tuple[str, ...]], ...] = (
    ("comments", COMMENT, ("issues: write",)),
    ("pull requests", PULL, ("contents: write", "pull_requests: write")),
)
"""The kinds of writes, one of each, and what an App needs for it."""

SHOWN_CONFIG = ".ai-repoagents/repoagents.yaml"
_LETS_OUT = {
    "merge_policy.mode": "human_approval",
    "tracker.mode": "rest",
    "llm.mode": "codex",
    "workspace.strategy": "worktree",
}
"""The value that withholds nothing, of each key that is no flag."""
HELD = {
    Permission.ADMIN: ("admin", "maintain", "push", "triage", "pull"),
    Permission.MAINTAIN: ("maintain", "push", "triage", "pull"),
    Permission.WRITE: ("push", "triage", "pull"),
    Permission.TRIAGE: ("triage", "pull"),
    Permission.READ: ("pull",),
    Permission.NONE: (),
}
"""GitHub's words for what a role holds, in its answer about a repository."""

LEVELS = {"ok": Level.OK, "warn": Level.WARN, "error": Level.ISSUES}
NOT_LOOKED = Point(Level.WARN, "not looked at: GitHub gave no answer")
BLIND = "GitHub does not say what a fine-grained token may write: only the first write will show"


def points_of(checks: Iterable[Check]) -> tuple[Point, ...]:
    """What is not in order, and what is but leaves something to do."""
    return tuple(
        Point(LEVELS[check.status], check.message, check.fix)
        for check in checks
        if check.status != "ok" or check.fix
    )


def judge_auth(access: Access, checks: Iterable[Check]) -> Auth:
    """The credential, by what was found to be wrong with it."""
    points = points_of(checks)
    is_app = access.kind == "app"
    return Auth(
        status=_status(points),
        warnings=points,
        source=access.source,
        token_kind=KINDS[access.kind],
        account=access.account,
        scopes=None if is_app else access.granted,
        permissions=access.granted if is_app else None,
        expires_at=access.expires_at,
    )


def judge_access(access: Access, checks: Iterable[Check]) -> RepoAccess:
    """The repository, by what was found to be wrong with it."""
    points = points_of(checks)
    return RepoAccess(
        status=_status(points),
        warnings=points,
        full_name=access.repo,
        default_branch=access.default_branch,
        private=access.private,
        permissions=HELD[access.role],
    )


def judge_branch(rules: BranchRules, default: str, local: str, settings: Settings) -> BranchPolicy:
    """What a merge has to pass; `local` is the branch that the checkout is on, if any."""
    points = []
    if not rules.protected:
        level = Level.OK if _is_withheld(PULL, settings) else Level.WARN
        message = f"nothing protects {rules.name}: whoever may push needs no review and no check"
        points.append(Point(level, message, "add a ruleset for it in the repository's settings"))
    if local and local != rules.name:
        message = f"the checkout is on {local}; changes start from {rules.name}"
        points.append(Point(Level.OK, message))
    return BranchPolicy(
        status=_status(points),
        warnings=tuple(points),
        default_branch=default,
        base_branch=rules.name,
        local_branch=local,
        protected=rules.protected,
        required_reviews=rules.reviews,
        required_checks=rules.checks,
        rules=rules.rules,
        rulesets=rules.rulesets,
        unread=rules.unread,
    )


def judge_remote(url: str, settings: Settings) -> Origin:
    """The checkout's origin beside `tracker.api_url` and `tracker.repo`; no password is shown."""
    checks = judge_origin(url, settings)
    points = points_of(checks)
    if not checks:
        message = "origin names no host: not compared" if url else "the checkout has no origin"
        points = (Point(Level.OK, message),)
    return Origin(
        status=_status(points),
        warnings=points,
        remote_url=re.sub(r"://[^/@]*:[^/@]*@", "://", url),
        repo_slug=parse_slug(url),
        matches_tracker_repo=all(check.status == "ok" for check in checks) if checks else None,
    )


def judge_publish(
    access: Access, settings: Settings, now: datetime, brake: Brake | None = None
) -> Publish:
    """Which writes would go out: those that the gate lets, when nothing else stands against them.

    What only a closed flag withholds is as it should be, and is said.
    """
    points: list[Point] = []
    ready = []
    for name, effect, needed in WRITES:
        withheld = _withheld(name, effect, settings, brake)
        # Comments need nothing that a token may not read.
        seen = replace(access, refused=()) if effect is COMMENT else access
        barred = _barred(name, seen, settings, now)
        found = [withheld] if withheld else _lacking(name, access, needed) + barred
        ready.append(not found)
        points += found
    if access.kind == "fine_grained" and any(ready):
        points.append(Point(Level.OK, BLIND))
    return Publish(
        status=_status(points),
        warnings=tuple(points),
        comment_writes_ready=ready[0],
        pr_writes_ready=ready[1],
    )


def why_not_ready(smoke: Smoke) -> tuple[Point, ...]:
    """What keeps comments and pull requests from going out; empty when both would."""
    if smoke.meta.rehearsal:
        message = "a fixture shows nothing about what may be written"
        return (Point(Level.ISSUES, message, "delete smoke_fixture_path from the tracker section"),)
    publish = smoke.publish
    if publish.comment_writes_ready and publish.pr_writes_ready:
        return ()
    told = tuple(point for point in publish.warnings if point.message != BLIND)
    return told or (Point(Level.ISSUES, "writes are not ready"),)


def conclude(smoke: Smoke, settings: Settings, brake: Brake | None = None) -> Smoke:
    """The report with the summary that its sections come to."""
    parts = [part for _, part in smoke.parts()]
    gravest = worst(part.status for part in parts)
    whole = dict(zip(Level, Overall, strict=True))[gravest]
    sampled = smoke.sampled_issue
    summary = Summary(
        status=whole,
        message=_message(smoke, whole),
        open_issue_count=smoke.issues.count,
        sampled_issue_id=sampled.number if sampled else None,
        write_comments_enabled=not _is_withheld(COMMENT, settings, brake),
        open_pr_enabled=not _is_withheld(PULL, settings, brake),
        merge_enabled=not _is_withheld(MERGE, settings, brake),
        comment_writes_ready=smoke.publish.comment_writes_ready,
        pr_writes_ready=smoke.publish.pr_writes_ready,
    )
    return replace(smoke, summary=summary)


def unconcluded(meta: Meta) -> Summary:
    """The summary of a report whose sections are still being put together."""
    return Summary(Overall.ISSUES, f"{meta.tracker_repo} has not been looked at")


def _message(smoke: Smoke, whole: Overall) -> str:
    if whole is Overall.CLEAN:
        plus = " or more" if smoke.issues.more else ""
        wanted = f" labelled {smoke.issues.label}" if smoke.issues.label else ""
        return f"nothing stands in the way; {smoke.issues.count}{plus} open{wanted}"
    points = [p for _, part in smoke.parts() for p in part.warnings if p.level is not Level.OK]
    points.sort(key=lambda point: point.level is not Level.ISSUES)
    if not points:
        grave = [name for name, part in smoke.parts() if part.status is not Level.OK]
        return f"look at {', '.join(grave)}"
    more = f" ({len(points) - 1} more)" if len(points) > 1 else ""
    return points[0].message + more


def _status(points: Iterable[Point]) -> Level:
    return worst(point.level for point in points)


def _withheld(name: str, effect: Effect, settings: Settings, brake: Brake | None) -> Point | None:
    """Which key withholds such a write, and the line that lets it out."""
    found = gate(effect, settings, rehearsal=rehearses(settings), brake=brake)
    if not isinstance(found, Withheld):
        return None
    if _is_withheld(effect, settings, brake) and not _is_withheld(effect, settings):
        return Point(
            Level.WARN, f"{name} are withheld: {found.reason}", "repoagents rollout status"
        )
    section, _, key = found.flag.partition(".")
    line = f"{section}: {{{key}: {_LETS_OUT.get(found.flag, 'true')}}} in {SHOWN_CONFIG}"
    return Point(Level.OK, f"{name} are withheld by {found.flag}: {found.reason}", line)


def _is_withheld(effect: Effect, settings: Settings, brake: Brake | None = None) -> bool:
    return isinstance(gate(effect, settings, brake=brake), Withheld)


def _lacking(name: str, access: Access, needed: Sequence[str]) -> list[Point]:
    """What an App lacks; a token's scopes are told with the credential."""
    if access.kind != "app" or access.granted is None:
        return []
    lacking = [permission for permission in needed if permission not in access.granted]
    fix = "accept the permission in the installation's settings on GitHub"
    message = f"{name} are not ready: the App lacks {', '.join(lacking)}"
    return [Point(Level.ISSUES, message, fix)] if lacking else []


def _barred(name: str, access: Access, settings: Settings, now: datetime) -> list[Point]:
    """What stands against every write, whatever the flags say."""
    checks = judge_credential(access, app_permissions(settings), now)
    checks += judge_repository(access, settings)
    return [
        Point(Level.ISSUES, f"{name} are not ready: {check.message}", check.fix)
        for check in checks
        if check.status == "error"
    ]
