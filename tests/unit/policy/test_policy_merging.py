"""Whether a pull request may be merged, and whose word lets it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.people import Account, AccountKind
from repoagents.domain.pull_request import (
    GREEN,
    CheckRun,
    PeerReview,
    PullRequest,
    PullState,
    RequiredCheck,
    ReviewState,
)
from repoagents.domain.settings import ApprovalSettings
from repoagents.policy.merging import (
    Terms,
    is_person,
    latest_words,
    why_no_merge,
    why_not_begun,
    why_not_green,
    why_not_this,
    why_same_person,
)

HEAD, OTHER = "c" * 40, "d" * 40
PULL = PullRequest(
    number=101,
    url="https://hub.test/pull/101",
    state=PullState.OPEN,
    draft=False,
    head_sha=HEAD,
    base="main",
    base_sha="b" * 40,
    behind=False,
    mergeable=True,
    author_id=1,
    checks=(CheckRun("ci", "success"),),
)
CI = RequiredCheck("ci")
TERMS = Terms(HEAD, "main", (CI,))
ANNA, BEN = Account("anna", 2), Account("ben", 3)
CONCLUSIONS = ["success", "neutral", "skipped", "failure", "cancelled", "stale", "timed_out", None]
checks = st.lists(
    st.builds(CheckRun, st.sampled_from("abc"), st.sampled_from(CONCLUSIONS)), max_size=6
)


def test_what_is_approved_green_and_up_to_date_may_be_merged() -> None:
    assert why_no_merge(PULL, TERMS) is None


@pytest.mark.parametrize(
    ("pull", "terms", "reason"),
    [
        ({"state": PullState.CLOSED}, {}, "is closed already"),
        ({"state": PullState.MERGED}, {}, "is merged already"),
        ({}, {"approved": ""}, "nobody has approved cccccccccccc"),
        ({}, {"approved": OTHER}, "which is not the approved commit dddddddddddd"),
        ({"base": "release"}, {}, "proven on main and goes into release"),
        ({}, {"objecting": ("anna", "ben")}, "anna and ben asked for changes"),
        ({"behind": True}, {}, "main has moved on"),
        ({"checks": ()}, {}, "ci has not ended"),
        ({"mergeable": None}, {}, "not computed yet"),
        ({"mergeable": False}, {}, "conflicts with main"),
    ],
)
def test_each_obstacle_is_named(
    pull: dict[str, object], terms: dict[str, object], reason: str
) -> None:
    found = why_no_merge(replace(PULL, **pull), replace(TERMS, **terms))
    assert found is not None
    assert reason in found


@given(
    state=st.sampled_from(PullState),
    approved=st.sampled_from(["", HEAD, OTHER]),
    base=st.sampled_from(["main", "release"]),
    objecting=st.sampled_from([(), ("anna",)]),
    behind=st.booleans(),
    mergeable=st.sampled_from([None, True, False]),
    seen=checks,
    required=st.sets(st.sampled_from("abc")),
)
def test_nothing_is_merged_unless_all_of_it_holds(
    state: PullState,
    approved: str,
    base: str,
    objecting: tuple[str, ...],
    behind: bool,
    mergeable: bool | None,
    seen: list[CheckRun],
    required: set[str],
) -> None:
    pull = replace(
        PULL, state=state, base=base, behind=behind, mergeable=mergeable, checks=tuple(seen)
    )
    asked = tuple(RequiredCheck(name) for name in required)
    terms = Terms(approved, "main", asked, objecting)
    counted = [check for check in seen if not required or check.name in required]
    green = required <= {check.name for check in seen} and all(
        check.conclusion in GREEN for check in counted
    )
    plain = state is PullState.OPEN and not objecting and not behind and mergeable is True
    may = plain and approved == HEAD and base == "main" and green
    assert (why_no_merge(pull, terms) is None) is may


def test_a_failed_check_is_named_before_one_that_runs() -> None:
    seen = (CheckRun("slow", None), CheckRun("ci", "failure"))
    slow = RequiredCheck("slow")
    assert why_not_green(seen, (slow, CI)) == "the check ci has failed"
    assert why_not_green(seen[:1], (slow,)) == "the check slow has not ended yet"


def test_a_check_that_does_not_begin_is_told_with_what_to_look_at() -> None:
    late = timedelta(minutes=15)
    running = (CheckRun("ci", None),)
    assert why_not_green((), (CI,), late - timedelta(seconds=1)) == (
        "the check ci has not ended yet"
    )
    found = why_no_merge(replace(PULL, checks=()), replace(TERMS, pushed=late))
    assert found == why_not_begun((), (CI,), late)
    assert found is not None
    assert found.startswith("the check ci has not begun 15 minutes after the push: approve its")
    assert why_not_green(running, (CI,), late) == "the check ci has not ended yet"
    assert why_not_green((), (), late) is None, "nobody asks for any"
    lint = RequiredCheck("lint")
    red = (CheckRun("lint", "failure"),)
    assert why_not_green(red, (CI, lint), late) == "the check lint has failed"


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (CheckRun("ci", None, app_id=2, queued=True), "a runner is there for it"),
        (CheckRun("ci", "success", app_id=1), "but of another App"),
        (CheckRun("lint", "success", app_id=2), "approve its workflow"),
    ],
)
def test_the_likely_cause_of_a_check_that_does_not_begin_is_named(
    seen: CheckRun, told: str
) -> None:
    found = why_not_begun((seen,), (RequiredCheck("ci", 2),), timedelta(hours=1))
    assert found is not None
    assert found.startswith("the check ci of App 2 has not begun")
    assert told in found


def test_a_check_that_an_app_has_to_give_is_no_other_of_its_name() -> None:
    asked = RequiredCheck("ci", 2)
    theirs = CheckRun("ci", "success", app_id=1)
    terms = replace(TERMS, required=(asked,))
    told = "the check ci of App 2 has not ended yet"
    assert why_no_merge(replace(PULL, checks=(theirs,)), terms) == told
    ours = CheckRun("ci", "success", app_id=2)
    assert why_no_merge(replace(PULL, checks=(theirs, ours)), terms) is None
    red = (CheckRun("ci", "failure", app_id=1), ours)
    assert why_no_merge(replace(PULL, checks=red), terms) is None


def test_a_commit_status_does_not_tell_its_app_and_counts_by_its_name() -> None:
    terms = replace(TERMS, required=(RequiredCheck("ci", 2),))
    green, red = (CheckRun("ci", conclusion) for conclusion in ("success", "failure"))
    assert why_no_merge(replace(PULL, checks=(green,)), terms) is None
    assert why_no_merge(replace(PULL, checks=(red,)), terms) == "the check ci of App 2 has failed"


def test_without_a_check_nothing_is_red() -> None:
    assert why_not_green((), ()) is None


def test_an_approval_is_for_the_commit_that_stands_there() -> None:
    assert why_not_this(PULL, HEAD) is None
    assert why_not_this(None, HEAD) == "its pull request cannot be found"
    found = why_not_this(PULL, OTHER)
    assert found is not None
    assert "stands at cccccccccccc" in found


def said(*words: tuple[Account, ReviewState]) -> PullRequest:
    return replace(PULL, reviews=tuple(PeerReview(who, state, HEAD) for who, state in words))


def test_the_newest_word_of_each_counts_and_a_comment_undoes_none() -> None:
    state = ReviewState
    pull = said(
        (ANNA, state.APPROVED),
        (BEN, state.CHANGES_REQUESTED),
        (ANNA, state.COMMENTED),
        (BEN, state.APPROVED),
        (ANNA, state.DISMISSED),
    )
    words = {word.author.login: word.state for word in latest_words(pull)}
    assert words == {"anna": state.DISMISSED, "ben": state.APPROVED}
    assert latest_words(said((ANNA, state.COMMENTED))) == ()


def test_a_renamed_account_is_the_same_account() -> None:
    renamed = replace(ANNA, login="hanna")
    pull = said((ANNA, ReviewState.APPROVED), (renamed, ReviewState.CHANGES_REQUESTED))
    (word,) = latest_words(pull)
    assert word.state is ReviewState.CHANGES_REQUESTED


@pytest.mark.parametrize(
    ("account", "counts"),
    [
        (ANNA, True),
        (Account("robot", 5, AccountKind.BOT), False),
        (Account("evil[bot]", 6), False),
        (Account("ghost", 0), False),
        (Account("author", 1), False),
    ],
)
def test_whose_word_can_count(account: Account, counts: bool) -> None:
    assert is_person(account, author_id=1) is counts


@pytest.mark.parametrize(
    ("names", "asked_by", "same"),
    [
        (("anna",), "anna", True),
        (("Anna",), "aNNa", True),
        (("anna",), "ben", False),
        (("",), "", True),
        (("", "ben"), "ben", True),
        (("anna",), "", False),
    ],
)
def test_the_asker_approves_only_where_that_is_allowed(
    names: tuple[str, ...], asked_by: str, same: bool
) -> None:
    strict = ApprovalSettings(other_person=True)
    assert (why_same_person(names, asked_by, strict) is not None) is same
    assert why_same_person(names, asked_by, ApprovalSettings()) is None
