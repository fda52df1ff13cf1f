"""Dry runs: what they say, and that nothing but a plan comes of them."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from repoagents.domain.issue import IssueState
from repoagents.domain.reports import BuildReport, Role
from repoagents.domain.run import Run
from repoagents.domain.settings import (
    LlmSettings,
    MergePolicySettings,
    SafetySettings,
    TrackerSettings,
    VerifySettings,
    WorkspaceSettings,
)
from repoagents.errors import Exited, OutputInvalid
from repoagents.pipeline.boundary import change
from repoagents.pipeline.preview import Candidate, candidate, candidates, preview
from repoagents.ports import RoleTask
from tests.fakes.agents import good_plan
from tests.fakes.workspaces import MemoryWorkspaces
from tests.pipeline.conftest import ISSUE, Place

CHOSEN = Candidate(ISSUE, None)


@pytest.fixture
def spaces(place: Place) -> MemoryWorkspaces:
    """The place's repository, in memory."""
    found = MemoryWorkspaces(place.house.root.parent / "grounds")
    place.house = replace(place.house, workspaces=found)
    place.waits.house = place.house
    place.tracker.issues = {1: ISSUE}
    return found


def named(place: Place, number: int = 1, *, forced: bool = False) -> Candidate:
    """The candidate that a person named."""
    found = candidate(place.house, place.house.runs.latest, number, forced=forced)
    assert found is not None
    return found


def completed(place: Place) -> Run:
    """A run of the issue's text that is done."""
    run, now = place.queue(), place.clock.now()
    return change(place.house, run.id, lambda was: was.start(now).complete(now))


def state(folder: Path) -> dict[str, str]:
    """Every file of a folder and the hash of what is in it.

    Left out is SQLite's `-shm`, where even a reader marks how far it reads.
    """
    return {
        str(place.relative_to(folder)): hashlib.sha256(place.read_bytes()).hexdigest()
        for place in folder.rglob("*")
        if place.is_file() and not place.name.endswith("-shm")
    }


# --- who would be worked on -----------------------------------------------------------------------


def test_candidates_come_in_the_loops_order_each_with_its_reason(
    place: Place, spaces: MemoryWorkspaces
) -> None:
    place.with_settings(tracker=TrackerSettings(trigger_label="repoagents"))
    place.tracker.issues |= {
        2: replace(ISSUE, number=2, labels=()),
        3: replace(ISSUE, number=3, labels=("repoagents", "p0")),
        4: replace(ISSUE, number=4, state=IssueState.CLOSED),
    }
    completed(place)
    found = candidates(place.house, place.house.runs.latest)
    assert [each.issue.number for each in found] == [3, 1, 2]
    assert found[0].reason is None
    assert "completed" in (found[1].reason or "")
    assert "label 'repoagents'" in (found[2].reason or "")


def test_a_named_issue_needs_no_label(place: Place, spaces: MemoryWorkspaces) -> None:
    place.with_settings(tracker=TrackerSettings(trigger_label="go"))
    assert named(place).reason is None
    assert candidate(place.house, place.house.runs.latest, 9, forced=True) is None


def test_force_undoes_what_was_done_and_nothing_else(
    place: Place, spaces: MemoryWorkspaces
) -> None:
    completed(place)
    assert "--force" in (named(place).reason or "")
    assert named(place, forced=True).reason is None
    place.tracker.issues[2] = replace(ISSUE, number=2, state=IssueState.CLOSED)
    assert "closed" in (named(place, 2).reason or "")
    assert named(place, 2, forced=True).reason is None, "what a person insists on"
    place.queue(replace(ISSUE, number=3))
    assert "queued already" in (named(place, 3, forced=True).reason or "")


@pytest.mark.parametrize(
    ("policy", "leaves", "warned"), [("allow", False, 0), ("warn", False, 1), ("block", True, 0)]
)
def test_a_dirty_checkout_leaves_every_issue_by_policy(
    place: Place, spaces: MemoryWorkspaces, policy: str, leaves: bool, warned: int
) -> None:
    place.with_settings(workspace=WorkspaceSettings(dirty_policy=policy))
    place.tracker.issues[2] = replace(ISSUE, number=2)
    spaces.dirty = ("a.txt",)
    found = candidates(place.house, place.house.runs.latest)
    assert [each.reason is not None for each in found] == [leaves, leaves]
    assert place.journal.codes().count("checkout_dirty") == warned, "once, not once an issue"
    assert (named(place).reason is not None) is leaves


# --- what a run would do --------------------------------------------------------------------------


async def test_a_dry_run_records_nothing_but_its_plan_and_its_files(
    place: Place, spaces: MemoryWorkspaces
) -> None:
    completed(place)
    records = place.house.root / ".ai-repoagents" / "state"
    before = state(records)
    assert before
    shown = await preview(place.house, named(place, forced=True), agent=True)
    assert shown.plan == good_plan("fixed.txt")
    assert state(records) == before
    assert spaces.worktrees() == ()
    assert (spaces.branches, place.tracker.writes) == ({}, 0)
    assert [role for role, _ in place.agents.asked] == [Role.PLANNER]


async def test_a_second_dry_run_asks_nobody(place: Place, spaces: MemoryWorkspaces) -> None:
    first = await preview(place.house, CHOSEN, agent=True)
    again = await preview(place.house, CHOSEN, agent=True)
    assert again.plan == first.plan
    assert again.plan_note.startswith("from the last dry run")
    assert place.agents.count(Role.PLANNER) == 1


@pytest.mark.parametrize("what", ["text", "base", "model"])
async def test_another_input_is_planned_anew(
    place: Place, spaces: MemoryWorkspaces, what: str
) -> None:
    await preview(place.house, CHOSEN, agent=True)
    chosen = CHOSEN
    if what == "text":
        chosen = Candidate(replace(ISSUE, body="Otherwise."), None)
    elif what == "base":
        spaces.files["README.md"] = "moved on\n"
    else:
        place.with_settings(llm=LlmSettings("command"))
    await preview(place.house, chosen, agent=True)
    assert place.agents.count(Role.PLANNER) == 2


async def test_the_real_run_uses_the_plan(place: Place, spaces: MemoryWorkspaces) -> None:
    place.agents.planner = lambda _task, _count: replace(good_plan("fixed.txt"), summary="dry")
    await preview(place.house, CHOSEN, agent=True)
    run = await place.flow(place.queue())
    assert place.agents.count(Role.PLANNER) == 1
    assert "plan_reused" in place.journal.codes()
    assert "dry" in place.artifact(run, "handoff.md")
    for name in ("planner.json", "planner.md"):
        assert "dry" in place.artifact(run, name)
    assert ISSUE.body in place.artifact(run, "planner.prompt.md")


@pytest.mark.parametrize(
    ("chosen", "agent", "note"),
    [
        (CHOSEN, False, "left out"),
        (Candidate(ISSUE, "it is closed"), True, "not eligible"),
        (Candidate(ISSUE, "it is closed"), False, "not eligible"),
    ],
)
async def test_the_planner_runs_only_when_it_is_asked_and_of_use(
    place: Place, spaces: MemoryWorkspaces, chosen: Candidate, agent: bool, note: str
) -> None:
    shown = await preview(place.house, chosen, agent=agent)
    assert (shown.plan, shown.plan_note) == (None, note)
    assert place.agents.asked == []
    assert shown.eligible.startswith("no: it is closed" if chosen.reason else "yes: open")


def fall_over(_task: RoleTask, _count: int) -> BuildReport:
    """A planner that dies."""
    raise Exited("it fell over")


def answer_otherwise(_task: RoleTask, _count: int) -> BuildReport:
    """A planner that gives a builder's report."""
    return BuildReport("did it")


@pytest.mark.parametrize(
    ("planner", "error"), [(fall_over, Exited), (answer_otherwise, OutputInvalid)]
)
async def test_a_planner_that_fails_leaves_no_worktree_and_no_plan(
    place: Place, spaces: MemoryWorkspaces, planner: object, error: type[Exception]
) -> None:
    place.agents.planner = planner
    with pytest.raises(error):
        await preview(place.house, CHOSEN, agent=True)
    assert spaces.worktrees() == ()
    place.agents.planner = lambda _task, _count: good_plan("a")
    assert (await preview(place.house, CHOSEN, agent=True)).plan == good_plan("a")


@pytest.mark.parametrize(
    ("sections", "flags"),
    [
        ({}, ("safety.allow_open_pr",) * 2 + ("safety.allow_write_comments",)),
        ({"safety": SafetySettings(True, True)}, ("", "", "")),
        (
            {
                "safety": SafetySettings(True, True),
                "merge_policy": MergePolicySettings("comment_only"),
            },
            ("merge_policy.mode", "merge_policy.mode", ""),
        ),
        (
            {"safety": SafetySettings(True, True), "tracker": TrackerSettings(mode="fixture")},
            ("tracker.mode",) * 3,
        ),
    ],
)
async def test_the_fate_of_each_effect_is_that_of_the_real_run(
    place: Place, spaces: MemoryWorkspaces, sections: dict[str, object], flags: tuple[str, ...]
) -> None:
    place.with_settings(**sections)
    shown = await preview(place.house, CHOSEN, agent=False)
    assert [name for name, _, _ in shown.effects] == ["branch", "draft_pull_request", "comment"]
    assert tuple(flag for _, flag, _ in shown.effects) == flags
    assert all(bool(flag) == bool(reason) for _, flag, reason in shown.effects)


async def test_roles_checks_and_limits_are_shown_as_configured(
    place: Place, spaces: MemoryWorkspaces
) -> None:
    place.with_settings(
        verify=(VerifySettings("lint", "ruff check"), VerifySettings("unit", ("pytest", "-q"))),
        llm=LlmSettings("rehearsal"),
    )
    shown = await preview(place.house, CHOSEN, agent=False)
    assert shown.checks == (("lint", "ruff check"), ("unit", "pytest -q"))
    assert [(each.role, each.rehearsal) for each in shown.roles] == [(r, True) for r in Role]
    assert dict(shown.limits) == {
        "calls_per_hour": "100",
        "tokens_per_run": "2,000,000",
        "tokens_per_day": "10,000,000",
        "cost_per_run": "10.00",
        "cost_per_day": "50.00",
    }


async def test_a_forced_preview_does_not_deny_the_earlier_run(
    place: Place, spaces: MemoryWorkspaces
) -> None:
    completed(place)
    shown = await preview(place.house, named(place, forced=True), agent=False)
    assert "no run of this text yet" not in shown.eligible
