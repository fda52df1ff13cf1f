"""The command engine with real programs, and the rules that hold for every engine."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from repoagents.agents import transcript
from repoagents.agents.crew import HEARD_LIMIT, AgentCrew, read_answer
from repoagents.domain.engines import EngineChoice
from repoagents.domain.reports import BuildReport, Role
from repoagents.domain.run import FailureClass
from repoagents.domain.settings import AgentSettings, CommandSettings, Settings
from repoagents.errors import Exited, OutputInvalid, TimedOut
from repoagents.ports import AgentReply, RoleTask
from tests.fakes.identity import RUN

Run = Callable[..., AgentReply]
MakeTask = Callable[..., RoleTask]

REPORT = {
    "summary": "done",
    "changed_files": [],
    "test_actions": [],
    "assumptions": [],
    "questions": [],
}


@pytest.fixture
def run(crew: Callable[[Settings], AgentCrew], task: MakeTask) -> Run:
    """Run Python code as the command engine and return its reply."""

    def ask(
        code: str,
        role: Role = Role.BUILDER,
        *,
        agent: AgentSettings | None = None,
        heard: Callable[[str], None] = lambda _: None,
        **options: object,
    ) -> AgentReply:
        settings = Settings(
            command=CommandSettings(argv=(sys.executable, "-c", code)),
            agent=agent or AgentSettings(),
        )
        return asyncio.run(crew(settings).ask(task(role, **options), heard))

    return ask


def say(value: object) -> str:
    """Code that prints a value as JSON."""
    return f"print({json.dumps(value)!r})"


def test_the_protocol_is_told_by_the_environment(run: Run, task: MakeTask, worktree: Path) -> None:
    code = (
        "import json, os, sys\n"
        "seen = {k: v for k, v in os.environ.items() if k.startswith('REPOAGENTS_')}\n"
        "seen |= {'cwd': os.getcwd(), 'prompt': sys.stdin.read()}\n"
        "seen['schema'] = json.load(open(os.environ['REPOAGENTS_SCHEMA']))['required']\n"
        "seen['stale'] = os.path.exists(os.environ['REPOAGENTS_RESULT'])\n"
        "print(json.dumps(seen))"
    )
    artifacts = task().artifacts
    artifacts.mkdir(parents=True)
    (artifacts / "builder.answer").write_text("stale")
    seen = json.loads(run(code, prompt="The prompt.").answer)
    assert seen == {
        "REPOAGENTS_ROLE": "builder",
        "REPOAGENTS_RUN_ID": RUN,
        "REPOAGENTS_ISSUE": "7",
        "REPOAGENTS_SCHEMA": str(artifacts / "builder.schema.json"),
        "REPOAGENTS_RESULT": str(artifacts / "builder.answer"),
        "cwd": str(worktree),
        "prompt": "The prompt.",
        "schema": ["summary", "changed_files", "test_actions", "assumptions", "questions"],
        "stale": False,
    }
    assert not (artifacts / "builder.answer").exists()


def test_the_environment_holds_no_secret_of_ours(run: Run, ambient: dict[str, str]) -> None:
    ambient["DATABASE_URL"] = "postgres://test"
    agent = AgentSettings(env=("DATABASE_URL", "GITHUB_TOKEN", "REPOAGENTS_WEBHOOK_SECRET"))
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    seen = json.loads(run(code, agent=agent).answer)
    assert seen["DATABASE_URL"] == "postgres://test"
    assert seen["HOME"] == ambient["HOME"]
    ours = {"PATH", "HOME", "LANG", "TMPDIR", "DATABASE_URL", "LC_CTYPE"}
    ours |= {f"REPOAGENTS_{name}" for name in ("ROLE", "RUN_ID", "ISSUE", "SCHEMA", "RESULT")}
    assert set(seen) <= ours


def test_an_isolated_home_is_empty_for_each_call_and_gone_after_it(run: Run) -> None:
    code = (
        "import json, os; h = os.environ['HOME']; print(json.dumps({'h': h, 'l': os.listdir(h)}))\n"
        "open(h + '/.gitconfig', 'w').close()"
    )
    agent = AgentSettings(home="isolated")
    one, other = (json.loads(run(code, agent=agent).answer) for _ in range(2))
    assert one["l"] == other["l"] == []
    assert not Path(one["h"]).exists()


def test_each_call_has_a_temporary_folder_of_its_own(run: Run) -> None:
    code = (
        "import json, os, tempfile; place = tempfile.gettempdir()\n"
        "open(place + '/left', 'w').close(); os.mkdir(place + '/more')\n"
        "print(json.dumps({'place': place, 'found': os.listdir(place)}))"
    )
    one, other = (json.loads(run(code).answer) for _ in range(2))
    assert one["place"] != other["place"]
    assert sorted(one["found"]) == ["left", "more"]
    assert not Path(one["place"]).exists()


def test_the_result_file_goes_before_what_is_printed(run: Run) -> None:
    code = "import os; open(os.environ['REPOAGENTS_RESULT'], 'w').write('{\"from\": \"file\"}')\n"
    assert run(code + say({"from": "stdout"})).answer == '{"from": "file"}'


def test_an_empty_result_file_leaves_the_last_object_printed(run: Run) -> None:
    code = "import os; open(os.environ['REPOAGENTS_RESULT'], 'w').write(' \\n')\n"
    code += say({"n": 1}) + "\n" + say({"n": 2}) + "\nprint('[INFO] bye')"
    assert run(code).answer == '{"n": 2}'


def test_a_plain_fixer_is_a_builder(
    run: Run, crew: Callable[[Settings], AgentCrew], task: MakeTask, worktree: Path
) -> None:
    answer = run("open('x.txt', 'w').write('fixed'); print('1 file reformatted')").answer
    assert (worktree / "x.txt").read_text() == "fixed"
    report = crew(Settings()).read(task(), answer)
    assert report == BuildReport(
        "the command printed no report; its last line was: 1 file reformatted"
    )


@pytest.mark.parametrize("role", [Role.PLANNER, Role.REVIEWER])
def test_nobody_else_may_leave_out_the_report(
    run: Run, crew: Callable[[Settings], AgentCrew], task: MakeTask, role: Role
) -> None:
    answer = run("print('all good')", role).answer
    assert answer == "all good\n"
    with pytest.raises(OutputInvalid, match="no JSON object"):
        crew(Settings()).read(task(role), answer)


def test_a_failing_command_is_no_answer_even_with_json(run: Run) -> None:
    code = say(REPORT) + "\nimport sys; sys.exit('cannot reach the server')"
    with pytest.raises(Exited, match="exit code 1: cannot reach the server") as failure:
        run(code)
    assert failure.value.kind == FailureClass.ENGINE_CRASH.value
    assert "transcript" in failure.value.next_step


def test_a_killed_command_says_so(run: Run) -> None:
    with pytest.raises(Exited, match="signal 9"):
        run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")


def test_a_missing_command_is_its_own_class(
    crew: Callable[[Settings], AgentCrew], task: MakeTask
) -> None:
    for argv, words in ((("no-such-fixer",), "no-such-fixer"), ((), "command.argv is empty")):
        settings = Settings(command=CommandSettings(argv=argv))
        with pytest.raises(Exited, match=words) as failure:
            asyncio.run(crew(settings).ask(task(), lambda _: None))
        assert failure.value.kind == FailureClass.ENGINE_MISSING.value


def test_silence_and_slowness_have_their_classes(run: Run) -> None:
    with pytest.raises(TimedOut) as idle:
        run("import time; time.sleep(60)", idle=0.5)
    assert idle.value.kind == FailureClass.TIMEOUT_IDLE.value
    with pytest.raises(TimedOut) as hard:
        run("import time\nwhile True: print('.', flush=True); time.sleep(0.1)", deadline=1)
    assert hard.value.kind == FailureClass.TIMEOUT_HARD.value


def test_what_is_heard_is_short_clean_and_redacted(run: Run) -> None:
    heard: list[str] = []
    token = "ghp_" + "3" * 36
    hidden = token[:20] + "\x1b[0m" + token[20:]
    lines = ["  working\x1b[31m hard\x1b[0m ", f"token {token}", f"t {hidden}", "y" * 900, "{}"]
    run(f"print({chr(10).join(lines)!r})", heard=heard.append)
    assert heard[:2] == ["said: working hard", "said: token [redacted]"]
    assert heard[2] == "said: t [redacted]"
    assert heard[3] == "said: " + "y" * 193 + "\u2026"
    assert len(heard) == 4


def test_a_flood_of_events_is_not_told(run: Run) -> None:
    heard: list[str] = []
    run("for n in range(100_000): print('line', n)", heard=heard.append)
    assert len(heard) == HEARD_LIMIT


def test_errors_do_not_carry_secrets(run: Run) -> None:
    token = "ghp_" + "4" * 36
    with pytest.raises(Exited) as failure:
        run(f"import sys; sys.exit('failed with {token[:9]}\\x1b[1m{token[9:]}')")
    assert str(failure.value).endswith("failed with [redacted]")


def test_the_transcript_is_bounded_and_redacted(
    run: Run, task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcript, "TRANSCRIPT_LIMIT", 10_000)
    token = "ghp_" + "5" * 36
    code = f"import sys\nprint('{token}')\nsys.stderr.write('{token}')\n"
    run(code + "for n in range(100_000): print('line', n)")
    text = (task().artifacts / "builder.transcript.jsonl").read_text()
    assert text.startswith("[redacted]\nline 0\n")
    assert token not in text
    assert len(text) < 10_500
    *_, cut, last = text.splitlines()
    assert json.loads(cut) == {"type": "repoagents", "left_out": "the rest of the output"}
    assert json.loads(last)["stderr"] == "[redacted]"


def test_an_answer_carries_no_secret_into_what_is_published(
    run: Run, crew: Callable[[Settings], AgentCrew], task: MakeTask
) -> None:
    token = "ghp_" + "6" * 36
    reply = run(say(REPORT | {"summary": f"see {token}"}))
    assert token not in reply.answer
    escaped = json.dumps(REPORT | {"summary": f"see {token}"}).replace("ghp_", "\\u0067hp_")
    reply = run(f"print({escaped!r})")
    report = crew(Settings()).read(task(), reply.answer)
    assert report.summary == "see [redacted]"


def test_the_transcript_moves_no_cursor_and_keeps_its_lines(run: Run, task: MakeTask) -> None:
    token = "ghp_" + "7" * 36
    said = f"a\x1b[2Jb\rc\u2028d\x85e {token[:9]}\x1b[1m{token[9:]}"
    run(f"import sys; print({said!r}); sys.stderr.write({said!r})")
    text = (task().artifacts / "builder.transcript.jsonl").read_text()
    first, last = text.splitlines()
    assert first == "ab c d e [redacted]"
    assert json.loads(last)["stderr"] == "ab\nc\nd\ne [redacted]"


def test_a_right_answer_twice_is_one_answer(run: Run) -> None:
    assert json.loads(run(say(REPORT) + "\n" + say(REPORT)).answer) == REPORT


def test_answers_are_read_without_trust(tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    assert read_answer(answer) == ""
    answer.write_bytes(b"\xff{}")
    assert read_answer(answer) == "\ufffd{}"
    secret = tmp_path / "secret"
    secret.write_text("secret")
    answer.unlink()
    answer.symlink_to(secret)
    assert read_answer(answer) == ""
    answer.unlink()
    os.mkfifo(answer)
    assert read_answer(answer) == ""
    answer.unlink()
    answer.mkdir()
    assert read_answer(answer) == ""
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(5_000_000_000)
    assert len(read_answer(large)) == 1_000_001


@pytest.mark.parametrize("make", ["os.makedirs(place + '/x')", "os.mkfifo(place)"])
def test_what_is_no_file_in_the_place_of_the_answer_is_no_answer(
    run: Run, task: MakeTask, make: str
) -> None:
    answer = run(f"import os; place = os.environ['REPOAGENTS_RESULT']; {make}").answer
    assert "printed no report" in answer
    assert not (task().artifacts / "builder.answer").exists()


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        ((), "command.argv is empty"),
        (("no-such-fixer",), "no-such-fixer was not found"),
        (("/etc/passwd",), "may not be executed"),
        (("sh", "-c", "true"), ""),
        (("./scripts/fix",), ""),
    ],
)
def test_the_check_looks_for_the_program(
    crew: Callable[[Settings], AgentCrew], argv: tuple[str, ...], problem: str
) -> None:
    health = crew(Settings(command=CommandSettings(argv=argv))).check(
        EngineChoice("command", "", None, 60)
    )
    assert problem in health.problem
    assert bool(health.problem) == bool(problem) == bool(health.next_step) == bool(health.kind)
