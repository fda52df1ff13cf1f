"""The doctor: every line it can say, and what makes it say that."""

from dataclasses import fields, replace

import pytest

from repoagents.domain.issue import Issue
from repoagents.domain.reports import Role
from repoagents.domain.settings import (
    CodexSettings,
    EngineChoice,
    LlmSettings,
    RoleSettings,
    RolesSettings,
    TrackerSettings,
    VerifySettings,
    WorkspaceSettings,
)
from repoagents.errors import GitError
from repoagents.pipeline.checkup import LEAST_FREE_BYTES, Check, HostFacts, examine, labelled
from repoagents.ports import EngineHealth
from tests.fakes.workspaces import MemoryWorkspaces
from tests.pipeline.conftest import ISSUE, Place

FINE = HostFacts(free_bytes=500_000_000_000)

WELL = {"config", "state", "folders", "disk", "templates", "git", "checkout", "engine", "verify"}


@pytest.fixture
def spaces(place: Place) -> MemoryWorkspaces:
    """The place's repository, in memory."""
    found = MemoryWorkspaces(place.house.root.parent / "grounds")
    place.house = replace(place.house, workspaces=found)
    return found


def said(place: Place, facts: HostFacts = FINE) -> dict[str, list[Check]]:
    """The doctor's lines by name."""
    found: dict[str, list[Check]] = {}
    for check in examine(place.house, facts):
        found.setdefault(check.name, []).append(check)
    return found


def only(place: Place, name: str, facts: HostFacts = FINE) -> Check:
    """The one line of a name."""
    (check,) = said(place, facts)[name]
    return check


def test_a_sound_place_is_ok_all_over_and_asks_for_nothing(
    place: Place, spaces: MemoryWorkspaces
) -> None:
    checks = examine(place.house, FINE)
    assert {check.name for check in checks} == WELL | {"tracker", "worker"}
    assert {check.status for check in checks} == {"ok"}
    assert [check.fix for check in checks if check.fix] == []


FACTS = {
    "warnings": (("an old key",), "config", "warn", "an old key", ""),
    "unwritable": (("state", "logs"), "folders", "error", "state, logs", "chmod state, logs"),
    "free_bytes": (LEAST_FREE_BYTES - 1, "disk", "warn", "1.0 GB free", "clean --dry-run"),
    "edited": (("roles/planner.md",), "templates", "ok", "edited since init", ""),
    "behind": (("roles/planner.md",), "templates", "warn", "not as this version", "mend it so"),
    "mend": ("mend it so", "templates", "ok", "as init wrote them", ""),
    "uncommitted": (("a.yaml", "b.md"), "control plane", "ok", "a.yaml, b.md", "git add a.yaml b"),
    "line_for_issues": ("mkdir issues", "tracker", "warn", "yet", "mkdir issues"),
    "worker": ("pid 7 since 05:06", "worker", "ok", "pid 7 since 05:06", ""),
    "state": ("it is corrupt", "state", "error", "it is corrupt", "restore state/ from a backup"),
    "submodules": (True, "submodules", "warn", "submodules are not", "hooks.after_create"),
    "lfs": (True, "LFS files", "warn", "LFS files are not", "hooks.after_create"),
    "clock_ahead_of_files": (True, "clock", "warn", "times in the future", "NTP"),
}
"""For each fact: its value, and the line that it brings: name, status, message, fix."""


def test_no_fact_about_the_host_is_left_out() -> None:
    assert [fact.name for fact in fields(HostFacts)] == list(FACTS)


@pytest.mark.parametrize("fact", FACTS)
def test_each_fact_about_the_host_has_its_line(
    place: Place, spaces: MemoryWorkspaces, fact: str
) -> None:
    value, name, status, message, fix = FACTS[fact]
    mend = {"mend": "mend it so"} if fact == "behind" else {}
    check = said(place, replace(FINE, **{fact: value}, **mend))[name][-1]
    assert check.status == status
    assert message in check.message
    assert fix in check.fix
    assert (check.fix == "") is (fix == "")


def test_edited_and_outdated_texts_are_told_apart(place: Place, spaces: MemoryWorkspaces) -> None:
    facts = replace(FINE, edited=("a.md",), behind=("b.md",), mend="repoagents init --upgrade")
    checks = said(place, facts)["templates"]
    assert [(check.status, check.fix) for check in checks] == [
        ("warn", "repoagents init --upgrade"),
        ("ok", ""),
    ]
    assert "b.md" not in checks[1].message
    assert "a.md" not in checks[0].message


def test_just_enough_room_is_enough(place: Place, spaces: MemoryWorkspaces) -> None:
    check = only(place, "disk", replace(FINE, free_bytes=LEAST_FREE_BYTES))
    assert (check.status, check.message) == ("ok", "1 GB free")


def test_a_base_that_cannot_be_read_hides_what_depends_on_it(
    place: Place, spaces: MemoryWorkspaces
) -> None:
    spaces.unreachable = GitError("no route to host", next_step="try later", kind="unreachable")
    found = said(place, replace(FINE, submodules=True))
    (git,) = found["git"]
    assert (git.status, git.message, git.fix) == ("error", "no route to host", "try later")
    assert not {"base", "checkout", "submodules"} & set(found)
    assert "engine" in found, "what does not depend on git is still looked at"


def test_a_checkout_ahead_of_its_base_is_told(place: Place, spaces: MemoryWorkspaces) -> None:
    assert "base" not in said(place)
    spaces.ahead = "main is 2 commits ahead"
    check = only(place, "base")
    assert (check.status, check.message, check.fix) == ("warn", spaces.ahead, "git push")


@pytest.mark.parametrize(
    ("policy", "dirty", "status", "message"),
    [
        ("block", (), "ok", "clean"),
        ("warn", (), "ok", "clean"),
        ("allow", (), "ok", "clean"),
        ("block", ("a.txt",), "error", "uncommitted changes: a.txt"),
        ("warn", ("a.txt",), "warn", "uncommitted changes: a.txt"),
        ("allow", ("a.txt",), "ok", "dirty, allowed by dirty_policy"),
        ("block", tuple("abcdefg"), "error", "uncommitted changes: a, b, c, d, e"),
    ],
)
def test_what_a_dirty_checkout_means(
    place: Place,
    spaces: MemoryWorkspaces,
    policy: str,
    dirty: tuple[str, ...],
    status: str,
    message: str,
) -> None:
    place.with_settings(workspace=WorkspaceSettings(dirty_policy=policy))
    spaces.dirty = dirty
    check = only(place, "checkout")
    assert (check.status, check.message) == (status, message)
    assert bool(check.fix) is (status != "ok")


def test_one_line_per_engine_names_the_roles_it_serves(
    place: Place, spaces: MemoryWorkspaces
) -> None:
    place.with_settings(
        llm=LlmSettings("rehearsal"),
        roles=RolesSettings(builder=RoleSettings(engine="command", model="big-one")),
    )
    assert [(check.status, check.message) for check in said(place)["engine"]] == [
        ("ok", "rehearsal scripted (planner, reviewer)"),
        ("ok", "command scripted (builder, model big-one)"),
    ]
    place.with_settings(roles=RolesSettings(enabled=(Role.PLANNER, Role.BUILDER)))
    assert only(place, "engine").message == "rehearsal scripted (planner, builder)"


def test_an_engine_that_cannot_be_used_says_how_to_mend_it(
    place: Place, spaces: MemoryWorkspaces
) -> None:
    def missing(choice: EngineChoice) -> EngineHealth:
        return EngineHealth(choice.engine, problem="not found on PATH", next_step="install it")

    place.agents.check = missing
    place.with_settings(codex=CodexSettings(sandbox="danger-full-access"))
    check = only(place, "engine")
    assert (check.status, check.fix) == ("error", "install it")
    assert check.message == "codex (planner, builder, reviewer): not found on PATH"


@pytest.mark.parametrize(("engine", "status"), [("codex", "error"), ("command", "ok")])
def test_codex_without_its_sandbox_is_an_error(
    place: Place, spaces: MemoryWorkspaces, engine: str, status: str
) -> None:
    place.with_settings(llm=LlmSettings(engine), codex=CodexSettings(sandbox="danger-full-access"))
    check = only(place, "engine")
    assert check.status == status
    assert ("workspace-write" in check.fix) is (status == "error")


@pytest.mark.parametrize(
    ("verify", "status", "message"),
    [
        ((), "warn", "unverified"),
        ((VerifySettings("lint", "x", required=False),), "warn", "unverified"),
        (
            (
                VerifySettings("unit", "x"),
                VerifySettings("lint", "x", required=False),
                VerifySettings("types", "x"),
            ),
            "ok",
            "required: unit, types",
        ),
    ],
)
def test_without_a_required_check_nothing_is_proven(
    place: Place,
    spaces: MemoryWorkspaces,
    verify: tuple[VerifySettings, ...],
    status: str,
    message: str,
) -> None:
    place.with_settings(verify=verify)
    check = only(place, "verify")
    assert check.status == status
    assert message in check.message


def test_a_tracker_that_is_down_is_an_error(place: Place, spaces: MemoryWorkspaces) -> None:
    place.tracker.down = True
    check = only(place, "tracker")
    assert (check.status, check.message) == ("error", "the tracker is down")


def test_issues_that_could_not_be_read_are_listed_before_the_count(
    place: Place, spaces: MemoryWorkspaces
) -> None:
    place.tracker.issues = {1: ISSUE}
    place.tracker.problems = ("3.md has no title", "4.md is not UTF-8")
    checks = said(place)["tracker"]
    assert [check.status for check in checks] == ["warn", "warn", "ok"]
    assert [check.message for check in checks[:2]] == list(place.tracker.problems)
    assert "1 open" in checks[2].message


@pytest.mark.parametrize(
    ("label", "issues", "message", "fix"),
    [
        (None, (ISSUE,), "1 open, every one is taken (no trigger label)", ""),
        ("repoagents", (), "0 open, 0 labelled repoagents", ""),
        ("repoagents", (ISSUE,), "1 open, 1 labelled repoagents", ""),
        (" RepoAgents ", (ISSUE,), "1 open, 1 labelled", ""),
        ("go", (ISSUE,), "1 open, 0 labelled go", "add the label go to an issue, for example in 1"),
        (
            "go",
            (replace(ISSUE, source="issues/001-broken.md"), ISSUE),
            "2 open, 0 labelled go",
            "for example in issues/001-broken.md",
        ),
    ],
)
def test_the_label_that_nothing_carries_is_shown_with_an_example(
    place: Place, label: str | None, issues: tuple[Issue, ...], message: str, fix: str
) -> None:
    settings = replace(place.house.settings, tracker=TrackerSettings(trigger_label=label))
    check = labelled(issues, settings)
    assert check.status == "ok"
    assert message in check.message
    assert fix in check.fix
    assert bool(check.fix) is bool(fix)
