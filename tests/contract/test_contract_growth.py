"""A year of runs: what is forgotten, what stays, and that nobody who asks is told otherwise."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from dbos import DBOS

from repoagents.domain.delivery import Delivery
from repoagents.domain.run import Failure, FailureClass, Run, RunStatus
from repoagents.domain.settings import SafetySettings
from repoagents.durable import flows as engine_flows
from repoagents.durable.flows import DurableFlows
from repoagents.durable.worker import _launched
from repoagents.errors import StoreError
from repoagents.pipeline import approval, janitor
from repoagents.pipeline.boundary import change
from repoagents.pipeline.rhythm import Rhythm
from repoagents.pipeline.rollout import measure
from repoagents.pipeline.tick import tick
from repoagents.ports import CommitRequest, Request
from repoagents.store import requests
from repoagents.store.database import Database
from tests.fakes.clock import START
from tests.pipeline.conftest import ISSUE, Place, new_state
from tests.pipeline.conftest import place as ground

__all__ = ["ground", "new_state"]

YEAR = timedelta(days=365)
STEP = timedelta(days=12)
RUNS = 16
"""More than half a year of runs: enough for every retention to have its older and its younger."""

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
    async with asyncio.timeout(300):
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
    """A run that ended just now, with artifacts."""
    run, now = world.queue(replace(ISSUE, number=number)), world.clock.now()
    moves = {
        RunStatus.COMPLETED: lambda was: was.start(now).complete(now),
        RunStatus.FAILED: lambda was: was.start(now).fail(WHY, now),
        RunStatus.BLOCKED: lambda was: was.start(now).block(WHY, now),
        RunStatus.CANCELLED: lambda was: was.cancel(now),
    }
    world.house.artifacts.write(number, run.id, "handoff.md", "a word\n")
    return change(world.house, run.id, moves[status])


def keep_commits(world: Place, runs: Iterable[Run]) -> None:
    """A commit of each run, in the bot's own clone."""
    spaces, now = world.house.workspaces, world.clock.now()
    base = spaces.refresh()
    tree = spaces.tree_of(base.sha)
    for run in runs:
        spaces.commit(CommitRequest(run.id, base.sha, tree, "A change", now))


def refs(world: Place) -> set[str]:
    """The names under which commits are kept."""
    kept = world.house.root / ".ai-repoagents" / "git" / "repo.git" / "refs" / "runs"
    return {ref.name for ref in kept.iterdir()}


def with_worktree(world: Place) -> set[str]:
    """The runs that have a worktree."""
    return {each.run_id for each in world.house.workspaces.worktrees()}


async def live_a_year(world: Place, flows: DurableFlows) -> list[Run]:
    """A run every twelve days, each with a commit, a delivery, a request and a flow."""
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
    keep_commits(world, runs)
    await play(flows, *runs)
    return runs


async def sent_back(world: Place, flows: DurableFlows) -> set[str]:
    """Runs at work that have an ended flow each, more of them than are forgotten at a time."""
    runs = [world.queue(replace(ISSUE, number=number)) for number in (7, 8, 9, 10)]
    for run in runs:
        change(world.house, run.id, lambda was: was.cancel(world.clock.now()))
    await play(flows, *map(world.now, runs))
    for run in runs:
        change(world.house, run.id, lambda was: was.requeue(world.clock.now()))
    return {run.id for run in runs}


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
    monkeypatch.setattr(engine_flows, "PORTION", 3)
    monkeypatch.setattr(requests, "NEWEST", RUNS)
    fill_inbox(world, books, RUNS)
    house = world.house
    async with launched(world, books) as flows:
        waiting = await world.flow(world.queue())  # Its result is withheld: every flag is off.
        active = await sent_back(world, flows)
        runs = await live_a_year(world, flows)
        before = figures(world, [waiting, *runs])
        await janitor.tidy(house, flows)
        assert figures(world, [waiting, *runs]) == before
        lately = {days: {run.id for run in runs[-(days // STEP.days) :]} for days in (14, 90)}
        assert flow_ids(books) == lately[14] | active, "whatever stands before them"
        blocked = {run.id for run in runs if run.status is RunStatus.BLOCKED}
        assert blocked - lately[90]
        assert refs(world) == {waiting.id} | blocked | lately[14]
        folders = {run_id for _, run_id, _ in house.artifacts.folders()}
        assert folders == {waiting.id} | active | blocked | lately[90]
        numbers = [run.issue_number for run in runs]
        assert house.deliveries.knows([f"d-{number}" for number in numbers]) == set()
        assert house.inbox.outcome("old-0") is None
        assert house.inbox.outcome(f"comment-{numbers[0]}") == "told", "of the newest"


async def test_after_a_year_nothing_is_begun_again_and_what_is_asked_for_goes_on(
    world: Place, books: Database
) -> None:
    house, tracker = world.house, world.house.settings.tracker
    world.with_settings(tracker=replace(tracker, repo="octo/cat"))
    async with launched(world, books) as flows:
        waiting = await world.flow(world.queue())
        over, failed = ended(world, 2, RunStatus.COMPLETED), ended(world, 3, RunStatus.FAILED)
        parked = ended(world, 4, RunStatus.CANCELLED)
        await play(flows, over, failed, parked)
        now = world.clock.now()
        change(house, parked.id, lambda was: was.requeue(now))
        delivery = Delivery("d-1", "issues", now, "labeled", "octo/cat", 2)
        assert house.deliveries.put(delivery)
        house.deliveries.take("d-1", "queued", now)
        world.clock.advance(YEAR.total_seconds())
        await janitor.tidy(world.house, flows)
        assert flow_ids(books) == {parked.id}, "of a run at work, whatever its age"

        asked, stood = len(world.agents.asked), world.house.runs.select()
        assert house.deliveries.put(delivery), "it is not known any more"
        await asyncio.to_thread(tick, world.house, flows, Rhythm(polls=False))
        assert not flows.under_way
        await play(flows, over)  # Nobody does this; the run itself says that it is over.
        assert world.house.runs.select() == stood
        assert len(world.agents.asked) == asked

        await play(flows, change(house, failed.id, lambda was: was.requeue(world.clock.now())))
        assert world.now(failed).status is RunStatus.COMPLETED
        assert flow_ids(books) == {parked.id, over.id, failed.id}

        assert (waiting.id in with_worktree(world), waiting.id in refs(world)) == (False, True)
        world.with_settings(safety=SafetySettings(allow_open_pr=True))
        assert approval.approve(world.house, 1, "alex").startswith("published:")
        assert world.house.workspaces.branch_head(waiting.branch) == waiting.head_sha


async def test_a_clock_that_jumps_a_year_takes_nothing_that_is_needed(
    world: Place, books: Database
) -> None:
    house = world.house
    async with launched(world, books) as flows:
        waiting = await world.flow(world.queue())
        over, blocked = ended(world, 2, RunStatus.FAILED), ended(world, 3, RunStatus.BLOCKED)
        keep_commits(world, (over, blocked))
        await play(flows, over, blocked)
        house.inbox.put(Request("comment-1", "retry", 2, world.clock.now()))
        house.inbox.take("comment-1", "queued", world.clock.now())
        house.inbox.put(Request("comment-2", "retry", 2, world.clock.now()))
        for jump, gone in ((-YEAR, set()), (2 * YEAR, {over.id})):
            world.clock.instant += jump
            await janitor.tidy(house, flows)
            assert refs(world) == {waiting.id, blocked.id, over.id} - gone
            assert flow_ids(books) == (set() if gone else {over.id, blocked.id})
            assert with_worktree(world) == (set() if gone else {waiting.id})
            assert house.inbox.outcome("comment-1") == "queued", "a comment is not followed twice"
            assert [each.id for each in house.inbox.pending()] == ["comment-2"]


async def test_what_cannot_be_forgotten_is_told_and_the_rest_goes_on(
    world: Place, books: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = world.house
    async with launched(world, books) as flows:
        over = ended(world, 2, RunStatus.FAILED)
        await play(flows, over)
        world.clock.advance(YEAR.total_seconds())

        def full(_at: object) -> bool:
            raise StoreError("the disk is full")

        async def refused(_ids: list[str]) -> None:
            connection.execute(sa.text("DELETE FROM no_such_table"))

        with monkeypatch.context() as broken, books.engine.connect() as connection:
            broken.setattr(DBOS, "delete_workflows_async", refused)
            broken.setattr(house.deliveries, "forget_before", full)
            await janitor.tidy(house, flows)
        told = [text for code, text, _ in world.journal.lines if code == "errand_failed"]
        assert len(told) == 2
        assert "the disk is full" in told[0]
        assert "forgetting flows: the state in the durable engine's tables refused" in told[1]
        assert flow_ids(books) == {over.id}
        assert house.artifacts.folders() == ()
        await janitor.tidy(house, flows)
        assert flow_ids(books) == set(), "the next time it goes on"
