"""One call of one role: budget, prompt, answer, the one repair, and what is kept of it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pytest

from repoagents.domain.engines import EngineChoice
from repoagents.domain.issue import IssueState
from repoagents.domain.reports import BuildReport, Plan, Role, Usage
from repoagents.domain.run import FailureClass, Run, RunStatus, Stage
from repoagents.domain.settings import AgentSettings, LimitSettings, RoleSettings, RolesSettings
from repoagents.errors import Exited, Stopped, StoreError
from repoagents.logs import HIDDEN, Redactor
from repoagents.pipeline.boundary import Halted, change
from repoagents.pipeline.roles import Call, consult, input_hash, prompt_key
from repoagents.policy import budget
from repoagents.ports import AgentReply, Brief, RoleTask, Worktree
from repoagents.store.artifacts import FileArtifacts
from tests.fakes.agents import ScriptedAgents, good_plan
from tests.pipeline.conftest import ISSUE, SECRET, Place


@dataclass
class WatchedAgents(ScriptedAgents):
    """Keeps the tasks, and runs `meanwhile` in the middle of each call."""

    tasks: list[RoleTask] = field(default_factory=list)
    meanwhile: Callable[[Callable[[str], None]], None] = lambda _heard: None

    async def ask(self, task: RoleTask, heard: Callable[[str], None]) -> AgentReply:
        """Follow the script, watched."""
        self.tasks.append(task)
        self.meanwhile(heard)
        return await super().ask(task, heard)


@pytest.fixture
def agents(place: Place) -> WatchedAgents:
    """The place's agents, watched; its artifacts hide the secret."""
    place.agents = WatchedAgents()
    artifacts = FileArtifacts(place.house.root / ".ai-repoagents", Redactor([SECRET]))
    place.house = replace(place.house, agents=place.agents, artifacts=artifacts)
    return place.agents


def called(place: Place, role: Role = Role.PLANNER, round_: int = 1, left: float = 9999) -> Call:
    """A call for a run in its first attempt."""
    run = place.queue()
    run = change(place.house, run.id, lambda was: was.start(place.clock.now()))
    brief = Brief(role, ISSUE, run.id, "nonce", "b" * 40, round_)
    return Call(run, Worktree(1, run.id, place.house.root), brief, left)


def used(place: Place, run: Run) -> Usage:
    """What the run has reserved or spent."""
    return place.house.spend.spent(run.id, place.clock.now()).run


async def test_the_prompt_that_was_sent_is_the_prompt_that_is_kept(
    place: Place, agents: WatchedAgents
) -> None:
    call = called(place)
    assert await consult(place.house, call) == good_plan("fixed.txt")
    (task,) = agents.tasks
    assert place.artifact(call.run, "planner.prompt.md") == task.prompt == repr(call.brief)
    assert '"summary": "fix it"' in place.artifact(call.run, "planner.json")
    assert "- the fix is there" in place.artifact(call.run, "planner.md")


@pytest.mark.parametrize(
    ("role", "round_", "label"),
    [(Role.PLANNER, 1, "planner"), (Role.BUILDER, 1, "builder"), (Role.BUILDER, 3, "builder-3")],
)
async def test_only_the_builder_may_write_and_each_round_has_its_files(
    place: Place, agents: WatchedAgents, role: Role, round_: int, label: str
) -> None:
    agents.builder = lambda _task, _count: BuildReport("did it")
    call = called(place, role, round_)
    await consult(place.house, call)
    (task,) = agents.tasks
    assert (task.label, task.writable) == (label, role is Role.BUILDER)
    for kind in ("prompt.md", "json", "md"):
        assert place.artifact(call.run, f"{label}.{kind}")


async def test_a_secret_in_an_answer_is_hidden_in_what_is_kept(
    place: Place, agents: WatchedAgents
) -> None:
    agents.planner = lambda _task, _count: replace(good_plan("a"), summary=f"it is {SECRET}!")
    call = called(place)
    answer = await consult(place.house, call)
    assert isinstance(answer, Plan)
    assert SECRET in answer.summary
    for name in ("planner.json", "planner.md"):
        assert SECRET not in place.artifact(call.run, name)
        assert HIDDEN in place.artifact(call.run, name)


@pytest.mark.parametrize(
    ("limit", "left", "expected"),
    [(None, 9999, 1800), (None, 700, 700), (60, 700, 60), (5000, 700, 700), (5000, 9999, 5000)],
)
async def test_a_call_may_take_what_its_role_may_and_the_attempt_still_has(
    place: Place, agents: WatchedAgents, limit: int | None, left: float, expected: float
) -> None:
    place.with_settings(
        roles=RolesSettings(planner=RoleSettings(timeout_seconds=limit)),
        agent=AgentSettings(idle_timeout_seconds=77),
    )
    await consult(place.house, called(place, left=left))
    assert agents.tasks[0].deadline_seconds == expected
    assert agents.tasks[0].idle_seconds == 77


# --- what it costs --------------------------------------------------------------------------------


async def test_the_estimate_is_reserved_and_the_real_cost_replaces_it(
    place: Place, agents: WatchedAgents
) -> None:
    call = called(place)
    seen: list[Usage] = []
    agents.meanwhile = lambda _heard: seen.append(used(place, call.run))
    await consult(place.house, call)
    assert seen == [Usage(1, len(repr(call.brief)) // 4 + budget.TOKEN_RESERVE)]
    assert used(place, call.run) == agents.usage
    (told,) = [fields for code, _, fields in place.journal.lines if code == "role_answered"]
    assert (told["tokens"], told["cost"], told["model"]) == (1000, 0.01, "scripted")


async def test_a_call_counts_even_when_its_engine_counts_none(
    place: Place, agents: WatchedAgents
) -> None:
    agents.usage = Usage()
    call = called(place)
    await consult(place.house, call)
    assert used(place, call.run) == Usage(1, 0, None)


async def test_a_call_that_fails_keeps_its_reservation(place: Place, agents: WatchedAgents) -> None:
    def crash(_task: RoleTask, _count: int) -> Plan:
        raise Exited("it fell over")

    agents.planner = crash
    call = called(place)
    with pytest.raises(Exited):
        await consult(place.house, call)
    assert used(place, call.run).calls == 1
    assert used(place, call.run).tokens >= budget.TOKEN_RESERVE
    assert place.artifact(call.run, "planner.prompt.md"), "what was sent can still be read"


CAPS = [
    (LimitSettings(calls_per_hour=1), "limits.calls_per_hour", "in the last hour"),
    (LimitSettings(tokens_per_run=20_000), "limits.tokens_per_run", "by this run"),
    (LimitSettings(tokens_per_day=20_000), "limits.tokens_per_day", "in the last 24 hours"),
    (LimitSettings(cost_per_run=2), "limits.cost_per_run", "by this run"),
    (LimitSettings(cost_per_day=2), "limits.cost_per_day", "in the last 24 hours"),
    (LimitSettings(calls_per_hour=0), "limits.calls_per_hour", "one call alone"),
    (LimitSettings(tokens_per_run=100), "limits.tokens_per_run", "one call alone"),
]


@pytest.mark.parametrize(("limits", "key", "words"), CAPS)
async def test_a_cap_refuses_before_anything_is_sent_or_reserved(
    place: Place, agents: WatchedAgents, limits: LimitSettings, key: str, words: str
) -> None:
    place.with_settings(limits=limits)
    call = called(place)
    earlier = place.house.spend.reserve(call.run.id, Stage.PLAN, Usage(1), place.clock.now())
    place.house.spend.settle(earlier, Usage(1, 19_000, 3.0))
    before = used(place, call.run)
    with pytest.raises(Halted) as halted:
        await consult(place.house, call)
    failure = halted.value.failure
    assert failure.kind is FailureClass.BUDGET
    assert key in failure.message
    assert words in failure.message
    assert f"raise {key}" in failure.next_step
    assert agents.tasks == []
    assert used(place, call.run) == before
    assert place.house.artifacts.read(1, call.run.id, "planner.prompt.md") is None


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [(LimitSettings(calls_per_hour=1), 3700), (LimitSettings(tokens_per_day=20_000), 86_500)],
)
async def test_a_window_that_passed_lets_the_next_call_in(
    place: Place, agents: WatchedAgents, limits: LimitSettings, seconds: float
) -> None:
    place.with_settings(limits=limits)
    call = called(place)
    earlier = place.house.spend.reserve(call.run.id, Stage.PLAN, Usage(1), place.clock.now())
    place.house.spend.settle(earlier, Usage(1, 19_000, 3.0))
    place.clock.advance(seconds)
    await consult(place.house, call)
    assert len(agents.tasks) == 1


# --- the one repair -------------------------------------------------------------------------------


async def test_an_answer_that_does_not_fit_is_asked_for_once_more(
    place: Place, agents: WatchedAgents
) -> None:
    agents.invalid = [Role.PLANNER]
    call = called(place)
    assert await consult(place.house, call) == good_plan("fixed.txt")
    first, repair = agents.tasks
    assert (first.label, repair.label) == ("planner", "planner-repair")
    assert repair.prompt.startswith("REPAIR not a report\n")
    assert first.prompt in repair.prompt
    assert place.artifact(call.run, "planner-repair.prompt.md") == repair.prompt
    assert used(place, call.run) == Usage(2, 2000, 0.02), "both calls are paid"
    assert "answer_invalid" in place.journal.codes()
    assert place.artifact(call.run, "planner.json")


async def test_a_second_answer_that_does_not_fit_ends_it(
    place: Place, agents: WatchedAgents
) -> None:
    agents.invalid = [Role.PLANNER] * 3
    call = called(place)
    with pytest.raises(Halted) as halted:
        await consult(place.house, call)
    assert halted.value.failure.kind is FailureClass.CONTRACT_INVALID
    assert "planner-repair.transcript.jsonl" in halted.value.failure.next_step
    assert len(agents.tasks) == 2
    assert place.house.artifacts.read(1, call.run.id, "planner.json") is None


async def test_the_repair_needs_its_own_place_in_the_budget(
    place: Place, agents: WatchedAgents
) -> None:
    place.with_settings(limits=LimitSettings(calls_per_hour=1))
    agents.invalid = [Role.PLANNER]
    with pytest.raises(Halted) as halted:
        await consult(place.house, called(place))
    assert halted.value.failure.kind is FailureClass.BUDGET
    assert len(agents.tasks) == 1


# --- what is heard, and who is still wanted -------------------------------------------------------


async def test_events_are_noted_twice_a_second_at_most(place: Place, agents: WatchedAgents) -> None:
    call = called(place)
    seen: list[str] = []

    async def talk(task: RoleTask, heard: Callable[[str], None]) -> AgentReply:
        for seconds, event in ((0, "a"), (0.4, "b"), (0.1, "c"), (0.49, "d"), (0.01, "e")):
            place.clock.advance(seconds)
            heard(event)
            await asyncio.to_thread(int)  # By the one thread, after what it has to note.
            seen.append(place.now(call.run).last_event)
        return await ScriptedAgents.ask(agents, task, heard)

    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    agents.ask = talk
    await consult(place.house, call)
    assert seen == ["a", "a", "c", "c", "e"]
    assert place.now(call.run).stage is Stage.PLAN


async def test_an_event_that_cannot_be_noted_is_an_error(
    place: Place, agents: WatchedAgents, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("the disk is full")

    call = called(place)
    monkeypatch.setattr(place.house.runs, "progress", full)
    with pytest.raises(StoreError, match="full"):
        await consult(place.house, call)


@pytest.mark.parametrize("state", [IssueState.CLOSED, None])
async def test_nobody_is_asked_for_an_issue_that_is_closed_or_gone(
    place: Place, agents: WatchedAgents, state: IssueState | None
) -> None:
    call = called(place)
    if state is None:
        place.tracker.issues.clear()
    else:
        place.tracker.issues[1] = replace(ISSUE, state=state)
    with pytest.raises(Stopped) as stopped:
        await consult(place.house, call)
    assert stopped.value.kind == "cancelled"
    assert place.now(call.run).status is RunStatus.CANCELLED
    assert agents.tasks == []


async def test_a_tracker_that_is_down_stops_no_call(place: Place, agents: WatchedAgents) -> None:
    call = called(place)
    place.tracker.down = True
    await consult(place.house, call)
    assert "issue_unread" in place.journal.codes()
    assert len(agents.tasks) == 1


async def test_nobody_is_asked_for_a_run_that_was_ended(
    place: Place, agents: WatchedAgents
) -> None:
    call = called(place)
    change(place.house, call.run.id, lambda was: was.cancel(place.clock.now()))
    with pytest.raises(Stopped):
        await consult(place.house, call)
    assert agents.tasks == []


# --- the key of an input --------------------------------------------------------------------------


def test_the_key_depends_on_the_words_and_who_answers_and_on_nothing_else() -> None:
    def key(run_id: str = "r-1", nonce: str = "n-1", **more: str) -> str:
        words = more.get("words", "mend it")
        brief = Brief(Role.PLANNER, ISSUE, run_id, nonce, "b" * 40)
        choice = EngineChoice("codex", more.get("model", ""), None, int(more.get("seconds", "9")))
        return prompt_key(f"<{nonce}> {words} ({run_id}) </{nonce}>", brief, choice)

    assert key() == key(run_id="r-22", nonce="n-22") == key(seconds="99")
    assert len({key(), key(words="break it"), key(model="big")}) == 3


def test_parts_of_an_input_do_not_run_together() -> None:
    assert input_hash("ab", "c") != input_hash("a", "bc") != input_hash("abc")
