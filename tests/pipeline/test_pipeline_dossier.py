"""Everything that is known about a run, at each point that it may stop at."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from repoagents.domain.change import ChangeKind, ChangeSet, FileChange
from repoagents.domain.effect import PushBranch, Receipt
from repoagents.domain.reports import (
    BuildReport,
    Decision,
    Review,
    Role,
    Usage,
    Verdict,
    VerdictKind,
    Verification,
)
from repoagents.domain.run import Run, Stage
from repoagents.domain.settings import CodexSettings, LlmSettings, RoleSettings, RolesSettings
from repoagents.pipeline.dossier import gather
from repoagents.pipeline.stages import Built
from repoagents.ports import StageKey
from repoagents.views.handoff import render_handoff
from repoagents.views.handoff_page import render_handoff_page
from repoagents.views.preview import role_engines
from tests.fakes.agents import good_plan
from tests.pipeline.conftest import ISSUE, SECRET, Place

BASE, TREE = "b" * 40, "t" * 40


def change_of(path: str, tree: str = TREE, patch: str = "") -> ChangeSet:
    """A change that adds one file."""
    added = FileChange(path, ChangeKind.ADDED, "", "100644", 1, 0, 6)
    return ChangeSet(BASE, tree, (added,), patch, "hash")


BUILT = Built(BuildReport("did it", ("a.txt",)), change_of("a.txt"))
VALUES: tuple[tuple[Stage, int, str, object], ...] = (
    (Stage.BASE_CHECK, 0, "base_verification", Verification(BASE)),
    (Stage.PLAN, 0, "plan", good_plan("a.txt")),
    (Stage.BUILD, 1, "build", BUILT),
    (Stage.VERIFY, 1, "verification", Verification(TREE)),
    (Stage.REVIEW, 1, "review", Review(Decision.APPROVE, ())),
    (Stage.VERDICT, 1, "verdict", Verdict(VerdictKind.PUBLISH, ("proven",))),
)


def keep(place: Place, run: Run, stage: Stage, round_: int, value: object) -> None:
    """Record a stage's value, which took two seconds."""
    key = StageKey(run.id, 1, stage, round_, f"hash-{round_}")
    place.house.stages.record(key, value, place.clock.now(), 2.0)


@pytest.mark.parametrize("place_of", range(len(VALUES)))
def test_a_value_of_another_version_is_named_and_hides_no_other(
    place: Place, place_of: int
) -> None:
    run = place.queue()
    for number, (stage, round_, _, value) in enumerate(VALUES):
        keep(place, run, stage, round_, "of 9.0" if number == place_of else value)
    told = gather(place.house, run)
    stage, _, lost, _ = VALUES[place_of]
    assert told.unreadable == (stage.value,)
    for _, _, name, _ in VALUES:
        assert (getattr(told, name) is None) == (name == lost)
    assert run.id in told.gap
    assert stage.value.replace("_", " ") in render_handoff(told)
    assert f"repoagents retry {run.issue_number} --fresh" in render_handoff_page(told)


def test_an_issue_of_another_version_is_told_by_its_title(place: Place) -> None:
    run = place.queue()
    folder = place.house.root / ".ai-repoagents" / "state"
    with closing(sqlite3.connect(folder / "repoagents.sqlite")) as base:
        base.execute("UPDATE issues SET issue = '[]'")
        base.commit()
    told = gather(place.house, run)
    assert (told.issue.title, told.unreadable) == (run.title, ("issue",))


@pytest.mark.parametrize("reached", range(len(VALUES) + 1))
def test_a_dossier_holds_what_was_reached_and_none_for_the_rest(place: Place, reached: int) -> None:
    run = place.queue()
    for stage, round_, _, value in VALUES[:reached]:
        keep(place, run, stage, round_, value)
    told = gather(place.house, run)
    for number, (_, _, name, value) in enumerate(VALUES):
        expected = value if number < reached else None
        if isinstance(expected, Built):
            assert (told.change, told.build) == (BUILT.change, BUILT.report)
        else:
            assert getattr(told, name) == expected
    assert told.timings == tuple((stage, round_, 2.0) for stage, round_, _, _ in VALUES[:reached])
    assert bool(told.patch_path) is (reached > 2)


def test_without_a_single_stage_the_frozen_issue_is_there(place: Place) -> None:
    run = place.queue()
    place.tracker.issues[1] = replace(ISSUE, title="Another")
    told = gather(place.house, run)
    assert (told.run, told.issue) == (run, ISSUE)
    assert (told.effects, told.findings, told.usage) == ((), (), Usage())


def test_the_latest_round_is_told(place: Place) -> None:
    run = place.queue()
    for round_ in (1, 2):
        built = Built(BuildReport(f"round {round_}"), change_of(f"{round_}.txt"))
        keep(place, run, Stage.BUILD, round_, built)
    told = gather(place.house, run)
    assert told.build == BuildReport("round 2")
    assert told.change == change_of("2.txt")


def test_a_proof_of_an_earlier_round_is_no_proof_of_the_change(place: Place) -> None:
    run = place.queue()
    keep(place, run, Stage.BUILD, 1, BUILT)
    keep(place, run, Stage.VERIFY, 1, Verification(TREE))
    keep(place, run, Stage.BUILD, 2, Built(BuildReport("again"), change_of("a.txt", "u" * 40)))
    told = gather(place.house, run)
    assert told.change is not None
    assert told.verification is None or told.verification.tree == told.change.tree


def test_the_patch_is_named_as_a_person_in_the_repository_types_it(place: Place) -> None:
    run = place.queue()
    keep(place, run, Stage.BUILD, 1, BUILT)
    written = place.house.artifacts.write(1, run.id, "changes.patch", "+fixed\n")
    path = gather(place.house, run).patch_path
    assert not path.startswith("/")
    assert place.house.root / path == written


def test_findings_are_those_of_the_real_change(place: Place) -> None:
    run = place.queue()
    patch = f"--- /dev/null\n+++ b/AGENTS.md\n@@ -0,0 +1 @@\n+{SECRET}\n"
    keep(place, run, Stage.PLAN, 0, good_plan("a.txt"))
    keep(place, run, Stage.BUILD, 1, Built(BuildReport(""), change_of("AGENTS.md", patch=patch)))
    told = gather(place.house, run)
    assert any(finding.blocking and finding.file == "AGENTS.md" for finding in told.findings)
    assert SECRET not in repr(told.findings)


def test_effects_and_costs_are_those_of_the_books(place: Place) -> None:
    run, now = place.queue(), place.clock.now()
    done, held = (PushBranch(run.id, 1, f"repoagents/{name}", TREE) for name in ("a", "b"))
    place.house.ledger.intend(run.id, done, now)
    place.house.ledger.close(run.id, done, Receipt(done.key, "branch a", now))
    place.house.ledger.withhold(run.id, held, "safety.allow_open_pr", "it is off", now)
    spent = place.house.spend.reserve(run.id, Stage.PLAN, Usage(1, 9000), now)
    place.house.spend.settle(spent, Usage(1, 1234, 0.5))
    told = gather(place.house, run)
    assert told.effects == (
        ("branch", "done", "", "", "branch a"),
        ("branch", "withheld", "safety.allow_open_pr", "it is off", ""),
    )
    assert told.usage == Usage(1, 1234, 0.5)


def test_another_runs_books_stay_out(place: Place) -> None:
    mine, other = place.queue(), place.queue(replace(ISSUE, number=2))
    for stage, round_, _, value in VALUES:
        keep(place, other, stage, round_, value)
    place.house.spend.reserve(other.id, Stage.PLAN, Usage(1, 9000), place.clock.now())
    told = gather(place.house, mine)
    assert (told.plan, told.change, told.verdict, told.usage) == (None, None, None, Usage())


def test_roles_are_told_in_order_with_the_engine_of_each(place: Place) -> None:
    place.with_settings(
        llm=LlmSettings("rehearsal"),
        codex=CodexSettings(model="big"),
        roles=RolesSettings(
            enabled=(Role.PLANNER, Role.BUILDER), builder=RoleSettings(engine="codex")
        ),
    )
    engines = role_engines(place.house.settings)
    assert [(each.role, each.engine, each.model, each.rehearsal) for each in engines] == [
        (Role.PLANNER, "rehearsal", "", True),
        (Role.BUILDER, "codex", "big", False),
    ]
