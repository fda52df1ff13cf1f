"""What an agent did to the files, as git tells it."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repoagents.domain.change import ChangeKind
from repoagents.errors import GitError
from repoagents.git import changes, survey
from tests.integration.git.conftest import Run, Site, write

ODD_NAMES = [
    "new\nline",
    'quo"te',
    "-dash",
    "tab\tname",
    ":(bogus)magic",
    "*",
    os.fsdecode(b"\xff\xfe"),
]


def test_a_clean_worktree_is_its_base(run: Run) -> None:
    change = run.change()
    assert change.empty
    assert change.skipped == ()
    assert change.patch == ""


def test_edits_additions_and_deletions_are_told(run: Run) -> None:
    write(run.path / "src/app.py", "print('two')\n")
    write(run.path / "new/file.py", "x = 1\n")
    (run.path / "tests/test_app.py").unlink()
    change = run.change()
    assert [(f.path, f.kind.value, f.added, f.deleted, f.size) for f in change.files] == [
        ("new/file.py", "added", 1, 0, 6),
        ("src/app.py", "modified", 1, 1, 13),
        ("tests/test_app.py", "deleted", 0, 2, 0),
    ]
    assert [(f.old_mode, f.new_mode) for f in change.files] == [
        ("", "100644"),
        ("100644", "100644"),
        ("100644", ""),
    ]
    assert "+print('two')" in change.patch


def test_the_patch_applies_to_the_operators_checkout(run: Run, site: Site) -> None:
    write(run.path / "src/app.py", "print('two')\n")
    write(run.path / "blob.bin", bytes(range(256)))
    write(run.path / "umlaut ä.txt", "x\n")
    patch = run.change().patch
    subprocess.run(
        ["git", "-C", str(site.root), "apply", "--index"], input=patch.encode(), check=True
    )
    assert (site.root / "blob.bin").read_bytes() == bytes(range(256))
    assert (site.root / "umlaut ä.txt").read_text() == "x\n"


def test_binary_files_have_no_line_counts(run: Run) -> None:
    write(run.path / "blob.bin", b"\0\1\2")
    (blob,) = run.change().files
    assert (blob.added, blob.deleted, blob.size) == (None, None, 3)


def test_a_new_mode_is_a_change(run: Run) -> None:
    (run.path / "src/app.py").chmod(0o755)
    (made,) = run.change().files
    assert (made.kind, made.old_mode, made.new_mode) == (ChangeKind.MODIFIED, "100644", "100755")


def test_a_symlink_is_taken_as_a_symlink(run: Run) -> None:
    (run.path / "src/app.py").unlink()
    (run.path / "src/app.py").symlink_to("/etc/passwd")
    (made,) = run.change().files
    assert (made.kind, made.new_mode, made.size) == (ChangeKind.TYPE_CHANGED, "120000", 11)
    assert "root:" not in run.change().patch


def test_a_folder_may_become_a_file_and_a_file_a_folder(run: Run) -> None:
    shutil.rmtree(run.path / "src/lib")
    write(run.path / "src/lib", "now a file\n")
    (run.path / "README.md").unlink()
    write(run.path / "README.md/part.md", "now a folder\n")
    assert [(f.path, f.kind.value) for f in run.change().files] == [
        ("README.md", "deleted"),
        ("README.md/part.md", "added"),
        ("src/lib", "added"),
        ("src/lib/deep.py", "deleted"),
    ]


def test_a_rewrite_that_keeps_size_and_times_is_seen(run: Run) -> None:
    path = run.path / "src/app.py"
    before = path.stat()
    path.write_text(path.read_text().replace("one", "two"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert run.change().paths == ("src/app.py",)


def test_a_touch_is_no_change(run: Run) -> None:
    os.utime(run.path / "src/app.py")
    assert run.change().empty


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_survive(run: Run, name: str) -> None:
    write(run.path / name, "content\n")
    write(run.path / "folder" / name, "content\n")
    change = run.change()
    assert sorted(change.paths) == sorted([name, f"folder/{name}"])
    assert change.skipped == ()


def test_the_bases_ignore_rules_hold_and_the_agents_do_not(run: Run) -> None:
    write(run.path / ".gitignore", "*.py\n")
    write(run.path / "src/.gitignore", "*\n")
    write(run.path / "src/new.py", "x = 1\n")
    write(run.path / "debug.log", "ignored by the base\n")
    write(run.path / "build/out.txt", "ignored by the base\n")
    assert run.change().paths == (".gitignore", "src/.gitignore", "src/new.py")


def test_nested_and_negated_ignore_rules(site: Site) -> None:
    site.commit({"pkg/.gitignore": "only/*\n!only/keep\nout/\n", "pkg/out": "a file\n"})
    run = Run(site.bot())
    for name in ("pkg/only/keep", "pkg/only/drop", "pkg/deep/out/x", "pkg/deep/x", "out/x"):
        write(run.path / name, "x\n")
    assert run.change().paths == ("out/x", "pkg/deep/x", "pkg/only/keep")


def test_a_tracked_file_is_told_though_it_is_ignored(site: Site) -> None:
    site.write({"build/tracked.txt": "one\n"})
    site.git("add", "--force", "build/tracked.txt")
    site.git("commit", "--quiet", "--message=Force")
    run = Run(site.bot())
    write(run.path / "build/tracked.txt", "two\n")
    write(run.path / "build/other.txt", "ignored\n")
    assert run.change().paths == ("build/tracked.txt",)


def test_the_bases_line_endings_hold_and_the_agents_attributes_do_not(site: Site) -> None:
    site.commit(
        {".gitattributes": "* text=auto\n*.bat text eol=crlf\n", "run.bat": "one\n", "a.txt": "a\n"}
    )
    run = Run(site.bot())
    assert (run.path / "run.bat").read_bytes() == b"one\r\n"
    assert run.change().empty
    write(run.path / "run.bat", "one\r\ntwo\r\n")
    write(run.path / "a.txt", "a\r\nb\r\n")
    write(run.path / "new.bat", "new\r\n")
    write(run.path / ".gitattributes", "* -text\n")
    change = run.change()
    assert change.paths == (".gitattributes", "a.txt", "new.bat", "run.bat")
    assert "\r" not in change.patch


def test_a_file_that_was_committed_with_crlf_keeps_it(site: Site) -> None:
    site.commit({"dos.txt": "one\r\n"})
    site.commit({".gitattributes": "* text=auto\n"})
    run = Run(site.bot())
    write(run.path / "dos.txt", "one\r\ntwo\r\n")
    (made,) = run.change().files
    assert (made.added, made.deleted) == (1, 0)


def test_attributes_under_their_own_rule_are_no_change_when_touched(site: Site) -> None:
    site.commit({".gitattributes": "* text eol=crlf\n"})
    run = Run(site.bot())
    assert (run.path / ".gitattributes").read_bytes() == b"* text eol=crlf\r\n"
    os.utime(run.path / ".gitattributes")
    assert run.change().empty


def test_large_file_pointers_stay_pointers(site: Site, tmp_path: Path) -> None:
    mark = tmp_path / "filter-ran"
    site.git("config", "filter.lfs.clean", f"touch {mark}")
    site.git("config", "filter.lfs.required", "true")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    site.write({".gitattributes": "*.psd filter=lfs diff=lfs merge=lfs -text\n", "a.psd": pointer})
    site.git("-c", "filter.lfs.clean=cat", "add", ".gitattributes", "a.psd")
    site.git("-c", "filter.lfs.clean=cat", "commit", "--quiet", "--message=Large")
    mark.unlink(missing_ok=True)
    run = Run(site.bot())
    assert (run.path / "a.psd").read_text() == pointer
    write(run.path / "a.psd", pointer.replace("size 1", "size 2"))
    assert "+size 2" in run.change().patch
    assert not mark.exists()


def test_the_diff_hash_is_of_the_whole_patch_and_the_text_is_capped(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(run.path / "long.txt", "line\n" * 1000)
    whole = run.change()
    monkeypatch.setattr(changes, "PATCH_CAP", 500)
    cut = run.change()
    assert (whole.patch_cut, cut.patch_cut) == (False, True)
    assert whole.patch.startswith(cut.patch)
    assert len(cut.patch) == 500
    assert cut.diff_hash == whole.diff_hash


def test_the_diff_hash_differs_with_the_content(run: Run) -> None:
    write(run.path / "a.txt", "one\n")
    first = run.change()
    write(run.path / "a.txt", "two\n")
    assert run.change().diff_hash != first.diff_hash


def test_a_file_over_the_cap_is_refused_before_it_is_read(run: Run) -> None:
    path = write(run.path / "core.dump", "")
    os.truncate(path, 5_000_000_000)
    with pytest.raises(GitError, match=r"core.dump.*5,000,000,000.*100,000,000") as caught:
        run.freeze()
    assert ".gitignore" in caught.value.next_step


def test_too_many_new_files_are_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "MOST_NEW", 20)
    for number in range(20):
        write(run.path / f"many/{number}", "x")
    with pytest.raises(GitError, match="21 new entries or more, the limit is 20"):
        run.freeze()
    (run.path / "many").rename(run.path / "build")
    assert run.change().empty


def test_skipped_paths_survive_a_restart(run: Run, site: Site) -> None:
    os.mkfifo(run.path / "pipe")
    tree = run.freeze()
    (skipped,) = site.bot().change_set(run.base.sha, tree).skipped
    assert (skipped.path, skipped.reason) == ("pipe", "it is a named pipe")
    (run.path / "pipe").unlink()
    assert run.bot.change_set(run.base.sha, run.freeze()).skipped == ()


NAMES = st.sampled_from(
    ["README.md", "src/app.py", "src/new.py", "src/lib", "src/lib/deep.py", "a/b/c.txt", "x.log",
     "build/x", "tests/test_app.py", "ünï.txt", " lead", "a\nb", "a.bin"]
)  # fmt: skip
CONTENTS = st.one_of(st.binary(max_size=40), st.sampled_from([b"a\r\nb\r\n", b"a\nb\n", b"\0"]))
EDITS = st.lists(
    st.tuples(NAMES, st.sampled_from(["write", "exec", "link", "delete"]), CONTENTS), max_size=8
)


def edit(folder: Path, name: str, how: str, content: bytes) -> None:
    path = folder / name
    for above in path.parents:
        if above != folder and folder in above.parents and (above.is_symlink() or above.is_file()):
            above.unlink()
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if how == "delete":
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if how == "link":
        path.symlink_to(content.hex() or "nowhere")
    else:
        path.write_bytes(content)
        path.chmod(0o755 if how == "exec" else 0o644)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS, attributes=st.sampled_from(["", "* text=auto\n", "*.txt eol=crlf\n"]))
def test_freezing_gives_the_tree_that_git_add_would_build(
    edits: list[tuple[str, str, bytes]],
    attributes: str,
    git_repository: Callable[..., Path],
    git: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    place = tmp_path_factory.mktemp("property")
    root = place / "root"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    site = Site(root, git)
    site.commit(
        {".gitattributes": attributes, ".gitignore": "*.log\nbuild/\n", "README.md": "# A\n",
         "src/app.py": "1\n", "src/lib/deep.py": "2\n", "tests/test_app.py": "3\n"}
    )  # fmt: skip
    run = Run(site.bot())
    clean = place / "clean"
    git(place, "clone", "--quiet", str(root), str(clean))
    for name, how, content in edits:
        edit(run.path, name, how, content)
        edit(clean, name, how, content)
    git(clean, "add", "--all")
    assert run.freeze() == git(clean, "write-tree")
    assert run.restore(run.base.sha) is not None
    assert run.change().empty
