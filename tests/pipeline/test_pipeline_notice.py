"""What an issue shows while its run is at work and after: one comment, a label, a pair of eyes."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from repoagents.domain.effect import Effect, MergePullRequest, PostComment, SetLabel
from repoagents.domain.issue import Issue, IssueState
from repoagents.domain.reports import BuildReport, Decision, Review, ReviewFinding, Role, Severity
from repoagents.domain.run import Failure, FailureClass, Run, RunStatus, Stage
from repoagents.domain.settings import AgentSettings, SafetySettings
from repoagents.errors import Exited, GitHubError, RepoAgentsError, StateUnreadable, TrackerError
from repoagents.pipeline import approval, notice, outcome, recovery
from repoagents.pipeline.attempt import look, run_attempt
from repoagents.pipeline.boundary import change
from repoagents.pipeline.inbox import cancel
from repoagents.pipeline.reconcile import call_off
from repoagents.pipeline.rhythm import Rhythm
from repoagents.pipeline.tick import poll
from repoagents.ports import Request, RoleTask
from tests.fakes.agents import ScriptedAgents, approve, good_plan, write_fix
from tests.fakes.pulls import MemoryHub
from tests.fakes.world import DirectSteps
from tests.pipeline.conftest import EVERYTHING, ISSUE, Place

WHY = Failure(FailureClass.ENVIRONMENT, "make is not installed", "install make")
WORKING, WAITING = "bot:working", "bot:waiting"


@pytest.fixture(autouse=True)
def labelled(place: Place, hub: MemoryHub) -> None:
    """The issue stands in the hub, nothing is checked, and both labels are configured."""
    hub.issues[1] = ISSUE
    tracker = place.house.settings.tracker
    place.with_settings(
        tracker=replace(tracker, working_label=WORKING, waiting_label=WAITING), verify=()
    )


def started(place: Place) -> Run:
    """A run in its first attempt."""
    queued = place.queue()
    return change(place.house, queued.id, lambda was: was.start(place.clock.now()))


def sent_back(place: Place, run: Run) -> None:
    """A person sends the run back to work, and it has begun."""
    now = place.clock.now()
    change(place.house, run.id, lambda was: was.requeue(now).start(now))


def shown(hub: MemoryHub) -> str:
    """The one comment of the issue."""
    (comment,) = hub.comments.values()
    return comment


def worn(hub: MemoryHub) -> set[str]:
    """The labels that the bot has set."""
    return {label for number, label in hub.labels if number == 1}


# --- while it works -------------------------------------------------------------------------


def watched(place: Place, hub: MemoryHub, seconds: float) -> dict[Role, str]:
    """What the issue shows when each role is asked, which takes it so long."""
    seen: dict[Role, str] = {}

    def noting(role: Role, script: Callable[[RoleTask, int], object]) -> object:
        def note(task: RoleTask, count: int) -> object:
            seen[role] = shown(hub)
            place.clock.advance(seconds)
            return script(task, count)

        return note

    scripts = ScriptedAgents()
    for role in (Role.PLANNER, Role.BUILDER, Role.REVIEWER):
        setattr(place.agents, role.value, noting(role, getattr(scripts, role.value)))
    return seen


async def test_the_comment_follows_the_roles_and_ends_with_the_outcome(
    place: Place, hub: MemoryHub
) -> None:
    seen = watched(place, hub, 31)
    run = await place.flow(place.queue())
    marker = f"<!-- repoagents:{place.house.installation}:issue=1 -->"
    for role, words in (
        (Role.PLANNER, "Planning the change."),
        (Role.BUILDER, "Building the change."),
        (Role.REVIEWER, "Reviewing the change."),
    ):
        assert seen[role].startswith(f"{marker}\nIssue #1: is being worked on.")
        assert words in seen[role]
        assert f"run `{run.id}`, attempt 1, round 1" in seen[role]
    assert "is being worked on" not in shown(hub)
    assert "waits for your approval" in shown(hub)
    (row,) = (row for row in place.house.ledger.rows(run.id) if row.name == "comment")
    assert row.state == "done", "however often it was edited, it is one effect"


async def test_between_two_edits_are_thirty_seconds_but_the_last_word_always_comes(
    place: Place, hub: MemoryHub
) -> None:
    seen = watched(place, hub, 16)
    await place.flow(place.queue())
    assert "Planning" in seen[Role.BUILDER], "16 seconds are too few"
    assert "Reviewing" in seen[Role.REVIEWER], "32 are enough"
    assert "waits for your approval" in shown(hub), "16 seconds after the one before"


def test_an_earlier_runs_word_counts_and_a_clock_that_was_set_back_does_not(
    place: Place, hub: MemoryHub
) -> None:
    run = started(place)
    change(place.house, run.id, lambda was: was.fail(WHY, place.clock.now()))
    outcome.say(place.house, run.id)
    said = shown(hub)
    place.clock.advance(29)
    queued = place.queue(forced=True)
    again = change(place.house, queued.id, lambda was: was.start(place.clock.now()))
    notice.tell(place.house, again, Stage.PLAN, 1)
    assert shown(hub) == said
    place.clock.advance(-3_600)
    notice.tell(place.house, again, Stage.PLAN, 1)
    assert again.id in shown(hub)


async def test_a_second_attempt_goes_on_where_the_plan_stands(place: Place, hub: MemoryHub) -> None:
    seen: list[str] = []

    def fails_once(task: RoleTask, count: int) -> BuildReport:
        seen.append(shown(hub))
        if not count:
            raise Exited("the engine crashed", kind="engine_crash")
        return write_fix(task)

    place.agents.builder = fails_once
    place.with_settings(agent=AgentSettings(base_retry_seconds=60))
    await place.flow(place.queue())
    assert "Building the change." in seen[1]
    assert "attempt 2" in seen[1]


SILENT: dict[str, dict[str, object]] = {
    "the flag is off": {"safety": replace(EVERYTHING, allow_write_comments=False)},
    "it is a fixture": {"tracker": "fixture"},
}


@pytest.mark.parametrize("why", SILENT)
def test_what_is_withheld_leaves_no_trace_while_it_works(
    place: Place, hub: MemoryHub, why: str
) -> None:
    sections = dict(SILENT[why])
    if "tracker" in sections:
        sections["tracker"] = replace(place.house.settings.tracker, mode="fixture")
    place.with_settings(**sections)
    run = started(place)
    notice.begin(place.house, run)
    assert hub.writes == 0
    assert place.house.ledger.rows(run.id) == ()
    assert "effect_withheld" not in place.journal.codes()
    change(place.house, run.id, lambda was: was.fail(WHY, place.clock.now()))
    outcome.say(place.house, run.id)
    names = [row.name for row in place.house.ledger.rows(run.id)]
    assert names == ["comment"], "the last word alone is listed as withheld"


def test_a_local_tracker_hears_the_outcome_only(place: Place, hub: MemoryHub) -> None:
    hub.people = None
    run = started(place)
    notice.begin(place.house, run)
    assert hub.comments == {}
    change(place.house, run.id, lambda was: was.fail(WHY, place.clock.now()))
    outcome.say(place.house, run.id)
    assert "make is not installed" in shown(hub)
    assert worn(hub) == set()


def test_a_proof_for_a_merge_is_no_new_work(place: Place, hub: MemoryHub) -> None:
    run = change(place.house, started(place).id, lambda was: was.await_approval(place.clock.now()))
    notice.begin(place.house, run)
    assert hub.comments == {}
    assert worn(hub) == set()


async def test_a_tracker_that_refuses_never_stops_the_work(place: Place, hub: MemoryHub) -> None:
    def refuse(effect: Effect) -> str:
        raise GitHubError(f"no {type(effect).__name__} today")

    hub.perform = refuse  # type: ignore[method-assign]
    place.with_settings(safety=SafetySettings(allow_write_comments=True))
    run = await place.flow(place.queue())
    assert run.status is RunStatus.COMPLETED
    warned = [message for code, message, _ in place.journal.lines if code == "effect_failed"]
    assert {"the comment could not be written: no PostComment today"} < set(warned)


def test_a_state_that_cannot_be_read_is_no_refusal(
    place: Place, hub: MemoryHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_effect: Effect) -> str:
        raise StateUnreadable("corrupt")

    monkeypatch.setattr(hub, "perform", broken)
    with pytest.raises(StateUnreadable):
        notice.begin(place.house, started(place))


async def test_nobody_is_told_of_work_on_an_issue_that_was_closed(
    place: Place, hub: MemoryHub
) -> None:
    queued = place.queue()
    hub.issues[1] = replace(ISSUE, state=IssueState.CLOSED)
    run = await place.flow(queued)
    assert run.status is RunStatus.CANCELLED
    assert (hub.comments, hub.labels, hub.writes) == ({}, set(), 0)


# --- how it ends ----------------------------------------------------------------------------


def crash(_task: RoleTask, _count: int) -> BuildReport:
    """The engine falls over."""
    raise Exited("the engine crashed", kind="engine_crash")


def refuse(task: RoleTask, count: int) -> Review:
    """A review that never approves."""
    finding = ReviewFinding(Severity.HIGH, "fixed.txt", 1, "wrong")
    return replace(approve(task), decision=Decision.REQUEST_CHANGES, findings=(finding,))


def nothing(_task: RoleTask, _count: int) -> BuildReport:
    """No change at all."""
    return BuildReport("there is nothing to do", ())


ENDS: dict[RunStatus, tuple[dict[str, object], str, set[str]]] = {
    RunStatus.AWAITING_APPROVAL: ({}, "waits for your approval", {WAITING}),
    RunStatus.NO_CHANGE: ({"builder": nothing}, "saw nothing to change", set()),
    RunStatus.FAILED: ({"builder": crash}, "failed, out of attempts", {WAITING}),
    RunStatus.BLOCKED: ({"reviewer": refuse}, "stopped by review, not broken", {WAITING}),
}


@pytest.mark.parametrize("status", ENDS)
async def test_every_end_is_told_and_takes_the_working_label_off(
    place: Place, hub: MemoryHub, status: RunStatus
) -> None:
    scripts, words, labels = ENDS[status]
    for role, script in scripts.items():
        setattr(place.agents, role, script)
    dressed: list[set[str]] = []

    def planned(_task: RoleTask, _count: int) -> object:
        dressed.append(worn(hub))
        return good_plan("fixed.txt")

    place.agents.planner = planned
    run = await place.flow(place.queue())
    assert run.status is status
    assert dressed == [{WORKING}]
    assert words in shown(hub)
    assert worn(hub) == labels


async def test_a_completed_run_wears_nothing(place: Place, hub: MemoryHub) -> None:
    place.with_settings(safety=replace(EVERYTHING, allow_merge=False))
    run = await place.flow(place.queue())
    assert run.status is RunStatus.COMPLETED
    assert "is published" in shown(hub)
    assert worn(hub) == set()


async def test_a_run_that_waits_says_until_when_and_stays_at_work(
    place: Place, hub: MemoryHub
) -> None:
    run = started(place)
    notice.begin(place.house, run)
    at = place.clock.now().replace(hour=23, minute=45)
    waits = change(
        place.house,
        run.id,
        lambda was: was.wait_for_retry(WHY, at, place.clock.now(), spent=True),
    )
    await outcome.finish(place.house, waits)
    assert "waits for its next attempt" in shown(hub)
    assert "not before 2026-03-04 23:45 UTC" in shown(hub)
    assert "not before 2026-03-04 23:45 UTC" in place.artifact(run, "handoff.md")
    assert worn(hub) == {WORKING}


def end_by_cancel(place: Place, run: Run) -> None:
    request = Request("r", "cancel", 1, place.clock.now(), by="olga")
    assert cancel(place.house, request).startswith("cancelled")


def end_by_closing(place: Place, run: Run) -> None:
    place.tracker.issues[1] = replace(ISSUE, state=IssueState.CLOSED)
    call_off(place.house, run, "issue 1 was closed")
    outcome.say(place.house, run.id)


CALLED_OFF = {"cancelled by olga": end_by_cancel, "issue 1 was closed": end_by_closing}


@pytest.mark.parametrize("reason", CALLED_OFF)
@pytest.mark.parametrize("told", [True, False])
def test_who_is_called_off_only_corrects_what_stands(
    place: Place, hub: MemoryHub, reason: str, told: bool
) -> None:
    run = started(place)
    if told:
        notice.begin(place.house, run)
        assert worn(hub) == {WORKING}
    CALLED_OFF[reason](place, run)
    assert len(hub.comments) == told
    if told:
        assert f"Issue #1: {reason}; the work is kept." in shown(hub)
    assert worn(hub) == set()
    assert reason in place.artifact(run, "handoff.md")


def test_of_an_issue_that_went_elsewhere_nothing_is_written(place: Place, hub: MemoryHub) -> None:
    run = started(place)
    notice.begin(place.house, run)
    before, writes = shown(hub), hub.writes
    del hub.issues[1]
    call_off(place.house, run, "issue 1 is gone from the tracker")
    outcome.say(place.house, run.id)
    assert (shown(hub), hub.writes) == (before, writes)
    assert worn(hub) == {WORKING}


async def test_a_wait_that_is_cancelled_is_told_by_its_flow(place: Place, hub: MemoryHub) -> None:
    run = started(place)
    notice.begin(place.house, run)
    now = place.clock.now()
    change(place.house, run.id, lambda was: was.wait_for_retry(WHY, now, now, spent=True))
    request = Request("r", "cancel", 1, now, by="olga")
    cancel(place.house, request, place.flows)
    assert "is being worked on" in shown(hub), "the flow is at it"
    assert await look(place.house, run.id, run.generation) == "cancelled"
    assert "cancelled by olga" in shown(hub)


@pytest.mark.parametrize("status", [RunStatus.BLOCKED, RunStatus.AWAITING_APPROVAL])
def test_without_a_flow_the_cancellation_tells_it_itself(
    place: Place, hub: MemoryHub, status: RunStatus
) -> None:
    run = started(place)
    notice.begin(place.house, run)
    now = place.clock.now()
    if status is RunStatus.BLOCKED:
        change(place.house, run.id, lambda was: was.block(WHY, now))
    else:
        change(place.house, run.id, lambda was: was.await_approval(now))
    cancel(place.house, Request("r", "cancel", 1, now, by="olga"), place.flows)
    assert "cancelled by olga" in shown(hub)
    assert worn(hub) == set()


def test_an_older_run_has_nothing_more_to_say(place: Place, hub: MemoryHub) -> None:
    older = started(place)
    change(place.house, older.id, lambda was: was.cancel(place.clock.now()))
    queued = place.queue(forced=True)
    newer = change(place.house, queued.id, lambda was: was.start(place.clock.now()))
    notice.begin(place.house, newer)
    outcome.say(place.house, older.id)
    assert newer.id in shown(hub)
    assert "is being worked on" in shown(hub)
    assert worn(hub) == {WORKING}


async def test_what_is_published_later_is_told(place: Place, hub: MemoryHub) -> None:
    place.with_settings(safety=SafetySettings(allow_write_comments=True))
    await place.flow(place.queue())
    assert "ready and not published" in shown(hub)
    place.with_settings(safety=replace(EVERYTHING, allow_merge=False))
    assert approval.approve(place.house, 1, "olga").startswith("published")
    assert "is published" in shown(hub)


async def test_a_rejected_merge_is_told(place: Place, hub: MemoryHub) -> None:
    run = await place.flow(place.queue())
    assert run.status is RunStatus.AWAITING_APPROVAL
    approval.reject(place.house, 1, "olga")
    assert "cancelled by olga" in shown(hub)
    assert worn(hub) == set()


async def test_a_worker_that_dies_in_between_doubles_nothing(place: Place, hub: MemoryHub) -> None:
    run = place.queue()
    steps = DirectSteps()

    def die(_task: RoleTask, _count: int) -> object:
        raise KeyboardInterrupt

    place.agents.planner = die
    with pytest.raises(KeyboardInterrupt):
        await run_attempt(place.house, steps, run.id, 0, 1)
    del steps.record["prepare"]  # It died before the engine wrote it down, too.
    place.clock.advance(60)
    writes = hub.writes
    recovery.recover(place.house)
    place.agents.planner = ScriptedAgents().planner
    await run_attempt(place.house, steps, run.id, 0, 1)
    assert len(hub.comments) == 1
    assert hub.labels == {(1, WORKING)}
    assert hub.writes > writes


@pytest.mark.parametrize("late", [False, True])
def test_an_outage_at_the_end_is_made_up_for_by_the_next_poll_for_a_day(
    place: Place, hub: MemoryHub, late: bool
) -> None:
    run = started(place)
    notice.begin(place.house, run)
    place.clock.advance(60)
    change(place.house, run.id, lambda was: was.fail(WHY, place.clock.now()))
    hub.down = True
    outcome.say(place.house, run.id)
    hub.down = False
    assert "is being worked on" in shown(hub)
    assert worn(hub) == {WORKING}
    if late:
        place.clock.advance(2 * 24 * 3_600)
    poll(place.house, place.flows, Rhythm())
    assert ("make is not installed" in shown(hub)) is not late
    assert worn(hub) == ({WORKING} if late else {WAITING})
    writes = hub.writes
    poll(place.house, place.flows, Rhythm())
    assert hub.writes == writes


def test_what_else_is_refused_does_not_hold_up_the_last_word(place: Place, hub: MemoryHub) -> None:
    """GitHub refuses a merge at each poll, or a reply in a conversation that is locked."""
    run = started(place)
    notice.begin(place.house, run)
    place.clock.advance(60)
    change(place.house, run.id, lambda was: was.fail(WHY, place.clock.now()))
    hub.down = True
    outcome.say(place.house, run.id)
    hub.down = False
    place.clock.advance(600)
    refused = MergePullRequest(run.id, run.issue_number, "branch", "c" * 40)
    place.house.ledger.intend(run.id, refused, place.clock.now())
    outcome.make_up(place.house)
    assert "make is not installed" in shown(hub)


def test_what_is_refused_for_good_is_tried_less_and_less(place: Place, hub: MemoryHub) -> None:
    run = started(place)
    change(place.house, run.id, lambda was: was.fail(WHY, place.clock.now()))
    tries: list[float] = []

    def refuse(effect: Effect) -> str:
        tries.append(place.clock.monotonic())
        raise GitHubError("the issue is locked")

    perform, hub.perform = hub.perform, refuse  # type: ignore[method-assign]
    place.with_settings(safety=SafetySettings(allow_write_comments=True))
    tracker = replace(place.house.settings.tracker, waiting_label=None, working_label=None)
    place.with_settings(tracker=tracker)
    outcome.say(place.house, run.id)
    for _ in range(24 * 60 - 1):
        place.clock.advance(60)
        poll(place.house, place.flows, Rhythm())
    waits = [round(after - before) for before, after in pairwise(tries)]
    assert waits == [60, 60, *(60 * 2**n for n in range(1, 10))]
    hub.perform = perform  # type: ignore[method-assign]


def test_what_is_at_work_again_is_told_by_its_flow(place: Place, hub: MemoryHub) -> None:
    run = started(place)
    hub.down = True
    notice.begin(place.house, run)
    hub.down = False
    assert place.house.ledger.unsaid() == (run.id,)
    poll(place.house, place.flows, Rhythm())
    assert hub.comments == {}


# --- labels ---------------------------------------------------------------------------------


def test_a_label_goes_on_and_off_and_on_again(place: Place, hub: MemoryHub) -> None:
    run = started(place)
    for _ in range(3):
        notice.begin(place.house, place.now(run))
        assert worn(hub) == {WORKING}
        change(place.house, run.id, lambda was: was.block(WHY, place.clock.now()))
        outcome.say(place.house, run.id)
        assert worn(hub) == {WAITING}
        sent_back(place, run)
    rows = [row.name for row in place.house.ledger.rows(run.id)]
    assert sorted(rows) == ["comment", "label", "label"]


def test_what_is_worn_already_costs_no_request(
    place: Place, hub: MemoryHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started(place)
    notice.begin(place.house, run)
    hub.labels.clear()
    asked: list[int] = []
    monkeypatch.setattr(hub, "read_issue", asked.append)
    notice.begin(place.house, run)
    assert asked == []
    assert worn(hub) == set(), "a person took it off, and it stays off"


def test_a_label_that_a_person_set_is_theirs(place: Place, hub: MemoryHub) -> None:
    hub.issues[1] = replace(ISSUE, labels=(*ISSUE.labels, WORKING))
    hub.labels.add((1, WORKING))
    run = started(place)
    notice.begin(place.house, run)
    change(place.house, run.id, lambda was: was.complete(place.clock.now()))
    outcome.say(place.house, run.id)
    assert worn(hub) == {WORKING}
    assert "label" not in [row.name for row in place.house.ledger.rows(run.id)]


def test_a_label_of_an_earlier_run_is_taken_off_by_the_next(place: Place, hub: MemoryHub) -> None:
    run = started(place)
    change(place.house, run.id, lambda was: was.fail(WHY, place.clock.now()))
    outcome.say(place.house, run.id)
    assert worn(hub) == {WAITING}
    hub.issues[1] = replace(ISSUE, labels=(*ISSUE.labels, WAITING))
    queued = place.queue(forced=True)
    again = change(place.house, queued.id, lambda was: was.start(place.clock.now()))
    notice.begin(place.house, again)
    assert worn(hub) == {WORKING}


def test_a_label_whose_answer_was_lost_is_ours(place: Place, hub: MemoryHub) -> None:
    perform, lost = hub.perform, [True]

    def cut(effect: Effect) -> str:
        done = perform(effect)
        if isinstance(effect, SetLabel) and lost:
            lost.clear()
            raise GitHubError("the answer was lost")
        return done

    hub.perform = cut  # type: ignore[method-assign]
    run = started(place)
    notice.begin(place.house, run)
    hub.issues[1] = replace(ISSUE, labels=(*ISSUE.labels, WORKING))
    notice.begin(place.house, run)
    assert worn(hub) == {WORKING}
    change(place.house, run.id, lambda was: was.complete(place.clock.now()))
    outcome.say(place.house, run.id)
    assert worn(hub) == set()


def test_without_names_there_are_no_labels(place: Place, hub: MemoryHub) -> None:
    tracker = place.house.settings.tracker
    place.with_settings(tracker=replace(tracker, working_label=None, waiting_label=None))
    run = started(place)
    notice.begin(place.house, run)
    assert [row.name for row in place.house.ledger.rows(run.id)] == ["comment"]
    assert worn(hub) == set()


# --- the eyes -------------------------------------------------------------------------------


def test_a_command_gets_its_eyes_only_with_comments_on(place: Place, hub: MemoryHub) -> None:
    place.with_settings(safety=SafetySettings())
    notice.acknowledge(place.house, 1, 41)
    assert hub.reactions == []
    place.with_settings(safety=SafetySettings(allow_write_comments=True))
    notice.acknowledge(place.house, 1, 41)
    assert hub.reactions == [41]


@pytest.mark.parametrize("error", [GitHubError("no"), TrackerError("no")])
def test_eyes_that_fail_are_a_warning(
    place: Place, hub: MemoryHub, monkeypatch: pytest.MonkeyPatch, error: RepoAgentsError
) -> None:
    def refused(_effect: Effect) -> str:
        raise error

    monkeypatch.setattr(hub, "perform", refused)
    notice.acknowledge(place.house, 1, 41)
    assert place.journal.codes() == ["effect_failed"]


def test_the_comment_tells_of_neither_itself_nor_the_labels(place: Place, hub: MemoryHub) -> None:
    run = started(place)
    notice.begin(place.house, run)
    change(place.house, run.id, lambda was: was.block(WHY, place.clock.now()))
    outcome.say(place.house, run.id)
    before, writes = shown(hub), hub.writes
    assert "| label |" not in before
    outcome.say(place.house, run.id)
    assert (shown(hub), hub.writes) == (before, writes), "said twice, it is the same"


def test_another_issues_comment_does_not_count(place: Place, hub: MemoryHub) -> None:
    hub.issues[2] = other = Issue(2, "Another", labels=("repoagents",))
    notice.begin(place.house, started(place))
    queued = place.queue(other)
    run = change(place.house, queued.id, lambda was: was.start(place.clock.now()))
    notice.begin(place.house, run)
    assert {number for number, _ in hub.comments} == {1, 2}
    assert isinstance(hub.comments, dict)


def test_the_comments_effect_is_the_same_however_often_it_is_edited(place: Place) -> None:
    first = PostComment("run-1", 1, "<!-- m -->", "one")
    assert first.key == replace(first, body="two").key
