"""The real codex binary against a model API on loopback."""

import asyncio
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from repoagents.agents.crew import AgentCrew
from repoagents.agents.process import Supervisor
from repoagents.domain.engines import EngineChoice
from repoagents.domain.reports import BuildReport, Plan, Review, Role
from repoagents.domain.run import FailureClass
from repoagents.domain.settings import AgentSettings, CodexSettings, Settings
from repoagents.errors import Exited, OutputInvalid, Stopped, TimedOut
from repoagents.ports import RoleTask
from tests.fakes.identity import RUN
from tests.fakes.model_api import (
    KEY,
    KEY_NAME,
    MODEL,
    Cut,
    Fail,
    Hang,
    ModelApi,
    Move,
    Patch,
    Say,
    Script,
    Shell,
    role_script,
    tools_of,
    turns,
)
from tests.integration.agents.conftest import PATIENCE

pytestmark = pytest.mark.codex

EDIT = Patch("*** Begin Patch\n*** Update File: value.txt\n@@\n-1\n+2\n*** End Patch")

Session = Callable[[ModelApi], AgentCrew]
MakeTask = Callable[..., RoleTask]


@pytest.fixture
def session(
    codex: str, ambient: dict[str, str], crew: Callable[[Settings], AgentCrew], worktree: Path
) -> Session:
    """A crew whose codex asks this API; the worktree holds value.txt."""
    subprocess.run(["git", "init", "--quiet", str(worktree)], check=True)
    (worktree / "value.txt").write_text("1\n")
    ambient[KEY_NAME] = KEY

    def make(api: ModelApi) -> AgentCrew:
        extra = api.codex_arguments
        return crew(
            Settings(
                codex=CodexSettings(command=codex, extra_args=extra),
                agent=AgentSettings(env=(KEY_NAME,)),
            )
        )

    return make


def ask_once(session: Session, script: Script, task: RoleTask) -> tuple[str, ModelApi, list[str]]:
    """One call: the answer, what the API was asked, what was heard."""
    heard: list[str] = []
    with ModelApi(script) as api:
        reply = asyncio.run(session(api).ask(task, heard.append))
    assert reply.usage.calls == 1
    return reply.answer, api, heard


def codex_task(make: MakeTask, role: Role = Role.BUILDER, **options: object) -> RoleTask:
    """A call of codex with the known model."""
    return make(role, "codex", model=MODEL, **options)


def test_the_planner_answers(session: Session, task: MakeTask, redactor: object) -> None:
    plan = codex_task(task, Role.PLANNER, prompt="Plan this: \u00e4\u00f6.")
    with ModelApi(role_script()) as api:
        crew = session(api)
        reply = asyncio.run(crew.ask(plan, lambda _: None))
        report = crew.read(plan, reply.answer)
    assert isinstance(report, Plan)
    assert report.likely_files == ("value.txt",)
    assert (reply.usage.calls, reply.usage.tokens, reply.model) == (1, 1200, MODEL)
    asked = api.requests[0]
    assert asked.prompt == "Plan this: \u00e4\u00f6."
    assert asked.role == "planner"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body["text"]["format"]["strict"] is True


def test_the_builder_edits_the_worktree(session: Session, task: MakeTask, worktree: Path) -> None:
    script = role_script([EDIT, Shell("cat value.txt; exit 3")])
    answer, api, heard = ask_once(session, script, codex_task(task))
    assert (worktree / "value.txt").read_text() == "2\n"
    assert json.loads(answer)["changed_files"] == ["value.txt"]
    assert "apply_patch" in set(tools_of(api.requests[0]))
    assert heard[0] == "edited: value.txt"
    assert heard[-2:] == ["answered", "finished"]
    assert len(api.requests) == 3


def test_the_reviewer_answers_for_the_asked_criteria(session: Session, task: MakeTask) -> None:
    review = codex_task(task, Role.REVIEWER)
    answer, api, _ = ask_once(session, role_script(), review)
    assert api.requests[0].criteria == [1, 2]
    with ModelApi(role_script()) as other:
        report = session(other).read(review, answer)
    assert isinstance(report, Review)
    assert [row.id for row in report.criteria] == [1, 2]


def test_the_reviewer_cannot_write(session: Session, task: MakeTask, worktree: Path) -> None:
    script = turns(Shell("echo evil > value.txt; echo evil > new.txt"), EDIT, Say({"a": 1}))
    _, api, _ = ask_once(session, script, codex_task(task, Role.REVIEWER))
    assert (worktree / "value.txt").read_text() == "1\n"
    assert sorted(path.name for path in worktree.iterdir()) == [".git", "value.txt"]
    assert "Read-only file system" in api.requests[1].results[0]


def test_writing_outside_the_worktree_is_refused_and_the_run_goes_on(
    session: Session, task: MakeTask, tmp_path: Path
) -> None:
    outside = tmp_path / "operator" / "evil"
    script = role_script([Shell(f"touch $TMPDIR/scratch && echo kept; touch {outside}"), EDIT])
    answer, api, _ = ask_once(session, script, codex_task(task))
    assert not outside.exists()
    assert "kept" in api.requests[1].results[0]
    # The sandbox may have a /dev of its own, where files in memory of the host are not to be seen.
    refused = ("Read-only file system", "No such file or directory")
    assert any(words in api.requests[1].results[0] for words in refused)
    assert json.loads(answer)["summary"] == "Changed the value."


def test_commands_see_no_token_and_no_key(session: Session, task: MakeTask) -> None:
    script = role_script([Shell("env; cat /proc/$PPID/environ | tr '\\0' '\\n'")])
    _, api, _ = ask_once(session, script, codex_task(task))
    seen = api.requests[1].results[0]
    assert f"REPOAGENTS_RUN_ID={RUN}" in seen
    assert "GITHUB_TOKEN" not in seen
    assert "GH_TOKEN" not in seen
    assert "UNRELATED" not in seen
    assert "WEBHOOK" not in seen
    assert f"{KEY_NAME}=" not in seen.split("REPOAGENTS_RUN_ID")[0]


def test_an_answer_outside_the_schema_is_refused_by_us(session: Session, task: MakeTask) -> None:
    build = codex_task(task)
    for said in ("I am done!", {"summary": "no more fields"}):
        answer, _, _ = ask_once(session, turns(Say(said)), build)
        with ModelApi(role_script()) as api, pytest.raises(OutputInvalid):
            session(api).read(build, answer)


def test_after_a_repair_request_the_answer_fits(session: Session, task: MakeTask) -> None:
    build = codex_task(task)

    def script(asked: object) -> Move:
        text = getattr(asked, "prompt", "")
        return role_script()(asked) if "does not fit" in text else Say("Done.")  # type: ignore[arg-type]

    with ModelApi(script) as api:
        crew = session(api)
        first = asyncio.run(crew.ask(build, lambda _: None)).answer
        with pytest.raises(OutputInvalid) as problem:
            crew.read(build, first)
        again = codex_task(task, prompt=crew.repair(build.prompt, first, str(problem.value)))
        answer = asyncio.run(crew.ask(again, lambda _: None)).answer
        assert isinstance(crew.read(again, answer), BuildReport)


@pytest.mark.parametrize(
    ("move", "kind", "words"),
    [
        (Fail(401, "bad key"), FailureClass.AUTH, "401 Unauthorized: bad key"),
        (Fail(403), FailureClass.AUTH, "403 Forbidden"),
        (Fail(429), FailureClass.PROVIDER_LIMIT, "429 Too Many Requests"),
        (Fail(429, "q", "insufficient_quota"), FailureClass.PROVIDER_LIMIT, "Quota exceeded"),
        (Fail(429, "u", "usage_limit_reached"), FailureClass.PROVIDER_LIMIT, "usage limit"),
        (Fail(500), FailureClass.NETWORK, "high demand"),
        (Fail(404, "no model"), FailureClass.INVALID_ARGS, "404 Not Found: no model"),
        (Fail(400, "bad", "invalid_request_error"), FailureClass.INVALID_ARGS, "bad"),
        (Cut(), FailureClass.NETWORK, "stream disconnected"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else None,
)
def test_an_api_failure_has_its_class(
    session: Session, task: MakeTask, move: Move, kind: FailureClass, words: str
) -> None:
    with ModelApi(turns(move)) as api, pytest.raises(Exited, match=words) as failure:
        asyncio.run(session(api).ask(codex_task(task), lambda _: None))
    assert failure.value.kind == kind.value
    assert failure.value.next_step
    assert len(api.requests) == 1


def test_a_host_that_cannot_be_reached_ends_soon(session: Session, task: MakeTask) -> None:
    with ModelApi(role_script()) as api:
        crew = session(api)
    started = time.monotonic()
    with pytest.raises(Exited) as failure:
        asyncio.run(crew.ask(codex_task(task), lambda _: None))
    assert failure.value.kind == FailureClass.NETWORK.value
    assert time.monotonic() - started < 50


def test_a_hang_is_ended_and_leaves_no_orphan(
    session: Session, task: MakeTask, supervisor: Supervisor
) -> None:
    for seconds in PATIENCE:
        script = turns(Shell("sleep 300 & echo started"), Hang())
        with ModelApi(script) as api, pytest.raises(TimedOut) as failure:
            asyncio.run(
                session(api).ask(codex_task(task, deadline=300, idle=seconds), lambda _: None)
            )
        assert failure.value.kind == FailureClass.TIMEOUT_IDLE.value
        assert "agent.idle_timeout_seconds" in failure.value.next_step
        if len(api.requests) == 2:
            break
    assert len(api.requests) == 2
    assert supervisor.end_orphans(RUN) == (), "nothing of the run is left to be ended"


def test_the_deadline_ends_a_busy_call(session: Session, task: MakeTask) -> None:
    with (
        ModelApi(turns(Shell("sleep 0.2; echo busy"), *[Shell("sleep 0.2")] * 200)) as api,
        pytest.raises(TimedOut) as failure,
    ):
        asyncio.run(session(api).ask(codex_task(task, deadline=3), lambda _: None))
    assert failure.value.kind == FailureClass.TIMEOUT_HARD.value
    assert "roles.builder.timeout_seconds" in failure.value.next_step


async def test_a_stopped_run_ends_the_call(
    session: Session, task: MakeTask, supervisor: Supervisor
) -> None:
    with ModelApi(turns(Hang())) as api:
        running = asyncio.ensure_future(session(api).ask(codex_task(task), lambda _: None))
        while not api.requests:
            await asyncio.sleep(0.02)
        supervisor.stop(RUN, "cancelled")
        with pytest.raises(Stopped) as stopped:
            await running
    assert stopped.value.kind == "cancelled"


def test_a_stale_answer_is_not_believed(session: Session, task: MakeTask) -> None:
    build = codex_task(task)
    build.artifacts.mkdir(parents=True)
    stale = build.artifacts / "builder.answer"
    stale.write_text('{"summary": "from an earlier life"}')
    with ModelApi(turns(Fail(500))) as api, pytest.raises(Exited):
        asyncio.run(session(api).ask(build, lambda _: None))
    assert not stale.exists()
    stale.write_text('{"summary": "from an earlier life"}')
    answer, _, _ = ask_once(session, turns(Say("")), build)
    assert "earlier life" not in answer


def test_what_codex_refuses_is_named(
    session: Session, task: MakeTask, codex: str, crew: Callable[[Settings], AgentCrew]
) -> None:
    broken = crew(Settings(codex=CodexSettings(command=codex, extra_args=("--frobnicate",))))
    with pytest.raises(Exited, match="frobnicate") as failure:
        asyncio.run(broken.ask(codex_task(task), lambda _: None))
    assert failure.value.kind == FailureClass.INVALID_ARGS.value
    missing = crew(Settings(codex=CodexSettings(command="/no/such/codex")))
    with pytest.raises(Exited, match="/no/such/codex") as failure:
        asyncio.run(missing.ask(codex_task(task), lambda _: None))
    assert failure.value.kind == FailureClass.ENGINE_MISSING.value


def test_the_transcript_is_kept_and_the_raw_answer_is_not(session: Session, task: MakeTask) -> None:
    script = role_script([Shell("echo ghp_22222222222222222222" + "2222222222222222")])
    build = codex_task(task)
    ask_once(session, script, build)
    names = sorted(path.name for path in build.artifacts.iterdir())
    assert names == ["builder.schema.json", "builder.transcript.jsonl"]
    lines = (build.artifacts / "builder.transcript.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert events[0]["type"] == "thread.started"
    assert events[-1] | {"stderr": "", "seconds": 0} == {
        "type": "repoagents",
        "ended": "exited",
        "exit_code": 0,
        "seconds": 0,
        "stderr": "",
    }
    assert "ghp_2222" not in "\n".join(lines)
    assert "[redacted]" in "\n".join(lines)


def test_the_check_passes_with_a_provider_and_its_key(session: Session) -> None:
    with ModelApi(role_script()) as api:
        health = session(api).check(EngineChoice("codex", "", None, 60))
        assert api.requests == [], "a check calls no model"
    assert health.problem == ""
    assert health.version.startswith("codex-cli ")


def test_the_check_sees_that_nobody_is_logged_in(
    codex: str, crew: Callable[[Settings], AgentCrew]
) -> None:
    settings = Settings(codex=CodexSettings(command=codex))
    health = crew(settings).check(EngineChoice("codex", "", None, 60))
    assert health.kind == FailureClass.AUTH.value
    assert "operator/.codex" in health.problem
    assert "login" in health.next_step
    isolated = Settings(codex=settings.codex, agent=AgentSettings(home="isolated"))
    health = crew(isolated).check(EngineChoice("codex", "", None, 60))
    assert "operator/.codex" in health.problem, "an isolated home still means the operator's login"
