"""What `codex exec --json` says: its events, and what its failures mean."""

import json
import re
import shlex
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from repoagents.agents.engines.contract import Trouble, last_line
from repoagents.agents.process import Ended
from repoagents.domain.run import FailureClass

MOST_TOKENS = 10**12
"""More than any turn can use."""


class EventKind(Enum):
    """What an event means to us."""

    PROGRESS = auto()
    """Something to tell a person."""
    NOTICE = auto()
    """An error that codex may still get over; the last one explains a failure without a turn."""
    FAILED = auto()
    """The turn's end without an answer."""
    COMPLETED = auto()
    """The turn's end with one; `tokens` is the whole thread's input plus output."""


@dataclass(frozen=True)
class Event:
    """One line of the event stream that matters to us."""

    kind: EventKind
    text: str = ""
    tokens: int = 0


def parse_event(line: str) -> Event | None:
    """Read one line; None for noise and for events without news."""
    if not line.startswith("{"):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    event = _event(value)
    return event if event.text or event.kind is not EventKind.PROGRESS else None


def _event(value: object) -> Event:
    match value:
        case {"type": "turn.completed", "usage": {"input_tokens": int(i), "output_tokens": int(o)}}:
            return Event(EventKind.COMPLETED, tokens=_counted(i) + _counted(o))
        case {"type": "turn.completed"}:
            return Event(EventKind.COMPLETED)
        case {"type": "turn.failed", "error": {"message": str(message)}}:
            return Event(EventKind.FAILED, message)
        case {"type": "error", "message": str(message)}:
            return Event(EventKind.NOTICE, message)
        case {"type": "item.started" | "item.completed" as stage, "item": {"type": str()} as item}:
            return Event(EventKind.PROGRESS, _item(item, done=stage == "item.completed"))
        case _:
            return Event(EventKind.PROGRESS)


def _counted(tokens: int) -> int:
    """A number of tokens that can be one: what an agent says must not lower what is spent."""
    return min(max(tokens, 0), MOST_TOKENS)


def _item(item: dict[str, object], *, done: bool) -> str:
    match item:
        case {"type": "command_execution", "command": str(command)}:
            code = item.get("exit_code")
            ending = "" if code in (0, None) else f" (exit {code})"
            return f"{'ran' if done else 'running'}: {_bare_command(command)}{ending}"
        case {"type": "file_change", "changes": list(changes)} if done:
            paths = [change["path"] for change in changes if isinstance(change, dict)]
            failed = " failed" if item.get("status") == "failed" else ""
            return f"edited{failed}: {', '.join(map(str, paths))}"
        case {"type": "agent_message" | "reasoning", "text": str(text)} if done:
            return "answered" if text.lstrip().startswith("{") else f"said: {text}"
        case {"type": "error", "message": str(message)} if done:
            return f"warning: {message}"
        case _:
            return ""


def _bare_command(command: str) -> str:
    """The command without the shell that codex wraps around it."""
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    return words[2] if len(words) == 3 and words[1] in ("-c", "-lc") else command


def within(worktree: Path, text: str) -> str:
    """The text with the worktree's paths made relative."""
    return text.replace(f"{worktree}/", "")


_LOGIN = "run `codex login` as the user that runs the bot, then `repoagents doctor`"
_NEXT_STEPS = {
    FailureClass.AUTH: _LOGIN,
    FailureClass.PROVIDER_LIMIT: "wait for the provider's limit to pass, or use another account",
    FailureClass.NETWORK: "check that the model's host can be reached: `repoagents doctor`",
    FailureClass.INVALID_ARGS: "check codex.model and codex.extra_args: `repoagents doctor`",
    FailureClass.CONTRACT_INVALID: "split the issue: it does not fit the model's context",
    FailureClass.ENGINE_CRASH: "look at the transcript among the run's artifacts",
}

_BY_STATUS = {
    401: FailureClass.AUTH,
    403: FailureClass.AUTH,
    400: FailureClass.INVALID_ARGS,
    404: FailureClass.INVALID_ARGS,
    429: FailureClass.PROVIDER_LIMIT,
}

_BY_WORDS = (
    (FailureClass.AUTH, r"missing environment variable|unauthori[sz]ed|not logged in|api key"),
    (FailureClass.CONTRACT_INVALID, r"context window|input_too_large"),
    (FailureClass.PROVIDER_LIMIT, r"usage limit|quota exceeded|rate.limit|too many requests"),
    (
        FailureClass.NETWORK,
        r"stream disconnected|connection refused|waiting for network|error sending request|"
        r"timed? ?out|high demand|at capacity|overloaded",
    ),
    (
        FailureClass.INVALID_ARGS,
        r"invalid_request_error|model .*(not|n't) (exist|found|support)|unsupported|unknown",
    ),
)


def explain(ended: Ended, failure: str) -> Trouble:
    """What a call that gave no answer means; `failure` is what codex's last error event said."""
    # Where the arguments are refused, the reason stands above a usage text.
    refusals = [line for line in ended.errors.splitlines() if line.lower().startswith("error")]
    message = failure or last_line("\n".join(refusals) or ended.errors) or "no error message"
    kind = _kind(ended.exit_code, message, started=bool(ended.output.strip()))
    how = f"exit code {ended.exit_code}"
    if ended.exit_code is not None and ended.exit_code < 0:
        how = f"signal {-ended.exit_code}"
    return Trouble(kind, f"codex ended with {how}: {message}", _NEXT_STEPS[kind])


def _kind(exit_code: int | None, message: str, *, started: bool) -> FailureClass:
    if exit_code is None or exit_code < 0:
        return FailureClass.ENGINE_CRASH
    status = re.search(r"status:? (\d{3})\b", message)
    if status:
        code = int(status.group(1))
        if code in _BY_STATUS or code >= 500:
            return _BY_STATUS.get(code, FailureClass.NETWORK)
    for kind, words in _BY_WORDS:
        if re.search(words, message, re.IGNORECASE):
            return kind
    # Without a single event codex did not get as far as the model: it refused what it was given.
    refused = exit_code == 2 or (exit_code == 1 and not started)
    return FailureClass.INVALID_ARGS if refused else FailureClass.ENGINE_CRASH
