"""What commands print: plain text that fits a terminal and repeats no control sequence.

Imported by every `status`, so that nothing heavy may be imported from here.
"""

import textwrap
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from repoagents.domain.reports import Plan
from repoagents.domain.run import Run, RunStatus, Stage
from repoagents.policy.wording import one_line
from repoagents.views.snapshot import EffectRow, RoleEngine

NARROWEST, WIDEST = 40, 200
_GAP = "  "
_WRAP = 96
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))


@dataclass(frozen=True)
class PlanPreview:
    """What a dry run of one issue found out; effects are name, the flag that withholds, reason.

    `plan` is None when no planner was run. `limits` are name and value as they are shown.
    """

    issue_number: int
    title: str
    eligible: str
    roles: tuple[RoleEngine, ...] = ()
    plan: Plan | None = None
    plan_note: str = ""
    checks: tuple[tuple[str, str], ...] = ()
    limits: tuple[tuple[str, str], ...] = ()
    effects: tuple[tuple[str, str, str], ...] = ()


# --- status -------------------------------------------------------------------------------------


def render_status(
    runs: Sequence[Run],
    counts: Mapping[RunStatus, int],
    now: datetime,
    width: int,
    holder: str,
) -> str:
    """The runs as a table of at most `width` columns, with the counts and the worker below."""
    width = min(max(width, NARROWEST), WIDEST)
    lines = _table(runs, now, width) if runs else ["no runs yet: `repoagents trigger N` makes one"]
    totals = [f"{counts[status]} {status}" for status in RunStatus if counts.get(status)]
    if totals:
        lines += ["", *textwrap.wrap(" · ".join(totals), width)]
    worker = one_line(holder) or "no worker is running: `repoagents run` starts one"
    lines += ["", *textwrap.wrap(worker, width)]
    return "\n".join(_fit(line, width) for line in lines) + "\n"


def _table(runs: Sequence[Run], now: datetime, width: int) -> list[str]:
    head = ("ISSUE", "STATUS", "STAGE", "TRY", "TIME", "TITLE")
    rows = [head, *(_row(run, now) for run in runs)]
    if width < 72:
        rows = [(row[0], row[1], row[4], row[5]) for row in rows]
    widths = [max(_width(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        cells = [_pad(cell, size) for cell, size in zip(row[:-1], widths, strict=True)]
        lines.append(_GAP.join([*cells, row[-1]]).rstrip())
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


def age(span: timedelta) -> str:
    """A duration in its largest unit: `45 s`, `3 m`, `2 h`, `5 d`."""
    seconds = max(int(span.total_seconds()), 0)
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


# --- one run ------------------------------------------------------------------------------------


def render_run(
    run: Run,
    effects: Sequence[EffectRow],
    timings: Sequence[tuple[Stage, int, float]],
    now: datetime,
) -> str:
    """All about one run: where it stands, what stopped it and what to do, what was withheld."""
    lines = [f"issue #{run.issue_number}: {one_line(run.title)}", ""]
    lines += _pairs(_facts(run, now))
    if run.failure:
        failure = run.failure
        next_step = failure.next_step or _next_step(run)
        lines += ["", *_pairs((("reason", failure.kind.value), ("message", failure.message)))]
        lines += _pairs((("next step", next_step),))
    if timings:
        lines += ["", "stages"]
        lines += [
            f"  {_pad(stage.value, 11)} round {round_}  {age(timedelta(seconds=seconds))}"
            for stage, round_, seconds in timings
        ]
    lines += _effects(run, effects)
    return "\n".join(lines) + "\n"


def _facts(run: Run, now: datetime) -> Iterator[tuple[str, str]]:
    yield "run", run.id
    yield "status", run.status.value
    if run.stage and not run.status.terminal:
        since = f" for {age(now - run.stage_started_at)}" if run.stage_started_at else ""
        yield "stage", f"{run.stage.value}{since}"
    if run.last_event and not run.status.terminal:
        yield "last event", run.last_event
    yield "attempt", f"{run.attempt}, round {run.round} of {run.round_limit}"
    yield "time", _elapsed(run, now)
    if run.next_at:
        wait = run.next_at - now
        yield "next", f"in {age(wait)}" if wait > timedelta(0) else "due now"
    if run.status in (RunStatus.COMPLETED, RunStatus.AWAITING_APPROVAL):
        yield "proof", "verified" if run.verified else "unverified"
    for name, value in (("base", run.base_sha), ("head", run.head_sha)):
        if value:
            yield name, value[:12]
    if run.branch:
        yield "branch", run.branch
    if run.note:
        yield "note", run.note


def _next_step(run: Run) -> str:
    return f"repoagents retry {run.issue_number}" if run.status.retryable else ""


def _effects(run: Run, effects: Sequence[EffectRow]) -> list[str]:
    if not effects:
        return []
    lines = ["", "effects"]
    for name, state, flag, reason, location in effects:
        by = f" by {flag}" if flag else ""
        why = one_line(location or reason)
        lines.append(f"  {_pad(name, 18)} {state}{by}{f': {why}' if why else ''}")
    withheld = {name for name, state, *_ in effects if state == "withheld"}
    if withheld - {"comment"} and run.status is RunStatus.COMPLETED:
        lines.append(f"  publish what is withheld: repoagents approval approve {run.issue_number}")
    return lines


# --- a dry run ----------------------------------------------------------------------------------


def render_plan_preview(preview: PlanPreview) -> str:
    """What a real run of the issue would do; nothing of it has happened."""
    lines = [
        f"dry run of issue #{preview.issue_number}: {one_line(preview.title)}",
        f"eligible: {one_line(preview.eligible)}",
    ]
    if any(role.rehearsal for role in preview.roles):
        lines.append("rehearsal: no model is called by the roles marked so")
    lines += ["", "roles, in this order"]
    lines += [f"  {_pad(role.role.value, 9)} {one_line(role.label)}" for role in preview.roles]
    lines += ["", *_plan(preview)]
    lines += ["", "checks"]
    lines += [f"  {one_line(name)}: {one_line(command)}" for name, command in preview.checks] or [
        "  none is configured: the change will be unverified"
    ]
    lines += ["", "limits", *(f"  {_pad(name, 16)} {value}" for name, value in preview.limits)]
    lines += ["", "effects"]
    for name, flag, reason in preview.effects:
        fate = f"withheld by {flag}: {one_line(reason)}" if flag else "would happen"
        lines.append(f"  {_pad(name, 18)} {fate}")
    return "\n".join(lines) + "\n"


def _plan(preview: PlanPreview) -> list[str]:
    plan = preview.plan
    note = f" ({one_line(preview.plan_note)})" if preview.plan_note else ""
    if plan is None:
        return [f"plan: none, the planner was not started{note}"]
    lines = [f"plan{note}", *_wrapped(plan.summary, "  ")]
    for title, entries in (
        ("likely files", plan.likely_files),
        ("acceptance criteria", plan.acceptance_criteria),
        ("risks", plan.risks),
        ("questions", plan.questions),
    ):
        if entries:
            lines += ["", title]
            for entry in entries:
                lines += _wrapped(entry, "  ")
    return lines


# --- layout -------------------------------------------------------------------------------------


def _pairs(pairs: Sequence[tuple[str, str]] | Iterator[tuple[str, str]]) -> list[str]:
    lines = []
    for name, value in pairs:
        first, *rest = _wrapped(value, "            ") or [""]
        lines += [f"{_pad(name, 10)}{_GAP}{first.strip()}".rstrip(), *rest]
    return lines


def _wrapped(text: str, indent: str) -> list[str]:
    flat = one_line(text, 2_000)
    return textwrap.wrap(flat, _WRAP, initial_indent=indent, subsequent_indent=indent)


def _width(text: str) -> int:
    """Columns on a terminal: wide East Asian characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Cf", "Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def _pad(text: str, size: int) -> str:
    return text + " " * (size - _width(text))


def _fit(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    kept, used = "", 0
    for char in text:
        used += _columns(char)
        if used > width - 1:
            break
        kept += char
    return kept.rstrip() + "…"
