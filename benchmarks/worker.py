"""The worker's own CPU: idle, and per run beyond the idle worker. Prints JSON; 1 over a limit.

Agents and checks are other processes and do not count; their starting and reading does.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

IDLE_LIMIT = 0.02
"""Of one core."""
RUN_LIMIT = 15.0
"""Times `python -c pass`; the goal is 5.7 (docs/decisions/006)."""
STARTS = 15
WARM_UP, RUNS, IDLE_SECONDS = 3, 12, 20.0

AGENT = """\
import json, os
from pathlib import Path
role = os.environ["REPOAGENTS_ROLE"]
plan = {"summary": "s", "plan_steps": ["s"], "likely_files": ["a.txt"], "difficulty": "easy",
        "acceptance_criteria": ["c"], "risks": [], "risk_level": "low", "questions": []}
build = {"summary": "s", "changed_files": ["a.txt"], "test_actions": [], "assumptions": [],
         "questions": []}
review = {"decision": "approve", "risk_level": "low", "findings": [], "summary": "s",
          "criteria": [{"id": 1, "met": True, "evidence": "e"}]}
if role == "builder":
    Path("a.txt").write_text("changed\\n")
report = {"planner": plan, "builder": build, "reviewer": review}[role]
Path(os.environ["REPOAGENTS_RESULT"]).write_text(json.dumps(report))
"""

CONFIG = """\
tracker: {{kind: local_markdown, path: issues, poll_interval_seconds: 5}}
llm: {{mode: command}}
command: {{argv: [{python}, {agent}]}}
verify:
  - {{name: same, run: ["true"]}}
"""


def make_project(folder: Path) -> Path:
    """A git repository with a control plane and no issue yet."""
    root = folder / "project"
    (root / "issues").mkdir(parents=True)
    (root / "a.txt").write_text("as it was\n")
    agent = folder / "agent.py"
    agent.write_text(AGENT)
    git = ["git", "-C", str(root), "-c", "user.name=b", "-c", "user.email=b@localhost"]
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    init = [sys.executable, "-m", "repoagents", "init", "--tracker-kind", "local_markdown", "--yes"]
    subprocess.run(init, cwd=root, check=True, stdout=subprocess.DEVNULL)
    config = root / ".ai-repoagents" / "repoagents.yaml"
    config.write_text(CONFIG.format(python=sys.executable, agent=agent))
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "start"], check=True)
    return root


def cpu(process: psutil.Process) -> float:
    """User and system seconds of the process itself."""
    times = process.cpu_times()
    return times.user + times.system


def add_issues(root: Path, first: int, count: int) -> None:
    """Open issues for the worker to find."""
    for number in range(first, first + count):
        (root / "issues" / f"{number}-i.md").write_text(f"---\ntitle: change {number}\n---\nDo.\n")


def wait_for(root: Path, count: int) -> None:
    """Until so many runs are completed."""
    export = root / ".ai-repoagents" / "state" / "runs.json"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if export.exists() and export.read_text().count('"status": "completed"') >= count:
            return
        time.sleep(0.2)
    raise SystemExit(f"not {count} runs were completed in time")


def start_ms() -> float:
    """What an empty Python takes here, in milliseconds of wall time: the median of some starts."""
    took = []
    for _ in range(STARTS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        took.append((time.perf_counter() - started) * 1000)
    return statistics.median(took)


def measure(root: Path) -> dict[str, float]:
    """Idle share of a core, and milliseconds per run beyond it."""
    command = [sys.executable, "-m", "repoagents", "run"]
    with subprocess.Popen(
        command, cwd=root, env={**os.environ}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as worker:
        process = psutil.Process(worker.pid)
        try:
            add_issues(root, 1, WARM_UP)
            wait_for(root, WARM_UP)
            time.sleep(2)
            before, started = cpu(process), time.monotonic()
            time.sleep(IDLE_SECONDS)
            idle = (cpu(process) - before) / (time.monotonic() - started)
            before, started = cpu(process), time.monotonic()
            add_issues(root, 1 + WARM_UP, RUNS)
            wait_for(root, WARM_UP + RUNS)
            seconds = time.monotonic() - started
            busy = cpu(process) - before - idle * seconds
        finally:
            worker.terminate()
            worker.wait(20)
    per_run, start = busy / RUNS * 1000, start_ms()
    return {
        "idle_share_of_core": round(idle, 4),
        "ms_per_run": round(per_run, 1),
        "python_start_ms": round(start, 1),
        "starts_per_run": round(per_run / start, 1),
    }


def main() -> int:
    """Measure and judge."""
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(make_project(Path(folder)))
    limits = {"idle_share_of_core": IDLE_LIMIT, "starts_per_run": RUN_LIMIT}
    print(json.dumps({"figures": figures, "limits": limits}))
    return int(any(figures[name] > limit for name, limit in limits.items()))


if __name__ == "__main__":
    sys.exit(main())
