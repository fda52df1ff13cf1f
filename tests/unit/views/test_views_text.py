"""Status, one run, the dry run, and their forms in JSON."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.pulse import Part, Pause, Pulse, Quota
from repoagents.domain.reports import Role
from repoagents.domain.run import Failure, FailureClass, RunStatus, Stage
from repoagents.policy.wording import age
from repoagents.views.layout import NARROWEST, READABLE, columns, fit, hanging
from repoagents.views.preview import PlanPreview, RoleEngine, render_plan_preview
from repoagents.views.snapshot import Snapshot, run_row, snapshot_row
from repoagents.views.text import render_run, render_status
from tests.unit.policy.builders import NOW, a_plan, a_run
from tests.unit.views import stories
from tests.unit.views.stories import ended

RUNS = (
    a_run(RunStatus.QUEUED, issue_number=12, title="Add a dark theme"),
    a_run(
        RunStatus.IN_PROGRESS,
        attempt=1,
        stage=Stage.BUILD,
        stage_started_at=NOW + timedelta(minutes=2),
        started_at=NOW,
        last_event="edited src/totals.py",
    ),
    replace(stories.stopped_by_review().run, issue_number=5, title="合計が\x1b[2J一つずれる"),
    replace(stories.published().run, issue_number=3),
    replace(stories.failed().run, issue_number=104, title="A title that goes on and on " * 5),
)
COUNTS = {status: sum(run.status is status for run in RUNS) for status in RunStatus}
LATER = NOW + timedelta(minutes=5)
HOLDER = "worker: pid 4711 on build-host, since 12 m"


@pytest.mark.parametrize("width", [40, 80, 120])
def test_status_golden(width: int, golden: Callable[[str, str], None]) -> None:
    golden(f"status-{width}.txt", render_status(RUNS, COUNTS, LATER, width, HOLDER))


def test_status_of_nothing_says_how_to_begin(golden: Callable[[str, str], None]) -> None:
    golden("status-empty.txt", render_status((), {}, NOW, 80, ""))


def signs(*pulses: Pulse) -> list[str]:
    """What `status` says below the worker."""
    return render_status((), {}, NOW, 120, HOLDER, pulses).splitlines()[3:]


def test_status_says_when_something_was_heard_and_what_the_limits_leave() -> None:
    minute = timedelta(minutes=1)
    worker = Pulse(Part.WORKER, NOW, NOW)
    assert signs() == signs(worker) == []
    polled = replace(worker, tried_at=NOW - minute, heard_at=NOW - minute)
    limited = replace(polled, quota=Quota(5000, 4321, NOW + 12 * minute))
    receiver = Pulse(Part.RECEIVER, NOW, NOW)
    assert signs(polled, receiver) == ["last poll 1 m ago · no delivery yet"]
    assert signs(replace(receiver, heard_at=NOW - 5 * minute), limited) == [
        "last poll 1 m ago · GitHub: 4,321 of 5,000 requests left for 12 m · last delivery 5 m ago"
    ]
    assert signs(replace(limited, quota=Quota(5000, 4321, NOW))) == ["last poll 1 m ago"]


def test_status_says_what_is_wrong_in_lines_of_their_own() -> None:
    minute = timedelta(minutes=1)
    pause = Pause(NOW + 30 * minute, "GET /user: GitHub's rate limit\x1b[2J")
    worker = Pulse(Part.WORKER, NOW, NOW, NOW - minute, None, "no route\nto host", None, pause)
    assert signs(worker) == [
        "the poll of 1 m ago failed: no route to host; the last whole one: none",
        "GitHub is asked nothing for 30 m: GET /user: GitHub's rate limit",
    ]
    over = replace(worker, heard_at=NOW - 90 * minute, pause=Pause(NOW, "over"))
    assert signs(over) == [
        "the poll of 1 m ago failed: no route to host; the last whole one: 1 h ago"
    ]


def test_the_json_of_the_signs_of_life() -> None:
    row = snapshot_row(Snapshot(NOW))
    assert (row["pulse"], row["rate_limit"]) == ({"worker": None, "receiver": None}, None)
    later = NOW + timedelta(hours=1)
    worker = Pulse(
        *(Part.WORKER, NOW, later, NOW, None, "no route"),
        quota=Quota(5000, 17, later),
        pause=Pause(later, "slow down"),
    )
    row = snapshot_row(Snapshot(NOW, pulses=(worker,)))
    told = json.loads(json.dumps(row))
    begun, then = NOW.isoformat(), later.isoformat()
    assert told["pulse"] == {
        "worker": {
            "since": begun,
            "beat_at": then,
            "tried_at": begun,
            "heard_at": None,
            "problem": "no route",
        },
        "receiver": None,
    }
    assert told["rate_limit"] == {
        "limit": 5000,
        "remaining": 17,
        "reset_at": then,
        "paused_until": then,
        "paused_because": "slow down",
    }


@given(st.lists(st.text(), max_size=4), st.integers(0, 250), st.text())
def test_status_fits_every_width(titles: list[str], width: int, holder: str) -> None:
    runs = [replace(RUNS[n], title=title) for n, title in enumerate(titles)]
    table = render_status(runs, COUNTS, LATER, width, holder)
    assert all(columns(line) <= min(max(width, 40), 200) for line in table.split("\n"))
    assert len([line for line in table.split("\n") if line.startswith("#")]) >= len(titles)
    assert "\x1b" not in table


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("in-progress", RUNS[1]),
        ("blocked", RUNS[2]),
        ("completed", RUNS[3]),
        (
            "waiting",
            a_run(RunStatus.IN_PROGRESS, attempt=1).wait_for_retry(
                Failure(FailureClass.NETWORK, "the model host cannot be reached"),
                NOW + timedelta(minutes=10),
                NOW,
                spent=False,
            ),
        ),
    ],
)
def test_run_golden(name: str, run: object, golden: Callable[[str, str], None]) -> None:
    timings = ((Stage.PLAN, 1, 20.5), (Stage.BUILD, 1, 61.25))
    effects = stories.WITHHELD if name == "completed" else ()
    golden(f"run-{name}.txt", render_run(run, effects, timings, LATER))


def test_a_stage_that_a_retry_went_through_again_stands_once_and_in_its_place() -> None:
    timings = (
        *((Stage.PREPARE, 0, 0.0), (Stage.PLAN, 0, 20.0), (Stage.BUILD, 1, 60.0)),
        *((Stage.VERDICT, 1, 0.0), (Stage.PUBLISH, 1, 3.0), (Stage.BUILD, 2, 50.0)),
        *((Stage.PREPARE, 2, 0.0), (Stage.PREPARE, 0, 0.0), (Stage.VERDICT, 1, 4.0)),
    )
    shown = render_run(RUNS[3], (), timings, LATER).partition("\nstages\n")[2].splitlines()
    assert [" ".join(line.split()) for line in shown if line] == [
        *("prepare - 0 s", "plan - 20 s", "build round 1 1 m"),
        *("verdict round 1 4 s", "publish round 1 3 s", "prepare round 2 0 s"),
        "build round 2 50 s",
    ]


def test_withheld_effects_name_flag_and_the_command_that_publishes() -> None:
    shown = render_run(RUNS[3], stories.WITHHELD, (), LATER)
    assert "withheld by safety.allow_open_pr" in shown
    assert "repoagents approval approve 3" in shown
    assert "approval approve" not in render_run(RUNS[3], stories.WITHHELD[:1], (), LATER)


def test_a_failure_without_a_next_step_still_has_one() -> None:
    run = ended(RunStatus.BLOCKED, Failure(FailureClass.INFRA, "disk full"))
    assert "repoagents retry 7" in render_run(run, (), (), LATER)


PREVIEW = PlanPreview(
    issue_number=7,
    title="Totals are off\x1b[2J by one",
    eligible="open, labelled repoagents, no run yet",
    roles=stories.CODEX[:2] + stories.REHEARSAL[2:],
    plan=a_plan(risks=("Callers may rely on it.",), questions=("Which rounding?",)),
    plan_note="made now, kept for the real run",
    checks=(("unit", "pytest -q"),),
    limits=(("calls_per_hour", "3 of 100 used"), ("cost_per_run", "10.00")),
    effects=(
        ("comment", "safety.allow_write_comments", "comments are off"),
        ("branch", "", ""),
    ),
)


def test_preview_golden(golden: Callable[[str, str], None]) -> None:
    golden("preview.txt", render_plan_preview(PREVIEW))


def test_preview_without_agent_golden(golden: Callable[[str, str], None]) -> None:
    bare = replace(PREVIEW, plan=None, plan_note="--no-agent", checks=(), roles=stories.CODEX)
    golden("preview-no-agent.txt", render_plan_preview(bare))


def test_roles_are_named_with_engine_and_model() -> None:
    assert RoleEngine(Role.BUILDER, "codex", "m").label == "codex, m"
    assert RoleEngine(Role.BUILDER, "codex").label == "codex, its own default model"
    assert "no model" in RoleEngine(Role.BUILDER, "rehearsal", rehearsal=True).label


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, "0 s"), (0, "0 s"), (59, "59 s"), (180, "3 m"), (7_200, "2 h"), (86_400 * 5, "5 d")],
)
def test_age(seconds: int, shown: str) -> None:
    assert age(timedelta(seconds=seconds)) == shown


def test_fit_counts_columns() -> None:
    assert fit("abc", 3) == "abc"
    assert fit("abcd", 3) == "ab…"
    assert fit("日本語", 5) == "日本…"


def test_a_builder_that_saw_nothing_leaves_a_next_step() -> None:
    shown = render_run(a_run(RunStatus.NO_CHANGE, issue_number=7), (), (), LATER)
    assert "next step   repoagents retry 7 --note TEXT with a hint, or close the issue" in shown


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_story_of_a_run_fits_the_terminal(width: int) -> None:
    run = a_run(RunStatus.FAILED, failure=Failure(FailureClass.NETWORK, "no answer " * 30, "wait"))
    _, _, *told = render_run(run, (), (), LATER, width).splitlines()
    longest = max(map(len, told))
    assert longest <= min(width, READABLE)
    assert longest > min(width, READABLE) - 12


def test_a_published_change_asks_for_its_approval() -> None:
    shown = render_run(a_run(RunStatus.AWAITING_APPROVAL, issue_number=7), (), (), LATER)
    assert "next step   approve its pull request, or repoagents approval show 7" in shown


@pytest.mark.parametrize(("stage", "told"), [(Stage.PUBLISH, True), (Stage.REVIEW, False)])
def test_what_holds_up_a_published_change_is_shown(stage: Stage, told: bool) -> None:
    why = "the check ci has not begun"
    run = replace(a_run(RunStatus.COMPLETED), stage=stage, last_event=why)
    assert (f"last event  {why}" in render_run(run, (), (), LATER)) is told


def test_only_a_run_under_way_is_in_its_stage_for_a_time() -> None:
    run = replace(RUNS[1], status=RunStatus.QUEUED)
    assert "stage       build for 3 m" in render_run(RUNS[1], (), (), LATER)
    assert "stage       build\n" in render_run(run, (), (), LATER)


def test_a_run_row_has_its_promised_keys() -> None:
    row = run_row(RUNS[2])
    assert list(row) == [
        "id", "issue", "title", "status", "stage", "attempt", "round", "failure", "next_at",
        "base_sha", "head_sha", "branch", "verified", "created_at", "updated_at", "finished_at",
    ]  # fmt: skip
    assert row["status"] == "blocked"
    assert row["failure"]["kind"] == "request_changes"
    assert row["created_at"] == "2026-03-04T12:00:00+00:00"
    assert run_row(RUNS[0])["failure"] is None
    assert run_row(RUNS[0])["finished_at"] is None


def test_a_snapshot_is_json() -> None:
    snapshot = Snapshot(LATER, RUNS, COUNTS, HOLDER)
    read = json.loads(json.dumps(snapshot_row(snapshot)))
    assert read["counts"] == {
        "queued": 1, "in_progress": 1, "blocked": 1, "completed": 1, "failed": 1,
    }  # fmt: skip
    assert [run["issue"] for run in read["runs"]] == [12, 7, 5, 3, 104]


def test_the_status_view_is_cheap_to_import() -> None:
    heavy = {"jinja2", "rich", "pydantic", "repoagents.domain.settings", "repoagents.ports"}
    code = "import sys, repoagents.views.text; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not heavy & set(run.stdout.split())


NASTY = st.lists(
    st.sampled_from(
        [
            "\x1b[2J",
            "\x1b]0;t\x07",
            "\r",
            "\n",
            "\x9b31m",
            "\u202e",
            "\u200b",
            "\ud800",
            "\x00",
            "a ",
        ]
    )
).map("".join)


@given(NASTY, st.sampled_from(list(RunStatus)))
def test_no_text_of_an_agent_moves_the_cursor(text: str, status: RunStatus) -> None:
    failure = Failure(FailureClass.ENGINE_CRASH, text, text)
    run = replace(
        a_run(status, title=text, note=text, branch=text, last_event=text, failure=failure),
        stage=Stage.BUILD,
    )
    effect = ("comment", "failed", "", text, text)
    plan = a_plan(summary=text, likely_files=(text,), risks=(text,), questions=(text,))
    preview = PlanPreview(7, text, text, (), plan, text, ((text, text),), (), (("e", "f", text),))
    for shown in (
        render_status([run], {status: 1}, NOW, 80, text),
        render_run(run, [effect], [], NOW),
        render_plan_preview(preview),
    ):
        hidden = [char for char in shown if not char.isprintable() and char != "\n"]
        assert hidden == []
        assert shown.count("\n") < 60


@given(st.lists(st.text("abc合", min_size=1, max_size=9), max_size=30), st.integers(30, 90))
def test_what_hangs_fits_and_loses_no_word(words: list[str], width: int) -> None:
    lines = hanging("first: ", " ".join(words), width)
    assert lines[0].startswith("first: ")
    assert all(line.startswith(" " * 7) for line in lines[1:])
    assert " ".join(line[7:] for line in lines).split() == words
    assert all(columns(line) <= max(width, 7 + NARROWEST) for line in lines)


def test_what_has_to_be_copied_is_never_broken() -> None:
    command = "x" * 80
    assert hanging("fix: ", f"type {command}", 40) == ["fix: type", f"     {command}"]
