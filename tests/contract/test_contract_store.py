"""What the books promise, on SQLite and on a real PostgreSQL."""

import json
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.engine import Connection

from repoagents.domain.change import ChangeKind, ChangeSet, FileChange
from repoagents.domain.effect import (
    Effect,
    OpenDraftPullRequest,
    PostComment,
    PushBranch,
    Receipt,
    SetLabel,
)
from repoagents.domain.issue import Comment, Issue
from repoagents.domain.reports import Plan, Usage, Verdict, VerdictKind
from repoagents.domain.run import Failure, FailureClass, Run, RunStatus, Stage
from repoagents.errors import StateUnreadable, StoreError
from repoagents.ports import Approval, Request, StageKey
from repoagents.store import requests
from repoagents.store.database import Database, open_database, open_server_reader
from repoagents.store.engine import Door
from repoagents.store.faults import Conflict
from repoagents.store.migrations import migrate
from repoagents.store.reader import Reader, open_reader
from tests.contract.conftest import forget_runs, new_postgres_database
from tests.fakes.clock import FakeClock

T = TypeVar("T")
NOW = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
ISSUE = Issue(7, "Title", "Body")
FAILURE = Failure(FailureClass.NETWORK, "no route", "mend the network")
PLAN = Plan("Do it.", ("one", "two"), ("a.py",), ("It works.",), questions=("Sure?",))


def make_run(identity: str = "run-1", number: int = 7, **fields: object) -> Run:
    run = Run(identity, number, "Title", "f" * 64, RunStatus.QUEUED, NOW, NOW)
    return replace(run, **fields)  # type: ignore[arg-type]


def add(books: Database, *runs: Run) -> None:
    for run in runs:
        assert books.runs.add(run, replace(ISSUE, number=run.issue_number))


# --- runs -----------------------------------------------------------------------------------


def test_a_run_comes_back_as_it_was(books: Database) -> None:
    run = make_run(
        status=RunStatus.RETRY_PENDING,
        attempt=2,
        failures=1,
        resumes=3,
        generation=4,
        round=5,
        round_limit=6,
        stage=Stage.REVIEW,
        stage_started_at=NOW + timedelta(microseconds=1),
        last_event="reading ☂",
        base_sha="a" * 40,
        head_sha="b" * 40,
        diff_hash="c" * 64,
        branch="repoagents/issue-7-x",
        verified=True,
        note="a note",
        failure=FAILURE,
        next_at=NOW + timedelta(minutes=1),
        started_at=NOW,
        finished_at=NOW + timedelta(days=1),
    )
    add(books, run)
    assert books.runs.find(run.id) == run
    assert books.runs.latest(7) == run
    assert books.runs.select() == (run,)
    assert books.runs.find("another") is None
    assert books.runs.latest(8) is None


def test_text_that_no_database_takes_is_mended(books: Database) -> None:
    add(books, make_run(title="Nul \0 and half \ud83d a pair", note="😀"))
    found = books.runs.find("run-1")
    assert found is not None
    assert (found.title, found.note) == ("Nul \ufffd and half \ufffd a pair", "😀")


def test_an_issue_has_one_active_run(books: Database) -> None:
    first = make_run()
    add(books, first)
    assert not books.runs.add(make_run("run-2"), ISSUE)
    assert not books.runs.add(first, ISSUE)
    assert books.runs.find("run-2") is None
    add(books, make_run("run-3", 8))
    assert books.runs.replace(first, first.cancel(NOW))
    add(books, make_run("run-4"))
    assert [run.id for run in books.runs.of_issue(7)] == ["run-4", "run-1"]
    assert books.runs.latest(7) == make_run("run-4")


@pytest.mark.parametrize("status", list(RunStatus))
def test_active_is_what_the_statuses_say(books: Database, status: RunStatus) -> None:
    add(books, make_run(status=status))
    assert books.runs.add(make_run("run-2"), ISSUE) is status.terminal


def test_many_at_once_make_one_run(books: Database) -> None:
    added = together(8, lambda n: books.runs.add(make_run(f"run-{n}"), ISSUE))
    assert sorted(added) == [False] * 7 + [True]
    assert len(books.runs.select()) == 1
    assert books.reader.counts() == {RunStatus.QUEUED: 1}


def test_a_run_cannot_become_active_beside_another(books: Database) -> None:
    old = make_run(status=RunStatus.FAILED)
    add(books, old, make_run("run-2"))
    with pytest.raises(StoreError, match="issue 7 already has another active run") as caught:
        books.runs.replace(old, old.requeue(NOW, "a private note"))
    assert "a private note" not in f"{caught.value.__cause__!r} {caught.value.__cause__}"
    assert books.runs.find(old.id) == old
    assert books.reader.counts() == {RunStatus.FAILED: 1, RunStatus.QUEUED: 1}


def test_replace_needs_the_run_as_it_was_seen(books: Database) -> None:
    run = make_run()
    add(books, run)
    started = run.start(NOW + timedelta(seconds=1))
    assert books.runs.replace(run, started)
    assert not books.runs.replace(run, run.cancel(NOW + timedelta(seconds=2)))
    touched = replace(started, updated_at=NOW + timedelta(seconds=3))
    assert books.runs.replace(started, touched)
    assert not books.runs.replace(started, started.complete(NOW))
    assert books.runs.find(run.id) == touched
    assert not books.runs.replace(make_run("unknown"), make_run("unknown").start(NOW))


def test_of_many_that_replace_one_wins(books: Database) -> None:
    run = make_run()
    add(books, run)

    def claim(n: int) -> bool:
        return books.runs.replace(run, replace(run.start(NOW + timedelta(seconds=1)), note=str(n)))

    assert sorted(together(8, claim)) == [False] * 7 + [True]
    assert books.reader.counts() == {RunStatus.IN_PROGRESS: 1}


def test_progress_moves_neither_status_nor_version(books: Database) -> None:
    run = make_run(status=RunStatus.IN_PROGRESS)
    add(books, run)
    books.runs.progress(run.id, Stage.PLAN, "first", NOW + timedelta(seconds=1))
    books.runs.progress(run.id, Stage.PLAN, "second " + "x" * 1000, NOW + timedelta(seconds=2))
    seen = books.runs.find(run.id)
    assert seen is not None
    assert (seen.status, seen.updated_at, seen.stage) == (run.status, run.updated_at, Stage.PLAN)
    assert seen.stage_started_at == NOW + timedelta(seconds=1)
    assert seen.last_event.startswith("second")
    assert len(seen.last_event) == 500
    books.runs.progress(run.id, Stage.BUILD, "third", NOW + timedelta(seconds=3))
    # What was noted meanwhile survives a change made from an older reading.
    assert books.runs.replace(run, run.complete(NOW + timedelta(seconds=4)))
    done = books.runs.find(run.id)
    assert done is not None
    assert (done.status, done.stage, done.last_event) == (
        RunStatus.COMPLETED,
        Stage.BUILD,
        "third",
    )
    assert done.stage_started_at == NOW + timedelta(seconds=3)


def test_runs_are_selected_newest_first(books: Database) -> None:
    statuses = [RunStatus.FAILED, RunStatus.QUEUED, RunStatus.COMPLETED, RunStatus.FAILED]
    # The clock of all is the same, and may go back: the order of arrival counts.
    runs = [
        make_run(f"run-{n}", n, status=status, created_at=NOW - timedelta(days=n))
        for n, status in enumerate(statuses, 1)
    ]
    add(books, *runs)

    def ids(*statuses: RunStatus, limit: int = 500) -> list[str]:
        return [run.id for run in books.runs.select(statuses, limit)]

    assert ids() == ["run-4", "run-3", "run-2", "run-1"]
    assert ids(limit=2) == ["run-4", "run-3"]
    assert ids(RunStatus.FAILED) == ["run-4", "run-1"]
    assert ids(RunStatus.FAILED, limit=1) == ["run-4"]
    assert ids(RunStatus.FAILED, RunStatus.QUEUED, RunStatus.FAILED) == ["run-4", "run-2", "run-1"]
    assert ids(RunStatus.FAILED, RunStatus.QUEUED, limit=2) == ["run-4", "run-2"]
    assert ids(RunStatus.CANCELLED) == []
    both = books.reader.runs((RunStatus.FAILED, RunStatus.QUEUED), issue=2)
    assert [run.id for run in both] == ["run-2"]


def test_the_issue_is_frozen_with_the_run(books: Database) -> None:
    issue = Issue(
        7,
        "T\ud800",
        "B\0\r\n",
        labels=("a",),
        author="ann",
        comments=(Comment("bob", "hm", ours=True),),
        created_at=NOW,
        source="issues.json:1",
    )
    assert books.runs.add(make_run(), issue)
    assert books.runs.issue("run-1") == issue
    with pytest.raises(StoreError, match="no run unknown"):
        books.runs.issue("unknown")


instants = st.datetimes(
    datetime.fromisoformat("1990-01-01"),
    datetime.fromisoformat("2200-01-01"),
    timezones=st.just(UTC),
)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
counts = st.integers(0, 10**6)
runs = st.builds(
    Run,
    id=st.uuids().map(str),
    issue_number=st.integers(1, 10**6),
    title=texts,
    fingerprint=texts,
    status=st.sampled_from(RunStatus),
    created_at=instants,
    updated_at=instants,
    attempt=counts,
    failures=counts,
    resumes=counts,
    generation=counts,
    round=counts,
    round_limit=counts,
    stage=st.none() | st.sampled_from(Stage),
    stage_started_at=st.none() | instants,
    last_event=texts,
    base_sha=texts,
    head_sha=texts,
    diff_hash=texts,
    branch=texts,
    verified=st.booleans(),
    note=texts,
    failure=st.none() | st.builds(Failure, st.sampled_from(FailureClass), texts, texts),
    next_at=st.none() | instants,
    started_at=st.none() | instants,
    finished_at=st.none() | instants,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=runs, after=runs)
def test_any_run_comes_back_as_it_was(books: Database, before: Run, after: Run) -> None:
    forget_runs(books)
    after = replace(after, id=before.id, issue_number=before.issue_number)
    add(books, before)
    assert books.runs.find(before.id) == before
    assert books.runs.replace(before, after)
    assert books.runs.find(before.id) == after
    assert books.reader.counts() == {after.status: 1}


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.integers(1, 2), st.sampled_from(RunStatus)), max_size=12
    )
)
def test_tallies_and_the_one_active_run_hold_in_any_order(
    books: Database, steps: list[tuple[bool, int, RunStatus]]
) -> None:
    forget_runs(books)
    for n, (moves, number, status) in enumerate(steps):
        latest = books.runs.latest(number)
        at = NOW + timedelta(seconds=n)
        others = books.runs.of_issue(number)[1 if moves else 0 :]
        allowed = status.terminal or all(run.status.terminal for run in others)
        if moves and latest is not None:
            after = replace(latest, status=status, updated_at=at)
            with nullcontext() if allowed else pytest.raises(StoreError):
                assert books.runs.replace(latest, after)
        else:
            new = make_run(f"run-{n}", number, status=status)
            assert books.runs.add(new, ISSUE) is allowed
    everything = books.runs.select((), 1000)
    assert books.reader.counts() == Counter(run.status for run in everything)
    active = Counter(run.issue_number for run in everything if not run.status.terminal)
    assert all(count == 1 for count in active.values())


# --- stages ---------------------------------------------------------------------------------


def key(attempt: int = 1, stage: Stage = Stage.PLAN, round_: int = 1, of: str = "h") -> StageKey:
    return StageKey("run-1", attempt, stage, round_, of)


def test_a_stage_is_found_for_the_same_input_of_any_attempt(books: Database) -> None:
    add(books, make_run(), make_run("run-2", 8))
    books.stages.record(key(), PLAN, NOW, 2.5)
    assert books.stages.find(key(), Plan) == PLAN
    assert books.stages.find(key(attempt=2), Plan) == PLAN
    for other in (key(of="x"), key(round_=2), key(stage=Stage.BUILD)):
        assert books.stages.find(other, Plan) is None
    assert books.stages.find(replace(key(), run_id="run-2"), Plan) is None


def test_the_newest_value_counts(books: Database) -> None:
    add(books, make_run())
    later = replace(PLAN, summary="Later.")
    books.stages.record(key(2), later, NOW, 1.0)
    books.stages.record(key(1), PLAN, NOW, 1.0)
    assert books.stages.find(key(2), Plan) == PLAN
    assert books.stages.last("run-1", Stage.PLAN, Plan) == PLAN
    books.stages.record(key(2), later, NOW, 1.0)
    assert books.stages.last("run-1", Stage.PLAN, Plan) == later
    assert books.stages.last("run-1", Stage.BUILD, Plan) is None


def test_a_stage_recorded_again_counts_once(books: Database) -> None:
    add(books, make_run())
    books.stages.record(key(), PLAN, NOW, 1.0)
    books.stages.record(key(stage=Stage.BUILD), PLAN, NOW, 0.5)
    books.stages.record(key(stage=Stage.BUILD, round_=2), PLAN, NOW, 0.25)
    books.stages.record(key(), PLAN, NOW, 3.0)
    timings = ((Stage.BUILD, 1, 0.5), (Stage.BUILD, 2, 0.25), (Stage.PLAN, 1, 3.0))
    assert books.stages.timings("run-1") == timings


def test_rounds_are_told_apart(books: Database) -> None:
    add(books, make_run())
    second = replace(PLAN, summary="Second.")
    books.stages.record(key(round_=2), second, NOW, 1.0)
    books.stages.record(key(round_=1), PLAN, NOW, 1.0)
    assert books.stages.last("run-1", Stage.PLAN, Plan, 2) == second
    assert books.stages.last("run-1", Stage.PLAN, Plan, 3) is None
    books.stages.void("run-1", Stage.PLAN, 2)
    assert books.stages.last("run-1", Stage.PLAN, Plan, 2) is None
    assert books.stages.last("run-1", Stage.PLAN, Plan) == PLAN


def test_a_value_of_another_shape_says_what_to_do(books: Database) -> None:
    add(books, make_run())
    books.stages.record(key(), PLAN, NOW, 1.0)
    with pytest.raises(StoreError, match="stored Verdict cannot be read") as caught:
        books.stages.find(key(), Verdict)
    assert "--fresh" in caught.value.next_step


def test_stages_keep_every_kind_of_value(books: Database) -> None:
    add(books, make_run())
    change = ChangeSet(
        "a" * 40,
        "b" * 40,
        (FileChange("ü\udc80.py", ChangeKind.ADDED, "", "100644", None, None, 3),),
        "patch \0 \ud800 ☂",
    )
    for value in (change, Verdict(VerdictKind.REVISE, ("why",), ("1. do",)), PLAN):
        books.stages.record(key(), value, NOW, 1.0)
        assert books.stages.find(key(), type(value)) == value


# --- spending -------------------------------------------------------------------------------


def test_reservations_count_until_they_are_settled(books: Database) -> None:
    spend = books.spend
    assert spend.spent("run-1", NOW).day == Usage(0, 0, None)
    first = spend.reserve("run-1", Stage.PLAN, Usage(1, 1000, 0.5), NOW)
    second = spend.reserve("run-1", Stage.BUILD, Usage(1, 2000, 1.0), NOW)
    assert first != second
    assert spend.spent("run-1", NOW).run == Usage(2, 3000, 1.5)
    spend.settle(first, Usage(1, 10, 0.25))
    assert spend.spent("run-1", NOW).run == Usage(2, 2010, 1.25)


def test_what_a_run_cost_is_told_by_stage(books: Database) -> None:
    spend = books.spend
    spend.reserve("run-1", Stage.BUILD, Usage(1, 20), NOW)
    spend.reserve("run-1", Stage.PLAN, Usage(1, 10, 0.25), NOW)
    spend.reserve("run-1", Stage.BUILD, Usage(1, 30, 0.5), NOW)
    spend.reserve("run-2", Stage.REVIEW, Usage(1, 1), NOW)
    assert spend.of_stages("run-1") == (
        (Stage.BUILD, Usage(2, 50, 0.5)),
        (Stage.PLAN, Usage(1, 10, 0.25)),
    )
    assert spend.of_stages("run-3") == ()


def test_windows_slide(books: Database) -> None:
    spend = books.spend
    for seconds, tokens in ((0, 1), (3599, 10), (3600, 100), (86_399, 1000), (86_400, 10_000)):
        spend.reserve("run-1", Stage.PLAN, Usage(1, tokens), NOW - timedelta(seconds=seconds))
    spend.reserve("run-2", Stage.PLAN, Usage(1, 100_000), NOW)
    spent = spend.spent("run-1", NOW)
    assert spent.run.tokens == 11_111
    assert spent.hour.tokens == 100_011
    assert spent.day.tokens == 101_111


def test_an_unknown_cost_stays_unknown(books: Database) -> None:
    books.spend.reserve("run-1", Stage.PLAN, Usage(1, 5), NOW)
    assert books.spend.spent("run-1", NOW).run.cost is None
    books.spend.reserve("run-1", Stage.PLAN, Usage(1, 5, 0.75), NOW)
    assert books.spend.spent("run-1", NOW).run.cost == 0.75


def test_a_clock_that_goes_back_frees_no_budget(books: Database) -> None:
    books.spend.reserve("run-1", Stage.PLAN, Usage(1, 5), NOW)
    back = NOW - timedelta(days=3)
    assert books.spend.spent("run-2", back).hour == Usage(1, 5)


# --- effects --------------------------------------------------------------------------------

COMMENT = PostComment("run-1", 7, "<!-- repoagents:x -->", "Text \0 ☂")
BRANCH = PushBranch("run-1", 7, "repoagents/issue-7", "c" * 40)
PULL_REQUEST = OpenDraftPullRequest("run-1", 7, "Title", "Body", "repoagents/issue-7", "main")
EFFECTS: tuple[Effect, ...] = (BRANCH, PULL_REQUEST, COMMENT)


def receipt(effect: Effect) -> Receipt:
    return Receipt(effect.key, "somewhere", NOW + timedelta(seconds=5))


def states(books: Database) -> list[tuple[str, str, str]]:
    return [(row.name, row.state, row.flag) for row in books.ledger.rows("run-1")]


@pytest.mark.parametrize("effect", EFFECTS)
def test_an_effect_is_done_with_its_receipt(books: Database, effect: Effect) -> None:
    add(books, make_run())
    books.ledger.intend("run-1", effect, NOW)
    books.ledger.intend("run-1", effect, NOW)
    assert books.ledger.receipt(effect) is None
    books.ledger.close("run-1", effect, receipt(effect))
    assert books.ledger.receipt(effect) == receipt(effect)
    books.ledger.intend("run-1", effect, NOW)
    books.ledger.withhold("run-1", effect, "safety.allow_open_pr", "off", NOW)
    assert books.ledger.receipt(effect) == receipt(effect)
    (row,) = books.ledger.rows("run-1")
    assert (row.state, row.key, row.location) == ("done", effect.key, "somewhere")
    assert row.at == receipt(effect).at


def test_an_effect_found_done_needs_no_intent(books: Database) -> None:
    add(books, make_run())
    books.ledger.close("run-1", BRANCH, receipt(BRANCH))
    assert books.ledger.receipt(BRANCH) == receipt(BRANCH)


def test_a_receipt_is_for_one_content_of_one_run(books: Database) -> None:
    add(books, make_run(), make_run("run-2", 8))
    books.ledger.close("run-1", PULL_REQUEST, receipt(PULL_REQUEST))
    assert books.ledger.receipt(replace(PULL_REQUEST, run_id="run-2")) is None
    reworded = replace(PULL_REQUEST, body="Reworded")
    assert books.ledger.receipt(reworded) is None
    books.ledger.intend("run-1", reworded, NOW)
    assert states(books) == [("draft_pull_request", "intended", "")]


TO_AND_FRO = [
    (COMMENT, replace(COMMENT, body="Edited")),
    (SetLabel("run-1", 7, "busy", on=True), SetLabel("run-1", 7, "busy", on=False)),
]


@pytest.mark.parametrize(("one", "other"), TO_AND_FRO)
def test_what_goes_to_and_fro_is_as_the_last_one_left_it(
    books: Database, one: Effect, other: Effect
) -> None:
    add(books, make_run())
    for last, before in ((one, other), (other, one), (one, other)):
        assert books.ledger.receipt(last) is None, "an earlier turn's receipt does not count"
        books.ledger.intend("run-1", last, NOW)
        books.ledger.close("run-1", last, receipt(last))
        assert books.ledger.receipt(last) == receipt(last)
        assert books.ledger.receipt(before) is None
    assert len(states(books)) == 1


def test_what_was_to_be_said_and_is_not_is_known(books: Database) -> None:
    add(books, make_run(), make_run("run-2", 8))
    assert books.ledger.unsaid() == ()
    label = SetLabel("run-2", 8, "busy", on=True)
    books.ledger.intend("run-1", BRANCH, NOW)
    books.ledger.withhold("run-1", COMMENT, "the.flag", "is off", NOW)
    assert books.ledger.unsaid() == ()
    books.ledger.intend("run-1", COMMENT, NOW)
    books.ledger.intend("run-2", label, NOW)
    books.ledger.intend("run-2", replace(COMMENT, run_id="run-2"), NOW)
    assert sorted(books.ledger.unsaid()) == ["run-1", "run-2"]
    books.ledger.close("run-1", COMMENT, receipt(COMMENT))
    assert books.ledger.unsaid() == ("run-2",)


def test_withheld_effects_keep_their_order_and_flag(books: Database) -> None:
    add(books, make_run())
    for effect in (*EFFECTS, *EFFECTS):
        books.ledger.withhold("run-1", effect, "the.flag", "is off", NOW)
    assert books.ledger.withheld("run-1") == EFFECTS
    assert states(books) == [
        ("branch", "withheld", "the.flag"),
        ("draft_pull_request", "withheld", "the.flag"),
        ("comment", "withheld", "the.flag"),
    ]
    assert books.ledger.withheld("run-2") == ()


def test_a_withheld_effect_is_kept_until_it_is_done(books: Database) -> None:
    add(books, make_run())
    for effect in (BRANCH, PULL_REQUEST):
        books.ledger.withhold("run-1", effect, "the.flag", "is off", NOW)
    books.ledger.intend("run-1", BRANCH, NOW)
    # A crash here must not lose the branch: an approval begun again offers it again.
    assert books.ledger.withheld("run-1") == (BRANCH, PULL_REQUEST)
    books.ledger.close("run-1", BRANCH, receipt(BRANCH))
    assert books.ledger.withheld("run-1") == (PULL_REQUEST,)
    assert states(books)[0] == ("branch", "done", "")


def test_a_no_discards_what_is_withheld_and_only_that(books: Database) -> None:
    add(books, make_run())
    books.ledger.close("run-1", BRANCH, receipt(BRANCH))
    books.ledger.withhold("run-1", PULL_REQUEST, "the.flag", "is off", NOW)
    books.ledger.intend("run-1", COMMENT, NOW)
    books.ledger.discard("run-1", "rejected by ann", NOW)
    assert books.ledger.withheld("run-1") == ()
    assert [row.state for row in books.ledger.rows("run-1")] == ["done", "discarded", "intended"]
    assert books.ledger.rows("run-1")[1].reason == "rejected by ann"
    # New work of the same run may want it again.
    books.ledger.withhold("run-1", PULL_REQUEST, "the.flag", "is off", NOW)
    assert books.ledger.withheld("run-1") == (PULL_REQUEST,)


class LedgerMachine(RuleBasedStateMachine):
    """Any order of calls: the ledger agrees with a model of what was last said."""

    books: Database

    def __init__(self) -> None:
        super().__init__()
        forget_runs(self.books)
        add(self.books, make_run())
        self.ledger = self.books.ledger
        self.said: dict[str, tuple[Effect, str, bool]] = {}

    effects = st.sampled_from([*EFFECTS, replace(PULL_REQUEST, body="Reworded")])

    def _say(self, effect: Effect, state: str, *, held: bool) -> None:
        known = self.said.get(effect.key)
        if known is None or known[:2] != (effect, "done"):
            self.said[effect.key] = (effect, state, held)

    @rule(effect=effects)
    def intend(self, effect: Effect) -> None:
        known = self.said.get(effect.key)
        self.ledger.intend("run-1", effect, NOW)
        self._say(effect, "intended", held=known is not None and known[2])

    @rule(effect=effects)
    def withhold(self, effect: Effect) -> None:
        self.ledger.withhold("run-1", effect, "the.flag", "off", NOW)
        self._say(effect, "withheld", held=True)

    @rule(effect=effects)
    def close(self, effect: Effect) -> None:
        self.ledger.close("run-1", effect, receipt(effect))
        self.said[effect.key] = (effect, "done", False)

    @rule()
    def discard(self) -> None:
        self.ledger.discard("run-1", "no", NOW)
        for key, (effect, state, held) in self.said.items():
            if state == "withheld" or (state == "intended" and held):
                self.said[key] = (effect, "discarded", held)

    @invariant()
    def agrees(self) -> None:
        rows = {row.key: row.state for row in self.ledger.rows("run-1")}
        assert rows == {key: state for key, (_, state, _) in self.said.items()}
        waiting = [
            effect
            for effect, state, held in self.said.values()
            if state == "withheld" or (state == "intended" and held)
        ]
        assert list(self.ledger.withheld("run-1")) == waiting
        for effect in EFFECTS:
            done = self.said.get(effect.key, (None, "", False))[:2] == (effect, "done")
            assert (self.ledger.receipt(effect) is not None) is done


def test_the_ledger_remembers_what_was_last_said(books: Database) -> None:
    class OnTheseBooks(LedgerMachine):
        pass

    OnTheseBooks.books = books
    run_state_machine_as_test(
        OnTheseBooks, settings=settings(max_examples=15, stateful_step_count=12, deadline=None)
    )


# --- requests and approvals -----------------------------------------------------------------


def test_a_request_is_taken_once(books: Database) -> None:
    first = Request("id-1", "retry", 7, NOW, "a note \ud800", fresh=True, by="ann")
    second = Request("id-2", "trigger", 8, NOW - timedelta(days=1), force=True)
    assert books.inbox.put(first)
    assert books.inbox.put(second)
    assert not books.inbox.put(replace(first, note="again"))
    assert books.inbox.pending() == (replace(first, note="a note \ufffd"), second)
    books.inbox.take("id-1", "queued", NOW)
    books.inbox.take("id-1", "another word", NOW)
    assert books.inbox.pending() == (second,)
    assert books.inbox.outcome("id-1") == "queued"
    assert books.inbox.outcome("id-2") is None
    assert books.inbox.outcome("id-3") is None
    assert not books.inbox.put(first)


def test_the_newest_requests_stay_known_and_what_is_pending_stays(
    books: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "NEWEST", 3)
    monkeypatch.setattr(requests, "AT_ONCE", 2)
    for number in range(10):
        books.inbox.put(Request(f"id-{number}", "status", 1, NOW))
        if number != 2:
            books.inbox.take(f"id-{number}", "told", NOW)
        assert not books.inbox.put(Request(f"id-{number}", "status", 1, NOW)), "known"
    assert not books.inbox.forget_before(NOW), "not before, but at that instant"
    while books.inbox.forget_before(NOW + timedelta(days=400)):
        continue
    known = [n for n in range(10) if books.inbox.outcome(f"id-{n}")]
    assert known == [7, 8, 9]
    assert [request.id for request in books.inbox.pending()] == ["id-2"]
    assert books.inbox.put(Request("id-0", "status", 1, NOW))


def test_of_many_deliveries_one_is_kept(books: Database) -> None:
    kept = together(8, lambda n: books.inbox.put(Request("same", "trigger", n, NOW)))
    assert sorted(kept) == [False] * 7 + [True]
    assert len(books.inbox.pending()) == 1


def test_approvals_are_kept_in_order(books: Database) -> None:
    add(books, make_run())
    given_ = [
        Approval("run-1", "approve", "a" * 40, "b" * 64, "ann", NOW, "fine"),
        Approval("run-1", "reject", "c" * 40, "d" * 64, "bob", NOW - timedelta(days=1)),
    ]
    for approval in given_:
        books.approvals.add(approval)
    assert books.approvals.select("run-1") == tuple(given_)
    assert books.approvals.select("run-2") == ()


# --- the door -------------------------------------------------------------------------------

HOLD = "INSERT INTO tallies (status, runs) VALUES (:status, :runs)"


def test_a_statement_returns_the_rows_it_is_asked_for(books: Database) -> None:
    with books.door.begin() as execute:
        assert list(execute(HOLD, {"status": "a: b%", "runs": 2**40})) == []
        more = "UPDATE tallies SET runs = runs + :more WHERE status = :status RETURNING runs"
        (row,) = execute(more, {"more": 2**40, "status": "a: b%"})
        assert list(execute(more, {"more": 1, "status": "unknown"})) == []
    assert row["runs"] == 2**41


def test_a_transaction_is_whole_or_absent(books: Database) -> None:
    def break_a_rule() -> None:
        with books.door.begin() as execute:
            execute(HOLD, {"status": "first", "runs": 1})
            execute(HOLD, {"status": RunStatus.QUEUED.value, "runs": 1})

    for _ in range(2):
        with pytest.raises(Conflict, match="refused"):
            break_a_rule()
    asked = "SELECT runs FROM tallies WHERE status IN (:first, :queued)"
    rows = books.door.query(asked, {"first": "first", "queued": RunStatus.QUEUED.value})
    assert [row["runs"] for row in rows] == [0]
    with pytest.raises(StoreError) as caught:
        books.door.query("SELECT nothing FROM nowhere", {})
    assert not isinstance(caught.value, Conflict)


# --- the state as a whole -------------------------------------------------------------------


def test_everything_is_there_after_opening_again(
    place: str, books: Database, clock: FakeClock
) -> None:
    add(books, make_run())
    books.ledger.intend("run-1", COMMENT, NOW)
    books.close()
    again = open_database(place, clock=clock)
    assert again.installation == books.installation
    assert len(again.installation) == 12
    assert again.runs.select() == (make_run(),)
    assert again.runs.issue("run-1") == ISSUE
    assert len(again.ledger.rows("run-1")) == 1
    again.close()


def test_many_may_open_a_new_state_at_once(place: str, clock: FakeClock) -> None:
    opened = together(6, lambda _n: open_database(place, clock=clock))
    assert len({database.installation for database in opened}) == 1
    for n, database in enumerate(opened):
        add(database, make_run(f"run-{n}", n + 1))
        database.close()


# --- what `status` reads ----------------------------------------------------------------------


@pytest.fixture
def reader(place: str, books: Database, tmp_path: Path) -> Reader:
    """The reader that a command opens beside the writer."""
    if place.startswith("postgresql"):
        return open_server_reader(place)
    (tmp_path / "state" / "location.json").write_text(json.dumps({"version": 1, "database": place}))
    return open_reader(tmp_path)


def test_a_reader_beside_the_writer_sees_it_all(books: Database, reader: Reader) -> None:
    run = make_run(failure=FAILURE, status=RunStatus.BLOCKED)
    add(books, run, make_run("run-2", 8))
    books.stages.record(key(), PLAN, NOW, 2.5)
    books.ledger.withhold("run-1", BRANCH, "the.flag", "is off", NOW)
    assert reader.run("run-1") == run
    assert reader.run("run-9") is None
    assert [found.id for found in reader.runs()] == ["run-2", "run-1"]
    assert reader.runs((RunStatus.BLOCKED,)) == (run,)
    assert reader.runs(issue=7) == (run,)
    assert reader.runs(limit=1)[0].id == "run-2"
    assert reader.counts() == {RunStatus.BLOCKED: 1, RunStatus.QUEUED: 1}
    assert reader.timings("run-1") == ((Stage.PLAN, 1, 2.5),)
    (row,) = reader.effects("run-1")
    assert row == books.ledger.rows("run-1")[0]
    assert (row.name, row.state, row.flag, row.at) == ("branch", "withheld", "the.flag", NOW)


def test_another_schema_is_refused(place: str, books: Database, clock: FakeClock) -> None:
    with books.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE meta SET value = '7' WHERE key = 'schema'")
    with pytest.raises(StateUnreadable, match="has schema 7; this program knows schema 1"):
        open_database(place, clock=clock)


@pytest.mark.postgres
def test_a_server_without_a_state_is_read_as_empty(postgres_server: str, clock: FakeClock) -> None:
    place = new_postgres_database(postgres_server)
    assert open_server_reader(place).runs() == ()
    open_database(place, clock=clock).close()
    assert open_server_reader(place).counts() == {}


@pytest.mark.postgres
def test_a_server_state_moves_forward_whole_or_not_at_all(
    postgres_server: str, clock: FakeClock
) -> None:
    books = open_database(new_postgres_database(postgres_server), clock=clock)
    add(books, make_run())
    door = books.door

    def add_mood(connection: Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN mood TEXT DEFAULT 'calm'")

    def fail(connection: Connection) -> None:
        connection.exec_driver_sql("SELECT no_such_column FROM runs")

    with pytest.raises(StoreError):
        migrate(door, clock, {2: add_mood, 3: fail}, 3)
    assert read_only_column(door, "schema") == "1"
    ids = together(4, lambda _n: migrate(door, clock, {2: add_mood}, 2))
    assert set(ids) == {books.installation}
    assert read_only_column(door, "schema") == "2"
    assert [row["mood"] for row in door.query("SELECT mood FROM runs", {})] == ["calm"]
    books.close()


def read_only_column(door: Door, key_: str) -> str:
    (row,) = door.query("SELECT value FROM meta WHERE key = :key", {"key": key_})
    return str(row["value"])


def together(count: int, work: Callable[[int], T]) -> list[T]:
    """Run it in as many threads, released at the same moment; returns what each returned."""
    gate = threading.Barrier(count)
    results: list[T] = []

    def go(n: int) -> None:
        gate.wait()
        results.append(work(n))

    threads = [threading.Thread(target=go, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == count
    return results
