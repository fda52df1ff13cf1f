"""Sums over a change, as git tells it."""

from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.change import Base, ChangeKind, ChangeSet, FileChange, SkippedPath

LINES = st.none() | st.integers(0, 10_000)
FILE = st.builds(
    FileChange,
    path=st.text(min_size=1),
    kind=st.sampled_from(ChangeKind),
    added=LINES,
    deleted=LINES,
    size=st.integers(0, 10_000),
)


def change_of(*files: FileChange, skipped: tuple[SkippedPath, ...] = ()) -> ChangeSet:
    return ChangeSet("b" * 40, "t" * 40, files, skipped=skipped)


def test_a_change_without_a_path_is_empty_whatever_else_it_says() -> None:
    socket = SkippedPath("run/agent.sock", "a socket")
    nothing = ChangeSet("b" * 40, "t" * 40, patch="left over", skipped=(socket,))
    assert nothing.empty
    assert (nothing.paths, nothing.lines) == ((), 0)


def test_a_mode_or_an_empty_file_is_a_change_without_a_line() -> None:
    made = FileChange("empty.txt", ChangeKind.ADDED, new_mode="100644")
    flipped = FileChange("run.sh", ChangeKind.MODIFIED, "100644", "100755")
    change = change_of(made, flipped)
    assert not change.empty
    assert change.lines == 0


def test_binary_content_counts_as_a_path_and_not_as_lines() -> None:
    picture = FileChange("logo.png", ChangeKind.MODIFIED, added=None, deleted=None, size=90_000)
    half = FileChange("odd.txt", ChangeKind.MODIFIED, added=None, deleted=4)
    text = FileChange("adding.py", ChangeKind.MODIFIED, added=2, deleted=1)
    assert change_of(picture).lines == 0
    assert change_of(picture, half, text).lines == 7
    assert change_of(picture, text).paths == ("logo.png", "adding.py")


@given(st.lists(FILE), st.lists(FILE))
def test_the_sums_of_two_changes_are_those_of_both(
    ours: list[FileChange], theirs: list[FileChange]
) -> None:
    one, other, both = change_of(*ours), change_of(*theirs), change_of(*ours, *theirs)
    assert both.lines == one.lines + other.lines
    assert both.paths == one.paths + other.paths
    assert both.empty == (one.empty and other.empty)


@given(st.lists(FILE))
def test_lines_are_counted_on_both_sides_in_any_order(files: list[FileChange]) -> None:
    change = change_of(*files)
    added = sum(each.added for each in files if each.added is not None)
    deleted = sum(each.deleted for each in files if each.deleted is not None)
    assert change.lines == added + deleted
    assert change_of(*reversed(files)).lines == change.lines
    assert change_of(*reversed(files)).paths == change.paths[::-1]


def test_two_readings_of_one_change_are_equal() -> None:
    def read() -> ChangeSet:
        return change_of(FileChange("a.py", ChangeKind.TYPE_CHANGED, "100644", "120000"))

    assert read() == read()
    assert len({read(), read()}) == 1
    assert Base("main", "b" * 40) != Base("main", "c" * 40)
