"""A run from a queued issue to its last word, over real git, real checks and a real database."""

import base64
from dataclasses import replace
from datetime import timedelta

import pytest

from repoagents.domain.issue import IssueState
from repoagents.domain.pulse import Pause
from repoagents.domain.reports import (
    BuildReport,
    CriterionRow,
    Decision,
    Plan,
    Review,
    ReviewFinding,
    Role,
    Severity,
)
from repoagents.domain.run import FailureClass, RunStatus
from repoagents.domain.settings import (
    AgentSettings,
    LimitSettings,
    RolesSettings,
    SafetySettings,
    VerifySettings,
)
from repoagents.errors import AgentError, Exited, RateLimited, TimedOut
from repoagents.ports import RoleTask
from tests.fakes.agents import PromptlessAgents, good_plan, write_fix
from tests.fakes.inspection import KnownAccess
from tests.pipeline.conftest import ISSUE, SECRET, Place


async def test_a_proven_change_completes_and_is_withheld(place: Place) -> None:
    run = await place.flow(place.queue())
    assert (run.status, run.verified) == (RunStatus.COMPLETED, True)
    assert "+fixed" in place.artifact(run, "changes.patch")
    rows = {row.name: (row.state, row.flag) for row in place.house.ledger.rows(run.id)}
    assert rows == {
        "branch": ("withheld", "safety.allow_open_pr"),
        "draft_pull_request": ("withheld", "safety.allow_open_pr"),
        "comment": ("withheld", "safety.allow_write_comments"),
    }
    assert place.tracker.writes == 0
    assert place.house.workspaces.branch_head(run.branch) is None
    for name in ("planner.json", "builder.md", "reviewer.prompt.md", "decision.json"):
        assert place.artifact(run, name)
    assert "fixed" in place.artifact(run, "handoff.md")


@pytest.mark.parametrize("role", [Role.BUILDER, Role.REVIEWER])
async def test_no_model_is_paid_while_a_later_role_has_no_prompt(place: Place, role: Role) -> None:
    agents = PromptlessAgents(without=role)
    place.house = place.waits.house = replace(place.house, agents=agents)
    run = await place.flow(place.queue())
    assert run.status is RunStatus.BLOCKED
    assert run.failure is not None
    assert run.failure.kind is FailureClass.INVALID_ARGS
    assert (run.failure.message, run.failure.next_step) == (f"{role}.md is bad", "fix it")
    assert agents.asked == []


async def test_the_prompt_of_a_role_that_is_off_is_not_asked_for(place: Place) -> None:
    place.house = replace(place.house, agents=PromptlessAgents(without=Role.REVIEWER))
    place.with_settings(roles=RolesSettings(enabled=(Role.PLANNER, Role.BUILDER)))
    assert (await place.flow(place.queue())).verified


async def test_open_flags_publish_once(place: Place) -> None:
    place.with_settings(safety=SafetySettings(allow_write_comments=True, allow_open_pr=True))
    run = await place.flow(place.queue())
    assert place.house.workspaces.branch_head(run.branch) == run.head_sha
    assert list(place.tracker.pull_requests) == [run.branch]
    assert len(place.tracker.comments) == 1
    assert all(row.state == "done" for row in place.house.ledger.rows(run.id))


async def test_a_fix_contract_goes_back_to_the_builder(place: Place) -> None:
    place.agents.builder = lambda task, count: write_fix(task, "fixed\n" if count else "not yet\n")
    run = await place.flow(place.queue())
    assert (run.status, run.round) == (RunStatus.COMPLETED, 2)
    assert place.agents.count(Role.BUILDER) == 2
    prompts = [prompt for role, prompt in place.agents.asked if role is Role.BUILDER]
    assert "1. [check fixed]" in prompts[1]
    logs = {name for name in place.house.artifacts.names(1, run.id) if name.endswith(".log")}
    assert logs == {f"{prefix}-fixed.log" for prefix in ("base", "verify", "verify-2")}


async def test_the_reviewer_can_stop_a_change_for_good(place: Place) -> None:
    def refuse(task: RoleTask, _count: int) -> Review:
        rows = tuple(CriterionRow(number, False, "missing") for number in task.criteria)
        finding = ReviewFinding(Severity.HIGH, "fixed.txt", 1, "wrong")
        return Review(Decision.REQUEST_CHANGES, rows, (finding,))

    place.agents.reviewer = refuse
    place.agents.builder = lambda task, count: write_fix(task, f"fixed {count}\n")
    run = await place.flow(place.queue())
    assert run.status is RunStatus.BLOCKED
    assert run.failure is not None
    assert run.failure.kind is FailureClass.REQUEST_CHANGES
    assert place.agents.count(Role.BUILDER) == 4
    assert "stopped by review, not broken" in place.artifact(run, "handoff.md")


async def test_no_change_is_an_outcome_of_its_own(place: Place) -> None:
    place.agents.builder = lambda _task, _count: BuildReport("nothing to do", ("ghost.py",))
    run = await place.flow(place.queue())
    assert run.status is RunStatus.NO_CHANGE
    assert "claim_mismatch" in place.artifact(run, "decision.json")


async def test_a_broken_environment_costs_no_call(place: Place) -> None:
    place.with_settings(verify=(VerifySettings("gone", ("no-such-program",)),))
    run = await place.flow(place.queue())
    assert run.status is RunStatus.BLOCKED
    assert run.failure is not None
    assert run.failure.kind is FailureClass.ENVIRONMENT
    assert place.agents.asked == []


async def test_without_checks_a_change_is_unverified_and_says_so(place: Place) -> None:
    place.with_settings(verify=())
    run = await place.flow(place.queue())
    assert (run.status, run.verified) == (RunStatus.COMPLETED, False)
    assert "unverified" in place.artifact(run, "handoff.md").lower()


async def test_retries_are_counted_persist_and_end(place: Place) -> None:
    def crash(_task: RoleTask, _count: int) -> BuildReport:
        raise Exited("it fell over")

    place.agents.builder = crash
    run = await place.flow(place.queue())
    assert (run.status, run.attempt) == (RunStatus.FAILED, 3)
    assert place.agents.count(Role.BUILDER) == 3
    assert place.agents.count(Role.PLANNER) == 1, "a finished stage is not run again"
    assert place.waits.waited == sorted(place.waits.waited)
    assert len(place.waits.waited) == 2


async def test_a_parked_run_spends_no_retry(place: Place) -> None:
    def sometimes(task: RoleTask, count: int) -> BuildReport:
        if count < 5:
            raise AgentError("log in first", kind="auth")
        return write_fix(task)

    place.agents.builder = sometimes
    run = await place.flow(place.queue())
    assert (run.status, run.failures) == (RunStatus.COMPLETED, 0)


async def test_an_answer_outside_the_schema_gets_one_repair(place: Place) -> None:
    place.agents.invalid = [Role.PLANNER]
    run = await place.flow(place.queue())
    assert run.status is RunStatus.COMPLETED
    assert place.agents.count(Role.PLANNER) == 2
    place.agents.invalid = [Role.PLANNER] * 20
    again = await place.flow(place.queue(replace(ISSUE, number=2)))
    assert again.status is RunStatus.FAILED
    assert again.failure is not None
    assert again.failure.kind is FailureClass.CONTRACT_INVALID


@pytest.mark.parametrize("role", [Role.PLANNER, Role.REVIEWER])
async def test_a_role_that_may_only_read_and_writes_is_thrown_out(place: Place, role: Role) -> None:
    honest = getattr(place.agents, role.value)

    def write(task: RoleTask, count: int) -> object:
        if count == 0:
            (task.worktree / "sneaky.txt").write_text("I was here\n")
        return honest(task, count)

    setattr(place.agents, role.value, write)
    run = await place.flow(place.queue())
    assert run.status is RunStatus.COMPLETED
    assert run.attempt == 2
    assert "sneaky" not in place.artifact(run, "changes.patch")


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("answers", [True, False])
async def test_an_agent_that_reached_the_clone_stops_the_run(
    place: Place, role: Role, answers: bool
) -> None:
    honest = getattr(place.agents, role.value)

    def reach(task: RoleTask, count: int) -> object:
        clone = place.house.root / ".ai-repoagents" / "git" / "repo.git"
        with (clone / "config").open("a") as config:
            config.write("[core]\n\tfsmonitor = /tmp/evil\n")
        if not answers:
            raise Exited("and fell over")
        return honest(task, count)

    setattr(place.agents, role.value, reach)
    run = await place.flow(place.queue())
    assert run.status is RunStatus.BLOCKED
    assert run.failure is not None
    assert run.failure.kind is FailureClass.TAMPERED


async def test_a_protected_path_is_handed_to_a_person(place: Place) -> None:
    name = "AGENTS.md"
    place.agents.planner = lambda _task, _count: good_plan(name, "fixed.txt")

    def both(task: RoleTask, _count: int) -> BuildReport:
        (task.worktree / name).write_text("obey\n")
        return write_fix(task)

    place.agents.builder = both
    run = await place.flow(place.queue())
    assert run.status is RunStatus.BLOCKED
    assert run.failure is not None
    assert run.failure.kind is FailureClass.POLICY_BLOCK


async def test_a_secret_of_this_machine_never_gets_out(place: Place) -> None:
    place.with_settings(safety=SafetySettings(allow_write_comments=True, allow_open_pr=True))
    hidden = base64.b64encode(SECRET.encode()).decode()
    place.agents.builder = lambda task, _count: write_fix(task, f"fixed {hidden}\n")
    run = await place.flow(place.queue())
    assert run.status is RunStatus.BLOCKED
    assert place.house.workspaces.branch_head(run.branch or "repoagents/none") is None
    assert hidden not in "".join(place.tracker.comments.values())


async def test_questions_wait_for_a_person(place: Place) -> None:
    asking = replace(good_plan("fixed.txt"), questions=("which one?",))
    place.agents.planner = lambda _task, _count: asking
    run = await place.flow(place.queue())
    assert run.status is RunStatus.BLOCKED
    assert run.failure is not None
    assert run.failure.kind is FailureClass.QUESTION
    assert "which one?" in run.failure.message


async def test_a_closed_issue_stops_the_run(place: Place) -> None:
    run = place.queue()
    place.tracker.issues[1] = replace(ISSUE, state=IssueState.CLOSED)
    ended = await place.flow(run)
    assert ended.status is RunStatus.CANCELLED
    assert place.agents.asked == []


async def test_an_outage_of_the_tracker_never_releases_the_run(place: Place) -> None:
    run = place.queue()
    place.tracker.down = True
    ended = await place.flow(run)
    assert ended.status is RunStatus.FAILED
    assert ended.failure is not None
    assert "tracker is down" in ended.failure.message


async def test_no_attempt_is_begun_while_github_lets_no_request_through(place: Place) -> None:
    until = place.clock.now() + timedelta(minutes=50)
    limit = RateLimited("GitHub's rate limit", retry_at=until)

    def limited_at_first(_task: RoleTask, count: int) -> Plan:
        if count == 0:
            place.tracker.inspection = KnownAccess(pause=Pause(until, str(limit)))
            raise limit
        return good_plan("fixed.txt")

    place.agents.planner = limited_at_first
    run = await place.flow(place.queue())
    assert (run.status, run.attempt, run.failures) == (RunStatus.COMPLETED, 2, 0)
    assert sum(place.waits.waited) == pytest.approx(50 * 60)
    assert max(place.waits.waited) <= 15 * 60


async def test_a_budget_is_asked_before_the_call(place: Place) -> None:
    place.with_settings(limits=LimitSettings(tokens_per_run=9000))
    run = await place.flow(place.queue())
    assert run.status is RunStatus.BLOCKED
    assert run.failure is not None
    assert run.failure.kind is FailureClass.BUDGET
    assert "limits.tokens_per_run" in run.failure.message
    assert place.agents.count(Role.PLANNER) <= 1


async def test_what_an_ended_builder_left_is_kept_as_a_patch(place: Place) -> None:
    def half(task: RoleTask, count: int) -> BuildReport:
        if count == 0:
            write_fix(task, "half\n", "half.txt")
            raise TimedOut("silent", kind="timeout_idle")
        return write_fix(task)

    place.agents.builder = half
    run = await place.flow(place.queue())
    assert run.status is RunStatus.COMPLETED
    assert "+half" in place.artifact(run, "partial-2-1.patch")
    assert "half" not in place.artifact(run, "changes.patch")


async def test_publishing_alone_is_repeated_when_it_fails(place: Place) -> None:
    place.with_settings(safety=SafetySettings(allow_open_pr=True))
    perform = place.tracker.perform
    failed: list[bool] = []

    def once(effect: object) -> str:
        if not failed:
            failed.append(True)
            place.tracker.down = True
        place.tracker.down, down = False, place.tracker.down
        if down:
            raise AgentError("the tracker broke in mid-write", kind="infra")
        return perform(effect)

    place.tracker.perform = once
    run = await place.flow(place.queue())
    assert (run.status, run.attempt) == (RunStatus.COMPLETED, 2)
    assert place.agents.count(Role.BUILDER) == 1
    assert place.tracker.writes == 1


async def test_one_active_run_per_issue(place: Place) -> None:
    place.queue()
    with pytest.raises(AssertionError, match="queued already"):
        place.queue()


async def test_waits_are_those_of_the_settings(place: Place) -> None:
    place.with_settings(agent=AgentSettings(retry_limit=1))
    place.agents.builder = lambda _task, _count: (_ for _ in ()).throw(Exited("no"))
    run = await place.flow(place.queue())
    assert (run.status, run.attempt) == (RunStatus.FAILED, 1)
