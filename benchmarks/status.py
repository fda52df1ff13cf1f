"""Does `status` stay quick when the state grows? Measures 100 runs against 100,000.

    python benchmarks/status.py [--large N] [--limit RATIO]

Three ways in one go, medians of interleaved repetitions: the queries alone, a fresh Python that
asks them, and the whole command. Prints JSON; exit 1 when any ratio is over the limit.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from repoagents.bootstrap import SystemClock  # noqa: E402
from repoagents.domain.issue import Issue  # noqa: E402
from repoagents.domain.run import Run, RunStatus  # noqa: E402
from repoagents.store import schema  # noqa: E402
from repoagents.store.codec import encode  # noqa: E402
from repoagents.store.database import open_database  # noqa: E402
from repoagents.store.reader import open_reader  # noqa: E402
from repoagents.store.rows import run_columns  # noqa: E402

SMALL = 100
OPEN = (RunStatus.QUEUED, RunStatus.IN_PROGRESS, RunStatus.RETRY_PENDING)
ENDED = (RunStatus.COMPLETED, RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.BLOCKED)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
ASK = (
    "import sys; from pathlib import Path; from repoagents.store.reader import open_reader; "
    "r = open_reader(Path(sys.argv[1])); r.runs(); r.counts()"
)


def make_state(root: Path, count: int) -> Path:
    """A repository whose state holds that many runs; returns its control folder."""
    control = root / ".ai-repoagents"
    control.mkdir(parents=True)
    (control / "repoagents.yaml").write_text("tracker:\n  kind: local_file\n")
    (root / "issues.json").write_text("[]\n")
    books = open_database(control / "state" / "repoagents.sqlite", clock=SystemClock())
    runs = [make_run(number, ended=number <= count - 20) for number in range(1, count + 1)]
    issue = encode(Issue(1, "A title of the usual length", "A body. " * 50))
    with books.engine.begin() as connection:
        connection.execute(sa.insert(schema.runs), [run_columns(run) for run in runs])
        frozen = [{"run_id": run.id, "issue": issue} for run in runs]
        connection.execute(sa.insert(schema.issues), frozen)
        for status in RunStatus:
            held = sum(run.status is status for run in runs)
            tally = schema.tallies.update().where(schema.tallies.c.status == status.value)
            connection.execute(tally.values(runs=held))
    books.close()
    return control


def make_run(number: int, *, ended: bool) -> Run:
    """A run as it usually looks: most have ended, the newest are open."""
    statuses = ENDED if ended else OPEN
    at = BEGIN + timedelta(minutes=number)
    return Run(
        f"run-{number:08d}",
        number,
        "A title of the usual length",
        f"{number:064x}",
        statuses[number % len(statuses)],
        at,
        at,
        branch=f"repoagents/issue-{number}",
        head_sha=f"{number:040x}",
    )


def ask(control: Path) -> None:
    """What `status` asks."""
    reader = open_reader(control)
    reader.runs()
    reader.counts()
    reader.runs(OPEN)


def start(*command: str) -> Callable[[Path], None]:
    """A fresh Python that is given the control folder, or stands in its repository."""

    def run(control: Path) -> None:
        arguments = [sys.executable, *command]
        if command[0] == "-c":
            arguments.append(str(control))
        done = subprocess.run(
            arguments, cwd=control.parent, capture_output=True, text=True, check=False
        )
        if done.returncode not in (0, 1):
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")

    return run


def compare(
    work: Callable[[Path], None], small: Path, large: Path, repetitions: int
) -> dict[str, float]:
    """Milliseconds for each, and their ratio; the two take turns, so that noise hits both."""
    work(small)
    work(large)
    times: dict[Path, list[float]] = {small: [], large: []}
    for _ in range(repetitions):
        for control in (small, large):
            began = time.perf_counter()
            work(control)
            times[control].append((time.perf_counter() - began) * 1000)
    few, many = statistics.median(times[small]), statistics.median(times[large])
    return {"small_ms": round(few, 3), "large_ms": round(many, 3), "ratio": round(many / few, 3)}


def main() -> int:
    """Measure, print, and say whether the limit holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--limit", type=float, default=1.5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        small = make_state(Path(folder) / "small", SMALL)
        large = make_state(Path(folder) / "large", options.large)
        measured = {
            "reader": compare(ask, small, large, 200),
            "process": compare(start("-c", ASK), small, large, 21),
            "command": compare(start("-m", "repoagents", "status"), small, large, 21),
        }
    over = [name for name, times in measured.items() if times["ratio"] > options.limit]
    result = {"runs": [SMALL, options.large], "limit": options.limit, "over": over}
    print(json.dumps(result | measured, indent=2))
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
