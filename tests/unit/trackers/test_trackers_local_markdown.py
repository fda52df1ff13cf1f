"""The Markdown tracker reads what people type, and writes below it only."""

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.effect import PostComment
from repoagents.domain.issue import IssueState
from repoagents.errors import TrackerError
from repoagents.logs import Redactor
from repoagents.store.artifacts import FileArtifacts
from repoagents.trackers.local_markdown import LocalMarkdownTracker

MARKER = "<!-- repoagents:0123abcd:issue=2 -->"
EFFECT = PostComment("run-1", 2, MARKER, "All done.\n\nSee the branch.")
SECTION = "<!-- repoagents:comments -->"
END = "<!-- repoagents:end -->"
COMMENT = f"{MARKER}\nAll done.\n\nSee the branch.\n{END}\n"


def tracker_in(root: Path, **files: str | bytes) -> LocalMarkdownTracker:
    """A tracker over these files; `_` in a name stands for `-`."""
    folder = root / "issues"
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        path = folder / f"{name.removeprefix('n').replace('_', '-')}.md"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    control = root / ".ai-repoagents"
    return LocalMarkdownTracker(root, folder, control, FileArtifacts(control, Redactor(())))


def test_front_matter_says_it_all(tmp_path: Path) -> None:
    text = (
        "---\nid: 12\ntitle: 'Crash: on empty input'\nlabels: [Bug, docs]\nstate: closed\n"
        "author: ann\nmood: calm\n---\n\nThe body.\n\n# Not the title\n"
    )
    issue = tracker_in(tmp_path, n3_crash=text).read_issue(12)
    assert issue is not None
    assert (issue.title, issue.author, issue.state) == (
        "Crash: on empty input",
        "ann",
        IssueState.CLOSED,
    )
    assert issue.labels == ("bug", "docs")
    assert issue.body == "The body.\n\n# Not the title"
    assert issue.source == "issues/3-crash.md"


def test_name_and_heading_stand_in_for_front_matter(tmp_path: Path) -> None:
    text = "```sh\n# a shell comment\n```\n\n## Add a flag ##\n\nPlease.\n"
    issue = tracker_in(tmp_path, n007_add=text).read_issue(7)
    assert issue is not None
    assert issue.title == "Add a flag"
    assert issue.labels == ()


@pytest.mark.parametrize(
    ("scalar", "title"),
    [("yes", "yes"), ("2024-01-02", "2024-01-02"), ("1.0", "1.0"), ("0x1F", "0x1F")],
)
def test_front_matter_scalars_stay_text(tmp_path: Path, scalar: str, title: str) -> None:
    tracker = tracker_in(tmp_path, nx=f"---\nid: 010\ntitle: {scalar}\nlabels: a, b ,\n---\n")
    issue = tracker.read_issue(10)
    assert issue is not None
    assert (issue.title, issue.labels) == (title, ("a", "b"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("---\ntitle: [open\n---\n", r"issues/1-x\.md:3: .*not YAML"),
        ("---\ntitle: x\n\tlabels: y\n---\n", r"issues/1-x\.md:3: .*not YAML"),
        ("---\ntitle: x\n", r"issues/1-x\.md:1: .*no end"),
        ("---\n- a\n---\n", r"issues/1-x\.md:2: .*not a mapping"),
        ("---\nid: one\ntitle: x\n---\n", r"issues/1-x\.md:1: its id"),
        ("---\ntitle: {a: b}\n---\n", r"issues/1-x\.md:1: its title is not text"),
        ("---\ntitle: x\nlabels: [[a]]\n---\n", r"issues/1-x\.md:1: a label is not text"),
        ("---\ntitle: x\nstate: wontfix\n---\n", r"issues/1-x\.md:1: .*neither open nor closed"),
        ("No heading.\n", r"issues/1-x\.md:1: it has no title"),
        (b"# T\n\xff\n", r"issues/1-x\.md:2: not UTF-8"),
        ("---\na: " + "[" * 1000 + "\n---\n", r"issues/1-x\.md:\d+: .*not YAML"),
    ],
)
def test_a_broken_file_hides_no_other(tmp_path: Path, content: str | bytes, message: str) -> None:
    tracker = tracker_in(tmp_path, n1_x=content, n2_y="# Two\n")
    assert [issue.number for issue in tracker.read_issues()] == [2]
    assert len(tracker.problems) == 1
    with pytest.raises(TrackerError, match=message):
        tracker.read_issue(1)
    assert tracker.read_issue(3) is None


def test_a_broken_file_without_a_number_may_be_any_issue(tmp_path: Path) -> None:
    tracker = tracker_in(tmp_path, draft="---\nid: [\n---\n", n2_y="# Two\n")
    assert tracker.read_issue(2) is not None
    with pytest.raises(TrackerError, match=r"issues/draft\.md"):
        tracker.read_issue(3)


def test_a_readme_is_no_issue(tmp_path: Path) -> None:
    tracker = tracker_in(tmp_path, README="# How to write issues\n", Ideas="# Notes\n")
    assert tracker.read_issues() == ()
    assert tracker.read_issue(3) is None
    assert [problem.split()[0] for problem in tracker.problems] == [
        "issues/Ideas.md",
        "issues/README.md",
    ]


@pytest.mark.parametrize("name", [".1-draft.md", ".#1-locked.md", "._1-a.md", ".md"])
def test_a_hidden_file_is_no_issue(name: str, tmp_path: Path) -> None:
    tracker = tracker_in(tmp_path, n1_a="# A\n")
    (tmp_path / "issues" / name).write_text("# Not this\n")
    assert [issue.title for issue in tracker.read_issues()] == ["A"]
    assert tracker.problems == ()


def test_a_colon_in_a_title_is_told_with_its_remedy(tmp_path: Path) -> None:
    tracker = tracker_in(tmp_path, n1_a="---\ntitle: Fix: it\n---\n")
    assert tracker.read_issues() == ()
    (problem,) = tracker.problems
    assert problem.startswith("issues/1-a.md:2: ")
    assert problem.endswith("needs quotes")


def test_a_bomb_of_aliases_does_not_go_off(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 64)]
    text = "---\ntitle: T\n" + "\n".join(lines) + "\nlabels: *a63\n---\n"
    tracker = tracker_in(tmp_path, n1_x=text)
    assert tracker.read_issues() == ()


def test_a_comment_stands_in_a_section_of_its_own(tmp_path: Path) -> None:
    text = "# Two\n\nBody.\n"
    tracker = tracker_in(tmp_path, n2_y=text)
    tracker.perform(EFFECT)
    path = tmp_path / "issues" / "2-y.md"
    assert path.read_text() == f"{text}\n{SECTION}\n\n{COMMENT}"
    issue = tracker.read_issue(2)
    assert issue is not None
    assert issue.body == "# Two\n\nBody."
    assert [comment.ours for comment in issue.comments] == [True]


def test_what_people_write_around_comments_stays(tmp_path: Path) -> None:
    other = f"<!-- repoagents:ffff:issue=2 -->\nOf another one.\n{END}\n"
    start, between, rest = "# Two\n\nBody.", "\nThanks!\n\n", "\nA person's last word"
    old = COMMENT.replace("All done.", "Started.")
    tracker = tracker_in(tmp_path, n2_y=f"{start}\n\n{SECTION}\n\n{old}{between}{other}{rest}")
    tracker.perform(EFFECT)
    expected = f"{start}\n\n{SECTION}\n\n{COMMENT}{between}{other}{rest}"
    assert (tmp_path / "issues" / "2-y.md").read_text() == expected
    third = PostComment("run-1", 2, "<!-- repoagents:eeee:issue=2 -->", "Third.")
    tracker.perform(third)
    added = f"\n\n<!-- repoagents:eeee:issue=2 -->\nThird.\n{END}\n"
    assert (tmp_path / "issues" / "2-y.md").read_text() == expected + added


def test_line_ends_stay_as_they_are(tmp_path: Path) -> None:
    text = "\ufeff---\r\ntitle: Two\r\n---\r\nBody.\r\n"
    tracker = tracker_in(tmp_path, n2_y=text)
    tracker.perform(EFFECT)
    tracker.perform(PostComment("run-1", 2, MARKER, "Line one.\nLine two."))
    content = (tmp_path / "issues" / "2-y.md").read_bytes().decode()
    assert content.startswith(text)
    assert content.count("\n") == content.count("\r\n")
    assert "Line one.\r\nLine two.\r\n" in content
    assert tracker.find(PostComment("run-1", 2, MARKER, "Line one.\nLine two.")) is not None


def test_a_comment_whose_end_is_gone_is_not_guessed_at(tmp_path: Path) -> None:
    text = f"# Two\n\n{SECTION}\n\n{MARKER}\nStarted.\n\nA person's word.\n"
    tracker = tracker_in(tmp_path, n2_y=text)
    with pytest.raises(TrackerError, match=r"issues/2-y\.md:5: the end mark") as caught:
        tracker.perform(EFFECT)
    assert END in caught.value.next_step
    assert (tmp_path / "issues" / "2-y.md").read_text() == text


def test_an_issue_may_quote_the_section(tmp_path: Path) -> None:
    text = f"# Two\n\nThe bot writes:\n\n{SECTION}\n\nand then its comments.\n"
    tracker = tracker_in(tmp_path, n2_y=text)
    tracker.perform(EFFECT)
    content = (tmp_path / "issues" / "2-y.md").read_text()
    assert content.startswith(text)
    assert tracker.find(EFFECT) is not None
    issue = tracker.read_issue(2)
    assert issue is not None
    assert len(issue.comments) == 1


def test_the_last_section_is_ours(tmp_path: Path) -> None:
    body = f"# Two\n\nThe bot writes:\n\n{SECTION}\n\nand then its comments."
    tracker = tracker_in(tmp_path, n2_y=f"{body}\n\n{SECTION}\n\n{COMMENT}")
    issue = tracker.read_issue(2)
    assert issue is not None
    assert issue.body == body
    assert [comment.body for comment in issue.comments] == [COMMENT.removesuffix(f"\n{END}\n")]


lines = st.lists(
    st.sampled_from(
        ["", "text", "# H", "---", SECTION, END, MARKER, "<!-- repoagents:x -->", "```"]
    ),
    max_size=8,
)


@given(body=lines, first=lines, second=lines, newline=st.sampled_from(["\n", "\r\n"]))
def test_whatever_stands_there_only_our_comment_changes(
    tmp_path_factory: pytest.TempPathFactory,
    body: list[str],
    first: list[str],
    second: list[str],
    newline: str,
) -> None:
    root = tmp_path_factory.mktemp("any")
    text = newline.join(["---", "title: T", "---", *body])
    tracker = tracker_in(root, n2_y=text)
    path = root / "issues" / "2-y.md"
    if MARKER in body and SECTION in body:
        return  # a comment of ours stands there already: the tests above
    posted = PostComment("run-1", 2, MARKER, "\n".join(first))
    edited = PostComment("run-1", 2, MARKER, "\n".join(second))
    tracker.perform(posted)
    assert path.read_bytes().decode().startswith(text)
    tracker.perform(edited)
    after = path.read_bytes().decode()
    assert after.startswith(text)
    assert after.count(MARKER) == text.count(MARKER) + 1
    assert tracker.find(edited) == "issues/2-y.md"
    tracker.perform(edited)
    assert path.read_bytes().decode() == after


def test_a_missing_folder_says_how_to_make_it(tmp_path: Path) -> None:
    tracker = tracker_in(tmp_path)
    (tmp_path / "issues").rmdir()
    with pytest.raises(TrackerError, match="no folder issues") as caught:
        tracker.read_issues()
    assert caught.value.next_step == "Create it: mkdir -p issues"


def test_a_link_in_a_circle_is_an_error_with_its_name(tmp_path: Path) -> None:
    tracker = tracker_in(tmp_path, n2_y="# Two\n")
    (tmp_path / "issues" / "3-z.md").symlink_to("3-z.md")
    assert [issue.number for issue in tracker.read_issues()] == [2]
    with pytest.raises(TrackerError, match=r"3-z\.md"):
        tracker.read_issue(3)


def test_a_folder_that_cannot_be_read_is_no_empty_one(tmp_path: Path, monkeypatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    tracker = tracker_in(tmp_path, n1_crash="# Crash")
    for way in ("iterdir", "glob"):
        monkeypatch.setattr(Path, way, refuse)
    with pytest.raises(TrackerError, match="in issues cannot be read: Permission") as caught:
        tracker.read_issue(1)
    assert caught.value.next_step.endswith("chmod u+rx issues")
