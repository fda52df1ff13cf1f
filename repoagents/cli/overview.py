"""What `status` answers. No command line parser in here: plain `status` is typed all the time."""

from pathlib import Path
from typing import NamedTuple

from repoagents.bootstrap import SystemClock
from repoagents.cli import place
from repoagents.cli.boundary import DONE
from repoagents.cli.colours import coloured_status
from repoagents.cli.output import render_json
from repoagents.cli.terminal import columns, room
from repoagents.store.reader import Reader, StateOnServer, open_reader
from repoagents.store.worker_lock import holder
from repoagents.views.text import render_brake, render_run, render_status

LIMIT = 20


class Question(NamedTuple):
    """What is asked: where, about all or one issue, how many runs, and in which form."""

    control: Path
    issue: int | None = None
    limit: int = LIMIT
    as_json: bool = False


def show() -> int:
    """Answer a plain `status`; returns the exit code."""
    print(coloured_status(answer(Question(place.control_folder())) or ""))
    return DONE


def answer(question: Question) -> str | None:
    """The text or JSON asked for; None when the issue has no run."""
    reader = open_records(question.control)
    if question.issue is None:
        return _all(question, reader)
    return _one(question, reader, question.issue)


def open_records(control: Path) -> Reader:
    """The records, wherever they are."""
    try:
        return open_reader(control)
    except StateOnServer:
        return place.open_premises().reader()


def _all(question: Question, reader: Reader) -> str:
    runs, counts = reader.runs(limit=question.limit), reader.counts()
    pulses, brake = reader.pulses(), reader.brake()
    # Whether it holds anything back is told by the flags, which are not read here: a person who
    # stepped back closed them in the file as well.
    brake = None if brake and brake.by_person else brake
    now, owner = SystemClock().now(), worker(question.control)
    if question.as_json:
        from repoagents.views.snapshot import Snapshot, snapshot_row

        taken = Snapshot(now, runs, counts, owner, pulses, brake=brake)
        return render_json(snapshot_row(taken))
    text = render_status(runs, counts, now, columns(), owner, pulses).rstrip()
    return f"{text}\n{render_brake(brake, columns())}" if brake else text


def _one(question: Question, reader: Reader, issue: int) -> str | None:
    """The newest run of an issue in full; in JSON every run of it."""
    runs = reader.runs(limit=question.limit, issue=issue)
    if not runs:
        return None
    rows, timings = reader.effects(runs[0].id), reader.timings(runs[0].id)
    effects = [(row.name, row.state, row.flag, row.reason, row.location) for row in rows]
    if not question.as_json:
        return render_run(runs[0], effects, timings, SystemClock().now(), room()).rstrip()
    from repoagents.views.snapshot import effect_row, run_row, stage_row

    return render_json(
        {
            "worker": worker(question.control),
            "issue": issue,
            "runs": [run_row(run) for run in runs],
            "effects": [effect_row(effect) for effect in effects],
            "stages": [stage_row(timing) for timing in timings],
        }
    )


def worker(control: Path) -> str:
    """A line about the live worker; empty when there is none."""
    owner = holder(control)
    return f"a worker is live: {owner}" if owner else ""
