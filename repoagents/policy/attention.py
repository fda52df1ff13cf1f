"""What deserves a person's attention, by weight, and the one line that says how things stand."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from repoagents.domain.rollout import Brake
from repoagents.domain.run import Run, RunStatus, Stage
from repoagents.policy.wording import age, one_line

MOST = 5
"""How many concerns a brief names; the rest is counted."""

SILENT_POLLS = 3
"""After how many missed polls a poller counts as broken, not as idle."""

GRACE = timedelta(minutes=5)
GIVEN_UP = timedelta(days=7)
NEARLY = 0.9
LEAST_FREE_BYTES = 1_000_000_000
"""Below this a person is asked to make room."""

RECENT = timedelta(days=14)
"""How long a failed or blocked run is worth a line without anybody having acted on it."""


class Weight(StrEnum):
    """How much a concern weighs, the heaviest first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Level(StrEnum):
    """What a glance has to tell."""

    BROKEN = "broken"
    """Something does not work; nothing gets better by waiting."""
    ATTENTION = "attention"
    """It works; a person is asked for something."""
    WORKING = "working"
    """A run is under way, and nobody is asked for anything."""
    IDLE = "idle"
    """Nothing to do, and all is well."""


@dataclass(frozen=True)
class Concern:
    """One thing that a person may want to act on: what is so, how that is known, what to type."""

    code: str
    weight: Weight
    title: str
    evidence: str
    command: str


@dataclass(frozen=True)
class Cap:
    """How much of one limit is used; `key` is the configuration key that holds the limit."""

    key: str
    used: float
    limit: float


@dataclass(frozen=True)
class Signs:
    """What is known about the whole at one instant.

    `runs` are newest first; `waiting` are the ids of those whose result waits for a person or for
    a flag. `polled_at` is the latest poll that succeeded and `poll_every` what lies between two,
    None where the worker does not poll; `poll_problem` is why the latest one failed.
    `receiver_beat` is the webhook receiver's last sign of life. `paused_until` is when GitHub
    takes requests again. `run_limit` is how long an attempt may take. `open_pulls` is how many
    pull requests of the bot's are open. `drift` are texts of `init` that are outdated or missing.
    `brake` holds the bot to an earlier phase than its flags name. What is None or empty is not
    known, or not so.
    """

    now: datetime
    runs: Sequence[Run]
    waiting: frozenset[str] = frozenset()
    worker_live: bool = False
    poll_every: timedelta | None = None
    polled_at: datetime | None = None
    poll_problem: str = ""
    worker_since: datetime | None = None
    receiver_beat: datetime | None = None
    paused_until: datetime | None = None
    caps: tuple[Cap, ...] = ()
    run_limit: timedelta = timedelta(hours=2)
    open_pulls: Cap | None = None
    drift: tuple[str, ...] = ()
    free_bytes: int | None = None
    brake: Brake | None = None


@dataclass(frozen=True)
class Standing:
    """How things stand: the level, one line, and every concern, the heaviest first."""

    level: Level
    headline: str
    concerns: tuple[Concern, ...]


def weigh(signs: Signs) -> Standing:
    """Every concern by weight, and the headline that follows from the heaviest."""
    found = [concern for look in _LOOKS for concern in look(signs)]
    weights = list(Weight)
    concerns = tuple(sorted(found, key=lambda concern: weights.index(concern.weight)))
    level = _level(signs, concerns)
    return Standing(level, _headline(signs, level, concerns), concerns)


def current_runs(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The newest run of each issue, from runs that are newest first."""
    newest: dict[int, Run] = {}
    for run in runs:
        newest.setdefault(run.issue_number, run)
    return tuple(newest.values())


# --- the looks ----------------------------------------------------------------------------------


def _stuck(signs: Signs) -> Iterator[Concern]:
    for run in current_runs(signs.runs):
        if run.status is not RunStatus.IN_PROGRESS:
            continue
        stage = run.stage.value if run.stage else "its start"
        since = run.stage_started_at or run.updated_at
        lasts = signs.now - since
        if not signs.worker_live:
            evidence = f"in progress at {stage} for {age(lasts)}, and no worker is live"
        elif lasts > signs.run_limit + GRACE:
            evidence = f"at {stage} for {age(lasts)}; an attempt may take {age(signs.run_limit)}"
        else:
            continue
        title = f"The run of issue #{run.issue_number} is stuck"
        command = f"repoagents cancel {run.issue_number}" if signs.worker_live else "repoagents run"
        yield Concern("run_stuck", Weight.CRITICAL, title, evidence, command)


def _held(signs: Signs) -> Iterator[Concern]:
    brake = signs.brake
    if brake is None:
        return
    when, reason = _when(signs, brake.at), one_line(brake.reason)
    command = "repoagents rollout status"
    if brake.by_person:
        title, evidence = f"Held to {brake.phase}, though the flags allow more", f"{when}: {reason}"
        yield Concern("stepped_back", Weight.LOW, title, evidence, command)
    else:
        title = f"Stepped back to {brake.phase} after a critical finding"
        evidence = f"issue #{brake.issue_number}, {when}: {reason}"
        yield Concern("stepped_back", Weight.HIGH, title, evidence, command)


def _poller(signs: Signs) -> Iterator[Concern]:
    if not signs.worker_live or signs.poll_every is None:
        return
    known = [at for at in (signs.polled_at, signs.worker_since) if at]
    silent = signs.now - max(known) if known else timedelta(0)
    if signs.poll_problem:
        weight = Weight.CRITICAL if silent > SILENT_POLLS * signs.poll_every else Weight.HIGH
        last = _when(signs, signs.polled_at)
        evidence = f"{one_line(signs.poll_problem)}; the last good poll was {last}"
        yield Concern("poll_failing", weight, "Polling fails", evidence, "repoagents doctor")
    elif silent > SILENT_POLLS * signs.poll_every + GRACE:
        evidence = f"last poll {_when(signs, signs.polled_at)}, due every {age(signs.poll_every)}"
        title = "The poller is silent"
        command = "repoagents status --json"
        yield Concern("poller_silent", Weight.CRITICAL, title, evidence, command)


def _receiver(signs: Signs) -> Iterator[Concern]:
    """One that ran this week and gives no sign of life any more; an older one was given up."""
    beat = signs.receiver_beat
    if beat is not None and GRACE < signs.now - beat < GIVEN_UP:
        title = "The webhook receiver is not running"
        evidence = f"its last sign of life was {_when(signs, beat)}; polling goes on without it"
        yield Concern("receiver_silent", Weight.MEDIUM, title, evidence, "repoagents serve")


def _rate(signs: Signs) -> Iterator[Concern]:
    if signs.paused_until is not None and signs.paused_until > signs.now:
        evidence = f"requests go on in {age(signs.paused_until - signs.now)}"
        title = "GitHub's rate limit is reached"
        command = "repoagents status"
        yield Concern("rate_limited", Weight.HIGH, title, evidence, command)


def _failed(signs: Signs) -> Iterator[Concern]:
    failed = _recent(signs, RunStatus.FAILED)
    if not failed:
        return
    run = failed[0]
    title = _runs(failed, "failed, out of attempts")
    yield Concern(
        "runs_failed", Weight.HIGH, title, _why(signs, run), f"repoagents retry {run.issue_number}"
    )


def _blocked(signs: Signs) -> Iterator[Concern]:
    blocked = _recent(signs, RunStatus.BLOCKED)
    if not blocked:
        return
    run = blocked[0]
    title = _runs(
        blocked,
        "stopped and wait for a person" if len(blocked) > 1 else "stopped: a person is needed",
    )
    yield Concern(
        "runs_blocked",
        Weight.MEDIUM,
        title,
        _why(signs, run),
        f"repoagents status --issue {run.issue_number}",
    )


def _approvals(signs: Signs) -> Iterator[Concern]:
    waiting = [run for run in current_runs(signs.runs) if run.status is RunStatus.AWAITING_APPROVAL]
    if waiting:
        oldest = waiting[-1]
        lasts = age(signs.now - oldest.updated_at)
        held = _held_up(oldest)
        evidence = f"the oldest, issue #{oldest.issue_number}, has waited for {lasts}{held}"
        title = _runs(waiting, "awaiting approval")
        command = f"repoagents approval show {oldest.issue_number}"
        yield Concern("approvals_waiting", Weight.MEDIUM, title, evidence, command)


def _stalled(signs: Signs) -> Iterator[Concern]:
    """Published for a person to merge, and something is in the way that only a person can move."""
    published = [run for run in current_runs(signs.runs) if run.status is RunStatus.COMPLETED]
    stalled = [run for run in published if _held_up(run)]
    if stalled:
        run = stalled[0]
        evidence = f"the newest, issue #{run.issue_number}{_held_up(run)}"
        title = _runs(stalled, "published, and something is in the way")
        command = f"repoagents status --issue {run.issue_number}"
        yield Concern("pull_requests_stalled", Weight.MEDIUM, title, evidence, command)


def _withheld(signs: Signs) -> Iterator[Concern]:
    held = [
        run
        for run in current_runs(signs.runs)
        if run.id in signs.waiting and run.status is RunStatus.COMPLETED
    ]
    if held:
        run = held[0]
        evidence = f"the newest, issue #{run.issue_number}: {one_line(run.title, 80)}"
        title = _runs(held, "finished; the result is withheld")
        command = f"repoagents approval show {run.issue_number}"
        yield Concern("results_withheld", Weight.LOW, title, evidence, command)


def _parked(signs: Signs) -> Iterator[Concern]:
    parked = [run for run in current_runs(signs.runs) if run.status is RunStatus.RETRY_PENDING]
    if parked:
        run = parked[0]
        title = _runs(parked, "waiting for the next attempt")
        command = f"repoagents status --issue {run.issue_number}"
        yield Concern("runs_waiting", Weight.LOW, title, _why(signs, run), command)


def _caps(signs: Signs) -> Iterator[Concern]:
    for cap in signs.caps:
        if cap.used < cap.limit * NEARLY or not cap.used:
            continue
        reached = cap.used >= cap.limit
        weight = Weight.HIGH if reached else Weight.MEDIUM
        title = f"{cap.key} is {'reached' if reached else 'nearly reached'}"
        evidence = f"{cap.used:,.10g} of {cap.limit:,.10g}"
        yield Concern("limit_near", weight, title, evidence, "repoagents config show")


def _full(signs: Signs) -> Iterator[Concern]:
    """Labelled issues wait for people who merge: without this the bot would seem idle."""
    cap = signs.open_pulls
    if cap is not None and cap.used >= cap.limit:
        title = "No further issue is taken up: too many pull requests are open"
        evidence = f"{cap.used:g} of {cap.limit:g} ({cap.key}): merge or close one"
        yield Concern("pull_requests_full", Weight.MEDIUM, title, evidence, "repoagents status")


def _disk(signs: Signs) -> Iterator[Concern]:
    if signs.free_bytes is not None and signs.free_bytes < LEAST_FREE_BYTES:
        evidence = f"{signs.free_bytes / 1e9:.2f} GB free"
        command = "repoagents clean --dry-run"
        yield Concern("disk_low", Weight.HIGH, "The disk is nearly full", evidence, command)


def _drift(signs: Signs) -> Iterator[Concern]:
    if signs.drift:
        evidence = one_line(", ".join(signs.drift))
        title = "Texts of the control plane are not as this version writes them"
        yield Concern("templates_drift", Weight.LOW, title, evidence, "repoagents init --upgrade")


def _absent(signs: Signs) -> Iterator[Concern]:
    queued = [run for run in current_runs(signs.runs) if run.status is RunStatus.QUEUED]
    if queued and not signs.worker_live:
        evidence = f"the newest is issue #{queued[0].issue_number}, and no worker is live"
        title = _runs(queued, "queued with nobody to take it up")
        yield Concern("worker_absent", Weight.HIGH, title, evidence, "repoagents run")


_LOOKS: tuple[Callable[[Signs], Iterator[Concern]], ...] = (
    *(_stuck, _held, _poller, _rate, _receiver, _disk, _failed, _absent, _caps),
    *(_approvals, _stalled, _full, _blocked, _withheld, _parked, _drift),
)


# --- the headline -------------------------------------------------------------------------------


def _level(signs: Signs, concerns: Sequence[Concern]) -> Level:
    if concerns and concerns[0].weight is Weight.CRITICAL:
        return Level.BROKEN
    if concerns and concerns[0].weight is not Weight.LOW:
        return Level.ATTENTION
    working = any(run.status is RunStatus.IN_PROGRESS for run in signs.runs)
    return Level.WORKING if working else Level.IDLE


def _headline(signs: Signs, level: Level, concerns: Sequence[Concern]) -> str:
    if level in (Level.BROKEN, Level.ATTENTION):
        more = len(concerns) - 1
        rest = f"; {more} more {'point' if more == 1 else 'points'} below" if more else ""
        return f"{concerns[0].title}: {concerns[0].evidence}{rest}."
    if level is Level.WORKING:
        busy = next(run for run in signs.runs if run.status is RunStatus.IN_PROGRESS)
        stage = f" ({busy.stage.value})" if busy.stage else ""
        return f"Working on issue #{busy.issue_number}{stage}; nothing is asked of you."
    if not signs.worker_live:
        return "Idle: nothing is under way, and no worker is live."
    polled = f", last poll {_when(signs, signs.polled_at)}" if signs.polled_at else ""
    return f"Idle: nothing to do{polled}; the worker is live."


# --- words --------------------------------------------------------------------------------------


def _recent(signs: Signs, status: RunStatus) -> list[Run]:
    return [
        run
        for run in current_runs(signs.runs)
        if run.status is status and signs.now - run.updated_at < RECENT
    ]


def _why(signs: Signs, run: Run) -> str:
    failure = run.failure
    reason = f"{failure.kind.value}: {one_line(failure.message, 160)}" if failure else "no reason"
    return f"issue #{run.issue_number}, {age(signs.now - run.updated_at)} ago: {reason}"


def _held_up(run: Run) -> str:
    """What a pull request waits for besides people, after a colon; empty when it is nothing."""
    told = run.last_event if run.stage is Stage.PUBLISH else ""
    return f": {one_line(told, 160)}" if told else ""


def _runs(runs: Sequence[Run], words: str) -> str:
    return f"{len(runs)} {'run' if len(runs) == 1 else 'runs'} {words}"


def _when(signs: Signs, at: datetime | None) -> str:
    return "never" if at is None else f"{age(signs.now - at)} ago"
