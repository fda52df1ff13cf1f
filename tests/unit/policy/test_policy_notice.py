"""What an issue shows of its run, and how often that may change."""

from datetime import UTC, datetime, timedelta

import pytest

from repoagents.domain.run import RunStatus
from repoagents.domain.settings import TrackerSettings
from repoagents.policy.notice import EVERY, is_too_soon, label_of, only_edits

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
