"""Putting a worktree back to a tree, whatever an agent or a check did to it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.git.conftest import Run, Site, tree_of, write

Git = Callable[..., str]


def test_an_untouched_worktree_needs_nothing(run: Run) -> None:
    before = tree_of(run.path, but=[".git"])
    assert run.restore(run.base.sha) == ()
    assert tree_of(run.path, but=[".git"]) == before


def test_edits_deletions_and_additions_are_undone(run: Run) -> None:
    write(run.path / "src/app.py", "two\n")
    write(run.path / "new/deep/file.py", "x\n")
    shutil.rmtree(run.path / "tests")
    (run.path / "README.md").chmod(0o755)
    assert run.restore(run.base.sha) == (
        "README.md",
        "new/deep/file.py",
        "src/app.py",
        "tests/test_app.py",
    )
    assert run.change().empty
    assert not (run.path / "new").exists()
    assert (run.path / "README.md").stat().st_mode & 0o777 == 0o644


def test_a_frozen_change_comes_back_exactly(run: Run) -> None:
    write(run.path / "src/app.py", "two\n").chmod(0o755)
    write(run.path / "new/file.bin", b"\0\r\n\xff")
    (run.path / "link").symlink_to("src/app.py")
    (run.path / "tests/test_app.py").unlink()
    tree = run.freeze()
    write(run.path / "src/app.py", "three\n")
    write(run.path / "tests/test_app.py", "a check's\n")
    (run.path / "new/file.bin").unlink()
    (run.path / "link").unlink()
    write(run.path / "link/now-a-folder", "x")
    assert run.restore(tree) == (
        "link",
        "link/now-a-folder",
        "new/file.bin",
        "src/app.py",
        "tests/test_app.py",
    )
    assert run.freeze() == tree
    assert (run.path / "src/app.py").read_text() == "two\n"
    assert (run.path / "src/app.py").stat().st_mode & 0o777 == 0o755
    assert (run.path / "new/file.bin").read_bytes() == b"\0\r\n\xff"
    assert os.fspath((run.path / "link").readlink()) == "src/app.py"
    assert not (run.path / "tests").exists()


def test_ignored_leftovers_go_without_being_told(run: Run) -> None:
    write(run.path / "run.log", "noise\n")
    write(run.path / "build/out", "noise\n")
    write(run.path / "src/build/out", "noise\n")
    assert run.restore(run.base.sha) == ()
    assert not (run.path / "run.log").exists()
    assert not (run.path / "build").exists()
    assert not (run.path / "src/build").exists()


def test_empty_folders_go(run: Run) -> None:
    (run.path / "empty/inner").mkdir(parents=True)
    assert run.restore(run.base.sha) == ()
    assert not (run.path / "empty").exists()


def test_what_is_too_large_to_read_is_put_right_all_the_same(run: Run) -> None:
    os.truncate(run.path / "src/app.py", 300_000_000)
    os.truncate(write(run.path / "core", ""), 300_000_000)
    assert run.restore(run.base.sha) == ("core", "src/app.py")
    assert run.change().empty


def test_line_endings_come_back_by_the_bases_rules(site: Site) -> None:
    site.commit({".gitattributes": "*.bat text eol=crlf\n* text=auto\n", "run.bat": "one\n"})
    run = Run(site.bot())
    write(run.path / "run.bat", "two\r\n")
    write(run.path / ".gitattributes", "* -text\n")
    tree = run.freeze()
    (run.path / "run.bat").unlink()
    (run.path / ".gitattributes").unlink()
    assert run.restore(tree) == (".gitattributes", "run.bat")
    assert (run.path / "run.bat").read_bytes() == b"two\r\n"
    assert run.freeze() == tree
    run.restore(run.base.sha)
    assert (run.path / "run.bat").read_bytes() == b"one\r\n"
    assert run.change().empty


@pytest.mark.parametrize("name", ["new\nline", "-dash", os.fsdecode(b"\xff")])
def test_odd_names_come_back(run: Run, name: str) -> None:
    write(run.path / "d" / name, "one\n")
    tree = run.freeze()
    write(run.path / "d" / name, "two\n")
    assert run.restore(tree) == (f"d/{name}",)
    assert (run.path / "d" / name).read_text() == "one\n"


def test_a_symlinked_folder_is_not_written_through(run: Run, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    shutil.copytree(run.path / "src", outside)
    write(outside / "app.py", "precious\n")
    shutil.rmtree(run.path / "src")
    (run.path / "src").symlink_to(outside)
    before = tree_of(outside)
    assert run.restore(run.base.sha) == ("src", "src/app.py", "src/lib/deep.py")
    assert tree_of(outside) == before
    assert not (run.path / "src").is_symlink()
    assert run.change().empty


def test_a_hard_link_is_replaced_and_not_written_through(run: Run, tmp_path: Path) -> None:
    outside = write(tmp_path / "secret", "secret\n")
    (run.path / "src/app.py").unlink()
    os.link(outside, run.path / "src/app.py")
    assert run.restore(run.base.sha) == ("src/app.py",)
    assert outside.read_text() == "secret\n"
    assert (run.path / "src/app.py").stat().st_nlink == 1


def test_hard_links_among_themselves_are_no_difference(run: Run) -> None:
    os.link(write(run.path / "a", "x\n"), run.path / "b")
    assert run.restore(run.freeze()) == ()


def test_special_files_in_the_place_of_tracked_ones_go(run: Run) -> None:
    (run.path / "src/app.py").unlink()
    os.mkfifo(run.path / "src/app.py")
    os.mkfifo(run.path / "stray")
    assert run.restore(run.base.sha) == ("src/app.py", "stray")
    assert (run.path / "src/app.py").is_file()


@pytest.mark.parametrize("shape", ["folder", "file", "link", "absent"])
def test_the_private_git_is_made_anew(run: Run, git: Git, tmp_path: Path, shape: str) -> None:
    mark, private = tmp_path / "ran", run.path / ".git"
    git(run.path, "config", "core.fsmonitor", f"touch {mark}; false")
    write(private / "hooks/post-checkout", f"#!/bin/sh\ntouch {mark}\n").chmod(0o755)
    write(private / "index.lock", "")
    if shape != "folder":
        private.rename(tmp_path / "own")
    if shape == "file":
        private.write_text(f"gitdir: {tmp_path / 'own'}\n")
    if shape == "link":
        private.symlink_to(tmp_path / "own")
    assert run.restore(run.base.sha) == ()
    mark.unlink(missing_ok=True)
    assert private.is_dir()
    assert not private.is_symlink()
    assert not (private / "hooks").exists()
    assert git(run.path, "status", "--porcelain") == ""
    assert git(run.path, "rev-parse", "HEAD") == run.base.sha
    assert not mark.exists()


def test_a_read_only_folder_is_no_obstacle(run: Run) -> None:
    write(run.path / "src/app.py", "two\n")
    write(run.path / "src/lib/stray.py", "x\n")
    (run.path / "src/lib").chmod(0o500)
    (run.path / "src").chmod(0o500)
    assert run.restore(run.base.sha) == ("src/app.py", "src/lib/stray.py")
    assert run.change().empty
