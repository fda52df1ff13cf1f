"""`doctor`: every condition that a run depends on, each with why it matters and how to fix it."""

from dataclasses import dataclass

from repoagents.domain.check import Check
from repoagents.domain.engines import EngineChoice, engine_for
from repoagents.domain.issue import Issue
from repoagents.domain.reports import Role
from repoagents.domain.rollout import Brake
from repoagents.domain.settings import Settings
from repoagents.errors import RepoAgentsError
from repoagents.pipeline.checkup_github import count_unlabelled, examine_access
from repoagents.pipeline.specimen import render_all
from repoagents.policy.access import judge_origin
from repoagents.policy.attention import LEAST_FREE_BYTES
from repoagents.policy.safety import holding
from repoagents.ports import Bench, Inspection


@dataclass(frozen=True)
class HostFacts:
    """What the composition root measured on this machine.

    `unwritable` are folders of the control plane that cannot be written. `edited` are texts of
    `init` that were edited, `behind` those that are missing or outdated, and `fix` is what fixes
    these. `fixture_step` says what to delete so that GitHub is asked again, empty when it is.
    `uncommitted` are files of the control plane that git does not have as they are.
    `line_for_issues` makes a local tracker that is not there yet, `worker` is the live worker in
    words, `brake` what holds the bot to an earlier phase. `state` is why the state cannot be read,
    `state_step` what to do about it. `origin` is the address of the checkout's origin, without
    credentials.
    """

    warnings: tuple[str, ...] = ()
    fixture_step: str = ""
    unwritable: tuple[str, ...] = ()
    free_bytes: int = 0
    edited: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    fix: str = ""
    uncommitted: tuple[str, ...] = ()
    line_for_issues: str = ""
    origin: str = ""
    worker: str = ""
    state: str = ""
    state_step: str = ""
    submodules: bool = False
    lfs: bool = False
    clock_ahead_of_files: bool = False
    brake: Brake | None = None


def examine(bench: Bench, facts: HostFacts) -> tuple[Check, ...]:
    """Every check, in the order in which a person would fix them."""
    checks = [Check("config", "ok", "read without an error")]
    checks += [Check("config", "warn", warning) for warning in facts.warnings]
    checks += _state(facts)
    checks += _host(facts)
    checks += _control_plane(facts)
    checks += _prompts(bench)
    checks += _rollout(bench, facts)
    checks += _git(bench, facts)
    checks += _engines(bench)
    checks += _proof(bench.settings)
    checks += _tracker(bench, facts)
    checks.append(
        Check("worker", "ok", facts.worker or "no worker is live; `repoagents run` starts one")
    )
    return tuple(checks)


def _state(facts: HostFacts) -> list[Check]:
    if not facts.state:
        return [Check("state", "ok", "readable")]
    return [
        Check(
            "state",
            "error",
            facts.state,
            "nothing is dispatched from a state that cannot be read",
            facts.state_step or "restore state/ from a backup, or move it away to start anew",
        )
    ]


def _host(facts: HostFacts) -> list[Check]:
    checks = []
    if facts.unwritable:
        folders = ", ".join(facts.unwritable)
        checks.append(
            Check(
                "folders", "error", f"cannot be written: {folders}", fix=f"chown or chmod {folders}"
            )
        )
    else:
        checks.append(Check("folders", "ok", "writable"))
    gigabytes = facts.free_bytes / 1e9
    if facts.free_bytes < LEAST_FREE_BYTES:
        checks.append(
            Check(
                "disk",
                "warn",
                f"{gigabytes:.1f} GB free",
                "worktrees, artifacts and the state need room",
                "`repoagents clean --dry-run` shows what could go",
            )
        )
    else:
        checks.append(Check("disk", "ok", f"{gigabytes:.0f} GB free"))
    if facts.clock_ahead_of_files:
        checks.append(
            Check("clock", "warn", "files carry times in the future", fix="set the clock (NTP)")
        )
    return checks


def _control_plane(facts: HostFacts) -> list[Check]:
    checks = []
    if facts.behind:
        checks.append(
            Check(
                "templates",
                "warn",
                f"not as this version writes them: {', '.join(facts.behind)}",
                "roles and prompts are read from these files",
                facts.fix,
            )
        )
    if facts.edited:
        checks.append(
            Check(
                "templates",
                "ok",
                f"edited since init: {', '.join(facts.edited)}",
                "your edits are kept; `repoagents init --upgrade` shows the difference",
            )
        )
    if not checks:
        checks.append(Check("templates", "ok", "as init wrote them"))
    if facts.uncommitted:
        files = " ".join(facts.uncommitted)
        names = ", ".join(facts.uncommitted)
        checks.append(
            Check(
                "control plane",
                "ok",
                f"not committed yet: {names}",
                "other maintainers and worktrees get what is committed",
                f"git add {files} && git commit -m 'Set up RepoAgents'",
            )
        )
    return checks


def _prompts(bench: Bench) -> list[Check]:
    try:
        render_all(bench)
    except RepoAgentsError as error:
        why = "no run is begun while a role has no prompt"
        return [Check("templates", "error", str(error), why, error.next_step)]
    return []


def _rollout(bench: Bench, facts: HostFacts) -> list[Check]:
    brake = holding(bench.settings, facts.brake)
    if brake is None:
        return []
    where = "" if brake.by_person else f" (issue #{brake.issue_number})"
    message = f"stepped back to {brake.phase}: {brake.reason}{where}"
    why = "nothing is written beyond that, whatever the flags say"
    return [Check("rollout", "warn", message, why, "`repoagents rollout status`")]


def _git(bench: Bench, facts: HostFacts) -> list[Check]:
    checks = _base(bench, facts)
    if any(check.status == "error" for check in checks):
        return checks
    checks.append(_dirty(bench))
    for present, name in ((facts.submodules, "submodules"), (facts.lfs, "LFS files")):
        if present:
            checks.append(
                Check(
                    name,
                    "warn",
                    f"{name} are not fetched into worktrees",
                    "checks that need them fail on the base",
                    "fetch them in workspace.hooks.after_create",
                )
            )
    return checks


def _base(bench: Bench, facts: HostFacts) -> list[Check]:
    """What changes start from, fetched unless a fixture stands in the place of GitHub."""
    if facts.fixture_step:
        return [Check("git", "warn", "the base was not fetched", fix=facts.fixture_step)]
    try:
        base = bench.workspaces.refresh()
    except RepoAgentsError as error:  # git's own, or there is no credential to fetch with
        return [Check("git", "error", str(error), "changes start from the base", error.next_step)]
    checks = [Check("git", "ok", f"base is {base.branch} at {base.sha[:12]}")]
    behind = bench.workspaces.why_ahead(base)
    if behind is not None:
        why = "changes are built from the base, not from your checkout"
        checks.append(Check("base", "warn", behind, why, "git push"))
    return checks


def _dirty(bench: Bench) -> Check:
    paths = bench.workspaces.dirty_paths()
    policy = bench.settings.workspace.dirty_policy
    if not paths or policy == "allow":
        return _undisturbed(bench, "clean" if not paths else "dirty, allowed by dirty_policy")
    shown = ", ".join(paths[:5])
    status = "error" if policy == "block" else "warn"
    return Check(
        "checkout",
        status,
        f"uncommitted changes: {shown}",
        f"workspace.dirty_policy is {policy}",
        "commit or stash them",
    )


def _undisturbed(bench: Bench, said: str) -> Check:
    used = bench.settings.tracker.smoke_fixture_path
    left = [path for path in bench.workspaces.left_paths() if path != used]
    if not left:
        return Check("checkout", "ok", said)
    why = "it came with a command that you typed; it does not count as a change"
    return Check(
        "checkout", "ok", f"{said}; untracked: {', '.join(left)}", why, f"rm {' '.join(left)}"
    )


def _engines(bench: Bench) -> list[Check]:
    """One check per engine in use, naming the roles that it serves."""
    roles_of: dict[EngineChoice, list[Role]] = {}
    for role in bench.settings.roles.enabled:
        roles_of.setdefault(engine_for(role, bench.settings), []).append(role)
    checks = []
    for choice, roles in roles_of.items():
        health = bench.agents.check(choice)
        names = ", ".join(role.value for role in roles)
        model = f", model {choice.model}" if choice.model else ""
        if health.problem:
            message = f"{choice.engine} ({names}): {health.problem}"
            checks.append(Check("engine", "error", message, fix=health.next_step))
        elif choice.engine == "codex" and bench.settings.codex.sandbox == "danger-full-access":
            checks.append(
                Check(
                    "engine",
                    "error",
                    f"{choice.engine} ({names}): runs without a sandbox",
                    "a hostile issue could reach this machine",
                    "set codex.sandbox: workspace-write",
                )
            )
        else:
            message = f"{choice.engine} {health.version} ({names}{model})"
            checks.append(Check("engine", "ok", message))
    return checks


def _proof(settings: Settings) -> list[Check]:
    required = [check.name for check in settings.verify if check.required]
    if required:
        return [Check("verify", "ok", f"required: {', '.join(required)}")]
    return [
        Check(
            "verify",
            "warn",
            "no required check is configured: every change stays unverified",
            "the bot proves a change by running the project's own checks",
            "add verify commands to .ai-repoagents/repoagents.yaml",
        )
    ]


def _tracker(bench: Bench, facts: HostFacts) -> list[Check]:
    if facts.line_for_issues:
        message = f"there is no {bench.settings.tracker.path} yet, where the issues will stand"
        return [Check("tracker", "warn", message, fix=facts.line_for_issues)]
    if facts.fixture_step:
        return [_unasked(facts)]
    inspection = bench.tracker.inspection
    if inspection is not None:
        return [*judge_origin(facts.origin, bench.settings), *_github(bench, inspection)]
    try:
        issues = bench.tracker.read_issues()
    except RepoAgentsError as error:
        return [Check("tracker", "error", str(error), fix=error.next_step)]
    return [*_unreadable(bench), labelled(issues, bench.settings)]


def _unasked(facts: HostFacts) -> Check:
    return Check(
        "GitHub",
        "error",
        "not asked: a smoke fixture stands in its place",
        "whether the bot may read and write there is not known",
        facts.fixture_step,
    )


def _github(bench: Bench, inspection: Inspection) -> list[Check]:
    """The credential, then the issues; those are not asked for when GitHub gives no answer."""
    checks, access = examine_access(bench, inspection)
    if access is None:
        return checks
    label = bench.settings.tracker.trigger_label
    try:
        issues = bench.tracker.read_issues()
        if label is not None and not issues:
            backlog = inspection.backlog()
            return [*checks, *count_unlabelled(backlog, access.repo, access.page, label)]
    except RepoAgentsError as error:
        return [*checks, Check("tracker", "error", str(error), fix=error.next_step)]
    # Only those with the label were listed.
    count = Check("tracker", "ok", f"{len(issues)} open with the label {label}")
    return [*checks, *_unreadable(bench), count if label else labelled(issues, bench.settings)]


def _unreadable(bench: Bench) -> list[Check]:
    return [Check("tracker", "warn", problem) for problem in bench.tracker.problems]


def labelled(issues: tuple[Issue, ...], settings: Settings) -> Check:
    """How many open issues carry the trigger label, and how to label one."""
    label = settings.tracker.trigger_label
    if label is None:
        return Check("tracker", "ok", f"{len(issues)} open, every one is taken (no trigger label)")
    count = sum(issue.carries(label) for issue in issues)
    message = f"{len(issues)} open, {count} labelled {label}"
    if count or not issues:
        return Check("tracker", "ok", message)
    first = issues[0]
    fix = f"add the label {label} to an issue, for example in {first.source or first.number}"
    return Check("tracker", "ok", message, "an issue without the label is not touched", fix)
