"""The real codex, through the command line, against a loopback model API."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from repoagents.domain.run import FailureClass, RunStatus
from tests.e2e.conftest import Project
from tests.fakes.model_api import (
    KEY,
    KEY_NAME,
    MODEL,
    Asked,
    Fail,
    Hang,
    ModelApi,
    Move,
    Patch,
    Say,
    Shell,
    find_codex,
    role_script,
)

pytestmark = [pytest.mark.codex, pytest.mark.slow]

FIX = Patch(
    "*** Begin Patch\n*** Update File: adding.py\n@@\n def add(a, b):\n"
    "-    return a - b\n+    return a + b\n*** End Patch\n"
)
PLAN = {"likely_files": ["adding.py"], "acceptance_criteria": ["add(2, 2) is 4"]}


Use = Callable[[ModelApi], dict[str, str]]


@pytest.fixture
def use(project: Project, tmp_path: Path) -> Use:
    """Make the project use codex on this API; returns the environment that it needs."""

    def configure(api: ModelApi) -> dict[str, str]:
        arguments = json.dumps(list(api.codex_arguments))
        project.configure("mode: command", "mode: codex")
        project.configure(
            "agent:\n  env: [CALL_LOG, AGENT_SECONDS]",
            f"codex:\n  command: {find_codex()}\n  model: {MODEL}\n"
            f"  extra_args: {arguments}\nagent:\n  env: [{KEY_NAME}]\n"
            "  idle_timeout_seconds: 300\n  retry_limit: 1",
        )
        home = tmp_path / "codex-home"
        home.mkdir()
        return {KEY_NAME: KEY, "CODEX_HOME": str(home), "GITHUB_TOKEN": "ghp_" + "x" * 36}

    return configure


def test_an_issue_becomes_a_proven_patch(project: Project, use: Use) -> None:
    with ModelApi(role_script([FIX], plan=PLAN)) as api:
        done = project.run("trigger", "1", **use(api))
    run = project.latest()
    assert run is not None
    assert (run.status, run.verified) == (RunStatus.COMPLETED, True), done.stdout
    folder = project.control / "artifacts" / "issue-1" / run.id
    assert "+    return a + b" in (folder / "changes.patch").read_text()
    asked = [request.role for request in api.requests]
    assert asked[0] == "planner"
    assert asked[-1] == "reviewer"
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert KEY.encode() not in everything
    assert "ghp_" not in json.dumps([request.body for request in api.requests])


@pytest.mark.parametrize(
    ("move", "status", "kind"),
    [
        (Fail(401, "bad key"), RunStatus.RETRY_PENDING, FailureClass.AUTH),
        (Fail(429, "slow down"), RunStatus.RETRY_PENDING, FailureClass.PROVIDER_LIMIT),
        (Fail(500, "broken"), RunStatus.RETRY_PENDING, FailureClass.NETWORK),
        (Say("I would rather chat."), RunStatus.FAILED, FailureClass.CONTRACT_INVALID),
        (Hang(), RunStatus.FAILED, FailureClass.TIMEOUT_IDLE),
    ],
    ids=["401", "429", "500", "outside-the-schema", "hang"],
)
def test_a_failure_has_its_own_class_and_exit_code(
    project: Project, use: Use, move: Move, status: RunStatus, kind: FailureClass
) -> None:
    def script(_asked: Asked) -> Move:
        return move

    with ModelApi(script) as api:
        environment = use(api)
        if kind is FailureClass.TIMEOUT_IDLE:
            project.configure("idle_timeout_seconds: 300", "idle_timeout_seconds: 3")
        done = project.run("trigger", "1", code=1, **environment)
    run = project.latest()
    assert run is not None
    assert run.status is status, done.stdout + done.stderr
    assert run.failure is not None
    assert run.failure.kind is kind
    assert run.failure.next_step
    assert not [p for p in psutil.process_iter(["name"]) if _of_run(p, run.id)]


def test_the_sandbox_refuses_and_the_change_stays_out(project: Project, use: Use) -> None:
    escape = Shell(f"echo stolen > {project.root}/stolen.txt; echo stolen > /escaped.txt; true")
    with ModelApi(role_script([escape, FIX], plan=PLAN)) as api:
        project.run("trigger", "1", **use(api))
    assert not (project.root / "stolen.txt").exists()
    assert not Path("/escaped.txt").exists()
    run = project.latest()
    assert run is not None
    assert run.status is RunStatus.COMPLETED


def test_cancel_ends_a_hanging_codex(project: Project, use: Use) -> None:
    with ModelApi(lambda _asked: Hang()) as api:
        environment = use(api)
        worker = project.start("trigger", "1", **environment)
        while not api.requests:
            time.sleep(0.05)
            assert worker.poll() is None, worker.stdout
        project.run("cancel", "1", **environment)
        worker.communicate(timeout=300)
    run = project.latest()
    assert run is not None
    assert run.status is RunStatus.CANCELLED
    assert not [p for p in psutil.process_iter() if _of_run(p, run.id)]


def _of_run(process: psutil.Process, run_id: str) -> bool:
    try:
        return process.pid != os.getpid() and run_id in process.environ().values()
    except psutil.Error:
        return False
