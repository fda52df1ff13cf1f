"""Patches read line by line, as real git writes them and as nobody should."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repoagents.policy.patch import read_patch
from tests.unit.policy.builders import git_patch


def git(folder: Path, *arguments: str) -> str:
    run = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return run.stdout.decode("utf-8", "replace")


ODD_NAMES = [
    "plain.py",
    "with space.py",
    'quo"te.py',
    "tab\there.py",
    "line\nbreak.py",
    "Ünïcode.py",
    "back\\slash.py",
    "-dash.py",
    "deep/er/x.py",
]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", ".")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "base")
    return tmp_path


def staged_patch(repository: Path) -> str:
    git(repository, "add", "-A")
    return git(repository, "diff", "--cached", "--no-renames", "HEAD")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_odd_name_is_read_as_it_is(repository: Path, name: str) -> None:
    path = repository / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("one\ntwo\n")
    patch = read_patch(staged_patch(repository))
    assert patch.readable
    assert [line.text for line in patch.find(name).added] == ["one", "two"]
    assert [line.number for line in patch.find(name).added] == [1, 2]


def test_added_removed_binary_and_turned_into_a_symlink(repository: Path) -> None:
    for name in ("kept.py", "gone.py", "link"):
        (repository / name).write_text(f"{name}\nsame\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "more")
    (repository / "kept.py").write_text("new\nsame\n")
    (repository / "gone.py").unlink()
    (repository / "link").unlink()
    (repository / "link").symlink_to("kept.py")
    (repository / "blob").write_bytes(b"\0\1\2")
    patch = read_patch(staged_patch(repository))
    assert patch.readable
    assert [line.text for line in patch.find("kept.py").added] == ["new"]
    assert [line.text for line in patch.find("kept.py").removed] == ["kept.py"]
    assert [line.text for line in patch.find("gone.py").removed] == ["gone.py", "same"]
    assert next(line.text for line in patch.find("link").added) == "kept.py"
    assert patch.find("link").removed
    assert patch.find("blob").added == ()


def test_a_carriage_return_or_form_feed_does_not_end_a_line() -> None:
    patch = read_patch(git_patch("a.py", "+one\x0ctwo\x0b\x85three"))
    # The builder splits at those characters; what counts is that reading does not raise.
    assert patch.files
    raw = "--- /dev/null\n+++ b/a\n@@ -0,0 +1,1 @@\n+one\rtwo\x0c+three\x85\n"
    assert [line.text for line in read_patch(raw).find("a").added] == ["one\rtwo\x0c+three\x85"]


def test_a_broken_patch_hides_no_line() -> None:
    patch = read_patch("@@ -1,1 +1,9 @@\n+token\n-gone\n nothing")
    assert not patch.readable
    assert [line.text for line in patch.files[0].added] == ["token"]
    assert [line.text for line in patch.files[0].removed] == ["gone"]


def test_a_name_made_to_confuse_the_reader_hides_no_line(repository: Path) -> None:
    path = repository / "x b" / "x.py"
    path.parent.mkdir()
    path.write_text("hidden\n")
    patch = read_patch(staged_patch(repository))
    assert "hidden" in [line.text for file in patch.files for line in file.added]


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    assert read_patch(text).find("nowhere").added == ()


tokens = st.sampled_from(
    ["diff --git a/x b/x\n", "--- a/x\n", "+++ b/x\n", "+++ /dev/null\n", "@@ -1 +1 @@\n", "+a\n",
     "@@ -1,2 +1,3 @@ f\n", "-b\n", " c\n", "\n", "\\ No newline at end of file\n", "+", "index ",
     "new file mode 120000\n", "deleted file mode 1\n", "Binary files a/x and b/y differ\n",
     "rename from x\n", '--- "a/\\303\n', "@@ -99999999999999999999 +1 @@\n", "similarity index 9%"]
)  # fmt: skip


@given(st.lists(tokens, max_size=30).map("".join))
@settings(max_examples=500)
def test_any_patch_like_text_is_answered(text: str) -> None:
    assert isinstance(read_patch(text).files, tuple)
