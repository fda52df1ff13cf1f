"""Tidying the bot's clone: it lets go, packs, loses nothing, and leaves the seal as it was."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from repoagents.errors import GitError
from repoagents.git import mirror, worktrees
from repoagents.git.places import RunFolder
from repoagents.git.workspaces import GitWorkspaces
from tests.integration.git.conftest import Run, Site, write


@pytest.fixture
def clone(run: Run, site: Site) -> Path:
    return site.control / "git/repo.git"


def loose(clone: Path) -> int:
    """How many objects lie about by themselves."""
    return len(list(clone.glob("objects/[0-9a-f][0-9a-f]/*")))


def test_it_lets_go_of_what_is_over_and_of_nothing_else(run: Run, clone: Path) -> None:
    commit = run.commit()
    other = Run(run.bot, "run-2", 8)
    other.commit("Another")
    (clone / "refs/runs/run-3.lock").touch()
    seal, asked = run.bot.seal(), []

    def is_over(name: str) -> bool:
        asked.append(name)
        return name == "run-1"

    run.bot.tidy(is_over)
    assert sorted(asked) == ["run-1", "run-2"]
    assert [ref.name for ref in sorted((clone / "refs/runs").iterdir())] == ["run-2", "run-3.lock"]
    assert run.bot.seal() == seal
    assert run.bot.tree_of(commit), "no object is ever lost by it"
    assert run.commit() == commit, "and it can be kept again"


def test_what_lies_about_is_packed_once_it_is_much(
    run: Run, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(run.path / "src/app.py", "print('two')\n")
    tree = run.freeze()
    seal, before = run.bot.seal(), loose(clone)
    run.bot.tidy(lambda _name: True)
    assert loose(clone) == before > 0, "little is left as it is"
    monkeypatch.setattr(mirror, "LOOSE", -1)
    run.bot.tidy(lambda _name: True)
    assert loose(clone) == 0
    assert run.bot.seal() == seal
    assert run.bot.change_set(run.base.sha, tree).paths == ("src/app.py",), "though no ref names it"
    assert run.restore(tree) == ()
    write(run.path / "src/app.py", "print('three')\n")
    assert run.freeze() != tree


def test_packs_come_together(
    run: Run, clone: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "LOOSE", -1)
    for number in range(6):
        site.commit({f"file-{number}.txt": f"{number}\n"})
        run.bot.refresh()
        run.bot.tidy(lambda _name: True)
    assert len(list(clone.glob("objects/pack/*.pack"))) <= 3
    monkeypatch.setattr(mirror, "LOOSE", 10**6)
    monkeypatch.setattr(mirror, "PACKS", 0)
    run.bot.tidy(lambda _name: True)
    assert run.bot.refresh().sha == site.git("rev-parse", "HEAD")


def test_what_killed_fetches_left_goes(run: Run, clone: Path) -> None:
    packs = clone / "objects/pack"
    packs.mkdir(exist_ok=True)
    for name in ("tmp_pack_Ab12", ".tmp-77-pack-12.pack", "tmp_idx_Ab12", "pack-1.keep"):
        (packs / name).write_bytes(b"x" * 1000)
    run.bot.tidy(lambda _name: True)
    assert [left.name for left in packs.iterdir()] == ["pack-1.keep"]


def test_of_the_newest_trees_it_stays_known_what_was_left_out(
    run: Run, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "SKIPPED", 3)
    notes = site.control / "git/skipped"
    notes.mkdir()
    for number in range(6):
        os.utime(write(notes / f"{number}.json", "[]"), (number, number))
    run.bot.tidy(lambda _name: True)
    assert sorted(note.name for note in notes.iterdir()) == ["3.json", "4.json", "5.json"]


def test_without_a_clone_there_is_nothing_to_do(site: Site) -> None:
    bot = site.bot()
    bot.tidy(lambda _name: True)
    assert not (site.control / "git").exists()


def test_a_clone_that_cannot_be_packed_is_an_error_of_git(
    run: Run, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "LOOSE", -1)
    (clone / "objects/pack").rmdir()
    (clone / "objects/pack").touch()
    before = loose(clone)
    with pytest.raises(GitError):
        run.bot.tidy(lambda _name: True)
    assert loose(clone) == before > 0


def test_a_removal_that_was_killed_leaves_no_half_worktree(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(run.path / "note.txt", "mine\n")

    def die(_folder: Path) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(worktrees, "empty", die)
    child = multiprocessing.get_context("fork").Process(target=run.bot.remove, args=(run.worktree,))
    child.start()
    child.join(200)
    assert child.exitcode == -signal.SIGKILL
    monkeypatch.undo()
    assert not run.path.exists(), "what is half deleted is not taken for a worktree"
    (left,) = run.bot.worktrees()
    worktree, made = run.bot.open(left.issue_number, left.run_id, run.base.sha)
    assert made
    assert not (worktree.path / "note.txt").exists()
    assert run.freeze() == run.bot.tree_of(run.base.sha)
    run.bot.remove(worktree)
    assert run.bot.worktrees() == ()


def test_a_worktree_that_is_a_link_is_not_followed(bot: GitWorkspaces, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere / "precious.txt", "x")
    folder = RunFolder(tmp_path / "run-1")
    folder.path.mkdir()
    folder.repo.symlink_to(elsewhere)
    worktrees.clear_away(folder)
    assert not folder.path.exists()
    assert (elsewhere / "precious.txt").exists()
