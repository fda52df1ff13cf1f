"""What a workspace promises, to the twin in memory and to real git alike."""

from collections.abc import Callable
from pathlib import Path

import pytest

from repoagents.domain.change import Base, ChangeKind, Conflict
from repoagents.domain.settings import Settings
from repoagents.errors import GitError
from repoagents.git.checkout import Checkout
from repoagents.git.workspaces import GitWorkspaces
from repoagents.ports import CommitRequest, Workspaces, Worktree
from tests.fakes.clock import START, FakeClock
from tests.fakes.workspaces import MemoryWorkspaces

FILES = {"README.md": "hello\n", "src/deep/a.txt": "one\n"}
BRANCH = "repoagents/issue-1-a-branch"

Ground = tuple[Workspaces, Base]


@pytest.fixture(params=["memory", "git"])
def ground(
    request: pytest.FixtureRequest, tmp_path: Path, git_repository: Callable[..., Path]
) -> Ground:
    """Each implementation over the same two files, and its base."""
    spaces: Workspaces
    if request.param == "memory":
        spaces = MemoryWorkspaces(tmp_path / "grounds", dict(FILES))
    else:
        root = git_repository(FILES)
        spaces = GitWorkspaces(
            Checkout(root, {"PATH": "/usr/local/bin:/usr/bin:/bin"}, (".ai-repoagents/**",)),
            root / ".ai-repoagents",
            Settings(),
            FakeClock(),
        )
    return spaces, spaces.refresh()


def opened(ground: Ground) -> Worktree:
    """A worktree at the base."""
    spaces, base = ground
    return spaces.open(1, "run-1", base.sha)[0]


def test_a_worktree_holds_the_base_and_is_made_once(ground: Ground) -> None:
    spaces, base = ground
    worktree, made = spaces.open(1, "run-1", base.sha)
    assert made
    for name, text in FILES.items():
        assert (worktree.path / name).read_text() == text
    (worktree.path / "mine.txt").write_text("kept\n")
    assert spaces.open(1, "run-1", base.sha) == (worktree, False)
    assert (worktree.path / "mine.txt").exists()
    assert spaces.worktrees() == (worktree,)


def test_a_base_that_did_not_move_is_the_same_commit(ground: Ground) -> None:
    spaces, base = ground
    assert (base.branch, spaces.refresh(), spaces.base_branch()) == ("main", base, "main")
    assert spaces.dirty_paths() == ()
    assert spaces.why_ahead(base) is None


def test_the_frozen_tree_is_the_content_and_nothing_else(ground: Ground) -> None:
    spaces, base = ground
    worktree = opened(ground)
    assert spaces.freeze(worktree, base.sha) == spaces.tree_of(base.sha)
    (worktree.path / "README.md").write_text("changed\n")
    tree = spaces.freeze(worktree, base.sha)
    assert tree != spaces.tree_of(base.sha)
    assert spaces.freeze(worktree, base.sha) == tree == spaces.tree_of(tree)
    (worktree.path / "README.md").write_text(FILES["README.md"])
    assert spaces.freeze(worktree, base.sha) == spaces.tree_of(base.sha)


def test_a_change_set_names_what_was_added_edited_and_deleted(ground: Ground) -> None:
    spaces, base = ground
    worktree = opened(ground)
    assert spaces.change_set(base.sha, spaces.tree_of(base.sha)).empty
    (worktree.path / "README.md").write_text("changed\n")
    (worktree.path / "new.txt").write_text("1\n2\n")
    (worktree.path / "src/deep/a.txt").unlink()
    made = spaces.change_set(base.sha, spaces.freeze(worktree, base.sha))
    assert {(c.path, c.kind, c.added, c.deleted) for c in made.files} == {
        ("README.md", ChangeKind.MODIFIED, 1, 1),
        ("new.txt", ChangeKind.ADDED, 2, 0),
        ("src/deep/a.txt", ChangeKind.DELETED, 0, 1),
    }
    assert "+changed" in made.patch
    assert (made.base_sha, len(made.diff_hash) >= 40) == (base.sha, True)


def test_restoring_names_exactly_what_had_to_change(ground: Ground) -> None:
    spaces, base = ground
    worktree = opened(ground)
    (worktree.path / "README.md").write_text("changed\n")
    (worktree.path / "stray.txt").write_text("x\n")
    (worktree.path / "src/deep/a.txt").unlink()
    assert set(spaces.restore(worktree, base.sha, base.sha)) == {
        "README.md", "stray.txt", "src/deep/a.txt"
    }  # fmt: skip
    assert not (worktree.path / "stray.txt").exists()
    assert (worktree.path / "src/deep/a.txt").read_text() == "one\n"
    assert spaces.restore(worktree, base.sha, base.sha) == ()


def test_the_same_request_gives_the_same_commit(ground: Ground) -> None:
    spaces, base = ground
    tree = frozen(ground)
    request = CommitRequest("run-1", base.sha, tree, "Mend it", START)
    commit = spaces.commit(request)
    assert spaces.commit(request) == commit != base.sha
    assert spaces.tree_of(commit) == tree
    assert spaces.why_stale(commit, base) is None


def test_a_branch_is_written_where_it_is_absent_or_as_expected(ground: Ground) -> None:
    spaces, base = ground
    tree = frozen(ground)
    first, third = (
        spaces.commit(CommitRequest("run-1", base.sha, tree, word, START))
        for word in ("one", "three")
    )
    second = spaces.commit(CommitRequest("run-1", base.sha, tree, "two", START, onto=first))
    assert spaces.branch_head(BRANCH) is None
    assert BRANCH in spaces.push(BRANCH, first, None)
    assert spaces.branch_head(BRANCH) == first
    spaces.push(BRANCH, first, None)
    spaces.push(BRANCH, second, first)
    assert spaces.branch_head(BRANCH) == second
    for wrong in (None, first):
        with pytest.raises(GitError, match="another commit"):
            spaces.push(BRANCH, third, wrong)
    with pytest.raises(GitError, match="does not follow"):
        spaces.push(BRANCH, third, second)
    assert spaces.branch_head(BRANCH) == second


def test_removing_is_for_good_and_may_be_repeated(ground: Ground) -> None:
    spaces, _ = ground
    worktree = opened(ground)
    assert spaces.size(worktree) >= sum(map(len, FILES.values()))
    spaces.remove(worktree)
    spaces.remove(worktree)
    assert not worktree.path.exists()
    assert spaces.worktrees() == ()


def frozen(ground: Ground) -> str:
    """A tree that differs from the base."""
    spaces, base = ground
    worktree = opened(ground)
    (worktree.path / "new.txt").write_text("new\n")
    return spaces.freeze(worktree, base.sha)


def test_a_conflict_is_told_with_both_sides_in_its_tree(ground: Ground) -> None:
    spaces, base = ground
    worktree = opened(ground)
    (worktree.path / "README.md").write_text("ours\n")
    ours = spaces.commit(
        CommitRequest("run-1", base.sha, spaces.freeze(worktree, base.sha), "Ours\n", START)
    )
    spaces.restore(worktree, base.sha, base.sha)
    (worktree.path / "README.md").write_text("theirs\n")
    theirs = spaces.commit(
        CommitRequest("run-2", base.sha, spaces.freeze(worktree, base.sha), "Theirs\n", START)
    )
    conflict = spaces.merge_base(ours, theirs, "Merge\n", START)
    assert isinstance(conflict, Conflict)
    assert [path for path, _ in conflict.paths] == ["README.md"]
    assert all(why for _, why in conflict.paths)
    again, made = spaces.open(1, "run-1", theirs)
    assert (again, made) == (worktree, True)
    assert (worktree.path / "README.md").read_text() == "theirs\n"
    spaces.restore(worktree, theirs, conflict.tree)
    lines = (worktree.path / "README.md").read_text().split("\n")
    assert [line[:7] for line in lines] == ["<<<<<<<", "ours", "=======", "theirs", ">>>>>>>", ""]
    assert spaces.merge_base(ours, base.sha, "Merge\n", START) == ours
    spaces.recall(BRANCH, ours)
    assert spaces.tree_of(ours)
