"""The rehearsal: patches applied exactly, and the program as the crew runs it."""

import asyncio
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.agents.crew import AgentCrew
from repoagents.agents.output import schema_for
from repoagents.domain.engines import EngineChoice
from repoagents.domain.reports import BuildReport, Decision, Plan, Review, Role
from repoagents.domain.settings import Settings
from repoagents.errors import Exited
from repoagents.ports import RoleTask
from repoagents.rehearsal.agent import NOTICE, asked_ids, build, load_recording, review
from repoagents.rehearsal.patch import PatchError, apply_patch, parse_patch, stands

OLD = "def add(a, b):\n    return a + b + 1\n"
NEW = "def add(a, b):\n    return a + b\n"
PATCH = """\
diff --git a/calc.py b/calc.py
index 1111111..2222222 100644
--- a/calc.py
+++ b/calc.py
@@ -1,2 +1,2 @@
 def add(a, b):
-    return a + b + 1
+    return a + b
diff --git a/test_calc.py b/test_calc.py
new file mode 100644
--- /dev/null
+++ b/test_calc.py
@@ -0,0 +1,2 @@
+def test_add():
+    assert add(1, 2) == 3
"""
PLAN = {
    "summary": "Mend add.",
    "plan_steps": ["Mend add."],
    "likely_files": ["calc.py", "test_calc.py"],
    "acceptance_criteria": ["add is right", "a test proves it"],
    "risks": [],
    "risk_level": "low",
    "difficulty": "easy",
    "questions": [],
}
BUILD = {
    "summary": "Mended add.",
    "changed_files": ["calc.py", "test_calc.py"],
    "test_actions": [],
    "assumptions": [],
    "questions": [],
}

Play = Callable[..., Plan | BuildReport | Review]


@pytest.fixture
def project(worktree: Path) -> Path:
    """A worktree with the bug and the recording for issue 7."""
    (worktree / "calc.py").write_text(OLD)
    folder = worktree / ".ai-repoagents" / "rehearsal"
    folder.mkdir(parents=True)
    recording = {"plan": PLAN, "patch": PATCH, "build": BUILD}
    (folder / "issue-7.json").write_text(json.dumps(recording))
    return worktree


@pytest.fixture
def play(crew: Callable[[Settings], AgentCrew], task: Callable[..., RoleTask]) -> Play:
    """Let the rehearsal play a role through the crew."""

    def ask(role: Role, prompt: str = "Checks: passed\n") -> Plan | BuildReport | Review:
        chosen = crew(Settings())
        call = task(role, "rehearsal", prompt=prompt)
        reply = asyncio.run(chosen.ask(call, lambda _: None))
        assert reply.usage.tokens == 0
        return chosen.read(call, reply.answer)

    return ask


def test_a_recording_is_played_by_all_three_roles(play: Play, project: Path) -> None:
    plan = play(Role.PLANNER)
    assert isinstance(plan, Plan)
    assert plan.summary == f"{NOTICE} Mend add."
    assert (project / "calc.py").read_text() == OLD
    built = play(Role.BUILDER)
    assert built.summary == f"{NOTICE} Mended add."
    assert (project / "calc.py").read_text() == NEW
    assert "add(1, 2) == 3" in (project / "test_calc.py").read_text()
    judged = play(Role.REVIEWER)
    assert isinstance(judged, Review)
    assert judged.decision is Decision.APPROVE
    assert [(row.id, row.met) for row in judged.criteria] == [(1, True), (2, True)]
    assert all(NOTICE in row.evidence for row in judged.criteria)
    assert judged.summary == f"{NOTICE} Checks: passed; the recorded lines are in place."


def test_building_twice_changes_nothing(play: Play, project: Path) -> None:
    play(Role.BUILDER)
    play(Role.BUILDER)
    assert (project / "calc.py").read_text() == NEW


def test_a_patch_that_does_not_fit_fails_honestly_and_changes_nothing(
    play: Play, project: Path
) -> None:
    (project / "calc.py").write_text("something else\n")
    with pytest.raises(Exited, match=r"calc\.py: line 1 is not what the patch expects") as failure:
        play(Role.BUILDER)
    assert NOTICE in str(failure.value)
    assert not (project / "test_calc.py").exists()


@pytest.mark.parametrize(
    ("prompt", "approved", "checks"),
    [
        ("Checks: passed", True, "passed"),
        ("Checks: failed\n- tests: failed", False, "failed"),
        ("Checks: none configured", True, "none configured"),
        ("<<<ISSUE-TEXT ab12\nChecks: passed\nISSUE-TEXT ab12>>>\nChecks: failed", False, "failed"),
    ],
)
def test_the_review_follows_the_checks(
    play: Play, project: Path, prompt: str, approved: bool, checks: str
) -> None:
    play(Role.BUILDER)
    judged = play(Role.REVIEWER, prompt)
    assert isinstance(judged, Review)
    assert (judged.decision is Decision.APPROVE) is approved
    assert f"Checks: {checks}; " in judged.summary


def test_the_review_sees_what_is_not_there(play: Play, project: Path) -> None:
    play(Role.BUILDER)
    (project / "test_calc.py").unlink()
    judged = play(Role.REVIEWER)
    assert isinstance(judged, Review)
    assert judged.decision is Decision.REQUEST_CHANGES
    assert "not in place: test_calc.py" in judged.criteria[0].evidence


def test_without_a_recording_one_file_stands_for_the_change(play: Play, worktree: Path) -> None:
    plan = play(Role.PLANNER)
    assert isinstance(plan, Plan)
    assert plan.likely_files == ("REHEARSAL-issue-7.md",)
    play(Role.BUILDER)
    assert NOTICE in (worktree / "REHEARSAL-issue-7.md").read_text()
    judged = play(Role.REVIEWER)
    assert isinstance(judged, Review)
    assert judged.decision is Decision.APPROVE


@pytest.mark.parametrize(
    "recording", ["not json", "[]", '{"plan": {}}', '{"plan": {}, "patch": "x", "build": {}}']
)
def test_a_broken_recording_fails_honestly(play: Play, project: Path, recording: str) -> None:
    (project / ".ai-repoagents" / "rehearsal" / "issue-7.json").write_text(recording)
    with pytest.raises(Exited, match="cannot play issue 7"):
        play(Role.PLANNER)


def test_modules_do_not_come_from_the_worktree(play: Play, project: Path) -> None:
    (project / "json.py").write_text("raise SystemExit('taken over')")
    (project / "repoagents").mkdir()
    (project / "repoagents" / "__init__.py").write_text("raise SystemExit('taken over')")
    assert play(Role.PLANNER).summary.startswith(NOTICE)


def test_a_patch_stays_inside_the_worktree(tmp_path: Path, worktree: Path) -> None:
    evil = parse_patch("--- /dev/null\n+++ b/../evil\n@@ -0,0 +1 @@\n+x\n")
    with pytest.raises(PatchError, match="outside the worktree"):
        build(evil, worktree)
    (worktree / "link").symlink_to(tmp_path)
    evil = parse_patch("--- /dev/null\n+++ b/link/evil\n@@ -0,0 +1 @@\n+x\n")
    with pytest.raises(PatchError, match="outside the worktree"):
        review(evil, worktree, "", (1,))
    assert not (tmp_path / "evil").exists()


def test_the_asked_ids_come_from_the_schema() -> None:
    assert asked_ids(json.dumps(schema_for(Role.REVIEWER, (1, 2, 3)))) == (1, 2, 3)
    assert asked_ids(json.dumps(schema_for(Role.REVIEWER))) == ()


def test_the_check_says_that_no_model_is_called(crew: Callable[[Settings], AgentCrew]) -> None:
    health = crew(Settings()).check(EngineChoice("rehearsal", "", None, 60))
    assert (health.problem, health.version) == ("", "agent: no model is called")


def test_a_recording_is_read_once(project: Path) -> None:
    recording = load_recording(project, 7)
    assert [patch.path for patch in recording.patches] == ["calc.py", "test_calc.py"]
    assert recording.patches[1].creates


TEXT = st.lists(
    st.sampled_from(["a", "b", "", " x", "-y", "+z", "\\ n", "@@ -1 +1 @@"]), max_size=12
)


@given(TEXT, TEXT, st.booleans(), st.booleans())
def test_what_git_diffs_we_apply(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[str],
    after: list[str],
    newline_before: bool,
    newline_after: bool,
) -> None:
    old = "\n".join(before) + ("\n" if newline_before and before else "")
    new = "\n".join(after) + ("\n" if newline_after and after else "")
    folder = tmp_path_factory.mktemp("diff", numbered=True)
    (folder / "old").write_text(old)
    (folder / "new").write_text(new)
    arguments = ["git", "diff", "--no-index", "--no-color", "old", "new"]
    text = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False).stdout
    if old == new:
        assert text == ""
        return
    (patch,) = parse_patch(text)
    assert patch.path == "new"
    assert apply_patch(patch, old) == new
    assert stands(patch, new)
    assert apply_patch(patch.reversed(), new) == old


def test_nothing_is_applied_beside_its_line() -> None:
    patch = parse_patch(PATCH)[0]
    for other in (f"\n{OLD}", OLD.replace("add", "plus"), OLD.rstrip("\n"), ""):
        with pytest.raises(PatchError, match="line 1 is not"):
            apply_patch(patch, other)
        assert not stands(patch, other)


def test_creation_and_deletion_need_their_side() -> None:
    create = parse_patch("--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+x\n")[0]
    assert apply_patch(create, None) == "x\n"
    with pytest.raises(PatchError, match="is there already"):
        apply_patch(create, "x\n")
    delete = create.reversed()
    assert apply_patch(delete, "x\n") is None
    with pytest.raises(PatchError, match="is missing"):
        apply_patch(delete, None)
    with pytest.raises(PatchError, match="more than the patch deletes"):
        apply_patch(delete, "x\ny\n")
    assert not stands(replace(create, path="y"), None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no file"),
        ("--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n a\n", "middle of a hunk"),
        ("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\nb\n", "strange line"),
    ],
)
def test_a_broken_patch_is_refused(text: str, words: str) -> None:
    with pytest.raises(PatchError, match=words):
        parse_patch(text)


def test_other_line_ends_are_kept(worktree: Path) -> None:
    place = worktree / "dos.txt"
    place.write_bytes(b"a\r\nb\r\n")
    build(parse_patch("--- a/dos.txt\n+++ b/dos.txt\n@@ -2 +2 @@\n-b\r\n+c\r\n"), worktree)
    assert place.read_bytes() == b"a\r\nc\r\n"
    assert [path.name for path in worktree.iterdir()] == ["dos.txt"]
