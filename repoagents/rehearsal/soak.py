"""The soak: people at work on a GitHub that fails on purpose, and a worker that is watched.

Wave after wave issues are labelled; something goes wrong with a request that follows from it; a
maintainer approves the results, and closes one now and then; webhooks come twice, or to nobody; the
worker is killed and started again.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Event

from repoagents.domain.run import RunStatus
from repoagents.domain.soak import Reading, Tally
from repoagents.errors import RepoAgentsError
from repoagents.ports import Clock, Deliveries, Runs
from repoagents.rehearsal.hub.faults import Fault
from repoagents.rehearsal.hub.loopback import BOT, LoopbackGitHub
from repoagents.rehearsal.hub.records import Issue
from repoagents.rehearsal.stage import LABEL, MAINTAINER
from repoagents.rehearsal.worker import RehearsalWorker

WAVE_SECONDS = 180.0
"""How long the issues of a wave may take from the label to the end; what takes longer is stuck."""

START_SECONDS, REST_SECONDS = 180.0, 60.0
LOOK_SECONDS = 0.2
KILL_EVERY = 12
"""Waves between two kills: a process has to live for long to show what it leaks."""

MISHAPS: tuple[tuple[str, str, Fault], ...] = (
    ("POST", "*/comments", Fault.BAD_GATEWAY_AFTER),
    ("POST", "*/pulls", Fault.RESET_AFTER),
    ("PUT", "*/merge", Fault.BAD_GATEWAY_AFTER),
    ("GET", "*/issues", Fault.BAD_GATEWAY),
    ("POST", "*/comments", Fault.SECONDARY),
    ("POST", "*/pulls", Fault.BAD_GATEWAY_AFTER),
    ("GET", "*/issues", Fault.TRUNCATED),
    ("GET", "*/issues", Fault.TOO_MANY),
)
"""What goes wrong, wave by wave, and then from the beginning."""


@dataclass
class Soak:
    """One soak; `tell` gets a line about each step."""

    hub: LoopbackGitHub
    worker: RehearsalWorker
    runs: Runs
    deliveries: Deliveries
    clock: Clock
    tell: Callable[[str], None]
    readings: list[Reading] = field(default_factory=list)
    faults: int = 0
    kills: int = 0
    wanted: dict[int, str] = field(default_factory=dict)
    """What becomes of each labelled issue: `merged` or `closed`."""
    troubles: list[str] = field(default_factory=list)
    _began: float = 0.0

    def run(self, seconds: float) -> None:
        """Waves until the time is up, one at least; the worker rests at the end, and is ended."""
        self._began = self.clock.monotonic()
        self._start()
        wave = 0
        while not self.troubles and (wave == 0 or self._age < seconds):
            self.tell(f"{self._age:4.0f} s  wave {wave + 1}: {MISHAPS[wave % len(MISHAPS)][2]}")
            self._play(wave)
            wave += 1
        self.worker.stop()

    def tally(self, left: tuple[str, ...], lost: tuple[str, ...], bugs: tuple[str, ...]) -> Tally:
        """What the soak came to; what the state and the disk say comes from outside."""
        return Tally(
            issues=len(self.wanted),
            merged=sum(pull.merged for pull in self.hub.pulls),
            faults=self.faults,
            kills=self.kills,
            deliveries=len(self.hub.hooks.delivered),
            stuck=tuple(self.troubles),
            doubled=tuple(self._doubled()),
            lost=lost,
            left=left,
            bugs=bugs,
        )

    @property
    def _age(self) -> float:
        return self.clock.monotonic() - self._began

    def _start(self) -> None:
        self.worker.start()
        if not self._until(lambda: self.worker.pid is not None, START_SECONDS):
            raise RepoAgentsError(f"the worker did not start: {self.worker.last_words}")

    def _play(self, wave: int) -> None:
        method, path, fault = MISHAPS[wave % len(MISHAPS)]
        self.hub.faults.next(method, path, fault, seconds=1)
        self.hub.hooks.duplicating = wave % 2 == 1
        self.faults += 1
        closing = wave % 4 == 2
        # The first wave is the shortest: its readings are what later ones are compared with.
        numbers = [self._ask(wave, which) for which in ("first", "second")[: wave + 1]]
        self.wanted |= dict.fromkeys(numbers, "merged")
        if closing:
            self.wanted[numbers[-1]] = "closed"
        if wave % KILL_EVERY == 1:
            self._crash()
        for number in numbers:
            self._answer(number)
        self._rest()

    def _ask(self, wave: int, which: str) -> int:
        title = f"Soak, wave {wave + 1}, the {which}"
        number = self.hub.open_issue(title, "Write a file that stands for it.", by=MAINTAINER)
        self.hub.label(number, LABEL, by=MAINTAINER)
        return number

    def _crash(self) -> None:
        """Kill the worker while it is at work; what is delivered meanwhile meets nobody."""
        self._until(lambda: bool(self.runs.select((RunStatus.IN_PROGRESS,))), 20.0)
        self.tell(f"{self._age:4.0f} s  the worker is killed, and started again")
        self.worker.kill()
        self.kills += 1
        self._start()

    def _answer(self, number: int) -> None:
        """Wait for the pull request, and do with it what its people want."""
        if not self._until(lambda: self._waits(number), WAVE_SECONDS):
            self.troubles.append(self._stuck(number, "no pull request waits for an approval"))
            return
        pull = self._pulls(number)[-1]
        if self.wanted[number] == "closed":
            self.hub.close_pull(pull.number, by=MAINTAINER)
            done = self._until(lambda: self._settled(number), WAVE_SECONDS)
        else:
            self.hub.review(pull.number, by=MAINTAINER, state="APPROVED")
            done = self._until(lambda: self._settled(number) and pull.merged, WAVE_SECONDS)
        if not done:
            self.troubles.append(self._stuck(number, f"it was to be {self.wanted[number]}"))

    def _rest(self) -> None:
        """Read the worker when nothing is under way and its processes had time to end."""

        def rests() -> bool:
            reading = self.worker.read(self._age)
            busy = reading is None or reading.children or reading.scratch
            return not (busy or self.deliveries.pending())

        self.hub.hooks.drain()
        if not self._until(rests, REST_SECONDS) and (waits := self.deliveries.pending()):
            self.troubles.append(f"{len(waits)} deliveries were not looked at in time")
        reading = self.worker.read(self._age)
        if reading is not None:
            self.readings.append(reading)

    def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for it; False when it takes longer, or the worker has ended by itself."""
        end, pause = self.clock.monotonic() + seconds, Event()
        while not condition():
            if self.clock.monotonic() > end or self.worker.ended:
                return False
            pause.wait(LOOK_SECONDS)
        return True

    def _waits(self, number: int) -> bool:
        run = self.runs.latest(number)
        waits = run is not None and run.status is RunStatus.AWAITING_APPROVAL
        return waits and bool(self._pulls(number))

    def _settled(self, number: int) -> bool:
        run = self.runs.latest(number)
        return run is not None and run.status.terminal

    def _pulls(self, number: int) -> list[Issue]:
        begins = f"repoagents/issue-{number}-"
        pulls = self.hub.pulls
        return [one for one in pulls if one.pull and one.pull.head.startswith(begins)]

    def _stuck(self, number: int, words: str) -> str:
        run = self.runs.latest(number)
        state = "no run" if run is None else f"{run.status} at {run.stage}"
        why = f" ({run.failure.message[:200]})" if run is not None and run.failure else ""
        gone = f"; the worker has ended: {self.worker.last_words}" if self.worker.ended else ""
        return f"issue #{number} is stuck: {words}; {state}{why}{gone}"

    def _doubled(self) -> Iterator[str]:
        """Effects that stand more than once; the bot writes one of each per issue."""
        for number in self.wanted:
            comments = [c.body.split("\n")[0] for c in self.hub.comments(number) if c.by == BOT]
            branches = [b for b in self.hub.heads if b.startswith(f"repoagents/issue-{number}-")]
            merges = Counter(pull.number for pull in self._pulls(number) if pull.merged)
            for what, count in (
                ("comments with one marker", max(Counter(comments).values(), default=0)),
                ("pull requests", len(self._pulls(number))),
                ("branches", len(branches)),
                ("merges", sum(merges.values())),
            ):
                if count > 1:
                    yield f"issue #{number} has {count} {what}"
