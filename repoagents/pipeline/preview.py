"""Dry runs: what a real run would do. Nothing is recorded; only the planner may be asked."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from repoagents.domain.change import Base
from repoagents.domain.effect import (
    Effect,
    OpenDraftPullRequest,
    PostComment,
    PushBranch,
    Withheld,
    effect_name,
)
from repoagents.domain.engines import engine_for
from repoagents.domain.issue import Issue
from repoagents.domain.reports import Plan, Role
from repoagents.domain.rollout import Brake
from repoagents.domain.run import Run
from repoagents.domain.settings import LimitSettings, Settings
from repoagents.errors import OutputInvalid
from repoagents.pipeline import people, publisher
from repoagents.pipeline.intake import why_dirty
from repoagents.pipeline.roles import input_hash, prompt_key
from repoagents.pipeline.specimen import render_all
from repoagents.policy import eligibility, safety
from repoagents.ports import Bench, Brief, RoleTask, Worktree
from repoagents.views.preview import PlanPreview, role_engines

Latest = Callable[[int], Run | None]

DRY_RUN = "dry-"
"""How the id of a dry run begins; the instant follows, which nothing else tells."""


@dataclass(frozen=True)
class Candidate:
    """An issue that the loop would look at, and why it would be left; None when it is eligible."""

    issue: Issue
    reason: str | None


def candidates(bench: Bench, latest: Latest) -> tuple[Candidate, ...]:
    """Every open issue in the loop's order, each with its reason."""
    ordered = eligibility.order(bench.tracker.read_issues(), bench.settings)
    dirty = why_dirty(bench)
    return tuple(Candidate(issue, _why_left(bench, issue, latest, dirty)) for issue in ordered)


def candidate(bench: Bench, latest: Latest, number: int, *, forced: bool) -> Candidate | None:
    """The one issue that a person named; None when the tracker has none of that number."""
    issue = bench.tracker.read_issue(number)
    if issue is None:
        return None
    reason = eligibility.why_not(issue, latest(number), bench.settings, forced=forced, by_hand=True)
    return Candidate(issue, reason or why_dirty(bench))


def _why_left(bench: Bench, issue: Issue, latest: Latest, dirty: str | None) -> str | None:
    run = latest(issue.number)
    reason = eligibility.why_not(issue, run, bench.settings) or dirty
    if reason is not None:
        return reason
    try:
        return people.vouch(bench, issue)[1]
    except people.AskerUnknown as error:
        return str(error)


async def preview(
    bench: Bench, chosen: Candidate, *, agent: bool, brake: Brake | None = None
) -> PlanPreview:
    """What a run of this issue would do; the planner runs only for an eligible one.

    `brake` is what holds the bot to an earlier phase.
    """
    settings = bench.settings
    plan, note = None, "left out"
    if agent and chosen.reason is None:
        plan, note = await _plan(bench, chosen.issue)
    elif chosen.reason is not None:
        note = "not eligible"
    return PlanPreview(
        issue_number=chosen.issue.number,
        title=chosen.issue.title,
        eligible=f"no: {chosen.reason}" if chosen.reason else _why(chosen.issue, settings),
        roles=role_engines(settings),
        plan=plan,
        plan_note=note,
        checks=tuple(
            (check.name, check.run if isinstance(check.run, str) else " ".join(check.run))
            for check in settings.verify
        ),
        limits=_limits(settings.limits),
        effects=tuple(_fate(bench, effect, brake) for effect in _effects(chosen.issue)),
    )


def _why(issue: Issue, settings: Settings) -> str:
    label = settings.tracker.trigger_label
    if label and issue.carries(label):
        return f"yes: open and labelled {label}"
    return "yes: open"


async def _plan(bench: Bench, issue: Issue) -> tuple[Plan, str]:
    """The planner's plan for the freshly fetched base, kept for the real run."""
    render_all(bench)
    base = await asyncio.to_thread(bench.workspaces.refresh)
    run_id = f"{DRY_RUN}{bench.clock.now():%Y%m%d-%H%M%S}-{bench.clock.token(6)}"
    brief = Brief(
        role=Role.PLANNER,
        issue=issue,
        run_id=run_id,
        nonce=input_hash("fence", run_id)[:16],
        base_sha=base.sha,
        verify=bench.settings.verify,
    )
    prompt = bench.agents.render(brief)
    key = prompt_key(prompt, brief, engine_for(Role.PLANNER, bench.settings))
    kept = bench.artifacts.find_plan(issue.number, key)
    if kept is not None:
        return kept, "from the last dry run: same text, base and prompt; the real run uses it"
    worktree, _ = await asyncio.to_thread(bench.workspaces.open, issue.number, run_id, base.sha)
    try:
        plan = await _ask(bench, worktree, base, prompt)
    finally:
        await asyncio.to_thread(bench.workspaces.remove, worktree)
    bench.artifacts.keep_plan(issue.number, key, plan)
    return plan, "the real run uses it while text, base and prompt stay the same"


async def _ask(bench: Bench, worktree: Worktree, base: Base, prompt: str) -> Plan:
    choice = engine_for(Role.PLANNER, bench.settings)
    task = RoleTask(
        role=Role.PLANNER,
        run_id=worktree.run_id,
        issue_number=worktree.issue_number,
        label=Role.PLANNER.value,
        worktree=worktree.path,
        artifacts=bench.artifacts.folder(worktree.issue_number, worktree.run_id),
        prompt=prompt,
        engine=choice,
        writable=False,
        deadline_seconds=choice.timeout_seconds,
        idle_seconds=bench.settings.agent.idle_timeout_seconds,
    )
    bench.artifacts.write(worktree.issue_number, worktree.run_id, f"{task.label}.prompt.md", prompt)
    reply = await bench.agents.ask(task, lambda _event: None)
    report = bench.agents.read(task, reply.answer)
    if not isinstance(report, Plan):
        raise OutputInvalid(f"expected a plan on {base.sha[:12]}, got {type(report).__name__}")
    return report


def _limits(limits: LimitSettings) -> tuple[tuple[str, str], ...]:
    return (
        ("calls_per_hour", f"{limits.calls_per_hour:,}"),
        ("tokens_per_run", f"{limits.tokens_per_run:,}"),
        ("tokens_per_day", f"{limits.tokens_per_day:,}"),
        ("cost_per_run", f"{limits.cost_per_run:.2f}"),
        ("cost_per_day", f"{limits.cost_per_day:.2f}"),
    )


def _effects(issue: Issue) -> tuple[Effect, ...]:
    """The effects that a proven change would bring, in their order; their content is not known."""
    run_id = "dry"
    branch = safety.branch_name(issue.number, issue.title, run_id)
    return (
        PushBranch(run_id, issue.number, branch, ""),
        OpenDraftPullRequest(run_id, issue.number, issue.title, "", branch, ""),
        PostComment(run_id, issue.number, "", ""),
    )


def _fate(bench: Bench, effect: Effect, brake: Brake | None) -> tuple[str, str, str]:
    gated = publisher.gate(bench, effect, brake=brake)
    if isinstance(gated, Withheld):
        return (effect_name(effect), gated.flag, gated.reason)
    return (effect_name(effect), "", "")
