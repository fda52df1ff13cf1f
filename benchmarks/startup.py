"""How long the two commands that people type most take, measured against an empty Python.

Prints JSON and ends with exit code 1 when a ratio is over its limit. A ratio within one run, and
medians of interleaved calls: what else the machine does falls on all of them alike.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CALLS = 15
LIMIT = 5.0
PYTHON = sys.executable
COMMANDS = {
    "nothing": (PYTHON, "-c", "pass"),
    "help": (PYTHON, "-m", "repoagents", "--help"),
    "status": (PYTHON, "-m", "repoagents", "status"),
}
INIT = ("init", "--preset", "none", "--tracker-kind", "local_markdown", "--yes")


def repository(root: Path) -> None:
    """Make a repository with a control plane, for `status` to stand in."""
    for command in (
        ("git", "init", "--quiet", "--initial-branch=main"),
        (PYTHON, "-m", "repoagents", *INIT),
    ):
        subprocess.run(command, cwd=root, check=True, capture_output=True)


def seconds(command: tuple[str, ...], cwd: Path) -> float:
    """Wall time of one call, which must succeed."""
    # Programs that are installed have their byte code at hand; whoever measures may not want it.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    subprocess.run(command, cwd=cwd, env=environment, check=True, capture_output=True)
    return time.perf_counter() - started


def measure() -> dict[str, float]:
    """The median of each command, in seconds; a first round fills the byte code cache."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        repository(root)
        rounds = [
            {name: seconds(command, root) for name, command in COMMANDS.items()}
            for _ in range(CALLS + 1)
        ]
    return {name: statistics.median(times[name] for times in rounds[1:]) for name in COMMANDS}


def main() -> int:
    """Measure, report, and say by the exit code whether the limits hold."""
    medians = measure()
    ratios = {name: round(medians[name] / medians["nothing"], 2) for name in ("help", "status")}
    milliseconds = {name: round(median * 1000, 1) for name, median in medians.items()}
    report = {"milliseconds": milliseconds, "ratios": ratios, "limit": LIMIT}
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return int(any(ratio > LIMIT for ratio in ratios.values()))


if __name__ == "__main__":
    sys.exit(main())
