"""Codex's command line, its events and its failures, without running it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from repoagents.agents.engines.codex import CodexConversation, codex_argv
from repoagents.agents.engines.codex_events import EventKind, explain, parse_event
from repoagents.agents.engines.codex_login import check_codex, why_not_logged_in
from repoagents.agents.engines.contract import Call, Trouble
from repoagents.agents.process import End, Ended
from repoagents.domain.engines import EngineChoice
from repoagents.domain.reports import Role, Usage
from repoagents.domain.run import FailureClass
from repoagents.domain.settings import CodexSettings
from repoagents.ports import AgentReply, RoleTask

MakeTask = Callable[..., RoleTask]


def ended(exit_code: int | None, errors: str = "", output: str = "{}\n") -> Ended:
    """A process that ended by itself."""
    return Ended(End.EXITED, exit_code, 1.0, output, errors)


def call_of(task: RoleTask) -> Call:
    """The call of a task."""
    return Call(task, Path("/a/schema.json"), Path("/a/answer"))


def item(kind: str, stage: str = "completed", **fields: object) -> str:
    """One item event as a line."""
    return json.dumps({"type": f"item.{stage}", "item": {"id": "i", "type": kind, **fields}})


def test_the_builders_command_line(task: MakeTask, worktree: Path) -> None:
    settings = CodexSettings(command="/opt/codex", extra_args=("-c", "x=1"))
    argv = codex_argv(settings, call_of(task(engine="codex", model="gpt-5.5")))
    assert argv[:4] == ("/opt/codex", "exec", "--json", "--skip-git-repo-check")
    line = " ".join(argv)
    assert f"-s workspace-write -C {worktree} -m gpt-5.5" in line
    assert "--output-schema /a/schema.json -o /a/answer" in line
    assert "-c analytics.enabled=false" in line
    assert "--disable unbounded_connection_retries" in line
    assert "shell_environment_policy.ignore_default_excludes=false" in line
    assert "--ignore-user-config" not in line
    assert argv[-3:] == ("-c", "x=1", "-")
    assert "Do it." not in line, "the prompt is never an argument"


@pytest.mark.parametrize("role", [Role.PLANNER, Role.REVIEWER])
def test_readers_are_read_only_whatever_is_configured(task: MakeTask, role: Role) -> None:
    settings = CodexSettings(sandbox="danger-full-access")
    argv = codex_argv(settings, call_of(task(role, "codex")))
    assert argv[argv.index("-s") + 1] == "read-only"
    builder = codex_argv(settings, call_of(task(Role.BUILDER, "codex")))
    assert builder[builder.index("-s") + 1] == "danger-full-access"


def test_model_and_effort_are_named_only_when_chosen(task: MakeTask) -> None:
    assert "-m" not in codex_argv(CodexSettings(), call_of(task()))
    from dataclasses import replace

    hard = replace(task(), engine=EngineChoice("codex", "", "high", 60))
    assert 'model_reasoning_effort="high"' in codex_argv(CodexSettings(), call_of(hard))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            item("command_execution", command="/bin/bash -lc 'pytest -q'", exit_code=0),
            "ran: pytest -q",
        ),
        (item("command_execution", command="bash -c 'a b'", exit_code=2), "ran: a b (exit 2)"),
        (item("command_execution", "started", command="ls", exit_code=None), "running: ls"),
        (item("command_execution", command="echo 'unclosed", exit_code=0), "ran: echo 'unclosed"),
        (item("agent_message", text="I will look."), "said: I will look."),
        (item("agent_message", text='{"summary": "x"}'), "answered"),
        (item("reasoning", text="Hm."), "said: Hm."),
        (item("error", message="Model metadata not found"), "warning: Model metadata not found"),
        (item("web_search", query="x"), ""),
        (item("file_change", "started", changes=[{"path": "/x", "kind": "add"}]), ""),
        ('{"type":"thread.started","thread_id":"t"}', ""),
        ('{"type":"turn.completed","usage":{"input_tokens":5,"output_tokens":2}}', "finished"),
        ('{"type":"error","message":"Reconnecting... 1/5"}', "trouble: Reconnecting... 1/5"),
        ("not json", ""),
        ('{"torn', ""),
        ("[1]", ""),
        ("{" * 5_000 + '"a":' * 5_000, ""),
        ('{"type":"item.completed","item":null}', ""),
        ('{"type":"item.completed","item":{"type":"command_execution","command":3}}', ""),
        ('{"type":"item.completed","item":{"type":"file_change","changes":[3]}}', "edited: "),
    ],
)
def test_an_event_is_told_in_a_line(task: MakeTask, line: str, told: str) -> None:
    assert CodexConversation(call_of(task())).hear(line) == told


def test_edited_paths_are_relative(task: MakeTask, worktree: Path) -> None:
    changes = [{"path": f"{worktree}/src/x.py", "kind": "update"}, {"path": "/etc/x"}]
    conversation = CodexConversation(call_of(task()))
    told = conversation.hear(item("file_change", changes=changes, status="completed"))
    assert told == "edited: src/x.py, /etc/x"
    told = conversation.hear(item("file_change", changes=changes, status="failed"))
    assert told.startswith("edited failed: src/x.py")


def test_usage_is_the_threads_last_word(task: MakeTask) -> None:
    conversation = CodexConversation(call_of(task(model="m")))
    for tokens in (100, 300):
        usage = {"input_tokens": tokens, "cached_input_tokens": 90, "output_tokens": 11}
        conversation.hear(json.dumps({"type": "turn.completed", "usage": usage}))
    assert conversation.reply(ended(0), "{}") == AgentReply("{}", Usage(1, 311), "m")


def test_a_warning_in_a_good_run_is_no_failure(task: MakeTask) -> None:
    conversation = CodexConversation(call_of(task()))
    conversation.hear(item("error", message="Model metadata for `x` not found"))
    conversation.hear('{"type":"error","message":"Reconnecting... 1/5 (401 Unauthorized)"}')
    conversation.hear('{"type":"turn.completed","usage":{"input_tokens":1,"output_tokens":1}}')
    assert isinstance(conversation.reply(ended(0), "{}"), AgentReply)


def test_exit_zero_without_a_finished_turn_is_not_believed(task: MakeTask) -> None:
    conversation = CodexConversation(call_of(task()))
    conversation.hear('{"type":"turn.started"}')
    reply = conversation.reply(ended(0), '{"summary": "stale"}')
    assert isinstance(reply, Trouble)


def test_the_same_failure_is_told_once(task: MakeTask) -> None:
    conversation = CodexConversation(call_of(task()))
    assert conversation.hear('{"type":"error","message":"no"}') == "trouble: no"
    assert conversation.hear('{"type":"turn.failed","error":{"message":"no"}}') == ""
    reply = conversation.reply(ended(1), "")
    assert isinstance(reply, Trouble)
    assert reply.message == "codex ended with exit code 1: no"


@pytest.mark.parametrize(
    ("exit_code", "message", "kind"),
    [
        (1, "unexpected status 401 Unauthorized: bad key, url: http://x/v1", FailureClass.AUTH),
        (1, "unexpected status 403 Forbidden: no, url: http://x/v1", FailureClass.AUTH),
        (1, "Missing environment variable: `STUB_KEY`.", FailureClass.AUTH),
        (
            1,
            "exceeded retry limit, last status: 429 Too Many Requests",
            FailureClass.PROVIDER_LIMIT,
        ),
        (1, "You've hit your usage limit. Try again later.", FailureClass.PROVIDER_LIMIT),
        (1, "Quota exceeded. Check your plan and billing details.", FailureClass.PROVIDER_LIMIT),
        (1, "rate limit exceeded: slow down", FailureClass.PROVIDER_LIMIT),
        (1, "exceeded retry limit, last status: 502 Bad Gateway", FailureClass.NETWORK),
        (1, "We\u2019re currently experiencing high demand", FailureClass.NETWORK),
        (1, "Selected model is at capacity. Try another.", FailureClass.NETWORK),
        (1, "stream disconnected before completion: closed", FailureClass.NETWORK),
        (1, "Reconnecting... waiting for network (x)", FailureClass.NETWORK),
        (1, "unexpected status 404 Not Found: The model does not exist", FailureClass.INVALID_ARGS),
        (1, '{"error": {"type": "invalid_request_error"}}', FailureClass.INVALID_ARGS),
        (1, "Codex ran out of room in the model's context window", FailureClass.CONTRACT_INVALID),
        (1, "something new", FailureClass.ENGINE_CRASH),
        (101, "thread panicked", FailureClass.ENGINE_CRASH),
        (-15, "", FailureClass.ENGINE_CRASH),
        (-9, "unexpected status 401", FailureClass.ENGINE_CRASH),
        (None, "", FailureClass.ENGINE_CRASH),
    ],
)
def test_failures_have_a_class_and_a_next_step(
    exit_code: int | None, message: str, kind: FailureClass
) -> None:
    trouble = explain(ended(exit_code), message)
    assert trouble.kind is kind
    assert message in trouble.message
    assert trouble.next_step


def test_what_codex_refuses_before_it_starts_is_our_arguments() -> None:
    clap = ended(2, "error: unexpected argument '--frob' found\n\nUsage: codex exec\n", "")
    assert explain(clap, "").kind is FailureClass.INVALID_ARGS
    schema = ended(1, "Failed to read output schema file\n", "")
    trouble = explain(schema, "")
    assert trouble.kind is FailureClass.INVALID_ARGS
    assert trouble.message == "codex ended with exit code 1: Failed to read output schema file"


def test_only_events_matter_not_what_the_agent_quotes(task: MakeTask) -> None:
    conversation = CodexConversation(call_of(task()))
    conversation.hear(item("agent_message", text="The log says: usage limit, 401 Unauthorized"))
    reply = conversation.reply(ended(1), "")
    assert isinstance(reply, Trouble)
    assert reply.kind is FailureClass.ENGINE_CRASH


def test_noise_is_no_event() -> None:
    assert parse_event('{"type":"turn.started"}') is None
    event = parse_event('{"type":"turn.completed"}')
    assert event is not None
    assert (event.kind, event.tokens) == (EventKind.COMPLETED, 0)


class Probed:
    """Answers probes as codex would, and remembers them."""

    def __init__(self, **answers: int) -> None:
        self.answers = answers
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, argv: tuple[str, ...]) -> Ended:
        self.asked.append(argv)
        word = argv[1].strip("-")
        code = self.answers.get(word, 0)
        return ended(code, f"{word} is broken" if code else "", "codex-cli 9.9\n")


PROVIDER = ("-c", 'model_provider="x"', "-c", 'model_providers.x={name="x",env_key="X_KEY"}')


@pytest.mark.parametrize(
    ("environment", "extra_args", "config", "login", "words"),
    [
        ({}, (), "", 0, None),
        ({}, (), "", 1, "codex is not logged in (its home is"),
        ({"CODEX_API_KEY": "k"}, (), "", 1, None),
        ({"OPENAI_API_KEY": "k"}, (), "", 1, "not logged in"),
        ({"X_KEY": "k"}, PROVIDER, "", 1, None),
        ({}, PROVIDER, "", 0, "X_KEY, which is not set for agents (name it in agent.env)"),
        ({}, (), 'model_provider="l"\n[model_providers.l]\nname="l"', 1, None),
        ({}, ("-c", "model_provider=y"), '[model_providers.y]\nenv_key="Y"', 1, "Y, which is not"),
        ({}, ("-c", "model_provider=unknown"), "", 1, "not logged in"),
        ({}, ("--config",), "not = [toml", 1, "not logged in"),
    ],
)
def test_a_login_is_what_the_provider_asks_for(
    tmp_path: Path,
    environment: dict[str, str],
    extra_args: tuple[str, ...],
    config: str,
    login: int,
    words: str | None,
) -> None:
    (tmp_path / "config.toml").write_text(config)
    settings = CodexSettings(extra_args=extra_args)
    reason = why_not_logged_in(
        settings, {**environment, "CODEX_HOME": str(tmp_path)}, Probed(login=login)
    )
    assert (reason is None) if words is None else (words in (reason or ""))


@pytest.mark.parametrize(
    ("answers", "kind", "words"),
    [
        ({"version": 1}, FailureClass.ENGINE_MISSING, "version is broken"),
        ({"login": 1}, FailureClass.AUTH, "not logged in"),
        ({"sandbox": 1}, FailureClass.ENVIRONMENT, "sandbox is broken"),
    ],
)
def test_a_check_names_the_first_problem_and_its_fix(
    tmp_path: Path, answers: dict[str, int], kind: FailureClass, words: str
) -> None:
    program = tmp_path / "codex"
    program.write_text("")
    program.chmod(0o755)
    settings = CodexSettings(command=str(program))
    health = check_codex(settings, {"PATH": "", "HOME": str(tmp_path)}, Probed(**answers))
    assert health.kind == kind.value
    assert words in health.problem
    assert health.next_step
    well = Probed()
    assert check_codex(settings, {"HOME": str(tmp_path)}, well).problem == ""
    assert [argv[1] for argv in well.asked] == ["--version", "login", "sandbox"]


def test_a_missing_codex_is_not_even_tried() -> None:
    probed = Probed()
    health = check_codex(CodexSettings(), {"PATH": "/nowhere"}, probed)
    assert health.kind == FailureClass.ENGINE_MISSING.value
    assert "codex was not found" in health.problem
    assert probed.asked == []


@pytest.mark.parametrize(("said", "counted"), [(-5, 7), (10**30, 10**12 + 7), (0, 7), (93, 100)])
def test_what_an_agent_says_it_used_lowers_nothing(said: int, counted: int) -> None:
    usage = {"input_tokens": said, "output_tokens": 7}

    event = parse_event(json.dumps({"type": "turn.completed", "usage": usage}))

    assert event is not None
    assert event.tokens == counted
