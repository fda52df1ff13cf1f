"""Whose pull request is open, as the books say it, on SQLite and on a real PostgreSQL."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repoagents.domain.effect import Effect, MergePullRequest, OpenDraftPullRequest, Receipt
from repoagents.domain.issue import Issue
from repoagents.domain.run import Run, RunStatus
from repoagents.ports import CLOSED, Approval
from repoagents.store.database import Database, open_database
from repoagents.store.open_pulls import newest_query
from tests.contract.conftest import forget_runs
from tests.fakes.clock import FakeClock

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
FOLLOWED = (RunStatus.AWAITING_APPROVAL, RunStatus.COMPLETED, RunStatus.BLOCKED)
RUNS = ("one", "two", "three")
ISSUES = {"one": 7, "two": 7, "three": 8}
ACTS = ("intend", "withhold", "open", "reopen", "merge", "merge_again", "close", "approve")


def add(books: Database, identity: str, status: RunStatus = RunStatus.COMPLETED) -> Run:
    number = ISSUES[identity]
    run = Run(identity, number, "Title", "f" * 64, status, NOW, NOW)
    assert books.runs.add(run, Issue(number, "Title", "Body"))
    return run


def pull(run_id: str, body: str = "Body") -> OpenDraftPullRequest:
    return OpenDraftPullRequest(run_id, ISSUES[run_id], "Title", body, f"bot/{run_id}", "main")


def merge(run_id: str, head: str = "a" * 40) -> MergePullRequest:
    return MergePullRequest(run_id, ISSUES[run_id], f"bot/{run_id}", head)


def close(books: Database, effect: Effect) -> None:
    books.ledger.close(effect.run_id, effect, Receipt(effect.key, "there", NOW))


def act(books: Database, what: str, run_id: str) -> None:
    match what:
        case "intend":
            books.ledger.intend(run_id, pull(run_id, "Another body"), NOW)
        case "withhold":
            books.ledger.withhold(run_id, merge(run_id), "safety.allow_merge", "off", NOW)
        case "open":
            close(books, pull(run_id))
        case "reopen":
            close(books, pull(run_id, "Another body"))
        case "merge":
            close(books, merge(run_id))
        case "merge_again":
            close(books, merge(run_id, "b" * 40))
        case _:
            decision = CLOSED if what == "close" else "approve"
            books.approvals.add(Approval(run_id, decision, "h", "d", "olga", NOW))


def by_the_books(books: Database) -> list[str]:
    """The same, worked out run by run from what the other books say."""
    return [run.id for run in books.runs.select(FOLLOWED) if is_open(books, run)]


def is_open(books: Database, run: Run) -> bool:
    latest = books.runs.latest(run.issue_number)
    done = {row.name for row in books.ledger.rows(run.id) if row.state == "done"}
    last = [approval.decision for approval in books.approvals.select(run.id)][-1:]
    opened = "draft_pull_request" in done and "merge" not in done
    return latest is not None and latest.id == run.id and opened and last != [CLOSED]


def found(books: Database) -> list[str]:
    return [run.id for run in books.runs.with_open_pull_request(FOLLOWED)]


def test_a_pull_request_is_open_from_its_receipt_to_its_end(books: Database) -> None:
    run = add(books, "one")
    assert found(books) == []
    act(books, "intend", "one")
    assert found(books) == []
    act(books, "reopen", "one")
    assert books.runs.with_open_pull_request(FOLLOWED) == (run,)
    act(books, "close", "one")
    assert found(books) == []
    act(books, "approve", "one")
    assert found(books) == ["one"], "the last word counts"
    act(books, "merge", "one")
    assert found(books) == []


def test_only_the_newest_run_of_an_issue_counts(books: Database) -> None:
    for identity in RUNS:
        add(books, identity)
        act(books, "open", identity)
    assert found(books) == ["three", "two"]


@pytest.mark.parametrize("status", list(RunStatus))
def test_only_the_statuses_asked_for_count(books: Database, status: RunStatus) -> None:
    add(books, "one", status)
    act(books, "open", "one")
    assert found(books) == (["one"] if status in FOLLOWED else [])
    assert len(books.runs.with_open_pull_request((status,))) == 1
    assert books.runs.with_open_pull_request(()) == ()


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(st.sampled_from(ACTS), st.sampled_from(RUNS)), max_size=8))
def test_whatever_happens_it_is_what_the_books_say(
    books: Database, acts: list[tuple[str, str]]
) -> None:
    forget_runs(books)
    assert found(books) == []
    for identity in RUNS:
        add(books, identity)
    for what, run_id in acts:
        act(books, what, run_id)
        assert found(books) == by_the_books(books)


def test_the_query_begins_with_the_few_that_are_open(tmp_path: Path) -> None:
    books = open_database(str(tmp_path / "state.sqlite"), clock=FakeClock())
    query, names = newest_query(FOLLOWED)
    plan = [row["detail"] for row in books.door.query(f"EXPLAIN QUERY PLAN {query}", names)]
    books.close()
    assert plan[0] == "SCAN open_pulls"
    assert not any(step.startswith("SCAN runs") for step in plan), plan
