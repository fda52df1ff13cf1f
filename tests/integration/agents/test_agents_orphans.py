"""A worker is killed with -9 in the middle of a call; the next one finds and ends what is left."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from repoagents.agents import family
from repoagents.agents.process import Command, Supervisor
from repoagents.agents.records import ProcessRecord, ProcessRecords
from repoagents.errors import Stopped
from tests.fakes.identity import RUN
from tests.integration.agents.conftest import gone

WORKER = """
import asyncio, os, sys
from pathlib import Path
from repoagents.agents.process import Command, Supervisor

records, worktree, run_id, code = sys.argv[1:]
command = Command((sys.executable, "-c", code), Path(worktree), {}, run_id, 300)
asyncio.run(Supervisor(Path(records)).run(command))
"""

AGENT = """
import os, signal, subprocess, sys, time
if {stubborn}: signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(
    [sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True
)
with open("pids", "w") as file: file.write(f"{{os.getpid()}} {{child.pid}}")
os.rename("pids", "ready")
time.sleep(300)
"""


def alive(pid: int) -> bool:
    """Whether a process of this pid runs."""
    return not gone(pid)


@contextmanager
def killed_worker(
    processes: Path, worktree: Path, run_id: str = RUN, *, stubborn: bool = False
) -> Iterator[tuple[int, int]]:
    """The pids of an agent and its child whose worker was killed with -9."""
    arguments = [str(processes), str(worktree), run_id, AGENT.format(stubborn=stubborn)]
    worker = subprocess.Popen([sys.executable, "-c", WORKER, *arguments])
    ready = worktree / "ready"
    until = time.monotonic() + 100
    while not ready.exists() and time.monotonic() < until:
        time.sleep(0.02)
    agent, child = map(int, ready.read_text().split())
    ready.unlink()
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    try:
        assert alive(agent), "the agent outlives its worker: that is what this is about"
        assert alive(child)
        yield agent, child
    finally:
        for pid in (agent, child):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_an_orphan_and_its_children_are_ended(
    processes: Path, worktree: Path, supervisor: Supervisor
) -> None:
    with killed_worker(processes, worktree) as (agent, child):
        assert len(list(processes.glob("*.json"))) == 1
        ended = supervisor.end_orphans(RUN)
        assert set(ended) == {agent, child}
        assert not alive(agent)
        assert not alive(child)
    assert supervisor.end_orphans(RUN) == ()


def test_only_the_named_run_is_ended(
    processes: Path, worktree: Path, supervisor: Supervisor
) -> None:
    with killed_worker(processes, worktree) as (agent, child):
        assert supervisor.end_orphans("run-2") == ()
        assert alive(agent)
        assert set(supervisor.end_orphans(RUN)) == {agent, child}


def test_without_a_record_the_marker_finds_them(
    processes: Path, worktree: Path, supervisor: Supervisor
) -> None:
    with killed_worker(processes, worktree) as (agent, child):
        for path in processes.glob("*.json"):
            path.unlink()
        assert set(supervisor.end_orphans(RUN)) == {agent, child}


def test_the_leader_is_gone_but_its_child_is_found(
    processes: Path, worktree: Path, supervisor: Supervisor
) -> None:
    with killed_worker(processes, worktree) as (agent, child):
        os.kill(agent, signal.SIGKILL)
        while alive(agent):
            time.sleep(0.02)
        assert supervisor.end_orphans(RUN) == (child,)
        assert not alive(child)


def test_a_stubborn_orphan_is_killed(
    processes: Path, worktree: Path, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(family, "TERM_GRACE_SECONDS", 0.5)
    with killed_worker(processes, worktree, stubborn=True) as (agent, child):
        assert set(supervisor.end_orphans(RUN)) == {agent, child}
        assert not alive(agent)


def test_a_reused_pid_is_spared(processes: Path, supervisor: Supervisor) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    try:
        long_ago = psutil.Process(stranger.pid).create_time() - 3600
        ProcessRecords(processes).write(ProcessRecord(stranger.pid, long_ago, RUN, "codex"))
        assert supervisor.end_orphans(RUN) == ()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
    assert list(processes.iterdir()) == []


def test_an_unreadable_record_is_no_obstacle(
    processes: Path, worktree: Path, supervisor: Supervisor
) -> None:
    processes.mkdir(parents=True)
    torn = processes / "torn.json"
    torn.write_text('{"pid": 1')
    (processes / "strange.json").write_text('{"pid": 1, "more": 2}')
    with killed_worker(processes, worktree) as (agent, child):
        assert set(supervisor.end_orphans(RUN)) == {agent, child}
    torn.unlink()
    (processes / "strange.json").unlink()


async def test_our_own_running_process_is_no_orphan(
    supervisor: Supervisor, python: Callable[..., Command]
) -> None:
    import asyncio

    lines: list[str] = []
    command = python("import time; print('up', flush=True); time.sleep(60)")
    running = asyncio.ensure_future(supervisor.run(command, lines.extend))
    while not lines:
        await asyncio.sleep(0.02)
    assert await asyncio.to_thread(supervisor.end_orphans, RUN) == ()
    assert not running.done()
    supervisor.stop(RUN, "cancelled")
    with pytest.raises(Stopped):
        await running


def test_a_record_holds_no_argument(tmp_path: Path) -> None:
    record = ProcessRecord(12, 34.5, RUN, "codex")
    path = ProcessRecords(tmp_path).write(record)
    assert json.loads(path.read_text()) == {
        "pid": 12,
        "started": 34.5,
        "run_id": RUN,
        "program": "codex",
    }
    assert list(ProcessRecords(tmp_path).read()) == [(path, record)]
