"""Which issues get a run, in which order."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.issue import Comment, IssueState, normal_labels
from repoagents.domain.run import RunStatus
from repoagents.domain.settings import FilterSettings, Settings, TrackerSettings
from repoagents.policy.eligibility import order, why_no_longer, why_not, why_not_alone
from tests.unit.policy.builders import NOW, a_run, an_issue

SETTINGS = Settings()


def labelled(label: str | None) -> Settings:
    return Settings(tracker=TrackerSettings(trigger_label=label))


def test_a_labelled_open_issue_without_a_run_is_eligible() -> None:
    assert why_not(an_issue(), None, SETTINGS) is None


NEVER = [
    ({"state": IssueState.CLOSED}, "#7 is closed"),
    ({"locked": True}, "#7 is locked"),
    ({"pull_request": True}, "#7 is a pull request"),
    ({"labels": ("repoagents", "repoagents-stop")}, "carries the label 'repoagents-stop'"),
]


@pytest.mark.parametrize(("over", "words"), NEVER)
def test_what_is_no_open_issue_is_taken_only_by_force_and_by_hand(
    over: dict[str, object], words: str
) -> None:
    issue = an_issue(**over)
    for asked in ({}, {"by_hand": True}, {"forced": True}, {"again": True, "by_hand": True}):
        reason = why_not(issue, None, SETTINGS, **asked)
        assert reason is not None
        assert words in reason
    assert why_not(issue, None, SETTINGS, forced=True, by_hand=True) is None


def test_force_by_hand_never_doubles_an_active_run() -> None:
    closed = an_issue(state=IssueState.CLOSED)
    assert why_not(closed, a_run(), SETTINGS, forced=True, by_hand=True) is not None


def test_without_a_stop_label_no_label_stops() -> None:
    settings = Settings(tracker=TrackerSettings(stop_label=" "))
    issue = an_issue(labels=("repoagents", "repoagents-stop", ""))
    assert why_not(issue, None, settings) is None
    assert why_no_longer(issue, a_run(), an_issue(), settings, edits_count=True) is None


FILTERED = [
    ({"labels": ("Bug ", "ready")}, {"labels": ("repoagents", "bug", "ready")}, {}),
    ({"exclude_labels": ("WIP",)}, {}, {"labels": ("repoagents", "wip")}),
    ({"authors": ("Ann", "bob")}, {"author": "ann"}, {"author": "eve"}),
    ({"assignee": "Ann"}, {"assignees": ("bob", "ann")}, {"assignees": ("bob",)}),
    ({"milestone": "Next "}, {"milestone": "next"}, {"milestone": "later"}),
]


@pytest.mark.parametrize(("filters", "passing", "left"), FILTERED)
def test_a_filter_lets_through_what_it_names_and_the_rest_only_by_hand(
    filters: dict[str, object], passing: dict[str, object], left: dict[str, object]
) -> None:
    settings = Settings(tracker=TrackerSettings(filters=FilterSettings(**filters)))
    assert why_not(an_issue(**passing), None, settings) is None
    reason = why_not(an_issue(**left), None, settings)
    assert reason is not None
    assert f"tracker.filters.{next(iter(filters))}:" in reason
    assert why_not(an_issue(**left), None, settings, by_hand=True) is None
    assert why_not(an_issue(**left), None, SETTINGS) is None


def test_every_label_of_the_filter_is_needed() -> None:
    filters = FilterSettings(labels=("bug", "ready"))
    reason = why_not(
        an_issue(labels=("repoagents", "bug")),
        None,
        Settings(tracker=TrackerSettings(filters=filters)),
    )
    assert reason is not None
    assert "lacks 'ready'" in reason


# --- still wanted ---------------------------------------------------------------------------

CHANGED = [
    ({"state": IssueState.CLOSED}, "was closed"),
    ({"locked": True}, "was locked"),
    ({"pull_request": True}, "is a pull request now"),
    ({"labels": ("repoagents", "repoagents-stop")}, "was labelled 'repoagents-stop'"),
    ({"labels": ()}, "label 'repoagents' was taken off"),
    ({"body": "Another text."}, "text of issue 7 was changed"),
]


@pytest.mark.parametrize(("over", "words"), CHANGED)
def test_what_has_changed_since_ends_a_run_and_what_was_so_does_not(
    over: dict[str, object], words: str
) -> None:
    before, now = an_issue(), an_issue(**over)
    reason = why_no_longer(now, a_run(), before, SETTINGS, edits_count=True)
    assert reason is not None
    assert words in reason
    run = a_run(fingerprint=now.fingerprint)
    assert why_no_longer(now, run, now, SETTINGS, edits_count=True) is None
    assert why_no_longer(before, a_run(), before, SETTINGS, edits_count=True) is None


def test_an_issue_that_is_gone_ends_its_run() -> None:
    reason = why_no_longer(None, a_run(), an_issue(), SETTINGS, edits_count=False)
    assert reason == "issue 7 is gone from the tracker"


def test_where_edits_do_not_count_the_text_is_the_one_of_the_trigger() -> None:
    edited = an_issue(title="Another")
    assert why_no_longer(edited, a_run(), an_issue(), SETTINGS, edits_count=False) is None


def test_remarks_and_other_labels_end_nothing() -> None:
    now = an_issue(
        labels=("repoagents", "p1"), comments=(Comment("eve", "stop"),), assignees=("ann",)
    )
    assert why_no_longer(now, a_run(), an_issue(), SETTINGS, edits_count=True) is None


def test_where_no_label_is_needed_none_can_be_missed() -> None:
    bare = an_issue(labels=())
    assert why_no_longer(bare, a_run(), an_issue(), labelled(None), edits_count=True) is None
    assert why_no_longer(bare, a_run(), bare, SETTINGS, edits_count=True) is None


@pytest.mark.parametrize("label", ["repoagents", " RepoAgents ", "REPOAGENTS"])
def test_the_trigger_label_is_compared_trimmed_and_in_lower_case(label: str) -> None:
    assert why_not(an_issue(labels=normal_labels([label])), None, SETTINGS) is None
    assert why_not(an_issue(), None, labelled(label)) is None


@pytest.mark.parametrize(
    "label",
    [
        "rep\u043eagents",
        "repoagents2",
        "repo agents",
        "repoagent",
        "repo\u200bagents",
        "\uff52epoagents",
    ],
)
def test_a_label_that_only_looks_like_the_trigger_does_not_count(label: str) -> None:
    reason = why_not(an_issue(labels=normal_labels([label])), None, SETTINGS)
    assert reason is not None
    assert "'repoagents'" in reason
    assert "repoagents trigger 7" in reason


def test_by_hand_and_without_a_trigger_label_no_label_is_needed() -> None:
    bare = an_issue(labels=())
    assert why_not(bare, None, SETTINGS, by_hand=True) is None
    assert why_not(bare, None, labelled(None)) is None
    assert why_not(bare, None, labelled("")) is None


@pytest.mark.parametrize("status", [status for status in RunStatus if not status.terminal])
@pytest.mark.parametrize("forced", [False, True])
def test_an_active_run_refuses_always(status: RunStatus, forced: bool) -> None:
    edited = an_issue(body="another text")
    reason = why_not(edited, a_run(status), SETTINGS, forced=forced, by_hand=True)
    assert reason is not None
    assert "r7a" in reason


@pytest.mark.parametrize(
    ("status", "command"),
    [
        (RunStatus.COMPLETED, "trigger 7 --force"),
        (RunStatus.FAILED, "retry 7"),
        (RunStatus.BLOCKED, "status --issue 7"),
        (RunStatus.CANCELLED, "retry 7"),
        (RunStatus.NO_CHANGE, "retry 7 --note"),
        (RunStatus.SUPERSEDED, "trigger 7 --force"),
    ],
)
def test_an_ended_run_of_the_same_text_names_the_next_command(
    status: RunStatus, command: str
) -> None:
    reason = why_not(an_issue(), a_run(status), SETTINGS)
    assert reason is not None
    assert command in reason
    assert why_not(an_issue(), a_run(status), SETTINGS, forced=True) is None
    assert why_not(an_issue(), a_run(status), SETTINGS, again=True) is None
    assert why_not(an_issue(body="edited"), a_run(status), SETTINGS) is None


def test_every_ended_status_has_a_sentence_of_its_own() -> None:
    ended = [status for status in RunStatus if status.terminal]
    assert len({why_not(an_issue(), a_run(status), SETTINGS) for status in ended}) == len(ended)


def test_a_comment_or_label_does_not_make_an_ended_issue_eligible() -> None:
    commented = an_issue(labels=("repoagents", "p1"))
    assert why_not(commented, a_run(RunStatus.COMPLETED), SETTINGS) is not None


def test_order_is_priority_then_age_then_number() -> None:
    old, new = NOW - timedelta(days=2), NOW
    issues = (
        an_issue(number=1, created_at=None),
        an_issue(number=2, created_at=new),
        an_issue(number=3, created_at=old),
        an_issue(number=4, labels=("p3",), created_at=new),
        an_issue(number=5, labels=("priority/2",), created_at=new),
        an_issue(number=6, labels=("bug", "p9", "p0"), created_at=None),
        an_issue(number=7, labels=("p3",), created_at=new),
        an_issue(number=8, labels=("p10", "priority/", "prio/1"), created_at=old),
    )
    assert [issue.number for issue in order(issues, SETTINGS)] == [6, 5, 4, 7, 3, 8, 2, 1]


def test_a_trigger_label_gives_no_priority() -> None:
    issues = (an_issue(number=1, labels=("p0", "p5")), an_issue(number=2, labels=("p0", "p4")))
    assert [issue.number for issue in order(issues, labelled("P0"))] == [2, 1]


@given(st.permutations(list(range(1, 7))), st.lists(st.sampled_from(["p1", "p2", ""]), min_size=6))
def test_order_does_not_depend_on_the_order_given(numbers: list[int], labels: list[str]) -> None:
    issues = [replace(an_issue(number=n), labels=(labels[n - 1],)) for n in numbers]
    assert order(issues, SETTINGS) == order(sorted(issues, key=lambda i: i.number), SETTINGS)


# --- another installation -------------------------------------------------------------------

OTHER = "<!-- repoagents:f0e1d2:issue=7 -->\nWorking."


@pytest.mark.parametrize(
    ("comment", "named"),
    [
        (Comment("bot", OTHER, ours=True), True),
        (Comment("bot", f"\n {OTHER}", ours=True), True),
        (Comment("mallory", OTHER), False),
        (Comment("bot", OTHER.replace("f0e1d2", "a1b2c3"), ours=True), False),
        (Comment("bot", f"Somebody wrote: {OTHER}", ours=True), False),
    ],
)
def test_another_installation_on_the_repository_is_refused_and_named(
    comment: Comment, named: bool
) -> None:
    issue = an_issue(comments=(Comment("ann", "Please."), comment))

    reason = why_not_alone(issue, "a1b2c3")

    assert (reason is not None) is named
    assert reason is None or "another installation of this bot, f0e1d2," in reason
