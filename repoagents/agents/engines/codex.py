"""The codex CLI: its command line, and a call from the first event to the answer."""

from collections.abc import Mapping

from repoagents.agents.engines.codex_events import EventKind, explain, parse_event, within
from repoagents.agents.engines.codex_login import check_codex
from repoagents.agents.engines.contract import Call, Probe, Trouble
from repoagents.agents.process import Ended
from repoagents.domain.reports import Usage
from repoagents.domain.settings import CodexSettings, Settings
from repoagents.ports import AgentReply, EngineHealth

FIXED = (
    *("-c", "analytics.enabled=false"),
    *("--disable", "plugins"),
    # Without this, a host that cannot be reached is tried again forever.
    *("--disable", "unbounded_connection_retries"),
    # Keys and tokens in codex's own environment stay out of the commands that it runs.
    *("-c", "shell_environment_policy.ignore_default_excludes=false"),
    # A login shell's profile would replace PATH.
    *("-c", "allow_login_shell=false"),
    # Of what is temporary only the call's own TMPDIR may be written.
    *("-c", "sandbox_workspace_write.exclude_slash_tmp=true"),
)
"""What every call gets, so that nothing but the model's host is asked and nothing hangs."""


class Codex:
    """The engine `codex`."""

    credentials = ("CODEX_HOME", "CODEX_API_KEY", "OPENAI_API_KEY", "CODEX_CA_CERTIFICATE")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.codex

    def argv(self, call: Call) -> tuple[str, ...]:
        """One fresh `codex exec`, its events on standard output."""
        return codex_argv(self._settings, call)

    def variables(self, call: Call) -> dict[str, str]:
        """None: codex is told everything by its arguments."""
        return {}

    def listen(self, call: Call) -> "CodexConversation":
        """Begin to follow a call."""
        return CodexConversation(call)

    def check(self, environment: Mapping[str, str], probe: Probe) -> EngineHealth:
        """Found, starts, logged in, and its sandbox works."""
        return check_codex(self._settings, environment, probe)


def codex_argv(settings: CodexSettings, call: Call) -> tuple[str, ...]:
    """The command line of one call; the prompt comes on standard input."""
    task = call.task
    model = ("-m", task.engine.model) if task.engine.model else ()
    effort = ("-c", f'model_reasoning_effort="{task.engine.effort}"') if task.engine.effort else ()
    return (
        *(settings.command, "exec", "--json", "--skip-git-repo-check"),
        *("-s", settings.sandbox if task.writable else "read-only"),
        *("-C", str(task.worktree)),
        *model,
        *effort,
        *("--output-schema", str(call.schema)),
        *("-o", str(call.result)),
        *FIXED,
        *settings.extra_args,
        "-",
    )


class CodexConversation:
    """One turn of codex: what it did, what it cost, and why it failed if it did."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._tokens = 0
        self._completed = False
        self._failure = ""

    def hear(self, line: str) -> str:
        """Take an event; returns what it means to a person."""
        event = parse_event(line)
        if event is None:
            return ""
        match event.kind:
            case EventKind.COMPLETED:
                self._completed = True
                self._tokens = event.tokens
                return "finished"
            case EventKind.FAILED | EventKind.NOTICE:
                known, self._failure = self._failure, event.text
                return "" if event.text == known else f"trouble: {event.text}"
            case EventKind.PROGRESS:
                return within(self._call.task.worktree, event.text)

    def reply(self, ended: Ended, written: str) -> AgentReply | Trouble:
        """The last message as codex wrote it to the file, believed only after a completed turn."""
        if ended.exit_code != 0 or not self._completed:
            return explain(ended, self._failure)
        return AgentReply(written, Usage(1, self._tokens), self._call.task.engine.model)
