"""What comes back to the builder, in words that are ours on the first line and bounded below it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repoagents.domain.change import Conflict
from repoagents.domain.people import Account, AccountKind
from repoagents.domain.pull_request import (
    Annotation,
    CheckDetail,
    CheckRun,
    PeerReview,
    PullRequest,
    PullState,
    Remark,
    RequiredCheck,
    ReviewState,
    Thread,
)
from repoagents.policy import feedback

RED = CheckRun("ci", "failure", "two of three failed")
MONA, MAX = Account("mona", 7), Account("max", 8)
ROBOT = Account("robot[bot]", 9, AccountKind.BOT)
PULL = PullRequest(
    number=101,
    url="https://hub.test/pull/101",
    state=PullState.OPEN,
    draft=True,
    head_sha="c" * 40,
    base="main",
    base_sha="b" * 40,
    behind=False,
    mergeable=True,
    author_id=1,
)


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


def below(*remarks: Remark) -> Thread:
    """A thread of these."""
    return Thread(1, "a.py", 3, remarks)


def test_a_remark_stands_below_a_line_that_says_whose_it_is() -> None:
    thread = below(Remark(1, MONA, "Name it\nbetter.\x1b[1m"))
    assert feedback.contract((), (thread,)) == ("mona asks at a.py:3:\nName it\nbetter.",)


def test_a_thread_is_told_whole_and_its_newest_remark_asks() -> None:
    thread = below(Remark(1, MONA, "Name it better."), Remark(4, MAX, "Still\nwrong."))
    assert feedback.contract((), (thread,)) == (
        "max asks at a.py:3; all of the thread:\nmona:\nName it better.\n\nmax:\nStill\nwrong.",
    )


@settings(max_examples=30)
@given(st.lists(st.text(min_size=1, max_size=5_000), min_size=1, max_size=12))
def test_of_a_long_thread_the_newest_is_told(bodies: list[str]) -> None:
    remarks = tuple(Remark(n, MONA, f"No. {n}. {body}") for n, body in enumerate(bodies))
    (point,) = feedback.contract((), (below(*remarks),))
    assert len(point) < feedback.THREAD_LIMIT + 200
    assert f"No. {len(bodies) - 1}." in point
    whole = all(f"No. {n}." in point for n in range(len(bodies)))
    assert whole is not ("[what was said before is left out]" in point)


def review(state: ReviewState, body: str, author: Account = MONA) -> PeerReview:
    return PeerReview(author, state, "c" * 40, 5, body)


def test_the_words_of_a_review_that_asks_are_a_thread_of_their_own() -> None:
    for state in ReviewState:
        found = feedback.threads(replace(PULL, reviews=(review(state, "Not like this."),)))
        asks = state in (ReviewState.CHANGES_REQUESTED, ReviewState.COMMENTED)
        assert found == ((Thread(0, "", 0, (Remark(5, MONA, "Not like this."),)),) if asks else ())
    thread = Thread(0, "", 0, (Remark(5, MONA, "Not like this."),))
    said = ("mona asks in a review of the change:\nNot like this.",)
    assert feedback.contract((), (thread,)) == said


@pytest.mark.parametrize(
    "unheard",
    [
        review(ReviewState.COMMENTED, " \n"),
        review(ReviewState.COMMENTED, "/repoagents stop"),
        review(ReviewState.CHANGES_REQUESTED, "Delete it.", ROBOT),
        review(ReviewState.CHANGES_REQUESTED, "Delete it.", Account("", 0)),
    ],
)
def test_a_review_without_a_persons_words_asks_for_nothing(unheard: PeerReview) -> None:
    assert feedback.threads(replace(PULL, reviews=(unheard,))) == ()


def test_what_bots_and_we_ourselves_wrote_is_left_out_of_a_thread() -> None:
    mine, robots, ours = (
        Remark(1, MONA, "a"),
        Remark(2, ROBOT, "b"),
        Remark(3, MONA, "c", ours=True),
    )
    pull = replace(PULL, threads=(below(mine, robots, ours), below(ours), below(robots)))
    assert feedback.threads(pull) == (below(mine),)


def test_remarks_and_reviews_are_counted_apart() -> None:
    said = Remark(7, MONA, "a")
    assert feedback.name_of(below(said), said) == "7"
    assert feedback.name_of(Thread(0, "", 0, (said,)), said) == "review-7"


@pytest.mark.parametrize(
    ("asked_at", "before", "told"),
    [
        ("a", 0, "b answers this."),
        ("b", 0, "b stands as it was: nothing was changed for this."),
        ("b", 3, "b stands as it was: this came after 3 rounds, a person goes on."),
    ],
)
def test_a_thread_hears_what_became_of_it(asked_at: str, before: int, told: str) -> None:
    thread = below(Remark(1, MONA, "Why?"))
    assert feedback.answer(thread, "b", asked_at, before) == told
    assert "the review by mona" in feedback.answer(replace(thread, id=0), "b", asked_at, before)


@pytest.mark.parametrize("conclusion", ["failure", "error", "timed_out", "cancelled", "success"])
def test_what_has_failed_goes_back(conclusion: str) -> None:
    check = CheckRun("ci", conclusion)
    found = feedback.failed_checks(replace(PULL, checks=(check,)), ())
    assert found == (() if conclusion in ("cancelled", "success") else (check,))


def test_only_the_check_of_the_app_that_is_asked_for_fails() -> None:
    theirs, ours = CheckRun("ci", "failure", app_id=1), CheckRun("ci", "failure", app_id=2)
    pull = replace(PULL, checks=(theirs, ours))
    assert feedback.failed_checks(pull, (RequiredCheck("ci", 2),)) == (ours,)
    assert feedback.failed_checks(pull, (RequiredCheck("ci"),)) == (theirs, ours)
    running = replace(pull, checks=(CheckRun("ci", None, app_id=1), ours))
    assert feedback.failed_checks(running, (RequiredCheck("ci", 2),)) == (ours,)


def test_each_path_of_a_conflict_is_named() -> None:
    how, first, second = feedback.resolve(Conflict("t", (("a\nb", "both"), ("c", ""))), "main")
    assert "main has moved on" in how
    assert (first, second) == ("resolve a b: both", "resolve c")


def test_a_huge_conflict_is_counted() -> None:
    paths = tuple((f"{number}", "") for number in range(feedback.PATHS + 5))
    assert feedback.resolve(Conflict("t", paths), "main")[-1] == "and 5 more paths"
