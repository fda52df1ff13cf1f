"""What does a handoff bundle of a large state cost? Measures each part, beside bare hashing.

    python benchmarks/snapshot.py [--runs N] [--limit MS]

In this process and in CPU time, medians of several: the survey of the state, drawing, and
describing, signing, writing and packing the members. Beside it, the time that it takes to read and
hash them; docs/decisions/009 says how the two compare, and why. Prints JSON; exit 1 when the whole
takes more than `--limit`.
"""

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from repoagents.bootstrap import Premises, open_premises  # noqa: E402
from repoagents.domain.effect import PostComment, PushBranch, effect_name  # noqa: E402
from repoagents.domain.reports import (  # noqa: E402
    Decision,
    Review,
    ReviewFinding,
    Severity,
    Verdict,
    VerdictKind,
)
from repoagents.domain.run import Run, Stage  # noqa: E402
from repoagents.pipeline.bundle import Contents, Made, make_bundle  # noqa: E402
from repoagents.pipeline.survey import stand, survey  # noqa: E402
from repoagents.store import schema  # noqa: E402
from repoagents.store.codec import encode, encode_effect  # noqa: E402
from repoagents.store.rows import Column, render_instant  # noqa: E402
from repoagents.views.dashboard import render_dashboard  # noqa: E402

from status import make_state  # noqa: E402

T = TypeVar("T")
STAGES = (Stage.PREPARE, Stage.BASE_CHECK, Stage.PLAN, Stage.BUILD, Stage.VERIFY)
LONG = json.dumps("What a role answered. " * 150)
FILES = ("handoff.md", "handoff.html", "changes.patch", "decision.json", "plan.json")


def fill(premises: Premises) -> None:
    """Give every run what a run leaves: stages, effects, spending; the newest their artifacts."""
    review = encode(
        Review(
            Decision.APPROVE, (), (ReviewFinding(Severity.LOW, "src/a.py", 3, "name the constant"),)
        )
    )
    verdict = encode(Verdict(VerdictKind.PUBLISH, ("every criterion is met",)))
    values = [(stage, LONG) for stage in STAGES]
    values += [(Stage.REVIEW, review), (Stage.VERDICT, verdict)]
    with premises.database() as database:
        runs = database.runs.select(limit=1_000_000)
        with database.engine.begin() as connection:
            for table, rows in (
                (schema.stages, [row for run in runs for row in _stages(run, values)]),
                (schema.effects, [row for run in runs for row in _effects(run)]),
                (schema.spend, [row for run in runs for row in _spend(run)]),
            ):
                connection.execute(sa.insert(table), rows)
    for run in runs[:400]:
        folder = premises.control / "artifacts" / f"issue-{run.issue_number}" / run.id
        folder.mkdir(parents=True)
        for name in FILES:
            (folder / name).write_text(name)


def _stages(run: Run, values: list[tuple[Stage, str]]) -> list[dict[str, Column]]:
    return [
        {
            "run_id": run.id,
            "attempt": 1,
            "stage": stage.value,
            "round": 1,
            "input_hash": "0" * 64,
            "value": value,
            "at": render_instant(run.updated_at),
            "seconds": 12.5,
        }
        for stage, value in values
    ]


def _effects(run: Run) -> list[dict[str, Column]]:
    branch = PushBranch(run.id, run.issue_number, run.branch, run.head_sha)
    comment = PostComment(run.id, run.issue_number, "marker", "A comment's text. " * 60)
    return [
        {
            "run_id": run.id,
            "key": effect.key,
            "name": effect_name(effect),
            "state": "withheld",
            "flag": "safety.allow_open_pr",
            "reason": "branches and pull requests are off",
            "location": "",
            "at": render_instant(run.updated_at),
            "effect": encode_effect(effect),
        }
        for effect in (branch, comment)
    ]


def _spend(run: Run) -> list[dict[str, Column]]:
    return [
        {
            "run_id": run.id,
            "stage": stage.value,
            "calls": 1,
            "tokens": 14_000,
            "cost": 0.14,
            "at": render_instant(run.updated_at),
            "settled": 1,
        }
        for stage in (Stage.PLAN, Stage.BUILD, Stage.REVIEW)
    ]


def snapshot(premises: Premises, times: dict[str, list[float]]) -> Made:
    """What `ops snapshot --archive` does after it has looked at the host and at GitHub."""
    host = premises.host()
    with premises.books() as books:
        taken = timed(times, "survey", lambda: survey(books, host))
        standing = timed(times, "stand", lambda: stand(books, taken, host))
        page = timed(times, "dashboard", lambda: render_dashboard(taken, standing))
        contents = Contents(taken, standing, (), {"dashboard.html": page})
        bundles = premises.bundles()
        return timed(times, "bundle", lambda: make_bundle(books, bundles, contents, archive=True))


def hash_members(folder: Path) -> int:
    """Read and hash every file of a bundle; returns its bytes."""
    size = 0
    for path in folder.rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            hashlib.sha256(raw).digest()
            size += len(raw)
    return size


def timed(times: dict[str, list[float]], name: str, work: Callable[[], T]) -> T:
    """Do it, and note the CPU milliseconds that it took."""
    began = time.process_time()
    done = work()
    times.setdefault(name, []).append((time.process_time() - began) * 1000)
    return done


def main() -> int:
    """Measure, print, and say whether the limit holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--limit", type=float, default=2_000)
    options = parser.parse_args()
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        premises = open_premises(make_state(Path(folder) / "state", options.runs).parent)
        fill(premises)
        snapshot(premises, {})  # what is loaded once is not measured
        size = 0
        for _ in range(options.repetitions):
            made = timed(times, "whole", lambda: snapshot(premises, times))
            size = timed(times, "hashing", partial(hash_members, made.folder))
    medians = {name: round(statistics.median(found), 1) for name, found in times.items()}
    times_of_hashing = round(medians["whole"] / medians["hashing"], 1)
    result = {"runs": options.runs, "member_bytes": size, "cpu_ms": medians}
    result |= {"times_of_hashing": times_of_hashing, "limit_ms": options.limit}
    print(json.dumps(result, indent=2))
    return int(medians["whole"] > options.limit)


if __name__ == "__main__":
    sys.exit(main())
