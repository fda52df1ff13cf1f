"""What an issue shows of its run, and how often that may change."""

from datetime import UTC, datetime, timedelta

import pytest

from repoagents.domain.run import RunStatus
from repoagents.domain.settings import TrackerSettings
from repoagents.github.client import CONNECT_SECONDS, WHOLE_SECONDS
from repoagents.policy.notice import (
    EVERY,
    SETTLES,
    is_too_soon,
    is_worth_a_try,
    label_of,
    may_be_unseen,
    only_edits,
)

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
NAMED = TrackerSettings(working_label="busy", waiting_label="your turn")


@pytest.mark.parametrize(
    ("ago", "soon"),
    [(None, False), (0, True), (29.9, True), (30, False), (3_600, False), (-1, False)],
)
def test_an_edit_waits_for_its_turn(ago: float | None, soon: bool) -> None:
    last = None if ago is None else NOW - timedelta(seconds=ago)
    assert is_too_soon(last, NOW) is soon
    assert timedelta(seconds=30) == EVERY


@pytest.mark.parametrize(
    ("ago", "unseen"), [(0, True), (119.9, True), (120, False), (1e6, False), (-1, True)]
)
def test_what_was_sent_may_be_unseen_for_a_while(ago: float, unseen: bool) -> None:
    assert may_be_unseen(NOW - timedelta(seconds=ago), NOW) is unseen


def test_the_while_is_longer_than_a_request_can_be_under_way() -> None:
    assert timedelta(seconds=CONNECT_SECONDS + WHOLE_SECONDS) < SETTLES


def test_a_day_of_refusals_is_a_dozen_tries() -> None:
    last, tries = NOW, 0
    for minutes in range(24 * 60):
        now = NOW + timedelta(minutes=minutes)
        if is_worth_a_try(NOW, last, now):
            last, tries = now, tries + 1
    assert tries == 12


def test_a_try_before_the_clock_was_set_back_holds_up_none() -> None:
    ahead = NOW + timedelta(days=365)
    assert is_worth_a_try(NOW - timedelta(days=1), ahead, NOW)
    assert is_worth_a_try(ahead, ahead, NOW)


LABELS = {
    RunStatus.QUEUED: "busy",
    RunStatus.IN_PROGRESS: "busy",
    RunStatus.RETRY_PENDING: "busy",
    RunStatus.AWAITING_APPROVAL: "your turn",
    RunStatus.BLOCKED: "your turn",
    RunStatus.FAILED: "your turn",
    RunStatus.COMPLETED: None,
    RunStatus.NO_CHANGE: None,
    RunStatus.CANCELLED: None,
    RunStatus.SUPERSEDED: None,
}


@pytest.mark.parametrize("status", RunStatus)
def test_each_status_has_at_most_one_label(status: RunStatus) -> None:
    assert label_of(status, NAMED) == LABELS[status]
    assert label_of(status, TrackerSettings()) is None, "off unless they are named"


def test_what_was_called_off_or_goes_on_by_itself_is_worth_no_new_comment() -> None:
    quiet = {status for status in RunStatus if only_edits(status)}
    assert quiet == {RunStatus.CANCELLED, RunStatus.RETRY_PENDING}
