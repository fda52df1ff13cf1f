"""Every configuration key changes something that can be seen; a key without a proof fails here.

That each key is read from the file and the environment is shown in `tests/unit/config`; here it is
shown that something listens.
"""

import asyncio
import contextlib
import dataclasses
import functools
import inspect
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from repoagents.agents.checks import ProjectChecks
from repoagents.agents.engines.codex import Codex
from repoagents.agents.engines.command import CommandEngine
from repoagents.agents.engines.contract import Call
from repoagents.agents.environment import child_environment
from repoagents.agents.process import Command, Ended, Listen, Supervisor
from repoagents.agents.sections import verification_block
from repoagents.cli.app import run as run_command
from repoagents.cli.serve import address
from repoagents.config.keys import ITEM, catalogue
from repoagents.config.loader import load
from repoagents.config.rules import broken_rules
from repoagents.domain.change import ChangeKind, ChangeSet, FileChange
from repoagents.domain.effect import (
    MergePullRequest,
    OpenDraftPullRequest,
    PostComment,
    PushBranch,
)
from repoagents.domain.engines import EngineChoice
from repoagents.domain.issue import Comment, Issue
from repoagents.domain.reports import BuildReport, Plan, Role, Usage, Verification
from repoagents.domain.run import Failure, FailureClass, Run
from repoagents.domain.settings import SafetySettings, Settings, TrackerSettings
from repoagents.errors import ConfigError, Exited
from repoagents.git.checkout import Checkout
from repoagents.git.workspaces import GitWorkspaces
from repoagents.github.answers import Answer, Ask
from repoagents.github.auth import Surroundings, choose_source
from repoagents.github.connection import connect
from repoagents.logs import Redactor, open_journal
from repoagents.pipeline import janitor, notice, outcome, publisher
from repoagents.pipeline.boundary import StepResult, change
from repoagents.pipeline.bundle import Contents, make_bundle
from repoagents.pipeline.intake import why_dirty, why_too_many
from repoagents.pipeline.rhythm import Rhythm
from repoagents.pipeline.stepping_back import step_back_if_critical
from repoagents.pipeline.survey import Host, stand, survey
from repoagents.pipeline.tick import tick
from repoagents.policy import budget, eligibility, guardrails, merging, permission, safety
from repoagents.ports import House, RoleTask, Worktree
from repoagents.store.artifacts import FileArtifacts
from repoagents.store.bundles import FileBundles
from repoagents.trackers import make_tracker
from repoagents.web.signature import require_secrets
from tests.fakes.agents import ScriptedAgents, write_fix
from tests.fakes.clock import FakeClock
from tests.fakes.people import BOT_ITSELF, MACHINE, MAINTAINER, MemoryPeople
from tests.fakes.pulls import MemoryHub
from tests.fakes.world import NotedFlows
from tests.pipeline.conftest import CHECK, Place

BASE = Settings(tracker=TrackerSettings(kind="local_markdown", trigger_label=None), verify=(CHECK,))
KEYS = {key.name: key for key in catalogue() if not key.is_section}
EFFECT = ("run-1", 1, "marker")


class NotingSupervisor(Supervisor):
    """Runs processes and notes the last argument and the deadline of each."""

    def __init__(self, folder: Path, commands: list[tuple[str, float]]) -> None:
        super().__init__(folder)
        self._commands = commands

    async def run(self, command: Command, listen: Listen | None = None) -> Ended:
        """Run to the end."""
        self._commands.append((command.argv[-1], command.deadline_seconds))
        return await super().run(command, listen)


@dataclass
class Lab:
    """One side of a comparison: a house under these settings, and an issue of its own."""

    place: Place
    settings: Settings
    number: int
    git: Callable[..., str]
    monkeypatch: pytest.MonkeyPatch
    tasks: list[RoleTask] = field(default_factory=list)
    commands: list[tuple[str, float]] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.place.house.root

    @property
    def control(self) -> Path:
        return self.root / ".ai-repoagents"

    @property
    def trace(self) -> Path:
        """A file outside the repository that hooks may write."""
        return self.root.parent / f"trace-{self.number}"

    def house(self) -> House:
        """The house with every adapter that reads settings built anew."""
        settings, old = self.settings, self.place.house
        environment = {"PATH": "/usr/bin:/bin", "A_NAME": "here", "TRACE": str(self.trace)}
        supervisor = NotingSupervisor(self.control / "state" / "processes", self.commands)
        redactor = Redactor(())
        return replace(
            old,
            settings=settings,
            workspaces=GitWorkspaces(
                Checkout(self.root, environment, (".ai-repoagents",)),
                self.control,
                settings,
                old.clock,
            ),
            checks=ProjectChecks(settings, environment, supervisor, redactor, old.artifacts),
        )

    async def flow(self, builder: Callable[[RoleTask], BuildReport] = write_fix) -> Run:
        """The run of one issue, followed to its end."""
        agents = ScriptedAgents(builder=lambda task, _count: builder(task))
        kept, ask = self.tasks, agents.ask

        async def keep_and_ask(task: RoleTask, heard: Callable[[str], None]) -> object:
            kept.append(task)
            return await ask(task, heard)

        self.monkeypatch.setattr(agents, "ask", keep_and_ask)
        self.place.house = self.place.waits.house = replace(self.house(), agents=agents)
        self.place.waits.waited.clear()
        run = self.place.queue(Issue(self.number, "It is broken", "Please mend it."))
        return await self.place.flow(run)

    async def failed(self) -> Run:
        """A run whose agent breaks down each time."""

        def crash(_task: RoleTask) -> BuildReport:
            raise Exited("it broke", kind="engine_crash")

        return await self.flow(crash)

    async def role(self, role: Role) -> RoleTask:
        """What a role was asked to do."""
        await self.flow()
        return next(task for task in self.tasks if task.role is role)

    def worktree(self) -> Worktree:
        """A worktree of the base."""
        workspaces = self.house().workspaces
        return workspaces.open(self.number, f"run-{self.number}", workspaces.refresh().sha)[0]


Observe = Callable[[Lab], object]


@dataclass(frozen=True)
class Proof:
    """Another value, and where it shows; `given` are keys that both sides need."""

    value: object
    observe: Observe
    given: Mapping[str, object] = field(default_factory=dict)


# --- where it shows -------------------------------------------------------------------------


def issue_numbers(lab: Lab) -> object:
    """What the tracker lists, over two files and two folders that hold different issues."""
    for name, number in (("issues.json", 1), ("other.json", 2), ("fixture.json", 3)):
        text = json.dumps([{"id": number, "number": number, "title": "T"}])
        (lab.root / name).write_text(text)
    for name, number in (("issues", 4), ("notes", 5)):
        (lab.root / name).mkdir(exist_ok=True)
        (lab.root / name / f"{number}.md").write_text("# T\n")
    artifacts = FileArtifacts(lab.control, Redactor(()))
    tracker = make_tracker(lab.settings, lab.root, lab.control, artifacts)
    return [issue.number for issue in tracker.read_issues()]


def complaints(lab: Lab) -> object:
    return [text for _, text in broken_rules(lab.settings, lab.root)]


@functools.cache
def app_key(name: str) -> bytes:
    """A private key for each name, the same each time."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class NotingDoor:
    """Gives an installation token to everybody and notes who asked where."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def send(self, ask: Ask, authorization: str) -> Answer:
        """A token."""
        self.asked.append((ask.path, authorization))
        return Answer(201, {}, b'{"token": "ghs_1"}')


def credential(lab: Lab) -> object:
    """Whom GitHub gets to see."""
    for name in ("one.pem", "two.pem"):
        (lab.root / name).write_bytes(app_key(name))
        (lab.root / name).chmod(0o600)
    around = Surroundings({"GITHUB_TOKEN": "ghp_1", "MINE": "ghp_2"}, lab.root, lambda: "")
    door = NotingDoor()
    source = choose_source(lab.settings.tracker, around, {}, door, FakeClock())
    return source.current().token, door.asked


def asked_of_github(lab: Lab) -> object:
    """Why GitHub is asked for nothing, empty when it is asked."""
    try:
        return credential(lab) and ""
    except ConfigError as error:
        return str(error)


def remote(lab: Lab) -> object:
    around = Surroundings({}, lab.root, lambda: "")
    github = connect(lab.settings.tracker, around, {}, lab.place.clock, lab.place.house.journal)
    return github.clone_url


def listening_place(lab: Lab) -> object:
    """Where `serve` listens when nothing is typed."""
    return address(lab.settings.webhook, None, None)


def webhook_secrets(lab: Lab) -> object:
    """What deliveries have to be signed with."""
    variables = {"REPOAGENTS_WEBHOOK_SECRET": "a" * 16, "MINE": "b" * 16}
    name = lab.settings.webhook.secret_env
    return require_secrets(variables, name, "127.0.0.1", allow_unsigned=False)


def eligible_without_label(lab: Lab) -> object:
    return eligibility.why_not(Issue(1, "T", "B"), None, lab.settings)


def still_wanted(lab: Lab) -> object:
    """What becomes of a run whose issue has got a label since."""
    before = Issue(lab.number, "T", "B")
    run, now = lab.place.queue(before), replace(before, labels=("halt",))
    reason = eligibility.why_no_longer(now, run, before, lab.settings, edits_count=False)
    return reason is None


def taken_by_the_loop(lab: Lab) -> object:
    """Why an issue is left that has none of what filters ask for, and one unwanted label."""
    issue = Issue(1, "T", "B", labels=("wip",), author="eve")
    return eligibility.why_not(issue, None, lab.settings)


def bot_refused(lab: Lab) -> object:
    return permission.why_not_permitted(MACHINE, None, BOT_ITSELF, lab.settings)


def obeyed(lab: Lab) -> object:
    """Whether a command in a comment is taken."""
    people = MemoryPeople(commented={lab.number})
    command = Comment(MAINTAINER.login, "/repoagents run", id=lab.number, author_id=MAINTAINER.id)
    lab.place.tracker.people = people
    lab.place.tracker.issues = {lab.number: Issue(lab.number, "T", "B", comments=(command,))}
    tick(lab.house(), NotedFlows(), Rhythm())
    return lab.place.house.runs.latest(lab.number) is not None


def polls_in_a_minute(lab: Lab) -> object:
    seen = 0
    place, rhythm = lab.place, Rhythm()
    read = place.tracker.read_issues

    def counted() -> tuple[Issue, ...]:
        nonlocal seen
        seen += 1
        return read()

    lab.monkeypatch.setattr(place.tracker, "read_issues", counted)
    for _ in range(6):
        tick(lab.house(), NotedFlows(), rhythm)
        place.clock.advance(10)
    lab.monkeypatch.setattr(place.tracker, "read_issues", read)
    return seen


def base(lab: Lab) -> object:
    if not (lab.root / "other").exists():
        lab.git(lab.root, "branch", "other")
        lab.git(lab.root, "clone", "--quiet", ".", "other")
        lab.git(lab.root / "other", "commit", "--quiet", "--allow-empty", "--message=More")
    return lab.house().workspaces.refresh()


def dirty(lab: Lab) -> object:
    (lab.root / "stray.txt").write_text("x")
    return lab.house().workspaces.dirty_paths(), why_dirty(lab.house())


def files_in_worktree(lab: Lab) -> object:
    if not (lab.root / "src").exists():
        for folder in ("docs", "src"):
            (lab.root / folder).mkdir()
            (lab.root / folder / "a.txt").write_text("a")
        lab.git(lab.root, "add", "docs", "src")
        lab.git(lab.root, "commit", "--quiet", "--message=Folders")
    return sorted(path.name for path in lab.worktree().path.iterdir() if path.is_dir())


async def hook_traces(lab: Lab) -> object:
    run = await lab.failed()
    await janitor.sweep(lab.place.house, dry_run=False)
    assert run.failure is not None
    return lab.trace.read_text() if lab.trace.exists() else ""


async def hook_seconds(lab: Lab) -> object:
    await lab.house().checks.hook("after_create", lab.worktree())
    return [deadline for line, deadline in lab.commands if line == "true"]


async def check_seconds(lab: Lab) -> object:
    await lab.flow()
    return [deadline for line, deadline in lab.commands if line == CHECK.run]


def log_lines(lab: Lab) -> object:
    """What the log says on stderr and in its file, where there is no terminal."""
    logging = lab.settings.logging
    path = lab.root.parent / f"log-{lab.number}.jsonl"
    with contextlib.redirect_stderr(io.StringIO()) as said:
        journal = open_journal(
            path,
            level=logging.level,
            json=logging.json,
            terminal=False,
            redactor=Redactor(()),
            clock_now=lab.place.clock.now,
        )
        journal.note("a_code", "a sentence")
    return said.getvalue().startswith("{"), path.exists()


def log_file(lab: Lab) -> object:
    control = in_a_folder_of_its_own(lab)
    lab.monkeypatch.setenv(
        "REPOAGENTS_LOGGING__FILE_ENABLED", str(lab.settings.logging.file_enabled).lower()
    )
    from repoagents.bootstrap import open_premises

    open_premises(control.parent, terminal=True).journal.note("a_code", "a sentence")
    return (control / "logs" / "repoagents.jsonl").exists()


def in_a_folder_of_its_own(lab: Lab) -> Path:
    """A repository made by `init`; returns its control plane."""
    root = lab.root.parent / f"own-{lab.number}"
    root.mkdir()
    lab.git(root, "init", "--quiet", "--initial-branch=main")
    lab.git(root, "commit", "--quiet", "--allow-empty", "--message=Start")
    lab.monkeypatch.chdir(root)
    with contextlib.redirect_stdout(io.StringIO()):
        assert run_command(["init", "--yes"]) == 0
    return root / ".ai-repoagents"


async def planned_at_once(lab: Lab) -> object:
    control = in_a_folder_of_its_own(lab)
    for number in range(1, 5):
        (control.parent / "issues" / f"{number}.md").write_text("# T\n")
    count = lab.settings.agent.max_concurrent_runs
    lab.monkeypatch.setenv("REPOAGENTS_AGENT__MAX_CONCURRENT_RUNS", str(count))
    lab.monkeypatch.setenv("REPOAGENTS_LLM__MODE", "rehearsal")
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert await asyncio.to_thread(run_command, ["run", "--dry-run", "--once", "--json"]) == 0
    return len(json.loads(said.getvalue())["previews"])


def a_call(lab: Lab) -> Call:
    choice = EngineChoice("codex", "", None, 60)
    here = lab.root
    task = RoleTask(Role.BUILDER, "run-1", 1, "builder", here, here, "prompt", choice, True, 60, 60)
    return Call(task, here / "schema", here / "result")


def codex_argv(lab: Lab) -> object:
    return Codex(lab.settings).argv(a_call(lab))


def command_argv(lab: Lab) -> object:
    return CommandEngine(lab.settings).argv(a_call(lab))


def allowed(lab: Lab) -> object:
    effects = (
        PushBranch(*EFFECT[:2], "repoagents/1", "0" * 40),
        PostComment(*EFFECT, "Done."),
        MergePullRequest(*EFFECT[:2], "repoagents/1", "0" * 40),
    )
    return [type(safety.gate(effect, lab.settings)).__name__ for effect in effects]


def labels_worn(lab: Lab, *, blocked: bool = False) -> object:
    """The labels on an issue whose run is at work, or waits for a person."""
    issue = Issue(lab.number, "It is broken")
    hub = MemoryHub({lab.number: issue}, spaces=lab.place.house.workspaces)
    settings = replace(lab.settings, safety=SafetySettings(allow_write_comments=True))
    house = replace(lab.house(), tracker=hub, settings=settings)
    run = change(house, lab.place.queue(issue).id, lambda was: was.start(was.created_at))
    if not blocked:
        notice.begin(house, run)
        return hub.labels
    failure = Failure(FailureClass.QUESTION, "Which?")
    change(house, run.id, lambda was: was.block(failure, was.created_at))
    outcome.say(house, run.id)
    return hub.labels


def own_approval(lab: Lab) -> object:
    return merging.why_same_person(("mona",), "mona", lab.settings.approval)


def room_for_another(lab: Lab) -> object:
    """Whether a further run may start beside the pull requests that are open."""
    hub = MemoryHub(spaces=lab.place.house.workspaces)
    house = replace(lab.house(), tracker=hub)
    run = lab.place.queue(Issue(lab.number, "It is broken"))
    change(house, run.id, lambda was: was.start(was.created_at).complete(was.created_at))
    pull = OpenDraftPullRequest(run.id, lab.number, "T", "B", f"repoagents/{lab.number}", "main")
    publisher.adopt(house, pull, "here")
    return why_too_many(house) is None


async def engine(role: Role, attribute: str, lab: Lab) -> object:
    return getattr((await lab.role(role)).engine, attribute)


async def role_seconds(lab: Lab) -> object:
    return (await lab.role(Role.PLANNER)).deadline_seconds


async def idle_seconds(lab: Lab) -> object:
    return (await lab.role(Role.PLANNER)).idle_seconds


async def roles_asked(lab: Lab) -> object:
    await lab.flow()
    return [task.role for task in lab.tasks]


async def ended_after_a_slow_builder(lab: Lab) -> object:
    def slow(task: RoleTask) -> BuildReport:
        lab.place.clock.advance(100)
        return write_fix(task)

    return (await lab.flow(slow)).status


async def attempts(lab: Lab) -> object:
    return (await lab.failed()).attempt


async def first_wait(lab: Lab) -> object:
    await lab.failed()
    return lab.place.waits.waited[0] > 60


def child_sees(lab: Lab) -> object:
    ambient = {"A_NAME": "here", "HOME": "/somebody", "PATH": "/bin"}
    return child_environment(lab.settings.agent, ambient)


async def evidence(lab: Lab) -> object:
    """What the reviewer is told of the checks."""
    (check,) = lab.settings.verify
    result = await lab.house().checks.verify(check, lab.worktree(), "check", 60)
    return verification_block(Verification("0" * 40, (result,)), "nonce")


async def checks_seen(lab: Lab) -> object:
    run = await lab.flow()
    return sorted(
        path.name for path in lab.house().artifacts.folder(run.issue_number, run.id).glob("*.log")
    )


def findings(lab: Lab) -> object:
    """What the guardrails say of a change to one file, 2 lines and 200 bytes."""
    file = FileChange("src/a.py", ChangeKind.ADDED, added=2, deleted=0, size=200, new_mode="100644")
    more = FileChange("src/b.py", ChangeKind.ADDED, added=2, deleted=0, size=200, new_mode="100644")
    patch = "".join(
        f"diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n"
        "@@ -0,0 +1,2 @@\n+x\n+y\n"
        for name in ("src/a.py", "src/b.py")
    )
    change = ChangeSet("0", "1", (file, more), patch)
    plan = Plan("p", ("s",), ("src/a.py",), ("c",))
    return guardrails.inspect(change, plan, lab.settings.guardrails)


def refused_call(lab: Lab) -> object:
    spent = Usage(calls=10, tokens=10_000, cost=1.0)
    found = budget.why_not(spent, spent, spent, Usage(1, 1_000, 0.1), lab.settings.limits)
    return found and found.message


async def committed(form: str, lab: Lab) -> object:
    run = await lab.flow()
    return lab.git(lab.root, "log", "-1", f"--format={form}", run.branch)


def where_state_is(lab: Lab) -> object:
    control = in_a_folder_of_its_own(lab)
    url = lab.settings.state.database_url
    found = load(control.parent, {"REPOAGENTS_STATE__DATABASE_URL": url})
    return found.database is None, (control / "state/location.json").read_text()


async def swept_after_ten_days(lab: Lab) -> object:
    await lab.failed()
    lab.place.clock.advance(10 * 86_400)
    removed = await janitor.sweep(lab.place.house, dry_run=True, expired_only=True)
    return len([row for row in removed if f"/issue-{lab.number}/" in f"{row.path}/"])


def bundles_kept(lab: Lab) -> object:
    """How many handoff bundles are there after the third."""
    house = lab.house()
    bundles = FileBundles(in_a_folder_of_its_own(lab), Redactor(()))
    for _ in range(3):
        snapshot = survey(house, Host("1"))
        contents = Contents(snapshot, stand(house, snapshot, Host("1")), (), {})
        folder = make_bundle(house, bundles, contents, archive=False).folder
        lab.place.clock.advance(60)
    return len([path for path in folder.parent.iterdir() if path.is_dir()])


def held_after_tampering(lab: Lab) -> object:
    """What the bot is held to after an agent has changed what it trusts."""
    house, run = lab.house(), lab.place.queue(Issue(lab.number, "It is broken"))
    tampered = Failure(FailureClass.TAMPERED, "the clone was changed")
    step_back_if_critical(house, run, StepResult("failed", tampered))
    brake = house.brakes.find()
    house.brakes.release()
    return brake and brake.phase


# --- the table ------------------------------------------------------------------------------

ONCE = {"agent.retry_limit": 1}
OPEN = {"safety.allow_open_pr": True}
TRACE = 'echo here >> "$TRACE"'
TRACED = {"agent.env": ("TRACE",), **ONCE}
FILE, FIXTURE = {"tracker.kind": "local_file"}, {"tracker.fixtures_path": "fixture.json"}
APP = {
    "tracker.app.id": 11,
    "tracker.app.private_key_path": "one.pem",
    "tracker.app.installation_id": 13,
}
GITHUB = {"tracker.kind": "github", "tracker.trigger_label": None}

PROOFS: dict[str, Proof] = {
    "tracker.kind": Proof("local_file", issue_numbers),
    "tracker.mode": Proof("fixture", issue_numbers, FIXTURE),
    "tracker.repo": Proof("octo/cat", complaints, GITHUB),
    "tracker.api_url": Proof("https://git.example.com/api/v3", remote),
    "tracker.token_env": Proof("MINE", credential),
    "tracker.app.id": Proof(12, credential, APP),
    "tracker.app.private_key_path": Proof("two.pem", credential, APP),
    "tracker.app.installation_id": Proof(14, credential, APP),
    "webhook.host": Proof("127.0.0.2", listening_place),
    "webhook.port": Proof(9000, listening_place),
    "webhook.secret_env": Proof("MINE", webhook_secrets),
    "tracker.path": Proof("other.json", issue_numbers, FILE),
    "tracker.fixtures_path": Proof(
        "other.json", issue_numbers, {"tracker.mode": "fixture", **FIXTURE}
    ),
    "tracker.smoke_fixture_path": Proof("smoke.json", asked_of_github),
    "tracker.trigger_label": Proof("please", eligible_without_label),
    "tracker.stop_label": Proof("halt", still_wanted),
    "tracker.working_label": Proof("at work", labels_worn),
    "tracker.waiting_label": Proof("your turn", partial(labels_worn, blocked=True)),
    "tracker.filters.labels": Proof(("ready",), taken_by_the_loop),
    "tracker.filters.exclude_labels": Proof(("wip",), taken_by_the_loop),
    "tracker.filters.authors": Proof(("ann",), taken_by_the_loop),
    "tracker.filters.assignee": Proof("ann", taken_by_the_loop),
    "tracker.filters.milestone": Proof("next", taken_by_the_loop),
    "tracker.allowed_bots": Proof((MACHINE.id,), bot_refused),
    "tracker.comment_commands": Proof(True, obeyed),
    "tracker.poll_interval_seconds": Proof(10, polls_in_a_minute),
    "tracker.base_branch": Proof("other", base),
    "tracker.clone_url": Proof("other", base),
    "workspace.strategy": Proof("copy", dirty),
    "workspace.dirty_policy": Proof("allow", dirty),
    "workspace.sparse_paths": Proof(("docs",), files_in_worktree),
    "workspace.hooks.after_create": Proof(TRACE, hook_traces, TRACED),
    "workspace.hooks.before_run": Proof(TRACE, hook_traces, TRACED),
    "workspace.hooks.after_run": Proof(TRACE, hook_traces, TRACED),
    "workspace.hooks.before_remove": Proof(TRACE, hook_traces, TRACED),
    "workspace.hooks.timeout_seconds": Proof(
        7, hook_seconds, {"workspace.hooks.after_create": "true"}
    ),
    "logging.json": Proof(False, log_lines),
    "logging.file_enabled": Proof(False, log_file),
    "logging.level": Proof("error", log_lines),
    "llm.mode": Proof("rehearsal", partial(engine, Role.PLANNER, "engine")),
    "codex.command": Proof("codex-beta", codex_argv),
    "codex.model": Proof("a-model", partial(engine, Role.BUILDER, "model")),
    "codex.sandbox": Proof("danger-full-access", codex_argv),
    "codex.extra_args": Proof(("--search",), codex_argv),
    "command.argv": Proof(("fixer", "--json"), command_argv),
    "merge_policy.mode": Proof("comment_only", allowed, OPEN),
    "safety.allow_write_comments": Proof(True, allowed),
    "safety.allow_open_pr": Proof(True, allowed),
    "safety.allow_merge": Proof(True, allowed),
    "rollout.step_back": Proof(True, held_after_tampering, {"safety.allow_write_comments": True}),
    "approval.other_person": Proof(True, own_approval),
    "agent.max_concurrent_runs": Proof(3, planned_at_once),
    "agent.role_timeout_seconds": Proof(60, role_seconds),
    "agent.idle_timeout_seconds": Proof(60, idle_seconds),
    "agent.run_timeout_seconds": Proof(60, ended_after_a_slow_builder, ONCE),
    "agent.retry_limit": Proof(2, attempts),
    "agent.base_retry_seconds": Proof(600, first_wait),
    "agent.env": Proof(("A_NAME",), child_sees),
    "agent.home": Proof("isolated", child_sees),
    "roles.enabled": Proof((Role.PLANNER, Role.BUILDER), roles_asked),
    "verify": Proof((), checks_seen),
    "verify[].name": Proof("another", evidence),
    "verify[].run": Proof(("true",), evidence),
    "verify[].kind": Proof("lint", evidence),
    "verify[].required": Proof(False, evidence),
    "verify[].timeout_seconds": Proof(7, check_seconds),
    "guardrails.protected_paths": Proof(("/src/",), findings),
    "guardrails.allowed_paths": Proof(("/docs/",), findings),
    "guardrails.max_files": Proof(1, findings),
    "guardrails.max_lines": Proof(1, findings),
    "guardrails.max_file_bytes": Proof(100, findings),
    "guardrails.outside_plan": Proof("note", findings),
    "limits.calls_per_hour": Proof(10, refused_call),
    "limits.tokens_per_run": Proof(10_000, refused_call),
    "limits.tokens_per_day": Proof(10_000, refused_call),
    "limits.cost_per_run": Proof(1.0, refused_call),
    "limits.cost_per_day": Proof(1.0, refused_call),
    "limits.open_pull_requests": Proof(1, room_for_another),
    "commit.name": Proof("A Robot", partial(committed, "%an %cn"), OPEN),
    "commit.email": Proof("robot@example.invalid", partial(committed, "%ae %ce"), OPEN),
    "commit.signoff": Proof(True, partial(committed, "%(trailers:key=Signed-off-by)"), OPEN),
    "commit.message_template": Proof("Fix: {title}", partial(committed, "%s"), OPEN),
    "state.database_url": Proof("postgresql://host/state", where_state_is),
    "retention.worktree_days": Proof(7, swept_after_ten_days, ONCE),
    "retention.artifact_days": Proof(7, swept_after_ten_days, ONCE),
    "retention.bundles": Proof(2, bundles_kept),
}
for _role in Role:
    PROOFS[f"roles.{_role}.engine"] = Proof("rehearsal", partial(engine, _role, "engine"))
    PROOFS[f"roles.{_role}.model"] = Proof("a-model", partial(engine, _role, "model"))
    PROOFS[f"roles.{_role}.effort"] = Proof("high", partial(engine, _role, "effort"))
    PROOFS[f"roles.{_role}.timeout_seconds"] = Proof(60, partial(engine, _role, "timeout_seconds"))


def with_key(settings: object, path: tuple[str, ...], value: object) -> object:
    """The settings with one key changed; in a list, in every item."""
    first, *rest = path
    if first == ITEM:
        assert isinstance(settings, tuple)
        return tuple(with_key(item, tuple(rest), value) for item in settings)
    assert dataclasses.is_dataclass(settings)
    inner = with_key(getattr(settings, first), tuple(rest), value) if rest else value
    return replace(settings, **{first: inner})  # type: ignore[type-var]


def test_no_key_is_without_a_proof_and_no_proof_without_a_key() -> None:
    assert set(PROOFS) == set(KEYS)


@pytest.mark.parametrize("name", PROOFS)
async def test_the_key_has_an_effect(
    name: str, place: Place, git: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    proof, settings = PROOFS[name], BASE
    for given, value in proof.given.items():
        settings = with_key(settings, KEYS[given].path, value)
    changed = with_key(settings, KEYS[name].path, proof.value)
    assert changed != settings, "the value is the default"
    seen = []
    # The third look shows that it is the key that makes the difference, not the repetition.
    for number, side in enumerate((settings, changed, settings), 1):
        assert isinstance(side, Settings)
        found = proof.observe(Lab(place, side, number, git, monkeypatch))
        seen.append(await found if inspect.isawaitable(found) else found)
    assert seen[0] == seen[2] != seen[1]
