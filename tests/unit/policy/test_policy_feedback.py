"""What comes back to the builder, in words that are ours on the first line and bounded below it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from repoagents.domain.change import Conflict
from repoagents.domain.people import Account
from repoagents.domain.pull_request import Annotation, CheckDetail, CheckRun, Remark
from repoagents.policy import feedback

RED = CheckRun("ci", "failure", "two of three failed")


def told(check: CheckRun, detail: CheckDetail) -> str:
    (point,) = feedback.contract([(check, detail)], ())
    return point


def test_a_failed_check_comes_with_annotations_and_the_end_of_its_log() -> None:
    notes = (Annotation("a.py", 2, "failure", "1 != 2\nreally"), Annotation(".github", 0, "", "x"))
    assert told(RED, CheckDetail(notes, "one\ntwo\n")) == (
        "the check ci fails on the pull request:\n"
        "two of three failed\n"
        "a.py:2: failure: 1 != 2 really\n"
        ".github: : x\n"
        "the end of its log:\n"
        "one\ntwo"
    )


def test_what_is_missing_is_said_on_the_first_line() -> None:
    detail = CheckDetail(unread=("its log cannot be read: no",))
    assert told(CheckRun("ci", "failure"), detail) == (
        "the check ci fails on the pull request (its log cannot be read: no)"
    )


def test_a_log_ends_at_its_last_error_without_time_stamps() -> None:
    log = (
        "\ufeff2026-01-02T03:04:05.1234567Z \x1b[36mRun make\x1b[0m\n"
        "2026-01-02T03:04:06.1234567Z assert 1 == 2\n"
        "2026-01-02T03:04:07.1234567Z ##[error]Process completed with exit code 2.\n"
        "2026-01-02T03:04:08.1234567Z Post job cleanup.\n"
    )
    assert told(CheckRun("ci", "failure"), CheckDetail(log=log)) == (
        "the check ci fails on the pull request:\n"
        "the end of its log:\n"
        "Run make\nassert 1 == 2\n##[error]Process completed with exit code 2."
    )


@settings(max_examples=40)
@given(st.text(), st.text(max_size=300), st.lists(st.text(), max_size=30), st.text())
def test_any_words_are_cleaned_and_bounded(
    name: str, tail: str, messages: list[str], log: str
) -> None:
    notes = tuple(Annotation(text, 1, text, text * 50) for text in messages)
    detail = CheckDetail(notes, log * 300, (log,))
    point = told(CheckRun(name, "failure", tail * 50), detail)
    assert len(point) < 16_000
    assert point.startswith("the check ")
    assert not any(ord(letter) < 32 and letter not in "\t\n" for letter in point)


def test_remarks_stand_below_a_line_that_says_whose_they_are() -> None:
    remark = Remark(1, Account("mona", 7), "a.py", 3, "Name it\nbetter.\x1b[1m")
    assert feedback.contract((), (remark,)) == ("mona asks at a.py:3:\nName it\nbetter.",)


def test_each_path_of_a_conflict_is_named() -> None:
    how, first, second = feedback.resolve(Conflict("t", (("a\nb", "both"), ("c", ""))), "main")
    assert "main has moved on" in how
    assert (first, second) == ("resolve a b: both", "resolve c")


def test_a_huge_conflict_is_counted() -> None:
    paths = tuple((f"{number}", "") for number in range(feedback.PATHS + 5))
    assert feedback.resolve(Conflict("t", paths), "main")[-1] == "and 5 more paths"
