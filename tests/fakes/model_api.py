"""A model API on loopback for the real codex: scripted, stateless per request, and nosy.

    with ModelApi(role_script()) as api:
        argv = ["codex", "exec", *api.codex_arguments, ...]   # with API_KEY in the environment

A script takes what one request shows (`Asked`) and returns what the model does next. It may be a
plain function; `turns` and `role_script` make the usual ones.
"""

import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from tempfile import TemporaryDirectory
from typing import Any, Self

import pytest

MODEL = "gpt-5.5"
KEY_NAME = "MODEL_API_KEY"
KEY = "loopback-key-of-no-value"


def find_codex() -> str:
    """The path of the real codex; skips the test where there is none, or no sandbox for it."""
    package = pytest.importorskip("codex_cli_bin")
    codex = str(package.bundled_codex_path())
    if refused := _why_no_sandbox(codex):
        pytest.skip(f"codex can make no sandbox on this machine: {refused}")
    return codex


@cache
def _why_no_sandbox(codex: str) -> str:
    # Many containers, and some systems, let nobody make the namespaces that it needs.
    with TemporaryDirectory() as home:
        ended = subprocess.run(
            [codex, "sandbox", "--", "true"],
            env={"PATH": os.environ["PATH"], "HOME": home, "CODEX_HOME": home},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    *_, why = ended.stderr.strip().splitlines() or ["it does not say why"]
    return why if ended.returncode else ""


@dataclass(frozen=True)
class Say:
    """The model's last message: ends the turn. `value` is text, or JSON to be written as text."""

    value: Any


@dataclass(frozen=True)
class Shell:
    """The model runs a shell command."""

    command: str


@dataclass(frozen=True)
class Patch:
    """The model applies a patch in codex's own format."""

    text: str


@dataclass(frozen=True)
class Fail:
    """The API answers with an error status in the vendor's shape."""

    status: int
    message: str = "scripted failure"
    type: str = "server_error"


@dataclass(frozen=True)
class Hang:
    """The API takes the request and never answers, until the server is closed."""


@dataclass(frozen=True)
class Cut:
    """The stream breaks off before it is complete."""


Move = Say | Shell | Patch | Fail | Hang | Cut


@dataclass(frozen=True)
class Asked:
    """One request: its JSON body, and what can be read from it."""

    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """The newest text from the user: what the bot wrote on codex's standard input."""
        texts = [
            part["text"]
            for item in self.body["input"]
            if item.get("role") == "user"
            for part in item["content"]
            if part.get("type") == "input_text"
        ]
        return texts[-1] if texts else ""

    @property
    def results(self) -> tuple[str, ...]:
        """What the tools returned in this turn, oldest first."""
        return tuple(
            json.dumps(item.get("output"))
            for item in self.body["input"]
            if item.get("type", "").endswith("_output")
        )

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema that the answer was asked to fit; empty when none was given."""
        schema: dict[str, Any] = self.body.get("text", {}).get("format", {}).get("schema", {})
        return schema

    @property
    def role(self) -> str:
        """Which role asks, known by what it must answer."""
        known = {
            "plan_steps": "planner",
            "changed_files": "builder",
            "decision": "reviewer",
        }
        properties = self.schema.get("properties", {})
        return next((role for name, role in known.items() if name in properties), "")

    @property
    def criteria(self) -> list[int]:
        """The ids that a review must cover."""
        ids = re.search(r'"enum": (\[[\d, ]+\])', json.dumps(self.schema))
        return json.loads(ids.group(1)) if ids else []


Script = Callable[[Asked], Move]


def turns(*moves: Move) -> Script:
    """Each move in turn, one per tool result so far; the last one is repeated."""
    return lambda asked: moves[min(len(asked.results), len(moves) - 1)]


def role_script(
    edits: Sequence[Move] = (),
    plan: dict[str, Any] | None = None,
    build: dict[str, Any] | None = None,
    review: dict[str, Any] | None = None,
) -> Script:
    """All three roles: a plan, the builder's edits and report, an approving review."""

    def move(asked: Asked) -> Move:
        match asked.role:
            case "planner":
                return Say(PLAN | (plan or {}))
            case "builder":
                return turns(*edits, Say(BUILD | (build or {})))(asked)
            case "reviewer":
                rows = [{"id": i, "met": True, "evidence": "seen"} for i in asked.criteria]
                return Say(REVIEW | {"criteria": rows} | (review or {}))
        return Say("no role asked")

    return move


PLAN: dict[str, Any] = {
    "summary": "Put the value right.",
    "plan_steps": ["Change the value."],
    "likely_files": ["value.txt"],
    "acceptance_criteria": ["The value is right."],
    "risks": [],
    "risk_level": "low",
    "difficulty": "easy",
    "questions": [],
}
BUILD: dict[str, Any] = {
    "summary": "Changed the value.",
    "changed_files": ["value.txt"],
    "test_actions": [],
    "assumptions": [],
    "questions": [],
}
REVIEW: dict[str, Any] = {
    "decision": "approve",
    "risk_level": "low",
    "criteria": [],
    "findings": [],
    "summary": "It does what the issue asks.",
}


class ModelApi:
    """The server; `requests` holds everything that it was asked, in order."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[Asked] = []
        self.closing = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it listens, with the API's version."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def codex_arguments(self) -> tuple[str, ...]:
        """What makes codex ask here, at once and without retries; for `codex.extra_args`."""
        provider = (
            f'{{name="loopback",base_url="{self.url}",env_key="{KEY_NAME}",'
            'wire_api="responses",request_max_retries=0,stream_max_retries=0}'
        )
        return (
            *("-c", 'model_provider="loopback"'),
            *("-c", f"model_providers.loopback={provider}"),
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, api: ModelApi) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.api = api


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = Asked(json.loads(body), {k.lower(): v for k, v in self.headers.items()})
        api = self.server.api
        api.requests.append(asked)
        match api.script(asked):
            case Fail(status, message, kind):
                error = {"error": {"message": message, "type": kind, "code": None}}
                self._send(status, "application/json", json.dumps(error).encode())
            case Hang():
                api.closing.wait()
                self.close_connection = True
            case Cut():
                self._stream([{"type": "response.created", "response": {"id": "resp_1"}}])
            case Say() | Shell() | Patch() as move:
                self._stream(_events(move, len(api.requests)))

    def do_GET(self) -> None:
        self._send(404, "application/json", b'{"error": {"message": "no such page"}}')

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, events: Sequence[dict[str, Any]]) -> None:
        lines = (f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)
        self._send(200, "text/event-stream", "".join(lines).encode())

    def log_message(self, format: str, *args: object) -> None:
        return


def _events(move: Say | Shell | Patch, number: int) -> list[dict[str, Any]]:
    return [
        {"type": "response.created", "response": {"id": f"resp_{number}"}},
        {"type": "response.output_item.done", "output_index": 0, "item": _item(move, number)},
        {
            "type": "response.completed",
            "response": {
                "id": f"resp_{number}",
                "usage": {
                    "input_tokens": 1000,
                    "input_tokens_details": {"cached_tokens": 400},
                    "output_tokens": 200,
                    "output_tokens_details": {"reasoning_tokens": 50},
                    "total_tokens": 1200,
                },
            },
        },
    ]


def _item(move: Say | Shell | Patch, number: int) -> dict[str, Any]:
    match move:
        case Say(value):
            text = value if isinstance(value, str) else json.dumps(value)
            part = {"type": "output_text", "text": text, "annotations": []}
            return {
                "type": "message",
                "role": "assistant",
                "id": f"msg_{number}",
                "content": [part],
            }
        case Shell(command):
            return {
                "type": "function_call",
                "id": f"fc_{number}",
                "call_id": f"call_{number}",
                "name": "exec_command",
                "arguments": json.dumps({"cmd": command, "yield_time_ms": 5000}),
            }
        case Patch(text):
            return {
                "type": "custom_tool_call",
                "id": f"ctc_{number}",
                "call_id": f"call_{number}",
                "name": "apply_patch",
                "input": text,
            }


def tools_of(asked: Asked) -> Iterator[str]:
    """The names of the tools that the model was offered."""
    for tool in asked.body.get("tools", []):
        yield tool.get("name", tool.get("type", ""))
