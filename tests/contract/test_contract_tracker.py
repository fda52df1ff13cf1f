"""What every tracker promises, on the JSON file, the Markdown folder and the fixture."""

import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.effect import OpenDraftPullRequest, PostComment, PushBranch
from repoagents.domain.issue import IssueState
from repoagents.errors import TrackerError
from tests.contract.conftest import FILL, Sample, TrackerBed, make_bed

MARKER = "<!-- repoagents:0123abcd:issue=2 -->"


def comment(body: str = "All done.", number: int = 2, marker: str = MARKER) -> PostComment:
    return PostComment("run-1", number, marker, body)


PULL_REQUEST = OpenDraftPullRequest("run-1", 2, "Fix it", "What and why.", "repoagents/2", "main")


def test_an_empty_tracker_has_no_issues(bed: TrackerBed) -> None:
    assert bed.tracker.read_issues() == ()
    assert bed.tracker.read_issue(1) is None


def test_issues_come_whole_and_by_number(bed: TrackerBed) -> None:
    bed.fill(
        Sample(10, "Later", "Line one.\n\nLine two.", ("Bug", " docs ", "bug")),
        Sample(2, "Sooner"),
    )
    first, second = bed.tracker.read_issues()
    assert (first.number, second.number) == (2, 10)
    assert second.title == "Later"
    assert second.body == "Line one.\n\nLine two."
    assert second.labels == ("bug", "docs")
    assert second.comments == ()
    assert "issues" in second.source


def test_closed_issues_are_read_but_not_listed(bed: TrackerBed) -> None:
    bed.fill(Sample(1, state="closed"), Sample(2))
    assert [issue.number for issue in bed.tracker.read_issues()] == [2]
    closed = bed.tracker.read_issue(1)
    assert closed is not None
    assert closed.state is IssueState.CLOSED


def test_listing_and_reading_agree(bed: TrackerBed) -> None:
    bed.fill(Sample(3, "Übung ☂", "Text with `code`\n\n- and a list", ("x",)))
    assert bed.tracker.read_issues() == (bed.tracker.read_issue(3),)


def test_the_fingerprint_is_that_of_the_text_alone(bed: TrackerBed) -> None:
    bed.fill(Sample(3, "Title", "Body", ("a",)))
    before = bed.tracker.read_issues()[0].fingerprint
    bed.fill(Sample(3, "Title", "Body\n", ("b",)))
    assert bed.tracker.read_issues()[0].fingerprint == before
    bed.fill(Sample(3, "Title", "Another body", ("b",)))
    assert bed.tracker.read_issues()[0].fingerprint != before


def test_an_unreadable_issue_is_left_out_and_told(bed: TrackerBed) -> None:
    bed.fill(Sample(1), Sample(2, title=" "), Sample(3))
    assert [issue.number for issue in bed.tracker.read_issues()] == [1, 3]
    (problem,) = bed.tracker.problems
    assert "issue" in problem
    with pytest.raises(TrackerError, match="no title") as caught:
        bed.tracker.read_issue(2)
    assert bed.place(2).name in str(caught.value)
    bed.fill(Sample(1), Sample(2), Sample(3))
    assert len(bed.tracker.read_issues()) == 3
    assert bed.tracker.problems == ()


def test_a_branch_is_nothing_for_a_tracker(bed: TrackerBed) -> None:
    with pytest.raises(TrackerError):
        bed.tracker.perform(PushBranch("run-1", 2, "repoagents/2", "0" * 40))


@pytest.mark.parametrize("effect", [comment(), PULL_REQUEST])
def test_what_was_performed_is_found(
    writable_bed: TrackerBed, effect: PostComment | OpenDraftPullRequest
) -> None:
    writable_bed.fill(Sample(1), Sample(2))
    assert writable_bed.tracker.find(effect) is None
    location = writable_bed.tracker.perform(effect)
    assert writable_bed.tracker.find(effect) == location


def test_a_fixture_refuses_every_write(tmp_path: Path) -> None:
    bed = make_bed("fixture", tmp_path)
    bed.fill(Sample(2))
    before = bed.place(2).read_bytes()
    for effect in (comment(), PULL_REQUEST):
        with pytest.raises(TrackerError, match="refused"):
            bed.tracker.perform(effect)
        assert bed.tracker.find(effect) is None
    assert bed.place(2).read_bytes() == before


def test_a_pull_request_is_a_file_to_read(writable_bed: TrackerBed) -> None:
    writable_bed.fill(Sample(2))
    path = Path(writable_bed.tracker.perform(PULL_REQUEST))
    assert path == writable_bed.control / "artifacts/issue-2/run-1/pull-request.md"
    text = path.read_text()
    for part in ("Fix it", "What and why.", "repoagents/2", "main"):
        assert part in text
    changed = OpenDraftPullRequest("run-1", 2, "Fix it", "Reworded.", "repoagents/2", "main")
    assert writable_bed.tracker.find(changed) is None


def test_a_comment_is_ours_and_leaves_the_fingerprint(writable_bed: TrackerBed) -> None:
    writable_bed.fill(Sample(2))
    before = writable_bed.tracker.read_issues()[0]
    writable_bed.tracker.perform(comment())
    after = writable_bed.tracker.read_issues()[0]
    assert [found.ours for found in after.comments] == [True]
    assert "All done." in after.comments[0].body
    assert after.fingerprint == before.fingerprint
    assert after.body == before.body


def test_the_comment_with_the_same_marker_is_edited_in_place(writable_bed: TrackerBed) -> None:
    writable_bed.fill(Sample(2))
    other = comment("Of another installation.", marker="<!-- repoagents:ffff:issue=2 -->")
    for effect in (comment("First."), other, comment("Second."), comment("Second.")):
        writable_bed.tracker.perform(effect)
    bodies = [found.body for found in writable_bed.tracker.read_issues()[0].comments]
    assert len(bodies) == 2
    assert bodies[0].endswith("Second.")
    assert bodies[1].endswith("Of another installation.")
    assert writable_bed.tracker.find(comment("First.")) is None
    assert writable_bed.tracker.find(comment("Second.")) is not None


def test_a_comment_cannot_forge_marks(writable_bed: TrackerBed) -> None:
    writable_bed.fill(Sample(2))
    forged = "<!-- repoagents:end -->\n<!-- repoagents:comments -->\n<!-- repoagents:x:issue=9 -->"
    writable_bed.tracker.perform(comment(f"Before.\n{forged}\nAfter."))
    writable_bed.tracker.perform(comment("Short."))
    (only,) = writable_bed.tracker.read_issues()[0].comments
    assert only.body == f"{MARKER}\nShort."
    assert "After." not in writable_bed.place(2).read_text()


def test_a_comment_may_hold_any_text(writable_bed: TrackerBed) -> None:
    writable_bed.fill(Sample(2))
    effect = comment('Quotes ", backslash \\, tab \t, ü, ☂, \ud800 and \0.\r\nNew line.')
    location = writable_bed.tracker.perform(effect)
    assert writable_bed.tracker.find(effect) == location
    assert 'Quotes ", backslash \\' in writable_bed.tracker.read_issues()[0].comments[0].body


def test_a_marker_inside_the_body_is_not_doubled(writable_bed: TrackerBed) -> None:
    writable_bed.fill(Sample(2))
    writable_bed.tracker.perform(comment(f"{MARKER}\nText."))
    (only,) = writable_bed.tracker.read_issues()[0].comments
    assert only.body == f"{MARKER}\nText."


def test_a_comment_on_no_issue_is_refused(bed: TrackerBed) -> None:
    with pytest.raises(TrackerError):
        bed.tracker.perform(comment(number=77))


def test_nothing_is_left_beside_the_issues(writable_bed: TrackerBed) -> None:
    writable_bed.fill(Sample(2))
    before = {
        path for path in writable_bed.root.rglob("*") if writable_bed.control not in path.parents
    }
    writable_bed.tracker.perform(comment())
    assert {
        path for path in writable_bed.root.rglob("*") if writable_bed.control not in path.parents
    } == before


def test_two_issues_with_one_number_are_refused(bed: TrackerBed) -> None:
    bed.fill(Sample(2), Sample(3))
    if bed.kind == "local_markdown":
        (bed.root / "issues" / "02-again.md").write_text("# Again\n")
    else:
        bed.fill(Sample(2, "One"), Sample(3), Sample(2, "Two"))
    for read in (bed.tracker.read_issues, lambda: bed.tracker.read_issue(2)):
        with pytest.raises(TrackerError, match="stands twice") as caught:
            read()
        assert str(caught.value).count("issues") == 2
    assert bed.tracker.read_issue(3) is not None


def test_a_tracker_outside_the_repository_is_refused(bed: TrackerBed, tmp_path: Path) -> None:
    bed.fill(Sample(2))
    outside = tmp_path / "outside"
    bed.place(2).rename(outside)
    (bed.root / "issues" if bed.kind == "local_markdown" else bed.root / "x").mkdir(exist_ok=True)
    link = (
        bed.root / "issues" / "002-sample.md"
        if bed.kind == "local_markdown"
        else bed.root / "issues.json"
    )
    link.symlink_to(outside)
    with pytest.raises(TrackerError, match="outside the repository"):
        bed.tracker.read_issue(2)


def test_a_pipe_in_the_place_of_a_file_is_told_not_waited_for(bed: TrackerBed) -> None:
    bed.fill(Sample(2))
    place = bed.place(2)
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(TrackerError, match="is not a file"):
        bed.tracker.read_issue(2)


def test_ten_thousand_issues_are_read_in_one_go(bed: TrackerBed) -> None:
    bed.fill(*(Sample(number, body="x" * 100) for number in range(1, 10_001)))
    began = time.process_time()
    listed = bed.tracker.read_issues()
    took = time.process_time() - began
    assert [issue.number for issue in listed] == list(range(1, 10_001))
    assert listed[-1].source.startswith("issues")
    assert took < 40, "reading grows faster than the number of issues"


def test_a_comment_among_thousands_of_issues_touches_one(writable_bed: TrackerBed) -> None:
    writable_bed.fill(*(Sample(number) for number in range(1, 2_001)))
    location = writable_bed.tracker.perform(comment(number=1_999))
    assert "1999" in location
    assert writable_bed.tracker.find(comment(number=1_999)) == location
    assert writable_bed.tracker.find(comment(number=1_998)) is None


@given(content=st.binary(max_size=200))
def test_any_bytes_are_issues_or_a_tracker_error(content: bytes) -> None:
    assert_told(content)


@given(content=st.text("---\n: id title1\r\t[]{},\"'#&*!|>%@`~\ufeff\0\ud7ff", max_size=80))
def test_any_mixture_of_marks_is_issues_or_a_tracker_error(content: str) -> None:
    for text in (content, f"---\n{content}\n---\n# Title\n", f'[{{"id": 1, {content}}}]'):
        assert_told(text.encode())


def assert_told(content: bytes) -> None:
    """Every tracker reads this content, or says what is wrong with it; nothing else is raised."""
    for kind in FILL:
        with tempfile.TemporaryDirectory() as folder:
            bed = make_bed(kind, Path(folder))
            bed.fill(Sample(1))
            place = bed.place(1)
            place.write_bytes(content)
            try:
                issues = bed.tracker.read_issues()
            except TrackerError as error:
                issues = ()
                told: tuple[str, ...] = (str(error),)
            else:
                told = bed.tracker.problems
            assert all(issue.title.strip() for issue in issues)
            assert all(place.name in sentence for sentence in told)
            assert place.read_bytes() == content
