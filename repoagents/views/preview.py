"""What a dry run prints: what a real run of one issue would do."""

from dataclasses import dataclass

from repoagents.domain.engines import engine_for
from repoagents.domain.reports import Plan, Role
from repoagents.domain.settings import Settings
from repoagents.policy.wording import one_line
from repoagents.views.layout import pad, wrapped


@dataclass(frozen=True)
class RoleEngine:
    """Which engine and model a role has; `rehearsal` means that no model is called."""

    role: Role
    engine: str
    model: str = ""
    rehearsal: bool = False

    @property
    def label(self) -> str:
        """The engine as people read it."""
        if self.rehearsal:
            return f"{self.engine} (no model is called)"
        return f"{self.engine}, {self.model or 'its own default model'}"


def role_engines(settings: Settings) -> tuple[RoleEngine, ...]:
    """The enabled roles with their engines, in order."""
    chosen = ((role, engine_for(role, settings)) for role in settings.roles.enabled)
    return tuple(
        RoleEngine(role, choice.engine, choice.model, choice.rehearses) for role, choice in chosen
    )


@dataclass(frozen=True)
class PlanPreview:
    """What a dry run of one issue found out; effects are name, the flag that withholds, reason.

    `plan` is None when no planner was run. `limits` are name and value as they are shown.
    """

    issue_number: int
    title: str
    eligible: str
    roles: tuple[RoleEngine, ...] = ()
    plan: Plan | None = None
    plan_note: str = ""
    checks: tuple[tuple[str, str], ...] = ()
    limits: tuple[tuple[str, str], ...] = ()
    effects: tuple[tuple[str, str, str], ...] = ()


def render_plan_preview(preview: PlanPreview) -> str:
    """What a real run of the issue would do; nothing of it has happened."""
    lines = [
        f"dry run of issue #{preview.issue_number}: {one_line(preview.title)}",
        f"eligible: {one_line(preview.eligible)}",
    ]
    if any(role.rehearsal for role in preview.roles):
        lines.append("rehearsal: no model is called by the roles marked so")
    lines += ["", "roles, in this order"]
    lines += [f"  {pad(role.role.value, 9)} {one_line(role.label)}" for role in preview.roles]
    lines += ["", *_plan(preview)]
    lines += ["", "checks"]
    lines += [f"  {one_line(name)}: {one_line(command)}" for name, command in preview.checks] or [
        "  none is configured: the change will be unverified"
    ]
    lines += ["", "limits", *(f"  {pad(name, 16)} {value}" for name, value in preview.limits)]
    lines += ["", "effects"]
    for name, flag, reason in preview.effects:
        fate = f"withheld by {flag}: {one_line(reason)}" if flag else "would happen"
        lines.append(f"  {pad(name, 18)} {fate}")
    return "\n".join(lines) + "\n"


def _plan(preview: PlanPreview) -> list[str]:
    plan = preview.plan
    note = f" ({one_line(preview.plan_note)})" if preview.plan_note else ""
    if plan is None:
        return [f"plan: none, the planner was not started{note}"]
    lines = [f"plan{note}", *wrapped(plan.summary)]
    for title, entries in (
        ("likely files", plan.likely_files),
        ("acceptance criteria", plan.acceptance_criteria),
        ("risks", plan.risks),
        ("questions", plan.questions),
    ):
        if entries:
            lines += ["", title]
            for entry in entries:
                lines += wrapped(entry)
    return lines
