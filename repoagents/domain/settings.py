"""Every configuration key, its default, its bounds and its meaning: the one source.

The loader, the JSON Schema and the reference page are all made from these classes; the sentence
below a field is its documentation. Times are seconds here because that is what people type.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Le, MinLen

from repoagents.domain.host_settings import (
    STRICT,
    AppSettings,
    LoggingSettings,
    RetentionSettings,
    RolloutSettings,
    StateSettings,
    WebhookSettings,
)
from repoagents.domain.reports import Role

Seconds = Annotated[int, Ge(1), Le(86_400)]
EngineName = Literal["codex", "command", "rehearsal"]
Effort = Literal["low", "medium", "high"]


@dataclass(frozen=True)
class FilterSettings:
    """Which issues the loop takes by itself; `trigger` passes every filter."""

    __pydantic_config__ = STRICT

    labels: tuple[str, ...] = ()
    """Labels that an issue needs, all of them, in addition to the trigger label."""
    exclude_labels: tuple[str, ...] = ()
    """An issue with any of these labels is left alone."""
    authors: tuple[str, ...] = ()
    """Take only issues that one of these people wrote; empty for everybody's."""
    assignee: str = ""
    """Take only issues that are assigned to this person."""
    milestone: str = ""
    """Take only issues in the milestone with this title."""


@dataclass(frozen=True)
class TrackerSettings:
    """Where issues come from."""

    __pydantic_config__ = STRICT

    kind: Literal["github", "local_file", "local_markdown"] = "github"
    """The tracker: `github`, `local_file` (a JSON file) or `local_markdown` (a folder)."""
    mode: Literal["rest", "fixture"] = "rest"
    """`rest` is the live API; `fixture` reads GitHub-shaped issues from a file and never writes."""
    repo: str = ""
    """The repository as OWNER/REPO; needed for `github`."""
    api_url: str = "https://api.github.com"
    """GitHub's REST API; https://HOST/api/v3 for GitHub Enterprise Server."""
    token_env: Annotated[str, MinLen(1)] = "GITHUB_TOKEN"  # noqa: S105 - a variable's name
    """The variable that holds the token; if it is unset, the bot asks `gh auth token`."""
    app: AppSettings = field(default_factory=AppSettings)
    """A GitHub App that the bot works as, instead of a token."""
    path: str = ""
    """The local tracker's file or folder, relative to the root."""
    fixtures_path: str = ""
    """The file with GitHub-shaped issues that `mode: fixture` reads, relative to the root."""
    smoke_fixture_path: str = ""
    """A file, relative to the root, that stands in for GitHub in `github smoke`. While it is set,
    GitHub is not asked for anything and no issue is worked on."""
    trigger_label: str | None = "repoagents"
    """An issue without this label is not touched. `null`, the default of local trackers, takes
    every open issue."""
    stop_label: str = "repoagents-stop"
    """An issue with this label is left alone, and its run stops; empty for none."""
    working_label: str | None = None
    """The label of an issue on GitHub while the bot works on it; `null` for none. It needs
    `safety.allow_write_comments`."""
    waiting_label: str | None = None
    """Its label while the run waits for a person: blocked, failed, or awaiting approval."""
    filters: FilterSettings = field(default_factory=FilterSettings)
    """Which of the issues with the trigger label are taken."""
    allowed_bots: tuple[int, ...] = ()
    """Account ids of bots and Apps that may ask for work; all others are ignored."""
    comment_commands: bool = False
    """Obey `/repoagents run`, `stop`, `retry`, `approve` and `status` in comments by people with
    write access."""
    poll_interval_seconds: Annotated[int, Ge(5), Le(3600)] = 300
    """How often the loop reads the tracker."""
    base_branch: str = ""
    """The branch that changes start from. If empty, the default branch of origin or, without an
    origin, the branch that HEAD names."""
    clone_url: str = ""
    """Where git fetches from, and where the branches of pull requests are pushed to: a path or URL
    that overrides the checkout's origin. Local trackers only fetch, and leave branches in the
    checkout."""


@dataclass(frozen=True)
class HookSettings:
    """Commands around a run: POSIX shell lines, run in the worktree in a clean environment."""

    __pydantic_config__ = STRICT

    after_create: str = ""
    """Once, after the worktree was made; a failure ends the attempt."""
    before_run: str = ""
    """Before each attempt; a failure ends the attempt."""
    after_run: str = ""
    """After each attempt; a failure is logged only."""
    before_remove: str = ""
    """Before the worktree is removed; a failure is logged only."""
    timeout_seconds: Seconds = 60
    """How long one hook may take."""


@dataclass(frozen=True)
class WorkspaceSettings:
    """Where agents work."""

    __pydantic_config__ = STRICT

    strategy: Literal["worktree", "copy"] = "worktree"
    """`worktree` of the bot's own clone; `copy` takes a folder that is not a git repository."""
    dirty_policy: Literal["allow", "warn", "block"] = "block"
    """With uncommitted changes in your checkout, new runs wait (`block`), start with a warning
    (`warn`), or just start (`allow`)."""
    sparse_paths: tuple[str, ...] = ()
    """Folders to check out in a large repository; empty for all of it."""
    hooks: HookSettings = field(default_factory=HookSettings)
    """Commands around a run."""


@dataclass(frozen=True)
class LlmSettings:
    """Which engine the roles use unless they name their own."""

    __pydantic_config__ = STRICT

    mode: EngineName = "codex"
    """The default engine: `codex`, `command`, or `rehearsal` (no model is called)."""


@dataclass(frozen=True)
class CodexSettings:
    """How the codex CLI is started."""

    __pydantic_config__ = STRICT

    command: Annotated[str, MinLen(1)] = "codex"
    """The program: a name on PATH or a path."""
    model: str = ""
    """The model; if empty, the CLI's own default."""
    sandbox: Literal["workspace-write", "danger-full-access"] = "workspace-write"
    """The builder's sandbox; planner and reviewer are always read-only."""
    extra_args: tuple[str, ...] = ()
    """Further arguments for `codex exec`."""


@dataclass(frozen=True)
class CommandSettings:
    """The `command` engine: any executable that reads a prompt and answers in JSON."""

    __pydantic_config__ = STRICT

    argv: tuple[str, ...] = ()
    """The argument list, run in the worktree; the prompt comes on stdin."""


@dataclass(frozen=True)
class MergePolicySettings:
    """How far a finished change may go."""

    __pydantic_config__ = STRICT

    mode: Literal["human_approval", "comment_only"] = "human_approval"
    """`comment_only` never publishes a branch or pull request, whatever the flags say."""


@dataclass(frozen=True)
class SafetySettings:
    """One flag per kind of write; all off by default."""

    __pydantic_config__ = STRICT

    allow_write_comments: bool = False
    """Let the bot comment on the issue, and set its own labels and reactions there."""
    allow_open_pr: bool = False
    """Let the bot push a branch and open a draft pull request."""
    allow_merge: bool = False
    """Let the bot merge its pull request once a person has approved exactly that commit."""


@dataclass(frozen=True)
class ApprovalSettings:
    """Whose word counts as an approval."""

    __pydantic_config__ = STRICT

    other_person: bool = False
    """Refuse the approval of the person who asked for the change."""


@dataclass(frozen=True)
class RoleSettings:
    """One role's engine, where it differs from the default."""

    __pydantic_config__ = STRICT

    engine: EngineName | None = None
    """The engine; from `llm.mode` when absent."""
    model: str | None = None
    """The model; from the engine's section when absent."""
    effort: Effort | None = None
    """How hard the model should think; the engine's own default when absent."""
    timeout_seconds: Seconds | None = None
    """How long the role may take; from `agent.role_timeout_seconds` when absent."""


@dataclass(frozen=True)
class RolesSettings:
    """The roles, in the fixed order planner, builder, reviewer."""

    __pydantic_config__ = STRICT

    enabled: tuple[Role, ...] = (Role.PLANNER, Role.BUILDER, Role.REVIEWER)
    """The roles that run. Without a reviewer a person decides on every change; planner and
    builder cannot be left out."""
    planner: RoleSettings = field(default_factory=RoleSettings)
    """The planner's engine."""
    builder: RoleSettings = field(default_factory=RoleSettings)
    """The builder's engine."""
    reviewer: RoleSettings = field(default_factory=RoleSettings)
    """The reviewer's engine."""


@dataclass(frozen=True)
class VerifySettings:
    """One of the project's own checks; the bot runs it itself, on the base and on the change."""

    __pydantic_config__ = STRICT

    name: Annotated[str, MinLen(1)]
    """What it is called in reports."""
    run: str | tuple[str, ...]
    """A list of arguments, or a string that a POSIX shell runs in the worktree."""
    kind: Literal["unit", "integration", "lint", "custom"] = "custom"
    """What sort of check it is."""
    required: bool = True
    """Whether a change that fails it is sent back."""
    timeout_seconds: Seconds = 600
    """How long it may take."""


@dataclass(frozen=True)
class GuardrailSettings:
    """What a change may not be, whatever agents say."""

    __pydantic_config__ = STRICT

    protected_paths: tuple[str, ...] = ()
    """Globs of files that only a person may change, in addition to the built-in ones."""
    allowed_paths: tuple[str, ...] = ()
    """Globs of the only files that a change may touch; empty for all."""
    max_files: Annotated[int, Ge(1)] = 30
    """How many files a change may touch."""
    max_lines: Annotated[int, Ge(1)] = 1500
    """How many lines a change may add and delete in total."""
    max_file_bytes: Annotated[int, Ge(1)] = 1_000_000
    """The largest file that a change may contain, in bytes."""
    outside_plan: Literal["note", "revise"] = "revise"
    """What a changed path outside the plan means: a note to the reviewer, or a fix round."""


@dataclass(frozen=True)
class AgentSettings:
    """How agents are run."""

    __pydantic_config__ = STRICT

    max_concurrent_runs: Annotated[int, Ge(1), Le(16)] = 1
    """How many attempts may run at the same time."""
    role_timeout_seconds: Seconds = 1800
    """How long one role may take."""
    idle_timeout_seconds: Seconds = 600
    """How long an agent may be silent."""
    run_timeout_seconds: Seconds = 7200
    """How long one attempt may take in all."""
    retry_limit: Annotated[int, Ge(1), Le(10)] = 3
    """How many attempts a run gets before it fails."""
    base_retry_seconds: Annotated[int, Ge(0), Le(3600)] = 30
    """The first wait before a retry; it doubles each time, up to 15 minutes, with jitter."""
    env: tuple[str, ...] = ()
    """Names of further environment variables that agents and checks get."""
    home: Literal["operator", "isolated"] = "operator"
    """Whose HOME agents and checks get: yours (`operator`), or an empty one of their own."""


@dataclass(frozen=True)
class LimitSettings:
    """Hard caps, reserved before a stage starts."""

    __pydantic_config__ = STRICT

    calls_per_hour: Annotated[int, Ge(0)] = 100
    """Agent calls in any hour."""
    tokens_per_run: Annotated[int, Ge(0)] = 2_000_000
    """Tokens, input and output, of one run."""
    tokens_per_day: Annotated[int, Ge(0)] = 10_000_000
    """Tokens in any 24 hours."""
    cost_per_run: Annotated[float, Ge(0)] = 10.0
    """Cost of one run, in the currency that the engine reports."""
    cost_per_day: Annotated[float, Ge(0)] = 50.0
    """Cost in any 24 hours."""
    open_pull_requests: Annotated[int, Ge(1)] = 5
    """How many of the bot's own pull requests may be open at a time; further issues wait."""


@dataclass(frozen=True)
class CommitSettings:
    """Who commits are by, and what their messages say."""

    __pydantic_config__ = STRICT

    name: Annotated[str, MinLen(1)] = "repoagents"
    """Author and committer name."""
    email: Annotated[str, MinLen(3)] = "repoagents@users.noreply.localhost"
    """Author and committer address."""
    signoff: bool = False
    """Add a Signed-off-by line, for repositories with a DCO."""
    message_template: Annotated[str, MinLen(1)] = "{title}\n\nIssue: #{number}\n"
    """The commit message; `{title}`, `{number}`, `{summary}` and `{run_id}` are filled in."""


@dataclass(frozen=True)
class Settings:
    """The whole configuration, `.ai-repoagents/repoagents.yaml`."""

    __pydantic_config__ = STRICT

    tracker: TrackerSettings = field(default_factory=TrackerSettings)
    """Where issues come from."""
    webhook: WebhookSettings = field(default_factory=WebhookSettings)
    """Where GitHub's webhooks are received."""
    workspace: WorkspaceSettings = field(default_factory=WorkspaceSettings)
    """Where agents work."""
    logging: LoggingSettings = field(default_factory=LoggingSettings)
    """What is written about the bot's own work."""
    llm: LlmSettings = field(default_factory=LlmSettings)
    """The default engine."""
    codex: CodexSettings = field(default_factory=CodexSettings)
    """How the codex CLI is started."""
    command: CommandSettings = field(default_factory=CommandSettings)
    """The `command` engine."""
    merge_policy: MergePolicySettings = field(default_factory=MergePolicySettings)
    """How far a finished change may go."""
    safety: SafetySettings = field(default_factory=SafetySettings)
    """One flag per kind of write."""
    rollout: RolloutSettings = field(default_factory=RolloutSettings)
    """How the rollout is guarded."""
    approval: ApprovalSettings = field(default_factory=ApprovalSettings)
    """Whose word counts as an approval."""
    agent: AgentSettings = field(default_factory=AgentSettings)
    """How agents are run."""
    roles: RolesSettings = field(default_factory=RolesSettings)
    """The roles and their engines."""
    verify: tuple[VerifySettings, ...] = ()
    """The project's own checks."""
    guardrails: GuardrailSettings = field(default_factory=GuardrailSettings)
    """What a change may not be."""
    limits: LimitSettings = field(default_factory=LimitSettings)
    """Hard caps on calls, tokens and cost."""
    commit: CommitSettings = field(default_factory=CommitSettings)
    """Who commits are by, and what their messages say."""
    state: StateSettings = field(default_factory=StateSettings)
    """Where the bot remembers."""
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    """How long finished work is kept."""
