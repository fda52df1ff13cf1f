"""What a dashboard shows: a day in the life of the bot, and states of any size."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice

from repoagents.domain.pulse import Part, Pulse, Quota
from repoagents.domain.reports import Usage
from repoagents.domain.run import Failure, FailureClass, Run, RunStatus, Stage
from repoagents.policy.attention import Cap, Signs, Standing, weigh
from repoagents.ports import Day
from repoagents.store.worker_lock import Owner
from repoagents.views.headline import headline
from repoagents.views.snapshot import Caps, Card, EffectRow, Snapshot

NOW = datetime(2026, 3, 4, 14, 0, tzinfo=UTC)
PULL = "https://github.com/octo/tool/pull"
HELD = (
    ("comment", "done", "", "", "https://github.com/octo/tool/issues/141#issuecomment-1"),
    ("branch", "withheld", "safety.allow_open_pr", "branches and pull requests are off", ""),
    ("draft_pull_request", "withheld", "safety.allow_open_pr", "pull requests are off", ""),
)
FILES = (
    *("builder.json", "builder.md", "changes.patch", "decision.json", "handoff.html"),
    *("handoff.md", "planner.json", "planner.md", "reviewer.json", "verify-tests.log"),
)
ROUND = ((Stage.BUILD, 41.0), (Stage.VERIFY, 9.4), (Stage.REVIEW, 17.8), (Stage.VERDICT, 0.1))
TITLES = (
    "Totals leave out the last row of a table",
    "Say which file could not be read",
    "Dates before 1970 are shown a day late",
    "Accept a comma as the decimal separator",
    "The progress bar stays at 99 %",
    "Empty sheets are exported as one blank line",
    "Sort names that begin with an umlaut",
    "Warn when two columns have one name",
)


def a_run(number: int, status: RunStatus, minutes: int, **over: object) -> Run:
    """The run of an issue that came to this status so many minutes ago."""
    at = NOW - timedelta(minutes=minutes)
    begun = at - timedelta(minutes=4)
    run = Run(
        f"r{number:05d}",
        number,
        TITLES[number % len(TITLES)],
        f"{number:064x}",
        status,
        begun,
        at,
        attempt=1,
        stage=Stage.VERDICT,
        base_sha=f"{number * 7919:x}".ljust(40, "5af3"[number % 4]),
        branch=f"repoagents/issue-{number}",
        started_at=begun,
        finished_at=at if status.terminal else None,
    )
    return replace(run, **over)


def a_card(run: Run, effects: tuple[EffectRow, ...] = (), **over: object) -> Card:
    """The run with all that is usually kept of it."""
    rounds = [(stage, n, s) for n in range(1, run.round + 1) for stage, s in ROUND]
    card = Card(
        run,
        headline(run, None, effects),
        timings=((Stage.BASE_CHECK, 0, 8.9), (Stage.PLAN, 0, 21.3), *rounds),
        effects=effects,
        usage=Usage(3 * run.round, 41_200 * run.round, 0.42 * run.round),
        reasons=("every criterion is met", "the project's checks passed on the change"),
        files=FILES,
    )
    return replace(card, **over)


def a_story() -> Snapshot:
    """The bot at work: one run under way, some that need somebody, and what came before."""
    working = a_run(
        142,
        RunStatus.IN_PROGRESS,
        1,
        stage=Stage.REVIEW,
        stage_started_at=NOW - timedelta(seconds=12),
    )
    held = a_run(141, RunStatus.COMPLETED, 9, verified=True)
    asked = Failure(FailureClass.QUESTION, "Which separator do files from before 2020 use?")
    broke = Failure(
        FailureClass.NETWORK,
        "the model's host could not be reached",
        "check the connection, then `repoagents retry 138`",
    )
    waiting = a_run(140, RunStatus.AWAITING_APPROVAL, 55, verified=True, round=2)
    pull = (
        ("comment", "done", "", "", "https://github.com/octo/tool/issues/140#issuecomment-7"),
        ("draft_pull_request", "done", "", "", f"{PULL}/211"),
    )
    merged = (*pull[:1], ("draft_pull_request", "done", "", "", f"{PULL}/209"))
    cards = (
        a_card(
            working,
            timings=((Stage.BASE_CHECK, 0, 8.9), (Stage.PLAN, 0, 21.3), *_first(ROUND[:2])),
            reasons=(),
            files=FILES[:2],
            usage=Usage(2, 28_400, 0.29),
        ),
        a_card(
            held,
            HELD,
            waits=True,
            findings=(("low", "reviewer", "src/totals.py:31: name the constant"),),
        ),
        a_card(waiting, pull, waits=True),
        a_card(a_run(139, RunStatus.BLOCKED, 130, failure=asked), reasons=(asked.message,)),
        a_card(
            a_run(138, RunStatus.FAILED, 190, failure=broke, attempt=3),
            timings=((Stage.BASE_CHECK, 0, 9.2), (Stage.PLAN, 0, 34.0)),
            reasons=(),
            usage=Usage(3, 12_000, 0.11),
        ),
        a_card(a_run(137, RunStatus.COMPLETED, 320, verified=True), merged),
        a_card(a_run(136, RunStatus.NO_CHANGE, 500), reasons=("nothing had to be changed",)),
    )
    queued = a_run(143, RunStatus.QUEUED, 2, attempt=0, stage=None, started_at=None, branch="")
    older = tuple(
        a_run(number, status, (144 - number) * 300)
        for number, status in zip(range(135, 95, -1), _usual(), strict=False)
    )
    runs = (queued, *(card.run for card in cards), *older)
    return a_snapshot(runs, cards)


def _first(stages: tuple[tuple[Stage, float], ...]) -> tuple[tuple[Stage, int, float], ...]:
    return tuple((stage, 1, seconds) for stage, seconds in stages)


def _usual() -> "cycle[RunStatus]":
    done = (RunStatus.COMPLETED,) * 4
    return cycle((*done, RunStatus.NO_CHANGE, *done, RunStatus.CANCELLED, RunStatus.SUPERSEDED))


def many_runs(count: int) -> Snapshot:
    """A state of that many runs, most of them long ended."""
    runs = tuple(
        a_run(number, status, (count - number) * 10)
        for number, status in zip(range(count, 0, -1), islice(_usual(), count), strict=True)
    )
    return a_snapshot(runs, tuple(a_card(run, HELD) for run in runs[:200]))


def a_snapshot(runs: tuple[Run, ...], cards: tuple[Card, ...]) -> Snapshot:
    """These runs, a month of days and a live worker."""
    counts = {status: sum(run.status is status for run in runs) for status in RunStatus}
    every = timedelta(minutes=40)
    quota = Quota(5000, 4321, NOW + every)
    begun = NOW - every
    worker = Owner(4242, begun.isoformat(), "builder-1", "repoagents run", "")
    return Snapshot(
        now=NOW,
        runs=runs,
        counts=counts,
        holder=f"a worker is live: {worker}",
        pulses=(
            Pulse(Part.WORKER, begun, NOW, NOW, NOW - timedelta(seconds=48), "", quota),
            Pulse(Part.RECEIVER, begun, NOW, None, NOW - timedelta(minutes=3)),
        ),
        repo="octo/tool",
        version="1.0.0",
        installation="a1b2c3",
        cards=cards,
        days=tuple(a_day(back) for back in range(29, -1, -1)),
        caps=Caps(
            Usage(9, 120_000, 1.4),
            Usage(61, 2_431_000, 21.6),
            {
                "limits.calls_per_hour": 100,
                "limits.tokens_per_day": 10_000_000,
                "limits.cost_per_day": 25.0,
                "limits.open_pull_requests": 5,
            },
        ),
        open_pulls=1,
        flags={
            "safety.allow_write_comments": True,
            "safety.allow_open_pr": False,
            "safety.allow_merge": False,
        },
        free_bytes=48_000_000_000,
    )


def a_day(back: int) -> Day:
    """The day that lies so many days back: busier and quieter ones, and weekends."""
    day = (NOW - timedelta(days=back)).date()
    if day.weekday() > 4:
        return Day(day, {}, Usage(), ())
    done, stopped, failed = 2 + back * 7 % 5, back * 5 % 3, back % 6 // 5
    outcomes = {
        RunStatus.COMPLETED: done,
        RunStatus.NO_CHANGE: back % 4 // 3,
        RunStatus.BLOCKED: stopped // 2,
        RunStatus.FAILED: failed,
    }
    calls = 3 * (done + stopped + failed)
    seconds = tuple(150.0 + (back * 37 + n * 61) % 240 for n in range(done))
    return Day(day, outcomes, Usage(calls, calls * 13_700, calls * 0.34), seconds)


def stand(snapshot: Snapshot) -> Standing:
    """How things stand by it."""
    caps, limits = snapshot.caps, snapshot.caps.limits
    return weigh(
        Signs(
            snapshot.now,
            snapshot.runs,
            waiting=frozenset(card.run.id for card in snapshot.cards if card.waits),
            worker_live=bool(snapshot.holder),
            caps=(Cap("limits.cost_per_day", caps.day.cost or 0, limits["limits.cost_per_day"]),),
        )
    )
