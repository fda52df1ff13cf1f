"""The rollout over real books: key figures from runs, and stepping back on a critical finding."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from repoagents.cli.app import run
from repoagents.domain.change import TakenBack
from repoagents.domain.effect import (
    Effect,
    MergePullRequest,
    OpenDraftPullRequest,
    PostComment,
    PushBranch,
    Withheld,
)
from repoagents.domain.host_settings import RolloutSettings
from repoagents.domain.reports import BuildReport, Decision, Plan, Role
from repoagents.domain.rollout import Brake, Phase
from repoagents.domain.run import Failure, FailureClass, RunStatus, Stage
from repoagents.domain.settings import AgentSettings, LlmSettings, RolesSettings, SafetySettings
from repoagents.errors import Exited, GitError
from repoagents.logs import Redactor
from repoagents.pipeline import publisher
from repoagents.pipeline.boundary import StepResult
from repoagents.pipeline.rollout import judge, look_for_reverts, measure, read_soak
from repoagents.pipeline.stepping_back import step_back_if_critical
from repoagents.pipeline.survey import Host, stand, survey
from repoagents.policy.attention import Weight
from repoagents.policy.rollout import Kpis, Share, State
from repoagents.policy.safety import may_ask_for_deliveries
from repoagents.ports import CLOSED, Approval, RoleTask, StageKey
from repoagents.store.reports import FileReports
from tests.fakes.agents import approve, write_fix
from tests.fakes.workspaces import MemoryWorkspaces
from tests.pipeline.conftest import EVERYTHING, ISSUE, SECRET, Place

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
HELD = RolloutSettings(step_back=True)


@pytest.fixture
def light(place: Place) -> Place:
    """The place with git in memory: what is counted does not depend on it."""
    spaces = MemoryWorkspaces(place.house.root.parent / "grounds")
    place.house = replace(place.house, workspaces=spaces)
    place.waits.house = place.house
    return place


def tamper(place: Place) -> None:
    """Let the builder reach into the bot's own clone."""

    def reach(task: RoleTask, _count: int) -> BuildReport:
        clone = place.house.root / ".ai-repoagents" / "git" / "repo.git"
        with (clone / "config").open("a") as config:
            config.write("[core]\n\tfsmonitor = /tmp/evil\n")
        return write_fix(task)

    place.agents.builder = reach


def leak(place: Place) -> None:
    """Let the builder write a secret of this machine."""
    place.agents.builder = lambda task, _count: write_fix(task, f"fixed\n{SECRET}\n")


def test_of_no_run_nothing_is_known(light: Place) -> None:
    assert measure(light.house) == Kpis()


async def test_a_run_that_goes_well_counts_everywhere_it_should(light: Place) -> None:
    assert (await light.flow(light.queue())).status is RunStatus.COMPLETED
    assert measure(light.house) == Kpis(
        finished=1,
        succeeded=1,
        false_claims=Share(0, 1),
        passed_reviews=Share(1, 1),
        blocked=Share(0, 1),
        recovered=Share(0, 0),
        overridden=Share(0, 1),
    )


async def test_each_answer_that_git_or_the_checks_refute_is_counted(light: Place) -> None:
    def learn(task: RoleTask, count: int) -> BuildReport:
        made = write_fix(task, "fixed\n" if count else "broken\n")
        return made if count < 2 else replace(made, changed_files=("elsewhere.txt",))

    light.agents.builder = learn
    await light.flow(light.queue())
    assert measure(light.house).false_claims == Share(1, 2), "the first fails the check"
    await light.flow(light.queue(replace(ISSUE, number=2)))
    assert measure(light.house).false_claims == Share(2, 3), "git does not show the third"


async def test_a_question_is_no_claim(light: Place) -> None:
    asked = BuildReport("?", ("nowhere.txt",), questions=("which one?",))
    light.agents.builder = lambda _task, _count: asked
    run = await light.flow(light.queue())
    assert run.status is RunStatus.BLOCKED
    figures = measure(light.house)
    assert (figures.false_claims, figures.blocked) == (Share(0, 0), Share(1, 1))


async def test_a_run_recovers_or_does_not(light: Place) -> None:
    def stumble(task: RoleTask, count: int) -> BuildReport:
        if count == 0 or task.issue_number == 2:
            raise Exited("it ended with 1")
        return write_fix(task)

    light.agents.builder = stumble
    assert (await light.flow(light.queue())).status is RunStatus.COMPLETED
    assert measure(light.house).recovered == Share(1, 1)
    assert (await light.flow(light.queue(replace(ISSUE, number=2)))).status is RunStatus.FAILED
    figures = measure(light.house)
    assert (figures.recovered, figures.finished, figures.succeeded) == (Share(1, 2), 2, 1)


async def test_a_run_that_fails_at_its_only_attempt_did_not_recover(light: Place) -> None:
    def fall(_task: RoleTask, _count: int) -> BuildReport:
        raise Exited("it ended with 1")

    light.with_settings(agent=AgentSettings(retry_limit=1))
    light.agents.builder = fall
    assert (await light.flow(light.queue())).status is RunStatus.FAILED
    assert measure(light.house).recovered == Share(0, 1)


async def test_a_review_that_is_not_passed_counts(light: Place) -> None:
    asks = Decision.REQUEST_INFO
    light.agents.reviewer = lambda task, _count: replace(approve(task), decision=asks)
    await light.flow(light.queue())
    figures = measure(light.house)
    assert (figures.passed_reviews, figures.blocked) == (Share(0, 1), Share(1, 1))


@pytest.mark.parametrize(
    ("decision", "count"), [("reject", 1), (CLOSED, 1), ("approve", 0), ("revise", 0)]
)
async def test_a_result_that_a_person_turns_down_counts(
    light: Place, decision: str, count: int
) -> None:
    run = await light.flow(light.queue())
    word = Approval(run.id, decision, run.head_sha, run.diff_hash, "mia", light.clock.now())
    light.house.approvals.add(word)
    light.house.approvals.add(word)
    assert measure(light.house).overridden == Share(count, 1)


@pytest.mark.parametrize("merged", [True, False])
async def test_a_merge_that_was_reverted_counts(light: Place, merged: bool) -> None:
    run = await light.flow(light.queue())
    if merged:
        publisher.adopt(light.house, publisher.merge_of(run), "https://github.com/o/r/pull/9")
    spaces = light.house.workspaces
    assert isinstance(spaces, MemoryWorkspaces)
    spaces.taken = (TakenBack("d" * 40, ("e" * 40, run.head_sha), "Merge it"),)
    reverted = look_for_reverts(light.house, light.house)
    assert bool(reverted) == merged
    assert measure(light.house, reverted).overridden == Share(int(merged), 1)
    spaces.unreachable = GitError("no way there", kind="unreachable")
    assert look_for_reverts(light.house, light.house) == reverted, "as it was fetched last"


async def test_old_runs_and_those_called_off_do_not_count(light: Place) -> None:
    await light.flow(light.queue())
    called_off = light.queue(replace(ISSUE, number=2))
    light.house.runs.replace(called_off, called_off.cancel(light.clock.now()))
    assert measure(light.house).finished == 1
    await light.clock.sleep(timedelta(days=31).total_seconds())
    assert measure(light.house).finished == 0


@pytest.mark.parametrize("stage", [Stage.BASE_CHECK, Stage.BUILD, Stage.VERIFY, Stage.REVIEW])
async def test_a_value_of_another_version_is_left_out_and_its_run_named(
    light: Place, stage: Stage
) -> None:
    await light.flow(light.queue())
    other = await light.flow(light.queue(replace(ISSUE, number=2)))
    light.house.stages.record(StageKey(other.id, 1, stage, 1, "x"), "of 9.0", NOON, 0.0)
    figures = measure(light.house)
    assert (figures.finished, figures.succeeded, figures.unreadable) == (2, 2, (other.id,))
    whole = figures.passed_reviews if stage is Stage.REVIEW else figures.false_claims
    assert whole.whole == 1


def test_stored_plans_are_dry_runs(light: Place) -> None:
    plan = Plan("p", ("s",), ("f",), ("c",))
    light.house.artifacts.keep_plan(3, "one", plan)
    light.house.artifacts.keep_plan(3, "two", plan)
    assert measure(light.house).dry_runs == 2


# --- the judgement ------------------------------------------------------------------------------


@pytest.fixture
def reports(place: Place) -> FileReports:
    """The reports of the place."""
    return FileReports(place.house.root / ".ai-repoagents", Redactor(()))


def kept_soak(place: Place, reports: FileReports, **changes: object) -> None:
    """Keep a soak that passed just now."""
    row = {"at": place.clock.now().isoformat(), "version": "1.0", "seconds": 600.0}
    reports.write("reports/soak.json", json.dumps(row | {"problems": []} | changes))


async def test_three_good_runs_justify_the_next_phase(light: Place, reports: FileReports) -> None:
    for number in (1, 2, 3):
        await light.flow(light.queue(replace(ISSUE, number=number)))
    light.house.artifacts.keep_plan(1, "one", Plan("p", ("s",), ("f",), ("c",)))
    kept_soak(light, reports)
    reports.write("dashboard/index.html", "<!doctype html>")
    found = judge(light.house, reports, (), "1.0")
    assert (found.phase, found.next, found.missing) == (Phase.OBSERVE, Phase.COMMENT, ())
    assert found.justified
    stricter = judge(light.house, reports, (), "1.1")
    assert [row.key for row in stricter.missing] == ["soak"]


def test_settings_are_told_and_a_rehearsal_is_noticed(light: Place, reports: FileReports) -> None:
    light.with_settings(
        llm=LlmSettings(mode="rehearsal"), roles=RolesSettings((Role.PLANNER, Role.BUILDER))
    )
    found = judge(light.house, reports, (), "1.0")
    rows = {row.key: row for row in (*found.criteria, *found.checklist)}
    assert rows["model"].state is State.MISSING
    assert "review pass rate" not in rows
    fit = rows["policies and flags fit the repository's risk"]
    assert fit.found == "dirty_policy block, merge_policy human_approval, no write allowed"


SOAKED = '{"at": "%s", "version": "1", "seconds": %s, "problems": [%s]}'


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "[" * 100_000, '{"at": "never", "version": "1"}', "{}"),
        SOAKED % ("2026-01-01T00:00:00", 600, ""),  # of no known place on earth
        *(SOAKED % ("2026-01-01T00:00:00Z", wrong, "") for wrong in ("NaN", "1e999", '"600"')),
    ],
)
def test_a_damaged_report_of_a_soak_is_none(reports: FileReports, text: str) -> None:
    assert read_soak(reports) is None
    reports.write("reports/soak.json", text)
    assert read_soak(reports) is None


def test_a_problem_of_a_soak_is_a_text(reports: FileReports) -> None:
    reports.write("reports/soak.json", SOAKED % ("2026-01-01T00:00:00Z", 600, "7, null"))
    soak = read_soak(reports)
    assert soak is not None
    assert soak.problems == ("7", "None")


def test_a_failed_soak_is_read_with_its_problems(light: Place, reports: FileReports) -> None:
    kept_soak(light, reports, problems=["issue #1 has 2 comments"])
    soak = read_soak(reports)
    assert soak is not None
    assert (soak.passed, soak.problems) == (False, ("issue #1 has 2 comments",))


# --- a person steps back while a worker is at work ----------------------------------------------

OPEN = """\
tracker: {kind: local_markdown, path: issues}
safety: {allow_write_comments: true, allow_open_pr: true, allow_merge: true}
"""
MERGE, PUSH = MergePullRequest("r", 1, "b", "c" * 40), PushBranch("r", 1, "b", "c" * 40)
COMMENT = PostComment("r", 1, "m", "b")


@pytest.fixture
def worker(light: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A worker that has read a file with every flag on; we stand in its repository."""
    light.with_settings(safety=EVERYTHING)
    (light.house.root / ".ai-repoagents" / "repoagents.yaml").write_text(OPEN)
    (light.house.root / "issues").mkdir()
    monkeypatch.chdir(light.house.root)
    return light


def refused(place: Place, effect: Effect) -> str:
    """The flag that withholds such an effect in the worker, empty for none."""
    gated = publisher.gate(place.house, effect)
    return gated.flag if isinstance(gated, Withheld) else ""


async def test_a_person_who_steps_back_is_obeyed_by_the_live_worker(
    worker: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    def alarm(task: RoleTask, _count: int) -> BuildReport:
        assert run(["rollout", "back", "--to", "observe", "--yes"]) == 0
        return write_fix(task)

    worker.agents.builder = alarm
    ended = await worker.flow(worker.queue())
    assert "a live worker writes nothing beyond observe from now on" in capsys.readouterr().out
    assert worker.house.settings.safety == EVERYTHING, "it goes on with what it has read"
    assert ended.status is RunStatus.COMPLETED
    assert worker.tracker.writes == 0
    rows = worker.house.ledger.rows(ended.id)
    assert {row.state for row in rows} == {"withheld"}
    assert {row.flag for row in rows} <= {"safety.allow_write_comments", "safety.allow_open_pr"}


def test_forwards_lets_the_live_worker_go_by_one_phase_and_no_further(worker: Place) -> None:
    assert run(["rollout", "back", "--to", "observe", "--yes"]) == 0
    assert refused(worker, COMMENT) == "safety.allow_write_comments"
    settings, brakes = worker.house.settings, worker.house.brakes
    assert not may_ask_for_deliveries(settings, brakes.find())
    for lets, stops, flag in (
        (COMMENT, PUSH, "safety.allow_open_pr"),
        (PUSH, MERGE, "safety.allow_merge"),
    ):
        assert run(["rollout", "advance", "--yes", "--force", "x"]) == 0
        assert (refused(worker, lets), refused(worker, stops)) == ("", flag)
        assert may_ask_for_deliveries(settings, brakes.find())
    assert run(["rollout", "advance", "--yes", "--force", "x"]) == 0
    assert refused(worker, MERGE) == ""
    assert brakes.find() is None


def test_a_person_who_steps_back_never_loosens_what_a_finding_holds(worker: Place) -> None:
    pulled = Brake(Phase.COMMENT, "a change held a secret", "r", 7, worker.clock.now())
    worker.house.brakes.pull(pulled)
    assert run(["rollout", "back", "--to", "draft-pr", "--yes"]) == 0
    assert worker.house.brakes.find() == pulled
    assert run(["rollout", "back", "--yes"]) == 0
    assert refused(worker, COMMENT), "from the phase in force, not from the flags"


def test_a_brake_is_told_only_where_it_holds_something_back(
    worker: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["rollout", "back", "--to", "comment", "--yes"]) == 0
    told = survey(worker.house, Host("1"))
    assert told.brake is not None, "the worker's flags allow more"
    (held,) = [c for c in stand(worker.house, told, Host("1")).concerns if "stepped" in c.code]
    assert (held.weight, held.title[:15]) == (Weight.LOW, "Held to comment")
    worker.with_settings(safety=SafetySettings(allow_write_comments=True))
    assert survey(worker.house, Host("1")).brake is None, "it was started anew"
    capsys.readouterr()
    for words in (["rollout", "status"], ["status"], ["doctor"]):
        run(words)
        out = capsys.readouterr().out
        assert "held to" not in out
        assert "stepped back" not in out
    (worker.house.root / ".ai-repoagents" / "repoagents.yaml").write_text(OPEN)
    run(["rollout", "status"])
    assert "held to comment: " in (out := capsys.readouterr().out)
    assert " stepped back (2026-" in out


# --- stepping back ------------------------------------------------------------------------------


@pytest.mark.parametrize(("deed", "words"), [(tamper, "trusts"), (leak, "secret")])
async def test_a_critical_finding_holds_the_bot_back(
    place: Place, deed: object, words: str
) -> None:
    place.with_settings(safety=EVERYTHING, rollout=HELD)
    deed(place)  # type: ignore[operator]
    run = await place.flow(place.queue())
    assert run.status is RunStatus.BLOCKED
    brake = place.house.brakes.find()
    assert brake is not None
    assert (brake.phase, brake.run_id, brake.issue_number) == (Phase.DRAFT_PR, run.id, 1)
    assert words in brake.reason
    assert SECRET not in brake.reason
    assert place.journal.codes().count("stepped_back") == 1
    merge = publisher.gate(place.house, publisher.merge_of(run))
    assert isinstance(merge, Withheld)
    assert merge.flag == "rollout.step_back"
    push = publisher.push_of(run)
    assert publisher.gate(place.house, push) == push
    standing = stand(place.house, survey(place.house, Host("1")), Host("1"))
    assert "stepped_back" in [concern.code for concern in standing.concerns]


async def test_each_further_finding_steps_further_down_to_observe(place: Place) -> None:
    place.with_settings(safety=EVERYTHING, rollout=HELD)
    leak(place)
    for number, phase in enumerate([Phase.DRAFT_PR, Phase.COMMENT, *[Phase.OBSERVE] * 2], 1):
        await place.flow(place.queue(replace(ISSUE, number=number)))
        brake = place.house.brakes.find()
        assert brake is not None
        assert brake.phase is phase
    for effect in (
        PostComment("r", 1, "m", "b"),
        PushBranch("r", 1, "b", "c" * 40),
        OpenDraftPullRequest("r", 1, "t", "b", "h", "main"),
    ):
        assert isinstance(publisher.gate(place.house, effect), Withheld)


def test_an_end_that_is_recorded_twice_steps_back_once(light: Place) -> None:
    light.with_settings(safety=EVERYTHING, rollout=HELD)
    run = light.queue()
    ended = StepResult("failed", Failure(FailureClass.TAMPERED, "the clone was changed"))
    for _ in range(2):
        step_back_if_critical(light.house, run, ended)
    brake = light.house.brakes.find()
    assert brake is not None
    assert brake.phase is Phase.DRAFT_PR
    assert light.journal.codes().count("stepped_back") == 1


@pytest.mark.parametrize("deed", [tamper, leak])
async def test_nothing_steps_back_unless_it_was_asked_for(place: Place, deed: object) -> None:
    place.with_settings(safety=EVERYTHING)
    deed(place)  # type: ignore[operator]
    assert (await place.flow(place.queue())).status is RunStatus.BLOCKED
    assert place.house.brakes.find() is None


async def test_a_protected_path_or_a_bad_review_is_not_critical(light: Place) -> None:
    light.with_settings(safety=EVERYTHING, rollout=HELD)
    light.agents.builder = lambda task, _count: write_fix(task, name="AGENTS.md")
    assert (await light.flow(light.queue())).status is RunStatus.BLOCKED
    assert light.house.brakes.find() is None


async def test_in_observe_there_is_nothing_to_step_back_to(place: Place) -> None:
    place.with_settings(rollout=HELD)
    leak(place)
    assert (await place.flow(place.queue())).status is RunStatus.BLOCKED
    assert place.house.brakes.find() is None
    assert "stepped_back" not in place.journal.codes()
