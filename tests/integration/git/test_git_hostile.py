"""What an agent can do inside its worktree, and that the host does not notice.

The first thirteen are attacks that work against a host which shares a git folder with its agent.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from repoagents.domain.change import ChangeKind
from repoagents.errors import GitError
from repoagents.git.command import Git as Command
from repoagents.git.disk import Folder
from repoagents.git.survey import is_git_name
from tests.integration.git.conftest import OUTSIDE, Run, Site, tree_of, write

Git = Callable[..., str]


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that only a command of the agent's would make."""
    return tmp_path / "the-host-ran-it"


@pytest.fixture
def trap(tmp_path: Path, mark: Path) -> str:
    """A program that makes the mark."""
    script = write(tmp_path / "trap", f"#!/bin/sh\ntouch {mark}\ncat\n")
    script.chmod(0o755)
    return str(script)


def live(run: Run, site: Site) -> None:
    """Everything that the host does after an agent: read, restore, commit, publish, begin anew."""
    write(run.path / "src/app.py", "print('two')\n")
    change = run.change()
    assert "src/app.py" in change.paths
    run.restore(change.tree)
    commit = run.commit()
    run.bot.push("repoagents/issue-7", commit, None)
    assert site.git("rev-parse", "repoagents/issue-7") == commit
    run.bot.dirty_paths()
    Run(run.bot, "run-2", issue=8)
    run.bot.remove(run.worktree)


class TestThirteen:
    """Numbered as in the threat list."""

    def test_1_fsmonitor(self, run: Run, site: Site, git: Git, trap: str, mark: Path) -> None:
        git(run.path, "config", "core.fsmonitor", trap)
        live(run, site)
        site.git("status")
        assert not mark.exists()

    def test_2_a_git_file_that_points_elsewhere(
        self, run: Run, site: Site, git: Git, trap: str, mark: Path, tmp_path: Path
    ) -> None:
        own = tmp_path / "own"
        git(tmp_path, "init", "--quiet", str(own))
        git(own, "config", "core.fsmonitor", trap)
        git(own, "config", "core.worktree", str(run.path))
        shutil.rmtree(run.path / ".git")
        write(run.path / ".git", f"gitdir: {own}/.git\n")
        live(run, site)
        assert not mark.exists()

    def test_3_filters(self, run: Run, site: Site, git: Git, trap: str, mark: Path) -> None:
        for what in ("clean", "smudge", "process"):
            git(run.path, "config", f"filter.evil.{what}", trap)
        git(run.path, "config", "diff.evil.textconv", trap)
        git(run.path, "config", "diff.evil.command", trap)
        git(run.path, "config", "merge.evil.driver", trap)
        write(run.path / ".gitattributes", "* filter=evil diff=evil merge=evil export-subst\n")
        live(run, site)
        assert not mark.exists()

    @pytest.mark.parametrize("hook", ["pre-commit", "post-checkout", "pre-push", "update"])
    def test_4_and_5_hooks(self, run: Run, site: Site, trap: str, mark: Path, hook: str) -> None:
        shutil.copy(trap, write(run.path / ".git/hooks" / hook, ""))
        shutil.copy(trap, write(site.control / "git/repo.git/hooks" / hook, ""))
        live(run, site)
        assert not mark.exists()

    def test_6_and_7_rewritten_urls(
        self, run: Run, site: Site, git: Git, trap: str, mark: Path
    ) -> None:
        git(run.path, "config", f"url.ext::{trap}.insteadOf", "/")
        git(run.path, "remote", "add", "origin", str(site.root))
        git(run.path, "config", "remote.origin.pushurl", f"ext::{trap}")
        live(run, site)
        assert not mark.exists()

    def test_8_an_exclude_file(self, run: Run, site: Site) -> None:
        write(run.path / ".git/info/exclude", "*\n")
        write(run.path / "hidden.py", "x\n")
        assert run.change().paths == ("hidden.py",)
        live(run, site)

    def test_9_skip_worktree_and_assume_unchanged(self, run: Run, site: Site, git: Git) -> None:
        git(run.path, "update-index", "--skip-worktree", "src/app.py")
        git(run.path, "update-index", "--assume-unchanged", "README.md")
        write(run.path / "README.md", "changed\n")
        live(run, site)

    def test_10_moved_branches(self, run: Run, site: Site, git: Git) -> None:
        before = site.git("for-each-ref")
        clone = tree_of(site.control / "git/repo.git/refs")
        git(run.path, "commit", "--quiet", "--allow-empty", "--message=Mine")
        git(run.path, "update-ref", "refs/heads/main", "HEAD")
        git(run.path, "update-ref", "refs/base/main", "HEAD")
        assert site.git("for-each-ref") == before
        assert tree_of(site.control / "git/repo.git/refs") == clone
        live(run, site)

    def test_11_replaced_objects(self, run: Run, site: Site, git: Git) -> None:
        blob = git(run.path, "rev-parse", "HEAD:README.md")
        other = git(run.path, "rev-parse", "HEAD:src/app.py")
        git(run.path, "replace", "-f", blob, other)
        live(run, site)
        (site.control / "git/repo.git/refs/replace").mkdir()
        write(site.control / f"git/repo.git/refs/replace/{blob}", f"{other}\n")
        again = Run(run.bot, "run-3")
        assert (again.path / "README.md").read_text() == "# A project\n"

    def test_12_a_leftover_lock(self, run: Run, site: Site) -> None:
        for name in ("index.lock", "HEAD.lock", "config.lock"):
            write(run.path / ".git" / name, "")
        live(run, site)

    @pytest.mark.parametrize("leave", ["", "setsid "])
    def test_13_a_grandchild_that_stays(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leave: str
    ) -> None:
        pid = tmp_path / "pid"
        script = f"#!/bin/sh\n{leave}sleep 300 &\necho $! > {pid}\nexec sleep 300\n"
        write(tmp_path / "bin/git", script).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
        started = time.monotonic()
        for seconds in (1, 5, 25):  # as many as a busy machine needs to begin
            with pytest.raises(GitError, match="was ended after"):
                Command.sealed(tmp_path, os.environ).run("status", seconds=seconds)
            if pid.exists() and pid.read_text():
                break
        assert time.monotonic() - started < 200
        with contextlib.suppress(psutil.NoSuchProcess):
            grandchild = psutil.Process(int(pid.read_text()))
            if leave:
                grandchild.kill()
            while grandchild.status() != psutil.STATUS_ZOMBIE:
                assert time.monotonic() - started < 300
                time.sleep(0.02)


def test_the_agents_commits_do_not_count(run: Run, git: Git) -> None:
    write(run.path / "src/app.py", "print('two')\n")
    git(run.path, "commit", "--quiet", "--all", "--message=Mine")
    git(run.path, "switch", "--quiet", "--create", "mine")
    assert run.change().paths == ("src/app.py",)


def test_the_operators_checkout_is_never_touched(run: Run, site: Site) -> None:
    before = tree_of(site.root, but=OUTSIDE)
    write(run.path / "src/app.py", "two\n")
    run.change()
    run.restore(run.base.sha)
    run.bot.refresh()
    run.bot.dirty_paths()
    run.bot.why_ahead(run.base)
    run.bot.settle(run.worktree)
    run.bot.seal()
    run.bot.remove(run.worktree)
    assert tree_of(site.root, but=OUTSIDE) == before


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../../.git/config", "."])
def test_symlinks_are_read_as_symlinks(run: Run, target: str) -> None:
    (run.path / "link").symlink_to(target)
    (made,) = run.change().files
    assert (made.new_mode, made.size) == ("120000", len(target))


def test_a_folder_swapped_for_a_symlink_is_not_entered(run: Run, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write(outside / "app.py", "secret\n")
    shutil.rmtree(run.path / "src")
    (run.path / "src").symlink_to(outside)
    change = run.change()
    assert [(f.path, f.kind) for f in change.files] == [
        ("src", ChangeKind.ADDED),
        ("src/app.py", ChangeKind.DELETED),
        ("src/lib/deep.py", ChangeKind.DELETED),
    ]
    assert "secret" not in change.patch


def test_a_swap_while_we_read_is_an_error_and_no_way_out(tmp_path: Path) -> None:
    write(tmp_path / "secret/file", "secret\n")
    write(tmp_path / "tree/folder/file", "plain\n")
    with Folder(tmp_path / "tree") as tree:
        ((path, seen),) = tree.scan("folder")
        (tmp_path / "tree/folder").rename(tmp_path / "tree/old")
        (tmp_path / "tree/folder").symlink_to(tmp_path / "secret")
        with pytest.raises(OSError, match=r"Not a directory|Too many"):
            tree.copy(path, seen, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_file_that_changes_while_we_read_is_an_error(tmp_path: Path) -> None:
    file = write(tmp_path / "tree/file", "one\n")
    with Folder(tmp_path / "tree") as tree:
        ((path, seen),) = tree.scan()
        file.write_text("longer\n")
        with pytest.raises(GitError, match="changed while it was being read"):
            tree.copy(path, seen, tmp_path / "copy")


def test_a_file_swapped_for_another_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "tree/file", "plain\n")
    secret = write(tmp_path / "other", "keys!\n")
    with Folder(tmp_path / "tree") as tree:
        ((path, seen),) = tree.scan()
        secret.replace(tmp_path / "tree/file")
        with pytest.raises(GitError, match="changed while it was being read"):
            tree.copy(path, seen, tmp_path / "copy")


def test_constant_change_ends_in_a_result_or_an_error(run: Run, tmp_path: Path) -> None:
    secret = write(tmp_path / "secret", "secret\n")
    stop = threading.Event()
    path = run.path / "src/app.py"

    def flip() -> None:
        while not stop.is_set():
            path.unlink(missing_ok=True)
            path.symlink_to(secret)
            path.unlink()
            path.write_text("print('two')\n")

    flipper = threading.Thread(target=flip)
    flipper.start()
    try:
        for _ in range(10):
            with contextlib.suppress(GitError):
                assert "+secret" not in run.change().patch.splitlines()
    finally:
        stop.set()
        flipper.join()


def test_hard_links_to_files_elsewhere_are_left_out(run: Run, tmp_path: Path) -> None:
    secret = write(tmp_path / "secret", "secret\n")
    os.link(secret, run.path / "stolen")
    (run.path / "src/app.py").unlink()
    os.link(secret, run.path / "src/app.py")
    write(run.path / "pair-a", "mine\n")
    os.link(run.path / "pair-a", run.path / "pair-b")
    change = run.change()
    assert change.paths == ("pair-a", "pair-b")
    reason = "it is a hard link to a file elsewhere"
    assert [(s.path, s.reason) for s in change.skipped] == [
        ("src/app.py", reason),
        ("stolen", reason),
    ]


def test_special_files_are_told_and_never_opened(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(run.path / "pipe")
    (run.path / "README.md").unlink()
    os.mkfifo(run.path / "README.md")
    os.mkfifo(run.path / "build.log")
    monkeypatch.chdir(run.path)  # the path of a Unix socket may not be long
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        change = run.change()
    assert change.empty
    assert [(s.path, s.reason) for s in change.skipped] == [
        ("README.md", "it is a named pipe"),
        ("pipe", "it is a named pipe"),
        ("socket", "it is a socket"),
    ]


GIT_NAMES = [".git", ".GIT", ".Git", "git~1", "GIT~1", ".g\u200cit", "\ufeff.git", ".git ", ".git.",
             ".git::$INDEX_ALLOCATION", ".git . ."]  # fmt: skip


@pytest.mark.parametrize("name", GIT_NAMES)
def test_a_git_folder_in_disguise_is_left_out(run: Run, name: str) -> None:
    write(run.path / "vendor" / name / "config", "[core]\n")
    write(run.path / "vendor/file.py", "x\n")
    change = run.change()
    assert change.paths == ("vendor/file.py",)
    assert [s.path for s in change.skipped] == [f"vendor/{name}"]
    assert "git's own folder" in change.skipped[0].reason


@pytest.mark.parametrize("name", [".gitignore", ".github", ".gitkeep", "git", "git~2", "a.git"])
def test_names_that_only_resemble_it_are_taken(run: Run, name: str) -> None:
    assert not is_git_name(name)
    write(run.path / "x" / name, "x\n")
    assert run.change().paths == (f"x/{name}",)


@pytest.mark.parametrize("name", ["a\\.git\\config", "a\\git~1"])
def test_a_name_that_git_itself_refuses_is_left_out(run: Run, name: str) -> None:
    write(run.path / name, "x\n")
    change = run.change()
    assert change.empty
    assert [(s.path, s.reason) for s in change.skipped] == [
        (name, "git stores no path of this name")
    ]


def test_a_symlinked_gitmodules_is_left_out(site: Site) -> None:
    site.commit({".gitmodules": "# none\n"})
    run = Run(site.bot())
    (run.path / ".gitmodules").unlink()
    (run.path / ".gitmodules").symlink_to("README.md")
    change = run.change()
    assert change.empty
    assert [s.path for s in change.skipped] == [".gitmodules"]


def test_an_endless_path_is_left_out(run: Run) -> None:
    folder = os.open(run.path, os.O_RDONLY)
    for _ in range(40):
        os.mkdir("d" * 200, dir_fd=folder)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(os.open("file", os.O_CREAT, dir_fd=folder))
    os.close(folder)
    (skipped,) = run.change().skipped
    assert "longer than 3,000 bytes" in skipped.reason
    run.restore(run.base.sha)
    assert run.change().skipped == ()


def nest(folder: Path, depth: int) -> None:
    """Folders in each other, deeper than a path can name."""
    inner = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=inner)
        outer, inner = inner, os.open("d", os.O_RDONLY, dir_fd=inner)
        os.close(outer)
    os.close(os.open("file", os.O_CREAT, dir_fd=inner))
    os.close(inner)


def test_folders_without_a_bottom_hold_nobody_up(run: Run) -> None:
    for place in (run.path, run.path / ".git"):
        nest(place, 3_000)
    started = time.monotonic()
    skipped = run.change().skipped
    assert {s.reason for s in skipped} == {"more than 100 folders are above it"}
    assert [s.path.count("/") for s in skipped] == [101]
    run.bot.size(run.worktree)
    run.restore(run.base.sha)
    assert run.change().empty
    run.bot.remove(run.worktree)
    assert time.monotonic() - started < 300


class TestSubmodules:
    """Pointers are left alone, content is not fetched."""

    @pytest.fixture
    def run(self, site: Site) -> Run:
        pointer = "1" * 40
        site.git("update-index", "--add", "--cacheinfo", f"160000,{pointer},vendor/sub")
        site.write({".gitmodules": '[submodule "x"]\n\tpath = -u\n\turl = ext::sh -c id\n'})
        site.git("add", ".gitmodules")
        site.git("commit", "--quiet", "--message=Submodule")
        return Run(site.bot())

    def test_an_empty_one_is_unchanged(self, run: Run) -> None:
        assert run.change().empty
        assert run.restore(run.base.sha) == ()
        shutil.rmtree(run.path / "vendor", ignore_errors=True)
        assert run.change().empty

    @pytest.mark.parametrize("shape", ["content", "file", "repository"])
    def test_what_is_put_there_is_left_out(self, run: Run, git: Git, shape: str) -> None:
        place = run.path / "vendor/sub"
        shutil.rmtree(place, ignore_errors=True)
        if shape == "repository":
            git(run.path, "init", "--quiet", "vendor/sub")
            git(place, "commit", "--quiet", "--allow-empty", "--message=x")
        else:
            write(place / "file" if shape == "content" else place, "x\n")
        change = run.change()
        assert change.empty
        assert [s.path for s in change.skipped] == ["vendor/sub"]
        assert "submodule" in change.skipped[0].reason
        run.restore(run.base.sha)
        assert run.change().skipped == ()


def test_an_agents_own_repository_inside_is_taken_as_files(run: Run, git: Git) -> None:
    git(run.path, "init", "--quiet", "vendor/lib")
    write(run.path / "vendor/lib/code.py", "x\n")
    git(run.path / "vendor/lib", "add", "--all")
    git(run.path / "vendor/lib", "commit", "--quiet", "--message=x")
    change = run.change()
    assert change.paths == ("vendor/lib/code.py",)
    assert [s.path for s in change.skipped] == ["vendor/lib/.git"]


def test_reading_needs_no_more_descriptors_than_usual(run: Run, site: Site) -> None:
    for number in range(300):
        write(run.path / f"many/{number}/file.py", "x\n")
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40));"
        "from pathlib import Path; from repoagents.git.disk import Folder, empty;"
        "print(sum(1 for _ in Folder(Path(sys.argv[1])).walk())); empty(Path(sys.argv[1]))"
    )
    counted = subprocess.run(
        [sys.executable, "-c", script, str(run.path)], check=True, capture_output=True, text=True
    )
    assert int(counted.stdout) > 600
    assert list(run.path.iterdir()) == []
