"""Editing the operator's file: what is asked for changes, and every other byte stays."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.config.document import parse_document
from repoagents.config.edit import draft_edit, set_values
from repoagents.errors import ConfigError

OPEN = {"safety.allow_write_comments": True, "merge_policy.mode": "human_approval"}
NAMES = ("allow_write_comments", "allow_open_pr", "allow_merge")

STYLES = {
    "a value is replaced, its comment stays": (
        "# top\nsafety:  # why\n  # a note\n  allow_write_comments:   false   # off\n\n# tail\n",
        "# top\nsafety:  # why\n  # a note\n  allow_write_comments:   true   # off\n\n# tail\n",
    ),
    "a quoted value too": (
        'safety:\n  "allow_write_comments": "false"\n',
        'safety:\n  "allow_write_comments": true\n',
    ),
    "a new key stands below its neighbours": (
        "safety:\n    allow_merge: false # no\n# next\nverify: []\n",
        "safety:\n    allow_merge: false # no\n    allow_write_comments: true\n"
        "# next\nverify: []\n",
    ),
    "in a flow as the last one": (
        "safety: {allow_merge: false}  # short\n",
        "safety: {allow_merge: false, allow_write_comments: true}  # short\n",
    ),
    "an empty section is filled": (
        "safety:  # later\nverify: []\n",
        "safety: {allow_write_comments: true}  # later\nverify: []\n",
    ),
    "so is one that is null": (
        "safety: null # later\n",
        "safety: {allow_write_comments: true} # later\n",
    ),
    "a new section comes last": (
        "verify: []",
        "verify: []\n\nsafety:\n  allow_write_comments: true\n",
    ),
    "an empty file gets it alone": ("", "safety:\n  allow_write_comments: true\n"),
    "line ends are kept": (
        "safety:\r\n  allow_merge: false\r\n",
        "safety:\r\n  allow_merge: false\r\n  allow_write_comments: true\r\n",
    ),
    "a file without a last line end gets one where it must": (
        "safety:\n  allow_merge: false",
        "safety:\n  allow_merge: false\n  allow_write_comments: true\n",
    ),
}


@pytest.mark.parametrize("name", STYLES)
def test_each_style_of_writing(name: str) -> None:
    before, after = STYLES[name]
    assert set_values(before, {"safety.allow_write_comments": True}) == after


@pytest.mark.parametrize("text", ["{verify: []}\n", "verify: []\n...\n"])
def test_what_cannot_be_edited_safely_is_refused_with_the_lines(text: str) -> None:
    with pytest.raises(ConfigError, match="cannot edit safely") as refused:
        set_values(text, {"safety.allow_open_pr": True})
    step = "Set by hand: safety.allow_open_pr: true"
    assert refused.value.next_step == step


def test_a_section_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="safety must be a section"):
        set_values("safety: [1]\n", OPEN)


COMMENTS = st.sampled_from(["", "  # why", " # «über»", "   "])
FLAGS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.booleans(), COMMENTS), unique_by=lambda f: f[0]
)


@given(
    FLAGS, st.sampled_from(["", "# head\n\n", "verify: []\n# x\n"]), st.booleans(), st.booleans()
)
def test_only_the_line_of_the_value_changes(
    flags: list[tuple[str, bool, str]], head: str, value: bool, crlf: bool
) -> None:
    lines = "".join(f"  {name}: {str(on).lower()}{note}\n" for name, on, note in flags)
    text = f"{head}safety:\n{lines}# tail\ncommit:\n  name: 'a: b'\n"
    text = text.replace("\n", "\r\n") if crlf else text
    after = set_values(text, {"safety.allow_merge": value})
    old, new = text.splitlines(keepends=True), after.splitlines(keepends=True)
    if len(old) < len(new):
        (added,) = [line for line in new if line not in old]
        new.remove(added)
    assert [line for line in old if "allow_merge" not in line and "safety:" not in line] == [
        line for line in new if "allow_merge" not in line and "safety:" not in line
    ]
    tree = parse_document(after, "x").tree
    assert tree["safety"]["allow_merge"] is value  # type: ignore[index, call-overload]
    assert set_values(after, {"safety.allow_merge": value}) == after


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository's root with a configuration that begins with a byte order mark."""
    (tmp_path / ".ai-repoagents").mkdir()
    config = tmp_path / ".ai-repoagents" / "repoagents.yaml"
    config.write_bytes("\ufeffsafety:\n  allow_open_pr: false\n".encode())
    config.chmod(0o640)
    return tmp_path


def test_an_edit_is_written_whole_and_what_holds_by_default_is_left_out(root: Path) -> None:
    path = draft_edit(root, {**OPEN, "safety.allow_open_pr": False}).write()
    wanted = "\ufeffsafety:\n  allow_open_pr: false\n  allow_write_comments: true\n"
    assert path.read_bytes() == wanted.encode()
    assert path.stat().st_mode & 0o777 == 0o640
    assert draft_edit(root, OPEN).before == draft_edit(root, OPEN).after


def test_an_edit_of_a_file_that_changed_meanwhile_is_refused(root: Path) -> None:
    edit = draft_edit(root, OPEN)
    path = root / ".ai-repoagents" / "repoagents.yaml"
    path.write_text("safety: {}\n")
    with pytest.raises(ConfigError, match="changed meanwhile"):
        edit.write()
    assert path.read_text() == "safety: {}\n"


def test_a_locked_or_linked_file_is_left_alone(root: Path) -> None:
    edit = draft_edit(root, OPEN)
    path = root / ".ai-repoagents" / "repoagents.yaml"
    path.chmod(0o440)
    with pytest.raises(ConfigError, match="read-only"):
        edit.write()
    path.rename(root / "elsewhere.yaml")
    path.symlink_to(root / "elsewhere.yaml")
    with pytest.raises(ConfigError, match="symbolic link"):
        edit.write()


def test_without_a_file_there_is_nothing_to_edit(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no"):
        draft_edit(tmp_path, OPEN)
