"""A year of runs: what is forgotten, what stays, and that nobody who asks is told otherwise."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from dbos import DBOS

from repoagents.domain.delivery import Delivery
from repoagents.domain.issue import Issue
from repoagents.domain.run import Failure, FailureClass, Run, RunStatus
from repoagents.domain.settings import SafetySettings
from repoagents.durable import flows as engine_flows
from repoagents.durable.flows import DurableFlows
from repoagents.durable.worker import _launched
from repoagents.errors import StoreError
from repoagents.pipeline import approval, janitor
from repoagents.pipeline.boundary import change
from repoagents.pipeline.rollout import measure
from repoagents.pipeline.tick import Rhythm, tick
from repoagents.ports import CommitRequest, Request
from repoagents.store.database import Database
from repoagents.store.requests import NEWEST
from tests.fakes.clock import START
from tests.pipeline.conftest import ISSUE, Place, new_state
from tests.pipeline.conftest import place as ground

__all__ = ["ground", "new_state"]

RUNS = 40
YEAR = timedelta(days=365)
STEP = YEAR / RUNS
WHY = Failure(FailureClass.QUESTION, "which one?")
KEPT = ("runs", "stages", "spend", "ledger", "inbox", "deliveries", "approvals", "pulses")
ENGINE = ("workflow_input", "workflow_output", "operation_outputs")


@pytest.fixture
def world(ground: Place, books: Database) -> Place:
    """The pipeline's house on a state of either kind."""
    names = (*KEPT, "history", "brakes")
    ground.house = replace(ground.house, **{name: getattr(books, name) for name in names})
    ground.with_settings()
    return ground


@asynccontextmanager
async def launched(world: Place, books: Database) -> AsyncIterator[DurableFlows]:
    """The real engine, as one worker after another has it."""
    house = replace(world.house, owner=f"worker-{world.clock.token(6)}")
    async with _launched(house, books.engine, None) as flows:
        await flows.resume()
        yield flows


async def play(flows: DurableFlows, *runs: Run) -> None:
    """Begin the runs' flows, as the tick does, and wait for their ends."""
    for run in runs:
        await asyncio.to_thread(flows.start, run)
    async with asyncio.timeout(60):
        while await DBOS.list_workflows_async(status="PENDING"):
            await asyncio.sleep(0.01)


def known(books: Database, table: str) -> set[str]:
    """The runs of which a table of the engine tells."""
    schema = "" if books.engine.dialect.name == "sqlite" else "dbos."
    with books.engine.begin() as connection:
        found = connection.execute(sa.text(f"SELECT workflow_uuid FROM {schema}{table}"))
        return {str(name).partition(".g")[0] for (name,) in found}


def flow_ids(books: Database) -> set[str]:
    """The runs whose flows the engine knows; nothing of any other is left in its tables."""
    found = known(books, "workflow_status")
    assert all(known(books, table) == found for table in ENGINE)
    return found


def ended(world: Place, number: int, status: RunStatus) -> Run:
    """A run that ended just now, with artifacts and a commit."""
    run, now = world.queue(replace(ISSUE, number=number)), world.clock.now()
    moves = {
        RunStatus.COMPLETED: lambda was: was.start(now).complete(now),
        RunStatus.FAILED: lambda was: was.start(now).fail(WHY, now),
        RunStatus.BLOCKED: lambda was: was.start(now).block(WHY, now),
        RunStatus.CANCELLED: lambda was: was.cancel(now),
    }
    house = world.house
    house.artifacts.write(number, run.id, "handoff.md", "a word\n")
    base = house.workspaces.refresh()
    tree = house.workspaces.tree_of(base.sha)
    house.workspaces.commit(CommitRequest(run.id, base.sha, tree, "A change", now))
    return change(house, run.id, moves[status])


async def live_a_year(world: Place, flows: DurableFlows) -> list[Run]:
    """A run every nine days, each with a delivery, a request and a flow."""
    statuses = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.BLOCKED, RunStatus.CANCELLED)
    house, runs = world.house, []
    for number in range(100, 100 + RUNS):
        run = ended(world, number, statuses[number % len(statuses)])
        now = world.clock.now()
        house.deliveries.put(Delivery(f"d-{number}", "issues", now, "labeled", "octo/cat", number))
        house.deliveries.take(f"d-{number}", "queued", now)
        house.inbox.put(Request(f"comment-{number}", "status", number, now))
        house.inbox.take(f"comment-{number}", "told", now)
        runs.append(run)
        world.clock.advance(STEP.total_seconds())
    await play(flows, *runs)
    return runs


def fill_inbox(world: Place, books: Database, count: int) -> None:
    """Requests that were taken long ago."""
    at = world.clock.now().isoformat()
    row = {"kind": "status", "issue_number": 1, "at": at, "note": "", "fresh": 0, "force": 0}
    row |= {"asked_by": "", "outcome": "told", "taken_at": at}
    names = ", ".join((*row, "id"))
    values = ", ".join(f":{name}" for name in (*row, "id"))
    insert = sa.text(f"INSERT INTO inbox ({names}) VALUES ({values})")
    with books.engine.begin() as connection:
        connection.execute(insert, [{**row, "id": f"old-{number}"} for number in range(count)])


def figures(world: Place, runs: list[Run]) -> object:
    """Everything that status, dashboard, history and rollout are made from."""
    house, ids = world.house, [run.id for run in runs]
    return (
        house.runs.counts(),
        house.runs.select(limit=10_000),
        house.history.days(START - YEAR),
        house.history.kept(ids),
        measure(house),
        approval.pending(house),
        [house.ledger.rows(run_id) for run_id in ids],
    )


async def test_a_year_is_forgotten_and_no_figure_changes(
    world: Place, books: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_flows, "PORTION", 7)
    fill_inbox(world, books, NEWEST)
    house = world.house
    async with launched(world, books) as flows:
        waiting = await world.flow(world.queue())  # Its result is withheld: every flag is off.
        runs = await live_a_year(world, flows)
        active = world.queue(replace(ISSUE, number=7))
        change(house, active.id, lambda was: was.cancel(world.clock.now()))
        await play(flows, world.now(active))
        active = change(house, active.id, lambda was: was.requeue(world.clock.now()))
        before = figures(world, [waiting, *runs])
        await janitor.tidy(house, flows)
        assert figures(world, [waiting, *runs]) == before
        lately = {days: {run.id for run in runs[-(days // STEP.days) :]} for days in (14, 90)}
        assert flow_ids(books) == lately[14] | {active.id}
        blocked = {run.id for run in runs if run.status is RunStatus.BLOCKED}
        refs = house.root / ".ai-repoagents" / "git" / "repo.git" / "refs" / "runs"
        assert {ref.name for ref in refs.iterdir()} == {waiting.id} | blocked | lately[14]
        folders = {run_id for _, run_id, _ in house.artifacts.folders()}
        assert folders == {waiting.id, active.id} | blocked | lately[90]
        numbers = [run.issue_number for run in runs]
        assert house.deliveries.knows([f"d-{number}" for number in numbers]) == set()
        assert house.inbox.outcome("old-0") is None
        assert house.inbox.outcome(f"comment-{numbers[0]}") == "told", "of the newest"


async def test_a_late_duplicate_begins_nothing_and_an_old_result_can_be_published(
    world: Place, books: Database
) -> None:
    house, tracker = world.house, world.house.settings.tracker
    world.with_settings(tracker=replace(tracker, repo="octo/cat"))
    async with launched(world, books) as flows:
        waiting = await world.flow(world.queue())
        over = ended(world, 2, RunStatus.COMPLETED)
        await play(flows, over)
        delivery = Delivery("d-1", "issues", world.clock.now(), "labeled", "octo/cat", 2)
        assert house.deliveries.put(delivery)
        house.deliveries.take("d-1", "queued", world.clock.now())
        world.clock.advance(YEAR.total_seconds())
        await janitor.tidy(world.house, flows)
        assert flow_ids(books) == set()
        asked, stood = len(world.agents.asked), world.house.runs.select()
        assert house.deliveries.put(delivery), "it is not known any more"
        await asyncio.to_thread(tick, world.house, flows, Rhythm(polls=False))
        assert not flows.under_way
        await play(flows, over)  # Nobody does this; the run itself says that it is over.
        assert world.house.runs.select() == stood
        assert len(world.agents.asked) == asked
        world.with_settings(safety=SafetySettings(allow_open_pr=True))
        assert approval.approve(world.house, 1, "alex").startswith("published:")
        assert world.house.workspaces.branch_head(waiting.branch) == waiting.head_sha


async def test_a_run_that_is_sent_back_after_a_year_goes_on(world: Place, books: Database) -> None:
    async with launched(world, books) as flows:
        run = ended(world, 1, RunStatus.FAILED)
        await play(flows, run)
        world.clock.advance(YEAR.total_seconds())
        await janitor.tidy(world.house, flows)
        assert flow_ids(books) == set()
        await play(flows, change(world.house, run.id, lambda was: was.requeue(world.clock.now())))
        assert world.now(run).status is RunStatus.COMPLETED
        assert flow_ids(books) == {run.id}


async def test_the_flows_of_a_run_at_work_stay_whatever_their_age(
    world: Place, books: Database
) -> None:
    async with launched(world, books) as flows:
        run = world.queue(Issue(3, "T"))
        now = world.clock.now()
        change(world.house, run.id, lambda was: was.cancel(now))
        await play(flows, world.now(run))
        back = change(world.house, run.id, lambda was: was.requeue(now))
        world.clock.advance(YEAR.total_seconds())
        await janitor.tidy(world.house, flows)
        assert flow_ids(books) == {back.id}


@pytest.mark.parametrize("jump", [-YEAR, YEAR])
async def test_a_clock_that_jumps_a_year_takes_nothing_that_is_needed(
    world: Place, books: Database, jump: timedelta
) -> None:
    house = world.house
    async with launched(world, books) as flows:
        waiting = await world.flow(world.queue())
        over, blocked = ended(world, 2, RunStatus.FAILED), ended(world, 3, RunStatus.BLOCKED)
        await play(flows, over, blocked)
        house.inbox.put(Request("comment-1", "retry", 2, world.clock.now()))
        house.inbox.take("comment-1", "queued", world.clock.now())
        house.inbox.put(Request("comment-2", "retry", 2, world.clock.now()))
        world.clock.instant += jump
        await janitor.tidy(house, flows)
        refs = house.root / ".ai-repoagents" / "git" / "repo.git" / "refs" / "runs"
        names = {ref.name for ref in refs.iterdir()}
        assert {waiting.id, blocked.id} <= names
        assert (over.id in names) is (jump < timedelta(0))
        assert bool(flow_ids(books)) is (jump < timedelta(0))
        assert house.inbox.outcome("comment-1") == "queued", "a comment is not followed twice"
        assert [each.id for each in house.inbox.pending()] == ["comment-2"]
        assert [each.run_id for each in house.workspaces.worktrees()] == [waiting.id]


async def test_what_cannot_be_forgotten_is_told_and_the_rest_goes_on(
    world: Place, books: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with launched(world, books) as flows:
        over = ended(world, 2, RunStatus.FAILED)
        await play(flows, over)
        world.clock.advance(YEAR.total_seconds())

        def full(_at: object) -> bool:
            raise StoreError("the disk is full")

        monkeypatch.setattr(world.house.deliveries, "forget_before", full)
        await janitor.tidy(world.house, flows)
        assert "errand_failed" in world.journal.codes()
        assert flow_ids(books) == set()
        assert world.house.artifacts.folders() == ()


async def test_an_engine_that_cannot_write_is_told_in_our_words(
    world: Place, books: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with launched(world, books) as flows:
        over = ended(world, 2, RunStatus.FAILED)
        await play(flows, over)
        world.clock.advance(YEAR.total_seconds())
        with monkeypatch.context() as broken, books.engine.connect() as connection:

            async def refused(_ids: list[str]) -> None:
                connection.execute(sa.text("DELETE FROM no_such_table"))

            broken.setattr(DBOS, "delete_workflows_async", refused)
            await janitor.tidy(world.house, flows)
        (told,) = [text for code, text, _ in world.journal.lines if code == "errand_failed"]
        assert "forgetting flows: the state in the durable engine's tables refused" in told
        assert flow_ids(books) == {over.id}
        await janitor.tidy(world.house, flows)
        assert flow_ids(books) == set(), "the next time it goes on"
