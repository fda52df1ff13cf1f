"""Making, settling, listing, measuring and removing a run's worktree."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repoagents.domain.settings import WorkspaceSettings
from repoagents.errors import GitError
from repoagents.git.disk import Folder, Print, empty, take_print
from repoagents.git.places import Manifest, RunFolder
from repoagents.git.sparse import Cone
from repoagents.git.workspaces import GitWorkspaces
from repoagents.ports import Worktree
from tests.integration.git.conftest import FILES, Run, Site, tree_of, write
from tests.machine import can_give_away

Git = Callable[..., str]


def test_a_worktree_holds_exactly_the_base(run: Run, site: Site) -> None:
    assert run.made
    assert run.path == site.control / "workspaces/issue-7/run-1/repo"
    held = {name for name, kind in tree_of(run.path, but=[".git"]).items() if "folder" not in kind}
    assert held == set(FILES)
    assert (run.path / "src/app.py").read_text() == FILES["src/app.py"]


def test_opening_again_changes_nothing(run: Run, bot: GitWorkspaces) -> None:
    write(run.path / "half-done.txt", "kept\n")
    again, made = bot.open(7, "run-1", run.base.sha)
    assert (again, made) == (run.worktree, False)
    assert (run.path / "half-done.txt").exists()


def test_runs_of_one_issue_do_not_share_anything(run: Run, bot: GitWorkspaces) -> None:
    other = Run(bot, "run-2")
    write(run.path / "src/app.py", "mine\n")
    assert other.change().empty


def test_git_inside_sees_a_clean_detached_checkout(run: Run, git: Git) -> None:
    assert git(run.path, "status", "--porcelain") == ""
    assert git(run.path, "rev-parse", "HEAD") == run.base.sha
    assert git(run.path, "log", "--format=%s") == "Start"
    assert git(run.path, "remote") == ""
    with pytest.raises(subprocess.CalledProcessError):
        git(run.path, "symbolic-ref", "HEAD")


def test_no_objects_are_copied(run: Run) -> None:
    objects = run.path / ".git/objects"
    assert [path.name for path in objects.rglob("*") if path.is_file()] == ["alternates"]


def test_what_a_crash_left_is_made_anew(site: Site, bot: GitWorkspaces) -> None:
    base = bot.refresh()
    write(site.control / "workspaces/issue-7/run-1/making/half.txt", "x")
    worktree, made = bot.open(7, "run-1", base.sha)
    assert made
    assert not (worktree.path / "half.txt").exists()
    assert sorted(p.name for p in worktree.path.parent.iterdir()) == [
        "index",
        "manifest.json",
        "repo",
    ]


def test_locks_that_a_crash_left_do_not_block(site: Site, bot: GitWorkspaces) -> None:
    bot.refresh()
    site.commit({"more.txt": "x\n"})
    clone = site.control / "git/repo.git"
    for name in ("refs/base/main.lock", "shallow.lock", "HEAD.lock", "config.lock"):
        write(clone / name, "")
    write(clone / "refs/runs/run-1.lock", "")
    write(site.control / "workspaces/issue-7/run-1/index.lock", "")
    write(site.control / "workspaces/issue-7/run-1/making/index.lock", "")
    write(site.control / "workspaces/issue-7/run-1/making.git/HEAD.lock", "")
    run = Run(bot)
    assert run.made
    write(run.path / "more.txt", "y\n")
    write(run.path.parent / "scratch-dead/file", "")
    run.commit()
    assert not Run(bot).made
    assert not (run.path.parent / "scratch-dead").exists()


def test_nothing_is_left_beside_the_worktree(run: Run, site: Site) -> None:
    write(run.path / "src/app.py", "two\n")
    run.restore(run.freeze())
    beside = sorted(path.name for path in run.path.parent.iterdir())
    assert beside == ["index", "manifest.json", "repo"]


def test_an_unknown_base_is_an_error_and_leaves_no_worktree(bot: GitWorkspaces) -> None:
    bot.refresh()
    with pytest.raises(GitError, match="read-tree"):
        bot.open(7, "run-1", "0" * 40)
    with pytest.raises(GitError, match="not the name of a git object"):
        bot.open(7, "run-1", "--help")
    _, made = bot.open(7, "run-1", bot.refresh().sha)
    assert made


@pytest.mark.parametrize("run_id", ["..", "", "a/b", "-x", ".hidden", "a" * 200, "a\nb", "a b"])
def test_a_run_id_never_becomes_a_path(bot: GitWorkspaces, run_id: str) -> None:
    base = bot.refresh()
    with pytest.raises(GitError, match="cannot be the name of a run's folder"):
        bot.open(7, run_id, base.sha)


@pytest.mark.parametrize("part", ["workspaces", "workspaces/issue-7", "workspaces/issue-7/run-1"])
def test_a_symlink_out_of_the_control_folder_is_refused(
    site: Site, bot: GitWorkspaces, tmp_path: Path, part: str
) -> None:
    base = bot.refresh()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = site.control / part
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(elsewhere)
    worktree = Worktree(7, "run-1", site.control / "workspaces/issue-7/run-1/repo")
    with pytest.raises(GitError, match="a symlink stands in its way"):
        bot.open(7, "run-1", base.sha)
    with pytest.raises(GitError, match="a symlink stands in its way"):
        bot.remove(worktree)
    assert list(elsewhere.iterdir()) == []


def test_a_worktree_of_another_path_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(GitError, match="is not the worktree of run"):
        run.bot.remove(Worktree(7, "run-1", tmp_path))
    assert tmp_path.exists()


def test_a_lost_manifest_is_told(run: Run) -> None:
    (run.path.parent / "manifest.json").write_text("{}")
    with pytest.raises(GitError, match="record of the worktree") as caught:
        run.freeze()
    assert "--fresh" in caught.value.next_step


def test_a_deleted_clone_is_told_and_fetched_anew(run: Run, site: Site) -> None:
    shutil.rmtree(site.control / "git")
    with pytest.raises(GitError, match="is not there") as caught:
        run.freeze()
    assert "--fresh" in caught.value.next_step
    assert Run(run.bot, "run-2").change().empty
    assert run.change().empty


def test_another_base_is_refused(run: Run, site: Site) -> None:
    site.commit({"README.md": "# Later\n"})
    later = run.bot.refresh()
    with pytest.raises(GitError, match="was made from"):
        run.bot.freeze(run.worktree, later.sha)


def test_a_base_that_moved_on_gets_a_worktree_of_its_own(run: Run, site: Site) -> None:
    write(run.path / "left.txt", "behind\n")
    site.commit({"README.md": "# Later\n"})
    later = run.bot.refresh()
    worktree, made = run.bot.open(run.worktree.issue_number, run.worktree.run_id, later.sha)
    assert made
    assert worktree == run.worktree
    assert (worktree.path / "README.md").read_text() == "# Later\n"
    assert not (worktree.path / "left.txt").exists()
    assert run.bot.change_set(later.sha, run.bot.freeze(worktree, later.sha)).empty
    assert run.bot.open(run.worktree.issue_number, run.worktree.run_id, later.sha)[1] is False


def test_worktrees_are_listed_from_the_disk(run: Run, site: Site, bot: GitWorkspaces) -> None:
    other = Run(bot, "run-2", issue=12)
    (site.control / "workspaces/notes").mkdir()
    assert site.bot().worktrees() == (run.worktree, other.worktree)


def test_without_a_worktree_the_list_is_empty(bot: GitWorkspaces) -> None:
    assert bot.worktrees() == ()


def test_size_counts_the_disk(run: Run) -> None:
    before = run.bot.size(run.worktree)
    write(run.path / "build/large.bin", os.urandom(1_000_000))
    assert 1_000_000 <= run.bot.size(run.worktree) - before < 1_200_000


def test_removing_takes_the_empty_folders_above_too(run: Run, site: Site) -> None:
    other = Run(run.bot, "run-2")
    run.bot.remove(run.worktree)
    assert not run.path.parent.exists()
    assert other.path.exists()
    run.bot.remove(other.worktree)
    assert not (site.control / "workspaces").exists()
    run.bot.remove(other.worktree)


@pytest.fixture
def held_by_permissions() -> Iterator[Path]:
    """A folder, and no rights but its owner's: the superuser would not notice a closed door."""
    superuser = os.getuid() == 0
    if superuser and not can_give_away():
        pytest.skip("this superuser cannot be anybody else")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if superuser:
            os.chown(folder, 65534, 65534)
            os.setresuid(65534, 65534, 0)
        try:
            yield folder
        finally:
            if superuser:
                os.setresuid(0, 0, 0)


def test_a_tree_that_resists_is_removed(held_by_permissions: Path) -> None:
    precious = write(held_by_permissions / "outside/precious.txt", "keep\n")
    folder = held_by_permissions / "run"
    top = folder / "repo"
    write(top / "locked/inner/file", "x")
    (top / "link").symlink_to(precious.parent)
    (top / "locked/link").symlink_to(precious)
    os.mkfifo(top / "pipe")
    write(top / os.fsdecode(b"\xff\n-rf"), "x")
    deep = os.open(top, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("deep-and-long-" * 10, dir_fd=deep)
        inner = os.open("deep-and-long-" * 10, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = inner
    os.close(deep)
    for locked in (top / "locked/inner", top / "locked", top):
        locked.chmod(0)
    empty(folder)
    assert list(folder.iterdir()) == []
    assert precious.read_text() == "keep\n"
    assert precious.stat().st_mode & 0o777 == 0o644


def test_a_closed_folder_is_read_and_mended(held_by_permissions: Path, git: Git) -> None:
    root = held_by_permissions / "root"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    site = Site(root, git)
    site.commit({"src/app.py": "one\n", "src/lib.py": "one\n"})
    run = Run(site.bot())
    write(run.path / "src/app.py", "two\n").chmod(0)
    (run.path / "src").chmod(0)
    assert run.change().paths == ("src/app.py",)
    (run.path / "src").chmod(0o500)
    assert run.restore(run.base.sha) == ("src/app.py",)
    (run.path / "src").chmod(0)
    run.path.chmod(0)
    run.bot.remove(run.worktree)
    assert not run.path.exists()


class TestSettle:
    """What a set-up hook left is where the agent starts from."""

    def test_files_of_a_hook_are_no_part_of_the_change(self, run: Run) -> None:
        write(run.path / "build/dep.js", "ignored\n")
        write(run.path / "settings.local", "not ignored\n")
        run.bot.settle(run.worktree)
        assert run.change().empty
        write(run.path / "src/app.py", "two\n")
        assert run.change().paths == ("src/app.py",)

    def test_they_survive_a_restore(self, run: Run) -> None:
        write(run.path / "build/dep.js", "ignored\n")
        write(run.path / "settings.local", "not ignored\n")
        (run.path / "empty").mkdir()
        os.mkfifo(run.path / "pipe")
        run.bot.settle(run.worktree)
        assert run.bot.change_set(run.base.sha, run.freeze()).skipped == ()
        write(run.path / "build/later.js", "the agent's\n")
        (run.path / "settings.local").unlink()
        assert run.restore(run.base.sha) == ("settings.local",)
        assert (run.path / "build/dep.js").exists()
        assert (run.path / "empty").is_dir()
        assert (run.path / "pipe").is_fifo()
        assert (run.path / "settings.local").read_text() == "not ignored\n"
        assert not (run.path / "build/later.js").exists()

    def test_they_survive_where_everything_else_is_deleted(self, run: Run) -> None:
        write(run.path / "src/lib/build/dep.js", "ignored\n")
        run.bot.settle(run.worktree)
        (run.path / "src/lib/deep.py").unlink()
        tree = run.freeze()
        assert run.restore(tree) == ()
        assert (run.path / "src/lib/build/dep.js").exists()

    def test_a_tracked_folder_that_vanished_is_told_all_the_same(
        self, run: Run, tmp_path: Path
    ) -> None:
        run.bot.settle(run.worktree)
        (run.path / "tests").rename(tmp_path / "tests")
        (run.path / "tests").symlink_to(tmp_path / "tests")
        assert run.restore(run.base.sha) == ("tests", "tests/test_app.py")

    def test_an_agents_edit_of_them_is_a_change(self, run: Run) -> None:
        write(run.path / "settings.local", "the hook's\n")
        run.bot.settle(run.worktree)
        write(run.path / "settings.local", "the agent's\n")
        change = run.change()
        assert change.paths == ("settings.local",)
        assert run.restore(change.tree) == ()
        assert run.restore(run.base.sha) == ("settings.local",)
        assert (run.path / "settings.local").read_text() == "the hook's\n"

    def test_a_hooks_edit_of_a_tracked_file_shows(self, run: Run) -> None:
        write(run.path / "src/app.py", "the hook's\n")
        run.bot.settle(run.worktree)
        assert run.change().paths == ("src/app.py",)

    def test_a_large_file_of_a_hook_is_left_alone(self, run: Run) -> None:
        path = write(run.path / "model.bin", "")
        os.truncate(path, 200_000_000)
        run.bot.settle(run.worktree)
        assert run.change().empty
        assert run.restore(run.base.sha) == ()
        assert path.exists()

    def test_a_new_owner_or_time_is_no_change(self, run: Run) -> None:
        for path in run.path.rglob("*.py"):
            os.utime(path)
        run.bot.settle(run.worktree)
        assert run.change().empty


class TestSparse:
    """A part of a large repository."""

    @pytest.fixture
    def sparse(self, site: Site) -> Run:
        site.commit({"docs/a.md": "a\n", "src/lib/inner/x.py": "x\n", "src/other/y.py": "y\n"})
        return Run(site.bot(workspace=WorkspaceSettings(sparse_paths=("src/lib/", "/docs"))))

    def test_only_the_named_folders_and_the_files_above_them_are_there(self, sparse: Run) -> None:
        found = tree_of(sparse.path, but=[".git"])
        assert {name for name, kind in found.items() if "folder" not in kind} == {
            ".gitignore",
            "README.md",
            "docs/a.md",
            "src/app.py",
            "src/lib/deep.py",
            "src/lib/inner/x.py",
        }

    def test_git_inside_agrees(self, sparse: Run, git: Git) -> None:
        assert git(sparse.path, "status", "--porcelain") == ""
        assert git(sparse.path, "sparse-checkout", "list") == "docs\nsrc/lib"
        git(sparse.path, "sparse-checkout", "reapply")
        assert not (sparse.path / "tests").exists()

    def test_what_is_not_checked_out_is_unchanged(self, sparse: Run) -> None:
        assert sparse.change().empty
        write(sparse.path / "docs/a.md", "b\n")
        (sparse.path / "src/app.py").unlink()
        assert sparse.change().paths == ("docs/a.md", "src/app.py")

    def test_a_file_written_outside_counts(self, sparse: Run) -> None:
        write(sparse.path / "tests/test_app.py", "new\n")
        change = sparse.change()
        assert [(f.path, f.kind.value) for f in change.files] == [("tests/test_app.py", "modified")]
        (sparse.path / "tests/test_app.py").unlink()
        assert sparse.restore(change.tree) == ("tests/test_app.py",)
        assert (sparse.path / "tests/test_app.py").read_text() == "new\n"
        assert not (sparse.path / "src/other").exists()

    def test_the_cone_is_the_one_of_the_checkout(self, sparse: Run, site: Site) -> None:
        wide = site.bot()
        assert wide.change_set(sparse.base.sha, wide.freeze(sparse.worktree, sparse.base.sha)).empty

    @pytest.mark.parametrize("paths", [("",), ("/",), (".",), ("src", "./")])
    def test_the_top_means_everything(self, paths: tuple[str, ...]) -> None:
        assert Cone.of(paths).holds("any/where.txt")

    def test_patterns_are_gits_own(self, site: Site, git: Git) -> None:
        git(
            site.root,
            "sparse-checkout",
            "set",
            "--cone",
            "--skip-checks",
            "src/lib",
            "docs/od*d",
            "tests",
        )
        own = (site.root / ".git/info/sparse-checkout").read_text()
        mine = Cone.of(["src/lib", "docs/od*d", "tests"]).patterns()
        assert sorted(mine.splitlines()) == sorted(own.splitlines())


@pytest.mark.parametrize("sparse", [(), ("src/lib",)])
def test_the_index_holds_the_prints_of_the_checkout(site: Site, sparse: tuple[str, ...]) -> None:
    site.commit({"a" * length: "x\n" for length in range(1, 12)} | {"ünï\n": "x\n"})
    (site.root / "link").symlink_to("README.md")
    (site.root / "src/app.py").chmod(0o755)
    site.commit({"src/app.py": "print('one')\n"})
    site.git("add", "link")
    site.git("commit", "--quiet", "--message=Link")
    run = Run(site.bot(workspace=WorkspaceSettings(sparse_paths=sparse)))
    prints = RunFolder(run.path.parent).read_manifest().files
    assert prints is not None
    found = {
        path: take_print((run.path / path).lstat())
        for path in site.git("-c", "core.quotePath=false", "ls-files", "-z").split("\0")[:-1]
        if os.path.lexists(run.path / path)
    }
    assert {path: prints[path] for path in found} == found
    assert len(found) == len(prints) - (1 if sparse else 0)


def test_a_print_of_the_same_tick_proves_nothing() -> None:
    seen = Print(0o100644, 5, 1, 1_000, 7)
    files = {"a": seen}
    assert Manifest("base", 1_001, files).holds("a", seen)
    assert not Manifest("base", 1_000, files).holds("a", seen)
    assert not Manifest("base", 1_001, files).holds("a", seen._replace(ctime_ns=999))
    assert not Manifest("base", 1_001, files).holds("b", seen)


def test_a_checkout_is_read_once_and_then_known(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    while run.bot.settle(run.worktree) is None:  # until the clock has ticked since the checkout
        manifest = RunFolder(run.path.parent).read_manifest()
        seen = take_print((run.path / "src/app.py").lstat())
        if manifest.holds("src/app.py", seen):
            break
    monkeypatch.setattr(Folder, "copy", lambda *_: pytest.fail("a known file was read"))
    assert run.change().empty
    assert run.restore(run.base.sha) == ()
