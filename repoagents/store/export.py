"""`runs.json`: a readable export for people and scripts; the database stays the truth."""

import json
from datetime import datetime
from pathlib import Path

from repoagents.domain.run import Run, RunStatus
from repoagents.ports import Runs
from repoagents.store.files import write_atomically
from repoagents.store.rows import render_instant, run_columns

NEWEST = 500
OPEN = tuple(status for status in RunStatus if not status.terminal)
EVERY = 1_000_000
FORMAT = 1


def export_runs(runs: Runs, path: Path, at: datetime) -> None:
    """Replace the export: every open run and the newest 500, newest first."""
    chosen = {run.id: run for run in (*runs.select(OPEN, EVERY), *runs.select((), NEWEST))}
    ordered = sorted(chosen.values(), key=lambda run: (run.created_at, run.id), reverse=True)
    exported = {
        "version": FORMAT,
        "exported_at": render_instant(at),
        "runs": [_render_run(run) for run in ordered],
    }
    write_atomically(path, json.dumps(exported, indent=2, ensure_ascii=False) + "\n")


def _render_run(run: Run) -> dict[str, object]:
    columns: dict[str, object] = {
        name: value for name, value in run_columns(run).items() if not name.startswith("failure_")
    }
    failure = None
    if run.failure is not None:
        failure = {
            "kind": run.failure.kind.value,
            "message": run.failure.message,
            "next_step": run.failure.next_step,
        }
    first = {name: columns.pop(name) for name in ("id", "issue_number", "title", "status")}
    return first | columns | {"verified": run.verified, "failure": failure}
