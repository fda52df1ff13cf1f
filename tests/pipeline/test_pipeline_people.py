"""What people do to runs: retry, cancel, approve, clean; and what the loop does by itself."""

from dataclasses import replace
from datetime import timedelta

import pytest

from repoagents.domain.host_settings import RetentionSettings
from repoagents.domain.issue import IssueState
from repoagents.domain.reports import BuildReport, Role
from repoagents.domain.run import Failure, FailureClass, Run, RunStatus, Stage
from repoagents.domain.settings import SafetySettings, WorkspaceSettings
from repoagents.errors import Exited, TrackerError
from repoagents.pipeline import approval, janitor, recovery
from repoagents.pipeline.attempt import run_attempt
from repoagents.pipeline.intake import Wish, accept
from repoagents.pipeline.preview import candidate, candidates, preview
from repoagents.pipeline.rhythm import LastPoll, Rhythm
from repoagents.pipeline.sendback import send_back
from repoagents.pipeline.tick import tick
from repoagents.ports import Request, RoleTask
from tests.fakes.agents import good_plan, write_fix
from tests.fakes.world import DirectSteps
from tests.pipeline.conftest import ISSUE, Place

OPEN = SafetySettings(allow_write_comments=True, allow_open_pr=True)


def ask(place: Place, kind: str, number: int = 1, **more: object) -> str:
    """Leave a request; returns its id."""
    request = Request(place.clock.token(8), kind, number, place.clock.now(), by="alex", **more)
    assert place.house.inbox.put(request)
    return request.id


async def said(place: Place, request: str, rhythm: Rhythm | None = None) -> str:
    """What a tick made of the request."""
    tick(place.house, place.flows, rhythm or Rhythm(polls=False))
    outcome = place.house.inbox.outcome(request)
    assert outcome is not None
    return outcome


def crash(_task: RoleTask, _count: int) -> BuildReport:
    """A builder that falls over."""
    raise Exited("it fell over")


async def test_polling_queues_what_is_eligible_once(place: Place) -> None:
    place.tracker.issues = {
        1: ISSUE,
        2: replace(ISSUE, number=2, labels=("p0",)),
        3: replace(ISSUE, number=3, state=IssueState.CLOSED),
    }
    rhythm = Rhythm()
    tick(place.house, place.flows, rhythm)
    runs = [place.house.runs.find(run_id) for run_id in place.flows.started]
    assert [run.issue_number for run in runs if run] == [2, 1]
    tick(place.house, place.flows, rhythm)
    assert len(place.flows.started) == 2, "not due yet"
    await place.clock.sleep(301)
    tick(place.house, place.flows, rhythm)
    assert len(place.flows.started) == 2, "already running"


async def test_an_outage_never_ends_the_loop(place: Place) -> None:
    place.tracker.down = True
    tick(place.house, place.flows, Rhythm())
    assert "poll_failed" in place.journal.codes()


async def test_a_clock_set_back_still_polls(place: Place) -> None:
    rhythm = Rhythm(last_poll=LastPoll(place.clock.now() + timedelta(days=1)))
    place.tracker.issues = {1: ISSUE}
    tick(place.house, place.flows, rhythm)
    assert len(place.flows.started) == 1


async def test_a_failed_issue_stays_failed_until_its_text_changes(place: Place) -> None:
    place.agents.builder = crash
    run = await place.flow(place.queue())
    assert run.status is RunStatus.FAILED
    refused = accept(place.house, ISSUE, Wish())
    assert isinstance(refused, str)
    assert "retry 1" in refused
    edited = replace(ISSUE, body="Please mend it, on line 3.")
    accepted = accept(place.house, edited, Wish())
    assert isinstance(accepted, Run)
    assert place.now(run).status is RunStatus.SUPERSEDED


async def test_retry_resumes_at_the_failed_stage(place: Place) -> None:
    place.agents.builder = crash
    run = await place.flow(place.queue())
    assert "queued" in await said(place, ask(place, "retry", note="look at line 3"))
    place.agents.builder = lambda task, _count: write_fix(task)
    ended = await place.flow(place.now(run))
    assert ended.status is RunStatus.COMPLETED
    assert place.agents.count(Role.PLANNER) == 1
    assert "look at line 3" in place.agents.asked[-2][1]


async def test_retry_fresh_plans_anew_and_keeps_the_old(place: Place) -> None:
    place.agents.builder = crash
    run = await place.flow(place.queue())
    await said(place, ask(place, "retry", fresh=True))
    latest = place.house.runs.latest(1)
    assert latest is not None
    assert latest.id != run.id
    assert {worktree.run_id for worktree in place.house.workspaces.worktrees()} == {run.id}


async def test_retry_of_a_question_asks_the_planner_again(place: Place) -> None:
    asking = replace(good_plan("fixed.txt"), questions=("which one?",))
    place.agents.planner = lambda _task, count: good_plan("fixed.txt") if count else asking
    run = await place.flow(place.queue())
    assert run.status is RunStatus.BLOCKED
    await said(place, ask(place, "retry", note="the first one"))
    ended = await place.flow(place.now(run))
    assert ended.status is RunStatus.COMPLETED
    assert "the first one" in place.agents.asked[1][1]


async def test_retry_says_when_there_is_nothing_to_retry(place: Place) -> None:
    assert "trigger 1" in await said(place, ask(place, "retry"))
    await place.flow(place.queue())
    assert "--force" in await said(place, ask(place, "retry"))


async def test_cancel_keeps_the_work_and_a_stale_attempt_does_nothing(place: Place) -> None:
    run = place.queue()
    assert "the work is kept" in await said(place, ask(place, "cancel"))
    assert place.now(run).status is RunStatus.CANCELLED
    await said(place, ask(place, "retry"))
    again = place.now(run)
    assert (again.status, again.generation) == (RunStatus.QUEUED, 1)
    stale = await run_attempt(place.house, DirectSteps(), run.id, 0, 1)
    assert '"stopped"' in stale
    assert place.now(run).status is RunStatus.QUEUED, "the old turn's attempt is not this turn's"
    assert (await place.flow(again)).status is RunStatus.COMPLETED


async def test_trigger_needs_no_label_and_refuses_what_is_closed(place: Place) -> None:
    place.with_settings(tracker=replace(place.house.settings.tracker, trigger_label="repoagents"))
    place.tracker.issues = {
        1: replace(ISSUE, labels=()),
        2: replace(ISSUE, number=2, state=IssueState.CLOSED),
    }
    assert "queued" in await said(place, ask(place, "trigger", 1))
    assert "closed" in await said(place, ask(place, "trigger", 2))
    assert "no issue 9" in await said(place, ask(place, "trigger", 9))


async def test_an_unchanged_completed_issue_runs_again_only_by_force(place: Place) -> None:
    await place.flow(place.queue())
    assert "--force" in await said(place, ask(place, "trigger"))
    assert "queued" in await said(place, ask(place, "trigger", force=True))


async def test_a_dirty_checkout_stops_new_runs(place: Place) -> None:
    (place.house.root / "broken.txt").write_text("in the middle of something\n")
    refused = accept(place.house, ISSUE, Wish())
    assert isinstance(refused, str)
    assert "broken.txt" in refused
    for policy in ("warn", "allow"):
        place.with_settings(workspace=WorkspaceSettings(dirty_policy=policy))
        issue = replace(ISSUE, number=2 if policy == "warn" else 3)
        assert isinstance(accept(place.house, issue, Wish()), Run)
    assert "checkout_dirty" in place.journal.codes()


async def test_opening_a_flag_later_publishes_what_was_proven(place: Place) -> None:
    run = await place.flow(place.queue())
    assert "allow_open_pr is off" in approval.approve(place.house, 1, "alex")
    assert place.house.workspaces.branch_head(run.branch) is None
    calls = len(place.agents.asked)
    place.with_settings(safety=OPEN)
    assert approval.approve(place.house, 1, "alex").startswith("published:")
    assert place.house.workspaces.branch_head(run.branch) == run.head_sha
    assert len(place.agents.asked) == calls
    assert approval.pending(place.house) == ()
    (word,) = place.house.approvals.select(run.id)
    assert (word.decision, word.head_sha, word.diff_hash) == (
        "approve",
        run.head_sha,
        run.diff_hash,
    )


async def test_a_rejected_result_is_never_published(place: Place) -> None:
    run = await place.flow(place.queue())
    assert "will not be published" in approval.reject(place.house, 1, "alex", "not like this")
    place.with_settings(safety=OPEN)
    assert "refused" in approval.approve(place.house, 1, "alex")
    assert place.house.workspaces.branch_head(run.branch) is None


async def test_clean_removes_finished_worktrees_and_nothing_that_waits(place: Place) -> None:
    await place.flow(place.queue())
    assert await janitor.sweep(place.house, dry_run=False) == (), "its result is withheld"
    approval.reject(place.house, 1, "alex")
    (shown,) = await janitor.sweep(place.house, dry_run=True)
    assert shown.size > 0
    assert len(place.house.workspaces.worktrees()) == 1
    await janitor.sweep(place.house, dry_run=False)
    assert place.house.workspaces.worktrees() == ()


async def test_the_loop_removes_only_what_outlived_its_retention(place: Place) -> None:
    place.with_settings(retention=RetentionSettings(worktree_days=2, artifact_days=5))
    run = await place.flow(place.queue())
    approval.reject(place.house, 1, "alex")
    await place.clock.sleep(86_400)
    assert await janitor.sweep(place.house, dry_run=False, expired_only=True) == ()
    await place.clock.sleep(86_400 * 2)
    (removed,) = await janitor.sweep(place.house, dry_run=False, expired_only=True)
    assert run.id in removed.path
    await place.clock.sleep(86_400 * 3)
    await janitor.sweep(place.house, dry_run=False, expired_only=True)
    assert place.house.artifacts.folders() == ()


async def test_recovery_parks_what_went_down_with_its_worker_until_it_loops(place: Place) -> None:
    run = place.queue()
    for count in range(recovery.RESUME_LIMIT + 1):
        now = place.now(run)
        place.house.runs.replace(now, now.start(place.clock.now()))
        (after,) = recovery.recover(place.house) or (place.now(run),)
        expected = RunStatus.QUEUED if count < recovery.RESUME_LIMIT else RunStatus.FAILED
        assert after.status is expected
    failure = place.now(run).failure
    assert failure is not None
    assert failure.kind is FailureClass.CRASH_LOOP


async def test_a_parked_run_goes_on_in_the_same_attempt(place: Place) -> None:
    run = place.queue()
    steps = DirectSteps()
    await run_attempt(place.house, steps, run.id, 0, 1)
    now = place.now(run)
    assert now.status is RunStatus.IN_PROGRESS
    stop = Failure(FailureClass.INTERRUPTED, "stopped")
    place.house.runs.replace(now, now.park(stop, place.clock.now()))
    del steps.record["verdict-1"], steps.record["publish-1"]
    asked = len(place.agents.asked)
    await run_attempt(place.house, steps, run.id, 0, 1)
    after = place.now(run)
    assert (after.status, after.attempt) == (RunStatus.IN_PROGRESS, 1)
    assert len(place.agents.asked) == asked


async def test_a_dry_run_plans_and_the_real_run_uses_its_plan(place: Place) -> None:
    place.tracker.issues = {1: ISSUE}
    chosen = candidate(place.house, place.house.runs.latest, 1, forced=False)
    assert chosen is not None
    shown = await preview(place.house, chosen, agent=True)
    assert shown.plan == good_plan("fixed.txt")
    assert {name: flag for name, flag, _ in shown.effects} == {
        "branch": "safety.allow_open_pr",
        "draft_pull_request": "safety.allow_open_pr",
        "comment": "safety.allow_write_comments",
    }
    assert place.house.runs.latest(1) is None
    assert place.house.workspaces.worktrees() == ()
    await place.flow(place.queue())
    assert place.agents.count(Role.PLANNER) == 1
    assert "plan_reused" in place.journal.codes()


async def test_a_dry_run_lists_every_candidate_with_its_reason(place: Place) -> None:
    place.tracker.issues = {1: ISSUE, 2: replace(ISSUE, number=2)}
    place.queue(replace(ISSUE, number=2))
    shown = candidates(place.house, place.house.runs.latest)
    assert [(row.issue.number, row.reason is None) for row in shown] == [(1, True), (2, False)]
    without = await preview(place.house, shown[0], agent=False)
    assert without.plan is None
    assert place.agents.asked == []


@pytest.mark.parametrize("number", [1, 2])
async def test_one_comment_per_issue_is_edited_in_place(place: Place, number: int) -> None:
    place.with_settings(safety=OPEN)
    issue = replace(ISSUE, number=number)
    place.agents.builder = crash
    run = await place.flow(place.queue(issue))
    assert len(place.tracker.comments) == 1
    first = next(iter(place.tracker.comments.values()))
    await said(place, ask(place, "retry", number))
    place.agents.builder = lambda task, _count: write_fix(task)
    await place.flow(place.now(run))
    assert len(place.tracker.comments) == 1
    assert next(iter(place.tracker.comments.values())) != first


async def test_a_retry_that_was_carried_out_and_not_marked_is_the_same_retry(place: Place) -> None:
    place.agents.builder = crash
    run = await place.flow(place.queue())
    request = Request("one", "retry", 1, place.clock.now(), by="alex")
    first, again = send_back(place.house, request), send_back(place.house, request)
    assert first == again == place.now(run)
    assert place.now(run).generation == 1


async def test_a_half_done_retry_of_a_builders_question_keeps_the_plan(place: Place) -> None:
    def ask_back(task: RoleTask, count: int) -> BuildReport:
        return write_fix(task) if count else BuildReport("?", (), questions=("which one?",))

    place.agents.builder = ask_back
    run = await place.flow(place.queue())
    assert run.status is RunStatus.BLOCKED
    for stage in (Stage.BUILD, Stage.VERIFY, Stage.REVIEW, Stage.VERDICT):
        place.house.stages.void(run.id, stage, run.round)
    await said(place, ask(place, "retry", note="the first one"))
    ended = await place.flow(place.now(run))
    assert ended.status is RunStatus.COMPLETED
    assert place.agents.count(Role.PLANNER) == 1


async def test_a_fresh_retry_that_is_refused_leaves_the_waiting_run_alone(place: Place) -> None:
    run = waiting(place)
    (place.house.root / "broken.txt").write_text("in the middle of something\n")
    assert "broken.txt" in await said(place, ask(place, "retry", fresh=True))
    assert place.now(run).status is RunStatus.RETRY_PENDING


async def test_trigger_ends_the_wait_of_a_run(place: Place) -> None:
    run = waiting(place)
    assert "following" in await said(place, ask(place, "trigger"))
    assert place.now(run).next_at == place.clock.now()
    assert run.id in place.flows.woken


async def test_cancel_comes_too_late_without_harm(place: Place) -> None:
    run = place.queue()
    latest = place.house.runs.latest

    def ended_meanwhile(number: int) -> Run | None:
        found = latest(number)
        begun = run.start(place.clock.now())
        place.house.runs.replace(run, begun)
        place.house.runs.replace(begun, begun.complete(place.clock.now()))
        return found

    place.house.runs.latest = ended_meanwhile
    assert "completed already" in await said(place, ask(place, "cancel"))


async def test_a_worker_that_is_to_end_says_when_the_tracker_cannot_be_read(place: Place) -> None:
    place.tracker.down = True
    with pytest.raises(TrackerError):
        tick(place.house, place.flows, Rhythm(insists=True))


def waiting(place: Place) -> Run:
    """A run that waits for its second attempt."""
    run = place.queue()
    now = place.clock.now()
    begun = run.start(now)
    assert place.house.runs.replace(run, begun)
    failed = Failure(FailureClass.ENGINE_CRASH, "it fell over")
    later = begun.wait_for_retry(failed, now + timedelta(minutes=9), now, spent=True)
    assert place.house.runs.replace(begun, later)
    return later
