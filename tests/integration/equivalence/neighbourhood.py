"""A repository on the loopback GitHub and the bot beside it, in one process, watched in some way.

Everything between the two is real: HTTP, signatures, the receiver, git, SQLite, the agents'
processes. Only the clocks are moved by hand, so that nothing waits.
"""

import asyncio
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from repoagents.bootstrap import Premises
from repoagents.config.loader import load
from repoagents.domain.run import AT_WORK, Run, RunStatus
from repoagents.logs import Redactor
from repoagents.pipeline.attempt import run_flow
from repoagents.pipeline.errands import follow_when_due
from repoagents.pipeline.rhythm import Rhythm
from repoagents.pipeline.tick import tick
from repoagents.ports import AgentReply, Agents, Brief, House, RoleReport, RoleTask
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.loopback import BOT
from repoagents.web.receiver import WEBHOOKS, Receiver, make_app
from repoagents.web.reception import Recorder, recipient_of
from repoagents.web.server import HttpServer
from tests.fakes.clock import FakeClock, GitHubsClock
from tests.fakes.world import DirectSteps, DirectWaits, ListJournal, NotedFlows

REPO = "example/adding"
LABEL, STOP = "repoagents", "repoagents-stop"
SECRET = "a-secret-of-this-test-alone-0123456789"
EXAMPLE = Path(__file__).parents[3] / "examples" / "python-lib" / ".ai-repoagents"
EVENTS = (
    *("issues", "issue_comment", "pull_request", "pull_request_review"),
    *("check_run", "check_suite"),
)
POLL_SECONDS = 3600
SHORT, LONG = 31.0, POLL_SECONDS + 1.0
"""How far the clock goes between two looks: not to the next poll, or past it."""

MOST_LOOKS = 12

CONFIG = """\
tracker:
  repo: {repo}
  api_url: {api}
  clone_url: {clone}
  poll_interval_seconds: {poll}
  comment_commands: true
llm:
  mode: command
command:
  argv: [/bin/sh, {agent}]
agent:
  run_timeout_seconds: 86400
verify:
  - name: there
    run: 'true'
safety:
  allow_write_comments: true
  allow_open_pr: true
  allow_merge: true
logging:
  file_enabled: false
"""

AGENT = """\
wanted=$(grep -o 'want-[0-9]*' | sort -u)
case $REPOAGENTS_ROLE in
planner) echo '{"summary": "do it", "plan_steps": ["write"], "likely_files": ["answer-N.txt"],
  "acceptance_criteria": ["it is there"], "risks": [], "risk_level": "low", "difficulty": "easy",
  "questions": []}' ;;
builder) echo "$wanted" > answer-$REPOAGENTS_ISSUE.txt
  echo '{"summary": "done", "changed_files": ["answer-N.txt"], "test_actions": [],
  "assumptions": [], "questions": []}' ;;
*) echo '{"decision": "approve", "risk_level": "low", "findings": [], "summary": "as asked",
  "criteria": [{"id": 1, "met": true, "evidence": "it is there"}]}' ;;
esac | sed "s/-N/-$REPOAGENTS_ISSUE/" > "$REPOAGENTS_RESULT"
"""
"""Writes what issue and fix contract want, so that the branch tells which text was worked on."""


@dataclass
class Interrupted:
    """`ports.Agents` with something that happens while a builder is about to work."""

    agents: Agents
    meanwhile: list[Callable[[], None]] = field(default_factory=list)

    async def ask(self, task: RoleTask, heard: Callable[[str], None]) -> AgentReply:
        """Let it happen, then work."""
        while task.writable and self.meanwhile:
            await asyncio.to_thread(self.meanwhile.pop(0))
        return await self.agents.ask(task, heard)

    def render(self, brief: Brief) -> str:
        """As ever."""
        return self.agents.render(brief)

    def repair(self, prompt: str, answer: str, problem: str) -> str:
        """As ever."""
        return self.agents.repair(prompt, answer, problem)

    def read(self, task: RoleTask, answer: str) -> RoleReport:
        """As ever."""
        return self.agents.read(task, answer)


@dataclass(frozen=True)
class Way:
    """How a history is watched; `order` says in which order what waits is delivered."""

    name: str
    polls: bool
    order: Callable[[int], list[int]] | None = None

    @property
    def hears(self) -> bool:
        """Whether webhooks arrive."""
        return self.order is not None


@dataclass
class Neighbourhood:
    """GitHub, the bot and how it watches."""

    hub: LoopbackGitHub
    house: House
    way: Way
    clock: FakeClock
    agents: Interrupted
    rhythm: Rhythm = field(default_factory=Rhythm)

    def look(self) -> None:
        """Look, work and look again until nothing follows any more."""
        for _ in range(MOST_LOOKS):
            before = self._state()
            self.glance()
            asyncio.run(follow_when_due(self.house, self.rhythm))
            for run in self._active():
                self._see_through(run)
            if self._state() == before and not self.hub.hooks.waiting:
                return
        raise AssertionError(f"it does not come to rest in {MOST_LOOKS} looks")

    def glance(self) -> None:
        """Take up what arrived, or poll; no work is done."""
        self.clock.advance(LONG if self.way.polls else SHORT)
        if self.way.order is not None:
            self.hub.hooks.release(self.way.order(len(self.hub.hooks.waiting)))
            assert self.hub.hooks.drain()
            self.hub.hooks.hold()
        tick(self.house, NotedFlows(), self.rhythm)

    def _active(self) -> tuple[Run, ...]:
        """The runs that the worker has a flow for."""
        runs = self.house.runs.select(AT_WORK, limit=1000)
        return tuple(sorted(runs, key=lambda run: run.issue_number))

    def _see_through(self, run: Run) -> None:
        waits = DirectWaits(self.house)
        first = run.attempt + 1
        asyncio.run(run_flow(self.house, DirectSteps(), waits, run.id, run.generation, first))

    def _state(self) -> object:
        runs = self.house.runs.select(tuple(RunStatus), limit=1000)
        moved = sorted((run.id, run.status, run.generation, run.head_sha) for run in runs)
        pulls = [pull.pull and pull.pull.head_sha for pull in self.hub.pulls]
        return moved, len(self.hub.writes), self.hub.heads, pulls


@contextmanager
def open_neighbourhood(folder: Path, way: Way) -> Iterator[Neighbourhood]:
    """Everything, new, in a folder that is there already; two issues are open."""
    clock = FakeClock()
    environment = dict(os.environ)
    with LoopbackGitHub(folder / "hub", GitHubsClock(clock), environment, REPO) as hub:
        # Nobody is told when GitHub has computed what can be merged: that is left to the next poll.
        hub.forge.pulls.lazy = False
        hub.commit_on("main", by=BOT, files={"README.md": "# Adding\n"}, message="Start")
        for login, role in (("mia", "maintain"), ("max", "write"), ("rob", "read")):
            hub.add_account(login, role)
        hub.add_account("tidy[bot]", "write", "Bot")
        for label in (LABEL, STOP):
            hub.create_label(label)
        root = _clone(folder, hub)
        loaded = load(root, {**environment, "GITHUB_TOKEN": hub.token_of(BOT)})
        premises = Premises(loaded, clock, Redactor(()), ListJournal())
        with premises.house() as (house, database), Recorder(database.deliveries) as recorder:
            agents = Interrupted(house.agents)
            made = Neighbourhood(hub, replace(house, agents=agents), way, clock, agents)
            with _receiving(made, recorder) if way.hears else _deaf():
                yield made


@contextmanager
def _deaf() -> Iterator[None]:
    yield


@contextmanager
def _receiving(made: Neighbourhood, recorder: Recorder) -> Iterator[None]:
    """A receiver that GitHub's webhooks are sent to; what is to be sent is held back."""
    house = made.house
    recipient = recipient_of(house.settings.tracker)
    receiver = Receiver(recipient, recorder, (SECRET,), made.clock, house.journal)
    server = HttpServer(make_app(receiver), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        made.hub.subscribe(f"{server.url}{WEBHOOKS}", SECRET, EVENTS)
        assert made.hub.hooks.drain()
        made.hub.hooks.hold()
        yield
    finally:
        server.stop()
        thread.join(200)
        assert not thread.is_alive()


def _clone(folder: Path, hub: LoopbackGitHub) -> Path:
    """The operator's clone with its control plane."""
    root, agent = folder / "clone", folder / "agent.sh"
    agent.write_text(AGENT)
    subprocess.run(["git", "clone", "--quiet", hub.clone_url, str(root)], check=True)
    control = root / ".ai-repoagents"
    for part in ("prompts", "roles", "policies"):
        shutil.copytree(EXAMPLE / part, control / part)
    (control / "repoagents.yaml").write_text(
        CONFIG.format(repo=REPO, api=hub.url, clone=hub.clone_url, poll=POLL_SECONDS, agent=agent)
    )
    return root
