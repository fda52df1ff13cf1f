"""The handoff at every outcome: both forms are there, and say how the run stands now."""

import html
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from repoagents.domain.issue import IssueState
from repoagents.domain.reports import BuildReport
from repoagents.domain.run import Failure, FailureClass, Run, RunStatus
from repoagents.domain.settings import AgentSettings, SafetySettings, TrackerSettings
from repoagents.errors import Exited, StoreError
from repoagents.pipeline import approval, inbox, outcome, reconcile, recovery
from repoagents.pipeline.boundary import StepResult, change
from repoagents.pipeline.dossier import gather
from repoagents.pipeline.intake import Wish, accept
from repoagents.pipeline.sendback import send_back
from repoagents.ports import Request
from repoagents.views.headline import ASKED, headline
from tests.fakes.workspaces import MemoryWorkspaces
from tests.pipeline.conftest import ISSUE, Place

HEADING = re.compile(
    r'<h1 id="happened">(.*?)</h1>\n<p class="asked"><strong>.*?</strong>(.*?)</p>'
)


@pytest.fixture
def light(place: Place) -> Place:
    """The place over a repository in memory."""
    spaces = MemoryWorkspaces(place.house.root.parent / "grounds")
    place.house = replace(place.house, workspaces=spaces)
    return place


def begun(place: Place) -> Run:
    """A run in its first attempt."""
    return change(place.house, place.queue().id, lambda was: was.start(place.clock.now()))


def asked(place: Place, kind: str, **over: object) -> Request:
    """What the operator asks for."""
    return Request("r1", kind, 1, place.clock.now(), **over)


def told(place: Place, run: Run) -> str:
    """The first line of the run's handoff, the same on the page, and true."""
    now = place.now(run)
    known = gather(place.house, now)
    line = headline(now, known.verdict, known.effects)
    assert place.artifact(run, "handoff.md").partition("\n")[0] == line.replace("<", "&lt;")
    found = HEADING.search(place.artifact(run, "handoff.html"))
    assert found
    happened, what = (html.unescape(re.sub("<[^>]+>", "", part)) for part in found.groups())
    assert f"{happened} {ASKED}{what}" == line.replace("`", "")
    return line


async def test_completed(place: Place) -> None:
    run = await place.flow(place.queue())
    assert "a proven change is ready and not published" in told(place, run)
    page = place.artifact(run, "handoff.html")
    assert '<span class="add">+fixed' in page
    assert 'href="verify-fixed.log"' in page
    assert ".prompt.md" not in page, "what was sent to a model stays on the machine"
    assert not re.search(r'(src|href)="(?!#|[\w.-]+")', page)


async def test_rejected(place: Place) -> None:
    run = await place.flow(place.queue())
    assert "rejected:" in approval.reject(place.house, 1, "alex")
    assert "was rejected; it is kept" in told(place, run)


def test_awaiting_approval(light: Place) -> None:
    run = begun(light)
    change(light.house, run.id, lambda was: was.await_approval(light.clock.now()))
    outcome.say(light.house, run.id)
    assert "waits for your approval. Asked of you: look at it" in told(light, run)


async def test_no_change(place: Place) -> None:
    place.agents.builder = lambda _task, _count: BuildReport("nothing to do")
    run = await place.flow(place.queue())
    assert "the builder saw nothing to change" in told(place, run)


async def test_failed(place: Place) -> None:
    def crash(_task: object, _count: int) -> BuildReport:
        raise Exited("it <b>fell</b> over & out")

    place.with_settings(agent=AgentSettings(retry_limit=1))
    place.agents.builder = crash
    run = await place.flow(place.queue())
    assert "failed, out of attempts (engine_crash: it <b>fell</b> over & out" in told(place, run)


ENDS = sorted(kind for kind in FailureClass if kind is not FailureClass.CRASH_LOOP)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("kind", ENDS)
async def test_blocked_failed_or_waiting_for_each_reason(
    light: Place, kind: FailureClass, last: bool
) -> None:
    light.with_settings(agent=AgentSettings(retry_limit=1 if last else 3))
    run = begun(light)
    failure = Failure(kind, "what happened", "what to do")
    after = outcome.conclude(light.house, run.id, 0, StepResult("failed", failure))
    await outcome.finish(light.house, after)
    assert after.status in (RunStatus.BLOCKED, RunStatus.FAILED, RunStatus.RETRY_PENDING)
    assert ASKED in told(light, run)


@pytest.mark.parametrize("stands", ["queued", "in_progress", "retry_pending", "blocked"])
def test_cancelled_without_a_worker(light: Place, stands: str) -> None:
    run, now = light.queue() if stands == "queued" else begun(light), light.clock.now()
    why = Failure(FailureClass.QUESTION, "which?")
    if stands == "retry_pending":
        change(light.house, run.id, lambda was: was.wait_for_retry(why, now, now, spent=True))
    elif stands == "blocked":
        change(light.house, run.id, lambda was: was.block(why, now))
    assert "cancelled:" in inbox.cancel(light.house, asked(light, "cancel"))
    assert "cancelled" in told(light, run)


@pytest.mark.parametrize("when", ["before", "within"])
async def test_called_off(place: Place, when: str) -> None:
    run = place.queue()
    if when == "before":
        reconcile.call_off(place.house, run, "the issue was closed")
    else:
        place.agents.planner = _closing(place)
    run = await place.flow(run)
    assert run.status is RunStatus.CANCELLED
    assert "closed" in told(place, run)


def _closing(place: Place) -> Callable[..., object]:
    planner = place.agents.planner

    def plan(task: object, count: int) -> object:
        place.tracker.issues[1] = replace(ISSUE, state=IssueState.CLOSED)
        return planner(task, count)

    return plan


def blocked(place: Place) -> Run:
    """A run that was handed over because it needs a person."""
    run = begun(place)
    why = Failure(FailureClass.ENVIRONMENT, "make is not installed", "install make")
    change(place.house, run.id, lambda was: was.block(why, place.clock.now()))
    outcome.say(place.house, run.id)
    return run


def test_superseded(light: Place) -> None:
    run = blocked(light)
    light.clock.advance(60)
    newer = accept(light.house, replace(ISSUE, body="Another text."), Wish())
    assert isinstance(newer, Run)
    assert "a newer run took the place of this one. Asked of you: nothing." in told(light, run)
    assert light.house.artifacts.names(1, newer.id) == (), "nothing is handed over yet"


def test_sent_back_to_work(light: Place) -> None:
    run = blocked(light)
    assert isinstance(send_back(light.house, asked(light, "retry")), Run)
    assert "waits for its turn. Asked of you: nothing." in told(light, run)


def test_begun_anew_while_it_waited(light: Place) -> None:
    run, now = begun(light), light.clock.now()
    why = Failure(FailureClass.NETWORK, "no route")
    change(light.house, run.id, lambda was: was.wait_for_retry(why, now, now, spent=False))
    outcome.say(light.house, run.id)
    light.clock.advance(60)
    newer = send_back(light.house, asked(light, "retry", fresh=True))
    assert isinstance(newer, Run)
    assert newer.id != run.id
    assert "cancelled" in told(light, run)


def test_a_crash_loop(light: Place) -> None:
    run = begun(light)
    change(light.house, run.id, lambda was: replace(was, resumes=recovery.RESUME_LIMIT))
    assert recovery.recover(light.house) == ()
    assert "crash_loop: the worker died" in told(light, run)


def test_a_comment_that_was_made_up_for_is_told(light: Place) -> None:
    light.with_settings(safety=SafetySettings(allow_write_comments=True))
    light.tracker.down = True
    run = blocked(light)
    assert "comment | intended" in light.artifact(run, "handoff.md")
    light.tracker.down = False
    outcome.make_up(light.house)
    assert "comment | done" in light.artifact(run, "handoff.md")
    told(light, run)


def test_what_a_fixture_made_says_so_on_the_first_line(light: Place) -> None:
    light.with_settings(tracker=TrackerSettings(mode="fixture"))
    run = blocked(light)
    for name in ("handoff.md", "handoff.html"):
        first = light.artifact(run, name).partition("\n")[0]
        assert "Rehearsal: made from a fixture, not from a live repository." in first, name


def test_a_full_disk_stops_no_person(light: Place) -> None:
    run = blocked(light)

    def refuse(*_: object) -> None:
        raise StoreError("disk full")

    light.house.artifacts.write = refuse
    assert isinstance(send_back(light.house, asked(light, "retry")), Run)
    assert "handoff_failed" in light.journal.codes()
    assert light.now(run).status is RunStatus.QUEUED
