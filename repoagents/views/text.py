"""What commands print: plain text that fits a terminal and repeats no control sequence.

Imported by every `status`, so that nothing heavy may be imported from here.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from repoagents.domain.pulse import Part, Pulse
from repoagents.domain.rollout import Brake
from repoagents.domain.run import Run, RunStatus, Stage
from repoagents.policy.wording import age, one_line
from repoagents.views.layout import GAP, READABLE, columns, fit, folded, named_lines, pad
from repoagents.views.words import minute

if TYPE_CHECKING:
    from repoagents.views.snapshot import EffectRow

NARROWEST, WIDEST = 40, 200


# --- status -------------------------------------------------------------------------------------


def render_status(
    runs: Sequence[Run],
    counts: Mapping[RunStatus, int],
    now: datetime,
    width: int,
    holder: str,
    pulses: Sequence[Pulse] = (),
) -> str:
    """The runs as a table of at most `width` columns; below it counts, worker and signs of life."""
    width = min(max(width, NARROWEST), WIDEST)
    lines = _table(runs, now, width) if runs else ["no runs yet: `repoagents trigger N` makes one"]
    totals = [f"{counts[status]} {status}" for status in RunStatus if counts.get(status)]
    if totals:
        lines += ["", *folded(" · ".join(totals), width)]
    worker = one_line(holder) or "no worker is running: `repoagents run` starts one"
    lines += ["", *folded(worker, width)]
    lines += [line for said in signs_of_life(pulses, now) for line in folded(said, width)]
    return "\n".join(fit(line, width) for line in lines) + "\n"


def render_brake(brake: Brake, width: int) -> str:
    """What holds the bot to an earlier phase than its flags name, in lines of `width` columns."""
    said = f"held to {brake.phase}: {brake_line(brake)}: `repoagents rollout status`"
    return "\n".join(folded(said, min(max(width, NARROWEST), WIDEST)))


def brake_line(brake: Brake) -> str:
    """Why the bot stepped back, or who holds it, and when."""
    at = minute(brake.at)
    where = at if brake.by_person else f"issue #{brake.issue_number}, {at}"
    return f"{one_line(brake.reason)} ({where})"


def signs_of_life(pulses: Sequence[Pulse], now: datetime) -> Iterator[str]:
    """When the tracker was read and a delivery came, and what GitHub's limits leave."""
    short: list[str] = []
    for pulse in sorted(pulses, key=lambda pulse: pulse.part is Part.RECEIVER):
        heard = f"{age(now - pulse.heard_at)} ago" if pulse.heard_at else ""
        if pulse.part is Part.RECEIVER:
            short.append(f"last delivery {heard}" if heard else "no delivery yet")
        elif pulse.problem and pulse.tried_at:
            tried = f"the poll of {age(now - pulse.tried_at)} ago failed: {one_line(pulse.problem)}"
            yield f"{tried}; the last whole one: {heard or 'none'}"
        elif heard:
            short.append(f"last poll {heard}")
        if pulse.pause and pulse.pause.until > now:
            left = age(pulse.pause.until - now)
            yield f"GitHub is asked nothing for {left}: {one_line(pulse.pause.reason)}"
        elif pulse.quota and pulse.quota.reset_at > now:
            quota = pulse.quota
            left = f"{quota.remaining:,} of {quota.limit:,} requests left"
            short.append(f"GitHub: {left} for {age(quota.reset_at - now)}")
    if short:
        yield " · ".join(short)


def _table(runs: Sequence[Run], now: datetime, width: int) -> list[str]:
    rows = [("ISSUE", "STATUS", "STAGE", "TRY", "TIME", "TITLE"), *(_row(run, now) for run in runs)]
    if width < 72:
        rows = [(row[0], row[1].split(" ")[0], row[4], row[5]) for row in rows]
    widths = [max(columns(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        cells = [pad(cell, size) for cell, size in zip(row[:-1], widths, strict=True)]
        lines.append(GAP.join([*cells, row[-1]]).rstrip())
    return lines


def _row(run: Run, now: datetime) -> tuple[str, ...]:
    status = run.status.value
    if run.failure and run.status in (RunStatus.BLOCKED, RunStatus.FAILED, RunStatus.RETRY_PENDING):
        status += f" ({run.failure.kind.value})"
    stage = run.stage.value if run.stage and not run.status.terminal else "-"
    title = one_line(run.title)
    return f"#{run.issue_number}", status, stage, str(run.attempt), _elapsed(run, now), title


def _elapsed(run: Run, now: datetime) -> str:
    return age((run.finished_at or now) - (run.started_at or run.created_at))


# --- one run ------------------------------------------------------------------------------------


_ASKED = {
    RunStatus.NO_CHANGE: "repoagents retry {n} --note TEXT with a hint, or close the issue",
    RunStatus.AWAITING_APPROVAL: "approve its pull request, or repoagents approval show {n}",
}
"""What is asked of a person about a run that no failure has stopped."""


def render_run(
    run: Run,
    effects: "Sequence[EffectRow]",
    timings: Sequence[tuple[Stage, int, float]],
    now: datetime,
    width: int = READABLE,
) -> str:
    """All about one run: where it stands, what stopped it and what to do, what was withheld."""
    width = min(width, READABLE)
    lines = [f"issue #{run.issue_number}: {one_line(run.title)}", ""]
    lines += named_lines(_facts(run, now), width)
    if run.failure:
        failure = run.failure
        again = f"repoagents retry {run.issue_number}" if run.status.retryable else ""
        next_step = failure.next_step or again
        told = (("reason", failure.kind.value), ("message", failure.message))
        lines += ["", *named_lines((*told, ("next step", next_step)), width)]
    elif run.status in _ASKED:
        step = _ASKED[run.status].format(n=run.issue_number)
        lines += ["", *named_lines((("next step", step),), width)]
    if timings:
        lines += ["", "stages"]
        lines += [
            f"  {pad(stage.value, 11)} {f'round {round_}' if round_ else '-':8} "
            f"{age(timedelta(seconds=seconds))}"
            for stage, round_, seconds in newest_of_each(timings)
        ]
    lines += _effects(run, effects)
    return "\n".join(lines) + "\n"


def newest_of_each(
    timings: Sequence[tuple[Stage, int, float]],
) -> tuple[tuple[Stage, int, float], ...]:
    """Each stage of each round once, in their order and with its newest time.

    A retry goes through some again, and what is remembered is in the order in which it happened.
    """
    newest = {(round_, stage): seconds for stage, round_, seconds in timings}
    order = list(Stage)
    named = sorted(newest, key=lambda name: (name[0], order.index(name[1])))
    return tuple((stage, round_, newest[round_, stage]) for round_, stage in named)


def _facts(run: Run, now: datetime) -> Iterator[tuple[str, str]]:
    yield "run", run.id
    yield "status", run.status.value
    if not run.status.terminal:
        yield from _present(run, now)
    elif run.status is RunStatus.COMPLETED and run.stage is Stage.PUBLISH and run.last_event:
        yield "last event", run.last_event  # Of the pull request, which a person merges.
    yield "attempt", f"{run.attempt}, round {run.round} of {run.round_limit}"
    yield "time", _elapsed(run, now)
    if run.status in (RunStatus.COMPLETED, RunStatus.AWAITING_APPROVAL):
        yield "proof", "verified" if run.verified else "unverified"
    for name, value in (
        ("base", run.base_sha[:12]),
        ("head", run.head_sha[:12]),
        ("branch", run.branch),
        ("note", run.note),
    ):
        if value:
            yield name, value


def _present(run: Run, now: datetime) -> Iterator[tuple[str, str]]:
    if run.stage:
        begun = run.stage_started_at if run.status is RunStatus.IN_PROGRESS else None
        since = f" for {age(now - begun)}" if begun else ""
        yield "stage", f"{run.stage.value}{since}"
    if run.last_event:
        yield "last event", run.last_event
    if run.next_at:
        wait = run.next_at - now
        yield "next", f"in {age(wait)}" if wait > timedelta(0) else "due now"


def _effects(run: Run, effects: "Sequence[EffectRow]") -> list[str]:
    if not effects:
        return []
    lines = ["", "effects"]
    for name, state, flag, reason, location in effects:
        by = f" by {flag}" if flag else ""
        why = one_line(location or reason)
        lines.append(f"  {pad(name, 18)} {state}{by}{f': {why}' if why else ''}")
    withheld = {name for name, state, *_ in effects if state == "withheld"}
    if withheld - {"comment"} and run.status is RunStatus.COMPLETED:
        from repoagents.views.headline import how_to_publish

        lines += ["", f"next: {how_to_publish(effects).replace('{n}', str(run.issue_number))}"]
    return lines
