"""From an issue to a queued run, and from a stopped run back to work."""

from dataclasses import replace

import pytest

from repoagents.domain.issue import IssueState
from repoagents.domain.reports import BuildReport, Plan, Verdict, VerdictKind, Verification
from repoagents.domain.run import Failure, FailureClass, Run, RunStatus, Stage
from repoagents.domain.settings import TrackerSettings, WorkspaceSettings
from repoagents.pipeline.boundary import change
from repoagents.pipeline.intake import Wish, accept, why_dirty
from repoagents.pipeline.sendback import send_back
from repoagents.ports import Request, StageKey
from tests.fakes.agents import good_plan
from tests.fakes.workspaces import MemoryWorkspaces
from tests.pipeline.conftest import ISSUE, Place

EDITED = replace(ISSUE, body="Please mend it, on line 3.")
BY_HAND = Wish(by_hand=True)


@pytest.fixture(autouse=True)
def spaces(place: Place) -> MemoryWorkspaces:
    """The place's repository, in memory."""
    found = MemoryWorkspaces(place.house.root.parent / "grounds")
    place.house = replace(place.house, workspaces=found)
    place.tracker.issues = {1: ISSUE}
    return found


def left_in(place: Place, status: RunStatus, kind: FailureClass = FailureClass.INFRA) -> Run:
    """A run of the issue in this status; where it has a failure, of this class."""
    run, now, why = place.queue(), place.clock.now(), Failure(kind, "because")
    moves = {
        RunStatus.QUEUED: lambda was: was,
        RunStatus.IN_PROGRESS: lambda was: was.start(now),
        RunStatus.RETRY_PENDING: lambda was: was.start(now).wait_for_retry(
            why, now, now, spent=True
        ),
        RunStatus.AWAITING_APPROVAL: lambda was: was.start(now).await_approval(now),
        RunStatus.BLOCKED: lambda was: was.start(now).block(why, now),
        RunStatus.COMPLETED: lambda was: was.start(now).complete(now),
        RunStatus.NO_CHANGE: lambda was: was.start(now).end_without_change(now),
        RunStatus.FAILED: lambda was: was.start(now).fail(why, now),
        RunStatus.CANCELLED: lambda was: was.cancel(now),
        RunStatus.SUPERSEDED: lambda was: was.supersede(now),
    }
    left = change(place.house, run.id, moves[status])
    place.clock.advance(60)
    return left


# --- accepting ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "dirty", "refuses", "warns"),
    [
        ("allow", (), False, False),
        ("allow", ("a.txt",), False, False),
        ("warn", (), False, False),
        ("warn", ("a.txt",), False, True),
        ("block", (), False, False),
        ("block", ("a.txt",), True, False),
    ],
)
def test_what_a_dirty_checkout_means(
    place: Place,
    spaces: MemoryWorkspaces,
    policy: str,
    dirty: tuple[str, ...],
    refuses: bool,
    warns: bool,
) -> None:
    place.with_settings(workspace=WorkspaceSettings(dirty_policy=policy))
    spaces.dirty = dirty
    reason = why_dirty(place.house)
    assert (reason is not None) is refuses
    assert ("checkout_dirty" in place.journal.codes()) is warns
    assert isinstance(accept(place.house, ISSUE, Wish()), str) is refuses
    assert (place.house.runs.latest(1) is None) is refuses


def test_a_long_list_of_dirty_paths_is_cut(place: Place, spaces: MemoryWorkspaces) -> None:
    spaces.dirty = tuple("abcdefgh")
    assert "(a, b, c, d, e and 3 more)" in (why_dirty(place.house) or "")


def test_a_run_keeps_the_issue_as_it_was_read(place: Place) -> None:
    run = accept(place.house, ISSUE, Wish(note="on line 3"))
    assert isinstance(run, Run)
    place.tracker.issues[1] = EDITED
    assert place.house.runs.issue(run.id) == ISSUE
    assert place.now(run) == run
    assert (run.status, run.attempt, run.note) == (RunStatus.QUEUED, 0, "on line 3")
    assert (run.title, run.fingerprint) == (ISSUE.title, ISSUE.fingerprint)
    assert run.id.startswith("20260304-050607-")
    assert "run_queued" in place.journal.codes()


@pytest.mark.parametrize("status", RunStatus)
def test_only_an_ended_run_of_another_text_makes_room(place: Place, status: RunStatus) -> None:
    run = left_in(place, status)
    assert isinstance(accept(place.house, ISSUE, Wish()), str), "the same text never again"
    newer = accept(place.house, EDITED, Wish())
    assert isinstance(newer, Run) is status.terminal
    stopped = status in (RunStatus.BLOCKED, RunStatus.FAILED)
    assert place.now(run).status is (RunStatus.SUPERSEDED if stopped else status)


@pytest.mark.parametrize("wish", [Wish(forced=True), Wish(fresh=True)])
@pytest.mark.parametrize("status", RunStatus)
def test_force_repeats_what_ended_and_never_doubles_what_goes_on(
    place: Place, status: RunStatus, wish: Wish
) -> None:
    left_in(place, status)
    assert isinstance(accept(place.house, ISSUE, wish), Run) is status.terminal
    assert len(place.house.runs.of_issue(1)) == 1 + status.terminal


@pytest.mark.parametrize(
    ("wish", "accepted"), [(Wish(), False), (Wish(forced=True), False), (BY_HAND, True)]
)
def test_only_a_person_who_names_the_issue_needs_no_label(
    place: Place, wish: Wish, accepted: bool
) -> None:
    place.with_settings(tracker=TrackerSettings(trigger_label="go"))
    assert isinstance(accept(place.house, ISSUE, wish), Run) is accepted


def test_a_closed_issue_is_accepted_by_force_alone(place: Place) -> None:
    closed = replace(ISSUE, state=IssueState.CLOSED)
    reason = accept(place.house, closed, Wish(by_hand=True, fresh=True))
    assert isinstance(reason, str)
    assert "closed" in reason
    assert isinstance(accept(place.house, closed, Wish(by_hand=True, forced=True)), Run)


# --- sending back ---------------------------------------------------------------------------------

KEPT = {
    (Stage.PLAN, 0): good_plan("a.txt"),
    (Stage.BUILD, 1): BuildReport("did it"),
    (Stage.VERIFY, 1): Verification("t" * 40),
    (Stage.VERDICT, 1): Verdict(VerdictKind.HAND_OFF, ("why",)),
}


def keep(place: Place, run: Run, plan: Plan = KEPT[Stage.PLAN, 0]) -> None:
    """The stages of a first round, finished."""
    for (stage, round_), value in {**KEPT, (Stage.PLAN, 0): plan}.items():
        key = StageKey(run.id, 1, stage, round_, "hash")
        place.house.stages.record(key, value, place.clock.now(), 1.0)


def standing(place: Place, run: Run) -> set[Stage]:
    """The stages that are not run again."""
    return {
        stage
        for (stage, _), value in KEPT.items()
        if place.house.stages.last(run.id, stage, type(value)) is not None
    }


def asked(place: Place, *, note: str = "", fresh: bool = False) -> Request:
    """A person's request to retry issue 1, made now."""
    return Request("r-1", "retry", 1, place.clock.now(), note=note, fresh=fresh, by="alex")


ALL = {stage for stage, _ in KEPT}
RETRYABLE = [status for status in RunStatus if status.retryable]


@pytest.mark.parametrize("status", RunStatus)
def test_what_can_be_sent_back_goes_on_as_the_same_run(place: Place, status: RunStatus) -> None:
    run = left_in(place, status)
    sent = send_back(place.house, asked(place, note="line 3"))
    if status not in RETRYABLE:
        assert isinstance(sent, str)
        assert "--force" in sent if status is RunStatus.COMPLETED else "nothing to retry" in sent
        assert place.now(run) == run
        return
    assert isinstance(sent, Run)
    assert place.now(run) == sent
    assert (sent.id, sent.status, sent.generation) == (run.id, RunStatus.QUEUED, 1)
    assert (sent.note, sent.failures, sent.resumes) == ("line 3", 0, 0)
    assert sent.failure is None


VOIDING = {FailureClass.QUESTION, FailureClass.POLICY_BLOCK, FailureClass.TAMPERED}
WITH_CLASS = [RunStatus.BLOCKED, RunStatus.FAILED, RunStatus.RETRY_PENDING]


@pytest.mark.parametrize("status", WITH_CLASS)
@pytest.mark.parametrize("kind", FailureClass)
def test_what_stopped_the_run_is_asked_again_and_the_rest_stands(
    place: Place, status: RunStatus, kind: FailureClass
) -> None:
    run = left_in(place, status, kind)
    keep(place, run)
    sent = send_back(place.house, asked(place))
    assert isinstance(sent, Run)
    assert standing(place, run) == ({Stage.PLAN} if kind in VOIDING else ALL)
    by_review = kind is FailureClass.REQUEST_CHANGES
    assert (sent.round, sent.round_limit) == ((2, 5) if by_review else (1, 4))


@pytest.mark.parametrize("status", [RunStatus.NO_CHANGE, RunStatus.CANCELLED])
def test_a_run_without_a_change_builds_again_and_a_cancelled_one_goes_on(
    place: Place, status: RunStatus
) -> None:
    run = left_in(place, status)
    keep(place, run)
    assert isinstance(send_back(place.house, asked(place)), Run)
    assert standing(place, run) == ({Stage.PLAN} if status is RunStatus.NO_CHANGE else ALL)


def test_the_planners_question_goes_back_to_the_planner(place: Place) -> None:
    run = left_in(place, RunStatus.BLOCKED, FailureClass.QUESTION)
    keep(place, run, replace(good_plan("a.txt"), questions=("which one?",)))
    send_back(place.house, asked(place, note="the first"))
    assert Stage.PLAN not in standing(place, run)


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("status", RETRYABLE)
def test_a_new_text_or_a_fresh_start_is_a_new_run(
    place: Place, status: RunStatus, fresh: bool
) -> None:
    run = left_in(place, status)
    if not fresh:
        place.tracker.issues[1] = EDITED
    sent = send_back(place.house, asked(place, note="line 3", fresh=fresh))
    assert isinstance(sent, Run)
    assert sent.id != run.id
    assert (sent.status, sent.generation, sent.note) == (RunStatus.QUEUED, 0, "line 3")
    assert sent.fingerprint == place.tracker.issues[1].fingerprint
    assert place.now(run).status.terminal


@pytest.mark.parametrize("status", RETRYABLE)
def test_a_fresh_start_from_a_dirty_checkout_leaves_the_run_as_it_was(
    place: Place, spaces: MemoryWorkspaces, status: RunStatus
) -> None:
    run = left_in(place, status)
    spaces.dirty = ("a.txt",)
    assert "uncommitted" in str(send_back(place.house, asked(place, fresh=True)))
    assert place.now(run) == run
    assert isinstance(send_back(place.house, asked(place)), Run), "going on needs no clean checkout"


def test_a_note_stays_until_another_takes_its_place(place: Place) -> None:
    run = left_in(place, RunStatus.FAILED)
    for note, expected in (("first", "first"), ("", "first"), ("second", "second")):
        sent = send_back(place.house, asked(place, note=note))
        assert isinstance(sent, Run)
        assert sent.note == expected
        now = place.clock.now()
        why = Failure(FailureClass.INFRA, "again")
        change(place.house, run.id, lambda was, at=now, f=why: was.start(at).fail(f, at))
        place.clock.advance(60)


def test_an_issue_that_is_gone_can_still_be_sent_back(place: Place) -> None:
    run = left_in(place, RunStatus.FAILED)
    place.tracker.issues.clear()
    sent = send_back(place.house, asked(place))
    assert isinstance(sent, Run)
    assert sent.id == run.id, "its text was kept; before a model is paid it is looked for again"


def test_a_request_that_was_carried_out_already_is_the_same_run(place: Place) -> None:
    run = left_in(place, RunStatus.FAILED)
    request = asked(place)
    first = send_back(place.house, request)
    assert send_back(place.house, request) == first
    place.clock.advance(60)
    assert isinstance(send_back(place.house, asked(place)), str), "a later one finds it queued"
    assert place.now(run).generation == 1


def test_without_a_run_there_is_nothing_to_send_back(place: Place) -> None:
    assert "`repoagents trigger 1` starts one" in str(send_back(place.house, asked(place)))
