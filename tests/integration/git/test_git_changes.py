"""What an agent did to the files, as git tells it."""

from tests.integration.git.conftest import Run, write


def test_a_clean_worktree_is_its_base(run: Run) -> None:
    change = run.change()
    assert change.empty
    assert change.skipped == ()


def test_edits_additions_and_deletions_are_told(run: Run) -> None:
    write(run.path / "src/app.py", "print('two')\n")
    write(run.path / "new/file.py", "x = 1\n")
    (run.path / "tests/test_app.py").unlink()
    change = run.change()
    assert [(f.path, f.kind.value, f.added, f.deleted) for f in change.files] == [
        ("new/file.py", "added", 1, 0),
        ("src/app.py", "modified", 1, 1),
        ("tests/test_app.py", "deleted", 0, 2),
    ]
    assert "+print('two')" in change.patch
