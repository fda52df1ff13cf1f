"""Patches read line by line, as real git writes them and as nobody should."""

import base64
import os
import subprocess
import time
import zlib
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


def binary_patch(repository: Path) -> str:
    git(repository, "add", "-A")
    return git(repository, "diff", "--cached", "--no-renames", "--binary", "--full-index", "HEAD")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_odd_name_is_read_as_it_is(repository: Path, name: str) -> None:
    path = repository / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("one\ntwo\n")
    patch = read_patch(staged_patch(repository))
    assert patch.readable
    assert [line.text for line in patch.find(name).added] == ["one", "two"]
    assert [line.number for line in patch.find(name).added] == [1, 2]


BINARY = b"\0\x01" + bytes(range(256)) * 9


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\0\xff token-in-the-middle \0" + BINARY, id="NUL"),
        pytest.param("token-in-the-middle\n".encode("utf-16"), id="UTF-16"),
        pytest.param(BINARY * 200 + b"token-in-the-middle", id="long"),
    ],
)
def test_binary_content_is_read(repository: Path, name: str, content: bytes) -> None:
    path = repository / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    (patch,) = read_patch(binary_patch(repository)).binaries
    assert patch.path == name
    assert any("token-in-the-middle" in line.text for line in patch.added)
    git(repository, "commit", "-qm", "with it")
    path.write_bytes(BINARY)
    gone = read_patch(binary_patch(repository)).binaries
    assert not any("token-in-the-middle" in line.text for file in gone for line in file.added)
    git(repository, "commit", "-qm", "without it")
    path.write_bytes(BINARY + b"token-in-the-middle")
    (delta,) = read_patch(binary_patch(repository)).binaries
    assert any("token-in-the-middle" in line.text for line in delta.added)
    path.unlink()
    (deleted,) = read_patch(binary_patch(repository)).binaries
    assert "".join(line.text for line in deleted.added) == ""


def test_several_binaries_and_texts_keep_apart(repository: Path) -> None:
    for name in ("a.bin", "c.bin"):
        (repository / name).write_bytes(name.encode() + BINARY)
    (repository / "b.txt").write_text("GIT binary patch\nliteral 3\nzzz\n")
    patch = read_patch(binary_patch(repository))
    assert [file.path for file in patch.binaries] == ["a.bin", "c.bin"]
    assert [file.added[0].text[:5] for file in patch.binaries] == ["a.bin", "c.bin"]
    assert patch.find("b.txt").added[0].text == "GIT binary patch"


def test_a_binary_that_was_cut_is_read_as_far_as_it_goes(repository: Path) -> None:
    (repository / "a.bin").write_bytes(b"token-first" + os.urandom(100_000))
    text = binary_patch(repository)
    for size in (len(text) // 2, len(text) - 3):
        (cut,) = read_patch(text[:size]).binaries
        assert "token-first" in cut.added[0].text


def test_a_bomb_is_not_inflated_to_its_end() -> None:
    packed = zlib.compress(bytes(50_000_000))
    lines = [packed[at : at + 52] for at in range(0, len(packed), 52)]
    body = "".join(
        chr(len(line) + (64 if len(line) <= 26 else 70))
        + base64.b85encode(line, pad=True).decode()
        + "\n"
        for line in lines
    )
    text = f"diff --git a/x b/x\nGIT binary patch\nliteral 50000000\n{body}\n"
    started = time.process_time()
    (bomb,) = read_patch(text).binaries
    assert sum(len(line.text) for line in bomb.added) < 10_100_000
    assert time.process_time() - started < 20


@given(st.text(alphabet='azAZ0 \n"\\~', max_size=60))
def test_any_binary_like_text_is_answered(text: str) -> None:
    head = 'diff --git "a/x b/x'
    for patch in (f"{head}\nGIT binary patch\n{text}", f"\nGIT binary patch\nliteral 1\n{text}"):
        assert read_patch(patch).binaries


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
