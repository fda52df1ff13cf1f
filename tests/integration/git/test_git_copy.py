"""Strategy copy: a folder that is not a git repository."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from repoagents.domain.settings import WorkspaceSettings
from repoagents.errors import GitError
from repoagents.git.workspaces import GitWorkspaces
from tests.integration.git.conftest import FILES, OUTSIDE, Run, Site, tree_of, write

COPY = WorkspaceSettings(strategy="copy")


@pytest.fixture
def site(tmp_path: Path, git: Callable[..., str]) -> Site:
    site = Site(tmp_path / "folder", git)
    site.root.mkdir()
    site.write(FILES)
    site.write({"debug.log": "ignored\n", "build/out": "ignored\n"})
    return site


@pytest.fixture
def bot(site: Site) -> GitWorkspaces:
    return site.bot(workspace=COPY)


def test_the_base_is_the_folder_as_it_is(site: Site, run: Run) -> None:
    assert run.base.branch == "copy"
    assert run.bot.base_branch() == "copy"
    found = tree_of(run.path, but=[".git"])
    assert {name for name, kind in found.items() if "folder" not in kind} == set(FILES)


def test_an_unchanged_folder_is_the_same_base(site: Site, bot: GitWorkspaces) -> None:
    base = bot.refresh()
    os.utime(site.root / "README.md")
    site.write({"more.log": "ignored\n"})
    assert bot.refresh() == base
    site.write({"README.md": "changed\n"})
    assert bot.refresh() != base


def test_the_folder_is_only_read(site: Site, run: Run) -> None:
    before = tree_of(site.root, but=OUTSIDE)
    write(run.path / "src/app.py", "two\n")
    run.commit()
    run.restore(run.base.sha)
    run.bot.refresh()
    assert run.bot.dirty_paths() == ()
    assert tree_of(site.root, but=OUTSIDE) == before


def test_the_patch_fits_the_folder_byte_for_byte(site: Site, bot: GitWorkspaces) -> None:
    site.write({".gitattributes": "* text=auto eol=lf\n*.x ident\n", "a.x": "$Id: kept$\n"})
    write(site.root / "dos.txt", b"one\r\ntwo\r\n")
    run = Run(bot)
    assert (run.path / "dos.txt").read_bytes() == b"one\r\ntwo\r\n"
    os.utime(run.path / "dos.txt")
    assert site.git("-C", str(run.path), "status", "--porcelain") == ""
    write(run.path / "dos.txt", b"one\r\nthree\r\n")
    write(run.path / "a.x", "$Id: kept$\nmore\n")
    change = run.change()
    assert [(f.path, f.added, f.deleted) for f in change.files] == [
        ("a.x", 1, 0),
        ("dos.txt", 1, 1),
    ]
    (run.path / "dos.txt").unlink()
    run.restore(change.tree)
    assert (run.path / "dos.txt").read_bytes() == b"one\r\nthree\r\n"
    subprocess.run(["git", "apply"], cwd=site.root, input=change.patch.encode(), check=True)
    assert (site.root / "dos.txt").read_bytes() == b"one\r\nthree\r\n"
    assert (site.root / "a.x").read_text() == "$Id: kept$\nmore\n"


def test_nested_repositories_and_odd_files_are_copied_as_files(
    site: Site, bot: GitWorkspaces, git: Callable[..., str]
) -> None:
    git(site.root, "init", "--quiet", "vendor")
    site.write({"vendor/code.py": "x\n", "new\nline": "x\n", "vendor/.gitignore": "*.tmp\n"})
    site.write({"vendor/a.tmp": "ignored\n", "a.tmp": "kept\n"})
    (site.root / "link").symlink_to("/etc/passwd")
    os.mkfifo(site.root / "pipe")
    found = tree_of(Run(bot).path, but=[".git"])
    assert {name for name, kind in found.items() if "folder" not in kind} == {
        *FILES,
        "vendor/code.py",
        "vendor/.gitignore",
        "new\nline",
        "a.tmp",
        "link",
    }


def test_a_git_repository_may_be_copied_too(site: Site, bot: GitWorkspaces) -> None:
    site.git("init", "--quiet")
    assert (Run(bot).path / ".git/HEAD").exists()


def test_an_empty_folder_is_a_base(tmp_path: Path, git: Callable[..., str]) -> None:
    run = Run(Site(tmp_path, git).bot(workspace=COPY))
    write(run.path / "first.txt", "x\n")
    assert run.change().paths == ("first.txt",)


def test_there_is_nowhere_to_push(run: Run) -> None:
    write(run.path / "src/app.py", "two\n")
    commit = run.commit()
    for ask in (
        lambda: run.bot.push("repoagents/x", commit, None),
        lambda: run.bot.branch_head("repoagents/x"),
    ):
        with pytest.raises(GitError, match="worked on as a copy") as caught:
            ask()
        assert "git apply" in caught.value.next_step
        assert "patch -p1" in caught.value.next_step
    assert run.bot.why_ahead(run.base) is None


def test_a_change_is_stale_when_its_files_were_edited_meanwhile(site: Site, run: Run) -> None:
    write(run.path / "src/app.py", "two\n")
    commit = run.commit()
    site.write({"README.md": "elsewhere\n"})
    assert run.bot.why_stale(commit, run.bot.refresh()) is None
    site.write({"src/app.py": "three\n"})
    assert run.bot.why_stale(commit, run.bot.refresh()) == (
        "the folder has changed meanwhile in src/app.py"
    )


def test_a_huge_file_is_named_before_anything_is_read(site: Site, bot: GitWorkspaces) -> None:
    os.truncate(write(site.root / "data.bin", ""), 5_000_000_000)
    with pytest.raises(GitError, match=r"data.bin.*5,000,000,000"):
        bot.refresh()
