"""`runs.json`: a readable export for people and scripts; the database stays the truth."""

import json
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from repoagents.domain.run import Run
from repoagents.ports import Runs
from repoagents.store.files import write_atomically
from repoagents.store.rows import EVERY, render_instant, run_columns
from repoagents.store.schema import ACTIVE

NEWEST = 500
FORMAT = 1


def export_runs(runs: Runs, path: Path, at: datetime) -> None:
    """Replace the export: every open run and the newest 500, newest first."""
    chosen = {run.id: run for run in (*runs.select(ACTIVE, EVERY), *runs.select((), NEWEST))}
    ordered = sorted(chosen.values(), key=lambda run: (run.created_at, run.id), reverse=True)
    rows = ",".join(f"\n    {_render_run(run)}" for run in ordered)
    head = f'  "version": {FORMAT},\n  "exported_at": "{render_instant(at)}"'
    end = "\n  ]" if rows else "]"
    write_atomically(path, f'{{\n{head},\n  "runs": [{rows}{end}\n}}\n')


@lru_cache(maxsize=2 * NEWEST)
def _render_run(run: Run) -> str:
    """A run as indented JSON, kept: of hundreds of runs, a moment changes one."""
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
    whole = first | columns | {"verified": run.verified, "failure": failure}
    return json.dumps(whole, indent=2, ensure_ascii=False).replace("\n", "\n    ")
