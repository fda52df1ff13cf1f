"""What deserves attention: idle, working, waiting and broken look different."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from repoagents.domain.rollout import Brake, Phase
from repoagents.domain.run import Failure, FailureClass, Run, RunStatus, Stage
from repoagents.policy.attention import Cap, Level, Signs, Standing, Weight, weigh

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
QUIET = Signs(
    NOW,
    (),
    worker_live=True,
    worker_since=NOW - timedelta(hours=5),
    poll_every=5 * MINUTE,
    polled_at=NOW - 2 * MINUTE,
)


def run(number: int, status: RunStatus, ago: timedelta = MINUTE, **fields: object) -> Run:
    made = Run(f"run-{number}", number, "A title", "f", status, NOW - ago, NOW - ago)
    return replace(made, **fields)  # type: ignore[arg-type]


def codes(standing: Standing) -> list[str]:
    return [concern.code for concern in standing.concerns]


def test_idle_is_no_concern() -> None:
    standing = weigh(QUIET)

    assert (standing.level, standing.concerns) == (Level.IDLE, ())
    assert standing.headline == "Idle: nothing to do, last poll 2 m ago; the worker is live."


def test_a_step_back_asks_for_a_person() -> None:
    brake = Brake(Phase.COMMENT, "a change held a secret", "r", 7, NOW - 3 * MINUTE)
    standing = weigh(replace(QUIET, brake=brake))
    (concern,) = standing.concerns
    assert (standing.level, concern.code) == (Level.ATTENTION, "stepped_back")
    assert "comment" in concern.title
    assert concern.evidence == "issue #7, 3 m ago: a change held a secret"
    assert concern.command == "repoagents rollout status"


def test_idle_without_a_worker_says_so() -> None:
    standing = weigh(Signs(NOW, ()))

    assert standing.level is Level.IDLE
    assert "no worker is live" in standing.headline


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (RunStatus.COMPLETED, "pull_requests_stalled"),
        (RunStatus.AWAITING_APPROVAL, "approvals_waiting"),
    ],
)
def test_what_holds_up_a_pull_request_is_told(status: RunStatus, code: str) -> None:
    why = "the check ci has not begun"
    (concern,) = weigh(
        replace(QUIET, runs=(run(3, status, stage=Stage.PUBLISH, last_event=why),))
    ).concerns
    assert concern.code == code
    assert concern.evidence.endswith(f": {why}")


def test_a_published_run_that_nothing_holds_up_is_no_concern() -> None:
    done = run(3, RunStatus.COMPLETED, stage=Stage.PUBLISH)
    earlier = run(4, RunStatus.COMPLETED, stage=Stage.REVIEW, last_event="read a file")
    assert weigh(replace(QUIET, runs=(done, earlier))).concerns == ()


def test_a_run_under_way_is_work_not_a_concern() -> None:
    busy = run(3, RunStatus.IN_PROGRESS, stage=Stage.BUILD, stage_started_at=NOW - MINUTE)

    standing = weigh(replace(QUIET, runs=(busy,)))

    assert (standing.level, standing.concerns) == (Level.WORKING, ())
    assert standing.headline == "Working on issue #3 (build); nothing is asked of you."


def test_a_silent_poller_is_broken_not_idle() -> None:
    standing = weigh(replace(QUIET, polled_at=NOW - timedelta(hours=1)))

    assert (standing.level, codes(standing)) == (Level.BROKEN, ["poller_silent"])
    assert "last poll 1 h ago, due every 5 m" in standing.headline


def test_a_poller_that_never_came_round_is_broken() -> None:
    young = weigh(replace(QUIET, polled_at=None, worker_since=NOW - MINUTE))
    old = weigh(replace(QUIET, polled_at=None))

    assert codes(young) == []
    assert codes(old) == ["poller_silent"]


@pytest.mark.parametrize(
    ("silent", "level"), [(2 * MINUTE, Level.ATTENTION), (20 * MINUTE, Level.BROKEN)]
)
def test_a_failing_poll_weighs_more_the_longer_it_lasts(silent: timedelta, level: Level) -> None:
    standing = weigh(replace(QUIET, poll_problem="HTTP 502", polled_at=NOW - silent))

    assert (standing.level, codes(standing)) == (level, ["poll_failing"])
    assert "HTTP 502" in standing.concerns[0].evidence


def test_a_run_without_a_worker_and_one_that_takes_too_long_are_stuck() -> None:
    left = run(3, RunStatus.IN_PROGRESS)
    slow = run(4, RunStatus.IN_PROGRESS, stage=Stage.BUILD, stage_started_at=NOW - 3 * 60 * MINUTE)

    without = weigh(Signs(NOW, (left,)))
    late = weigh(replace(QUIET, runs=(slow,)))

    assert without.concerns[0].command == "repoagents run"
    assert late.concerns[0].command == "repoagents cancel 4"
    assert codes(without) == codes(late) == ["run_stuck"]
    assert without.level is late.level is Level.BROKEN


def test_what_a_newer_run_of_the_issue_settled_is_no_concern() -> None:
    failed = run(3, RunStatus.FAILED)
    done = replace(failed, id="run-later", status=RunStatus.COMPLETED)

    assert codes(weigh(replace(QUIET, runs=(done, failed)))) == []
    assert codes(weigh(replace(QUIET, runs=(failed, done)))) == ["runs_failed"]


def test_failures_are_one_concern_with_the_newest_as_evidence() -> None:
    why = Failure(FailureClass.NETWORK, "no route")
    runs = tuple(run(n, RunStatus.FAILED, n * MINUTE, failure=why) for n in (1, 2, 3))

    (concern,) = weigh(replace(QUIET, runs=runs)).concerns

    assert concern.title == "3 runs failed, out of attempts"
    assert concern.evidence == "issue #1, 1 m ago: network: no route"
    assert concern.command == "repoagents retry 1"


def test_old_failures_are_not_brought_up_for_ever() -> None:
    old = run(1, RunStatus.FAILED, timedelta(days=15))

    assert codes(weigh(replace(QUIET, runs=(old,)))) == []


def test_people_are_asked_in_order_of_weight() -> None:
    runs = (
        run(1, RunStatus.COMPLETED),
        run(2, RunStatus.BLOCKED),
        run(3, RunStatus.AWAITING_APPROVAL, timedelta(days=2)),
        run(4, RunStatus.RETRY_PENDING),
        run(5, RunStatus.FAILED),
    )
    signs = replace(
        QUIET, runs=runs, waiting=frozenset({"run-1", "run-3"}), drift=("roles/planner.md",)
    )

    standing = weigh(signs)

    assert codes(standing) == [
        "runs_failed",
        "approvals_waiting",
        "runs_blocked",
        "results_withheld",
        "runs_waiting",
        "templates_drift",
    ]
    assert standing.level is Level.ATTENTION
    assert standing.headline.endswith("; 5 more points below.")
    by_code = {concern.code: concern for concern in standing.concerns}
    assert by_code["approvals_waiting"].command == "repoagents approval show 3"
    assert "has waited for 2 d" in by_code["approvals_waiting"].evidence


def test_what_only_a_flag_holds_back_leaves_things_idle() -> None:
    done = run(1, RunStatus.COMPLETED)

    standing = weigh(replace(QUIET, runs=(done,), waiting=frozenset({"run-1"})))

    assert (standing.level, codes(standing)) == (Level.IDLE, ["results_withheld"])


def test_queued_work_needs_a_worker() -> None:
    queued = run(1, RunStatus.QUEUED)

    assert codes(weigh(Signs(NOW, (queued,)))) == ["worker_absent"]
    assert codes(weigh(replace(QUIET, runs=(queued,)))) == []


@pytest.mark.parametrize(
    ("used", "weights"), [(0, []), (80, []), (90, [Weight.MEDIUM]), (100, [Weight.HIGH])]
)
def test_limits_are_named_before_they_are_reached(used: float, weights: list[Weight]) -> None:
    cap = Cap("limits.calls_per_hour", used, 100)

    standing = weigh(replace(QUIET, caps=(cap,)))

    assert [concern.weight for concern in standing.concerns] == weights
    assert all("limits.calls_per_hour" in concern.title for concern in standing.concerns)


@pytest.mark.parametrize(("used", "found"), [(4, []), (5, ["pull_requests_full"])])
def test_a_bot_that_waits_for_people_who_merge_is_not_idle(used: float, found: list[str]) -> None:
    cap = Cap("limits.open_pull_requests", used, 5)

    standing = weigh(replace(QUIET, open_pulls=cap))

    assert codes(standing) == found
    assert ("5 of 5 (limits.open_pull_requests): merge" in standing.headline) is bool(found)


def test_the_host_is_looked_at() -> None:
    signs = replace(
        QUIET,
        free_bytes=5_000_000,
        paused_until=NOW + 10 * MINUTE,
    )

    assert codes(weigh(signs)) == ["rate_limited", "disk_low"]
    assert codes(weigh(replace(QUIET, free_bytes=5_000_000_000, paused_until=NOW))) == []


@pytest.mark.parametrize(
    ("quiet", "codes_"),
    [(MINUTE, []), (timedelta(hours=1), ["receiver_silent"]), (timedelta(days=8), [])],
)
def test_a_receiver_that_stopped_this_week_is_missed(quiet: timedelta, codes_: list[str]) -> None:
    assert codes(weigh(replace(QUIET, receiver_beat=NOW - quiet))) == codes_


def test_a_worker_that_does_not_poll_is_not_silent() -> None:
    assert codes(weigh(replace(QUIET, poll_every=None, polled_at=None))) == []


def test_a_worker_that_has_just_begun_is_not_silent() -> None:
    young = replace(QUIET, polled_at=NOW - timedelta(days=1), worker_since=NOW - MINUTE)

    assert codes(weigh(young)) == []


def test_text_from_outside_stays_on_one_line() -> None:
    why = Failure(FailureClass.NETWORK, "no\nroute\x1b[31m")
    standing = weigh(replace(QUIET, runs=(run(1, RunStatus.FAILED, failure=why),)))

    assert "\n" not in standing.headline
    assert "\x1b" not in standing.headline
