"""The worker driven from outside: stopped, killed, doubled, cancelled, crowded, on PostgreSQL."""

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable

import pytest

from repoagents.domain.run import FailureClass, RunStatus, Stage
from repoagents.store.reader import open_reader
from tests.contract.conftest import postgres
from tests.e2e.conftest import AGENT, Project, is_running
from tests.prepared import Running

pytestmark = pytest.mark.slow

NOISE = ("dbos", "traceback", "asyncio", "never retrieved", "bug:")

PICKY_AGENT = """\
import io, os, runpy, sys
prompt = sys.stdin.read()
if "always falls over" in prompt and os.environ["REPOAGENTS_ROLE"] == "builder":
    sys.exit(3)
sys.stdin = io.StringIO(prompt)
runpy.run_path({agent!r}, run_name="__main__")
"""

STUBBORN_AGENT = """\
import runpy, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
runpy.run_path({agent!r}, run_name="__main__")
"""


def add_issues(project: Project, *numbers: int, title: str = "add() subtracts") -> None:
    """More open issues, each of its own text."""
    for number in numbers:
        text = f"---\ntitle: {title}\nstate: open\n---\nadd({number}, 2) is wrong.\n"
        (project.root / "issues" / f"{number}-more.md").write_text(text)


def until(true: Callable[[], bool], seconds: float = 300) -> None:
    """Wait until it is true."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < seconds, "it never came true"
        time.sleep(0.01)


def calls(project: Project) -> list[tuple[str, str, int]]:
    """Start or end, role and pid of every call so far."""
    rows = (line.split() for line in project.calls.read_text().splitlines())
    return [(word, role, int(pid)) for word, role, pid, _ in rows]


def started(project: Project) -> Counter[str]:
    """How often each role was started."""
    return Counter(role for word, role, _ in calls(project) if word == "start")


def living(project: Project) -> list[int]:
    """The agents that are still there."""
    return [pid for _, _, pid in calls(project) if is_running(pid)]


def statuses(project: Project) -> dict[int, RunStatus]:
    """Each issue's newest status."""
    runs = open_reader(project.control).runs(limit=50)
    return {run.issue_number: run.status for run in reversed(runs)}


def silent(output: str) -> bool:
    """Whether nothing of the engine's inside got out."""
    return not any(word in output.lower() for word in NOISE)


def end(worker: Running, *signals: int) -> str:
    """Send these and return all that the worker said."""
    for number in signals:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, number)
        time.sleep(0.15)
    return worker.communicate(timeout=300)[0]


@pytest.mark.parametrize(
    "signals",
    [(signal.SIGINT,), (signal.SIGTERM,)],
    ids=["ctrl-c", "term"],
)
def test_a_stopped_worker_parks_its_runs_and_the_next_goes_on(
    project: Project, signals: tuple[int, ...]
) -> None:
    add_issues(project, 2, 3)
    project.configure("agent:\n", "agent:\n  max_concurrent_runs: 2\n")
    worker = project.start("run", AGENT_SECONDS="builder=600")
    until(lambda: started(project)["builder"] == 2)
    output = end(worker, *signals)
    assert worker.returncode == 130, output
    assert silent(output), output
    assert living(project) == []
    runs = {run.issue_number: run for run in open_reader(project.control).runs()}
    parked = [run for run in runs.values() if run.failure]
    assert {run.status for run in runs.values()} == {RunStatus.QUEUED}
    assert [(r.failure and r.failure.kind, r.resumes) for r in parked] == [
        (FailureClass.INTERRUPTED, 0)
    ] * 2
    assert '"status": "in_progress"' not in (project.control / "state/runs.json").read_text()

    done = project.run("run", "--until-idle", AGENT_SECONDS="0.3")
    assert silent(done.stdout + done.stderr)
    assert set(statuses(project).values()) == {RunStatus.COMPLETED}
    assert started(project) == {"planner": 3, "builder": 5, "reviewer": 3}
    assert {run.attempt for run in open_reader(project.control).runs()} == {1}


def test_a_second_ctrl_c_does_not_cut_the_ending_of_a_stubborn_agent_short(
    project: Project,
) -> None:
    agent = project.calls.parent / "stubborn.py"
    agent.write_text(STUBBORN_AGENT.format(agent=str(AGENT)))
    project.configure(str(AGENT), str(agent))
    worker = project.start("run", AGENT_SECONDS="600")
    until(lambda: started(project)["planner"] == 1)
    output = end(worker, signal.SIGINT, signal.SIGINT, signal.SIGTERM)
    assert worker.returncode == 130, output
    assert silent(output), output
    assert living(project) == []
    assert statuses(project) == {1: RunStatus.QUEUED}


def test_trigger_leaves_a_dead_workers_other_runs_alone_and_run_takes_them_over(
    project: Project,
) -> None:
    add_issues(project, 2, 3)
    project.configure("agent:\n", "agent:\n  max_concurrent_runs: 2\n")
    worker = project.start("run", AGENT_SECONDS="builder=600")
    until(lambda: started(project)["builder"] == 2)
    end(worker, signal.SIGKILL)
    before = {number: status for number, status in statuses(project).items() if number != 1}

    project.run("trigger", "1", AGENT_SECONDS="0.1")
    now = statuses(project)
    assert now.pop(1) is RunStatus.COMPLETED
    assert now == before

    project.run("run", "--until-idle", AGENT_SECONDS="0.1")
    assert set(statuses(project).values()) == {RunStatus.COMPLETED}
    assert started(project) == {"planner": 3, "builder": 5, "reviewer": 3}


def test_run_takes_over_what_a_killed_trigger_left(project: Project) -> None:
    worker = project.start("trigger", "1", AGENT_SECONDS="builder=600")
    until(lambda: started(project)["builder"] == 1)
    end(worker, signal.SIGKILL)
    project.run("run", "--until-idle", AGENT_SECONDS="0.1")
    assert statuses(project) == {1: RunStatus.COMPLETED}
    assert started(project) == {"planner": 1, "builder": 2, "reviewer": 1}


def test_trigger_follows_a_live_worker_and_a_second_worker_is_refused(project: Project) -> None:
    worker = project.start("run", AGENT_SECONDS="0.5")
    until(lambda: started(project)["planner"] == 1)
    refused = project.run("run", "--once", code=1)
    assert "another worker is live" in refused.stderr
    project.run("trigger", "1")
    assert statuses(project) == {1: RunStatus.COMPLETED}
    assert sum(started(project).values()) == 3
    end(worker, signal.SIGTERM)


def test_cancel_reaches_the_agent_in_the_middle_of_its_work_and_retry_goes_on(
    project: Project,
) -> None:
    worker = project.start("run", AGENT_SECONDS="600")
    until(lambda: started(project)["planner"] == 1)
    project.run("cancel", "1")
    until(lambda: not living(project))
    assert statuses(project) == {1: RunStatus.CANCELLED}
    project.run("retry", "1")
    until(lambda: started(project)["planner"] == 2)
    project.run("cancel", "1")
    until(lambda: not living(project))
    end(worker, signal.SIGTERM)
    run = project.latest()
    assert run is not None
    assert (run.status, run.generation, run.attempt) == (RunStatus.CANCELLED, 1, 2)


def test_a_waiting_run_is_cancelled_without_a_worker_and_sent_back(project: Project) -> None:
    agent = project.calls.parent / "picky.py"
    agent.write_text(PICKY_AGENT.format(agent=str(AGENT)))
    project.configure(str(AGENT), str(agent))
    project.configure("base_retry_seconds: 1", "base_retry_seconds: 600")
    add_issues(project, 2, title="it always falls over")
    (project.root / "issues" / "1-adding.md").unlink()
    once = project.run("run", "--once", code=1)
    assert silent(once.stdout + once.stderr)
    assert statuses(project) == {2: RunStatus.RETRY_PENDING}
    project.run("cancel", "2")
    assert statuses(project) == {2: RunStatus.CANCELLED}
    project.configure(str(agent), str(AGENT))
    project.run("retry", "2", "--note", "try it once more")
    project.run("run", "--until-idle")
    run = project.latest(2)
    assert run is not None
    assert (run.status, run.generation, run.note) == (RunStatus.COMPLETED, 1, "try it once more")
    assert started(project)["planner"] == 1


def test_retries_and_a_hopeless_issue_hold_no_slot(project: Project) -> None:
    agent = project.calls.parent / "picky.py"
    agent.write_text(PICKY_AGENT.format(agent=str(AGENT)))
    project.configure(str(AGENT), str(agent))
    project.configure("agent:\n", "agent:\n  max_concurrent_runs: 2\n  retry_limit: 2\n")
    project.configure("base_retry_seconds: 1", "base_retry_seconds: 8")
    (project.root / "issues" / "1-adding.md").unlink()
    hopeless, others = {2, 3}, {4, 5, 6}
    add_issues(project, *hopeless, title="it always falls over")
    add_issues(project, *others)
    project.run("run", "--until-idle", code=1, AGENT_SECONDS="0.2")
    ended = dict.fromkeys(hopeless, RunStatus.FAILED) | dict.fromkeys(others, RunStatus.COMPLETED)
    assert statuses(project) == ended
    at_once, most = 0, 0
    for word, _role, _pid in calls(project):
        at_once += 1 if word == "start" else -1
        most = max(most, at_once)
    assert most <= 2
    told = (project.control / "logs" / "repoagents.jsonl").read_text().splitlines()
    lines = [(line["code"], line.get("issue")) for line in map(json.loads, told)]
    begun = [("stage_started", number) for number in hopeless]
    failed = max(lines.index(("stage_failed", number)) for number in hopeless)
    again = next(n for n in range(failed, len(lines)) if lines[n] in begun)
    assert others & {number for code, number in lines[failed:again] if code == "stage_started"}, (
        "while both wait, the slots are the others'"
    )


@pytest.mark.parametrize("seed", range(6))
def test_a_worker_killed_while_it_publishes_publishes_once(project: Project, seed: int) -> None:
    project.configure("agent:\n", "safety:\n  allow_open_pr: true\nagent:\n")
    worker = project.start("trigger", "1")

    def publishing() -> bool:
        run = project.latest()
        return run is not None and run.stage is Stage.PUBLISH

    until(publishing)
    time.sleep(random.Random(seed).uniform(0, 0.15))
    end(worker, signal.SIGKILL)
    project.run("trigger", "1", code=None)
    run = project.latest()
    assert run is not None
    assert run.status is RunStatus.COMPLETED
    git = ["git", "-C", str(project.root)]
    heads = subprocess.run(
        [*git, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads/repoagents"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert heads == [run.branch, run.head_sha]
    parents = subprocess.run(
        [*git, "rev-list", f"main..{run.branch}"], capture_output=True, text=True, check=True
    )
    assert parents.stdout.split() == [run.head_sha]
    assert len(list(project.control.rglob("pull-request.md"))) == 1
    assert sum(started(project).values()) == 3


def test_once_says_when_the_tracker_cannot_be_read(project: Project) -> None:
    (project.root / "issues" / "1-adding.md").unlink()
    (project.root / "issues").rmdir()
    done = project.run("run", "--once", code=1)
    assert "issues" in done.stderr
    assert silent(done.stderr)


def test_a_state_that_breaks_ends_the_worker_with_a_clear_error(project: Project) -> None:
    worker = project.start("run", AGENT_SECONDS="1")
    until(lambda: started(project)["planner"] == 1)
    for name in ("repoagents.sqlite", "repoagents.sqlite-wal"):
        place = project.control / "state" / name
        with place.open("r+b") as file:
            file.write(b"\xff" * place.stat().st_size)
    output = worker.communicate(timeout=300)[0]
    assert worker.returncode == 1, output
    assert "is damaged" in output
    # The durable engine may have been at its own books at that moment: what it then says is logged.
    told = [line for line in output.splitlines() if not line.startswith("{")]
    assert not any("Traceback" in line for line in told)
    until(lambda: not living(project))


@pytest.mark.postgres
def test_the_worker_does_its_work_on_postgresql(project: Project) -> None:
    with postgres() as url:
        variables = {"AGENT_SECONDS": "builder=600", "REPOAGENTS_STATE__DATABASE_URL": url}
        worker = project.start("run", **variables)
        until(lambda: started(project)["builder"] == 1)
        end(worker, signal.SIGKILL)
        done = project.run("trigger", "1", "--json", REPOAGENTS_STATE__DATABASE_URL=url)
    assert '"status": "completed"' in done.stdout
    assert started(project) == {"planner": 1, "builder": 2, "reviewer": 1}
