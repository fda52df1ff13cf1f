"""What a process remembers saves calls of git, and never hides a change."""

import os
import shutil
from collections.abc import Callable

import pytest

from repoagents.git.command import Git
from repoagents.git.disk import Print
from repoagents.git.memory import MOST_TREES, Memory, RunMemory
from repoagents.git.trees import Entry, Outline
from tests.integration.git.conftest import Run, Site, write

SEEN = Print(0o100644, 5, 1, 1_000, 7)
ENTRY = Entry("100644", "1" * 40)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The git commands that were started."""
    started: list[str] = []
    spawn: Callable[..., int] = Git._spawn

    def note(git: Git, arguments: tuple[str, ...], *rest: object) -> int:
        started.append(arguments[0])
        return spawn(git, arguments, *rest)

    monkeypatch.setattr(Git, "_spawn", note)
    return started


def test_what_is_known_is_not_asked_again(run: Run, calls: list[str]) -> None:
    write(run.path / "src/app.py", "two\n")
    write(run.path / "new.py", "x\n")
    os.utime(run.path, ns=(0, 0))
    tree = run.freeze()
    run.restore(tree)
    calls.clear()
    assert run.freeze() == tree
    assert run.restore(tree) == ()
    assert len(calls) <= 4  # a file of the very last tick may have to be read once more
    calls.clear()
    assert run.freeze() == tree
    assert run.restore(tree) == ()
    assert calls == []


def test_what_changed_is_read_again(run: Run) -> None:
    path = write(run.path / "src/app.py", "one\n")
    seen = path.stat()
    trees = {run.freeze()}
    for text in ("two\n", "six\n", "ten\n"):
        path.write_text(text)
        os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
        trees.add(run.freeze())
    assert len(trees) == 4


def test_a_file_that_becomes_a_folder_is_asked_about_again(site: Site) -> None:
    site.commit({".gitignore": "out/\n"})
    run = Run(site.bot())
    write(run.path / "out", "a file\n")
    assert run.change().paths == ("out",)
    (run.path / "out").unlink()
    write(run.path / "out/x", "in a folder\n")
    assert run.change().empty


def test_a_new_process_finds_the_same(run: Run, site: Site) -> None:
    write(run.path / "src/app.py", "two\n")
    (run.path / "README.md").unlink()
    assert site.bot().freeze(run.worktree, run.base.sha) == run.freeze()


def test_a_run_that_is_made_again_on_another_base_starts_anew(run: Run, site: Site) -> None:
    write(run.path / "x.log", "ignored\n")
    assert run.change().empty
    run.bot.remove(run.worktree)
    site.commit({".gitignore": "nothing\n"})
    again = Run(run.bot)
    write(again.path / "x.log", "not ignored\n")
    assert again.change().paths == ("x.log",)


def test_a_clone_that_was_made_anew_is_not_believed_to_hold_trees(run: Run, site: Site) -> None:
    write(run.path / "src/app.py", "two\n")
    tree = run.freeze()
    shutil.rmtree(site.control / "git")
    run.bot.refresh()
    assert run.freeze() == tree
    assert run.bot.change_set(run.base.sha, tree).paths == ("src/app.py",)


def test_a_print_of_the_tick_in_which_it_was_read_is_not_remembered() -> None:
    memory = RunMemory()
    memory.learn("a", SEEN, ENTRY, stamp=1_000)
    assert memory.entry("a", SEEN) is None
    memory.learn("a", SEEN, ENTRY, stamp=1_001)
    assert memory.entry("a", SEEN) == ENTRY
    assert memory.entry("a", SEEN._replace(ctime_ns=1_002)) is None
    assert memory.entry("b", SEEN) is None


def test_memory_is_bounded() -> None:
    memory = Memory()
    for number in range(MOST_TREES + 5):
        memory.outline(str(number), lambda: Outline({}))
    assert list(memory.outlines) == [str(n) for n in range(5, MOST_TREES + 5)]


def test_another_clone_is_another_memory() -> None:
    memory = Memory().about((1, 1))
    first = memory.run("a", "base")
    assert memory.about((1, 1)).run("a", "base") is first
    assert memory.about((1, 2)).run("a", "base") is not first
