"""GitHub's JSON is read without trust: any shape gives a value or a sentence, never an error."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.issue import Comment, Issue, IssueState
from repoagents.domain.people import AccountKind
from repoagents.github import wire

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = [
    "number",
    "title",
    "body",
    "labels",
    "state",
    "user",
    "created_at",
    "html_url",
    "milestone",
]
NAMES += ["assignees", "locked", "pull_request", "id", "head", "base", "merged_at", "name", "login"]
RECORD = st.dictionaries(st.sampled_from(NAMES), JSON)


def parsed(**fields: Any) -> Issue:
    found = wire.parse_issue({"number": 3, "title": "T", **fields})
    assert isinstance(found, Issue)
    return found


@given(RECORD)
def test_any_record_is_an_issue_or_a_sentence(fields: dict[str, Any]) -> None:
    found = wire.parse_issue(fields)
    if isinstance(found, str):
        assert "no number" in found
        return
    assert found.number > 0
    for text in (found.title, found.body, found.author, found.milestone, *found.labels):
        assert "\0" not in text
        text.encode()
    assert found.fingerprint


@given(RECORD)
def test_any_record_is_a_comment_and_a_pull_request(fields: dict[str, Any]) -> None:
    assert wire.parse_comment(fields).id >= 0
    assert wire.parse_pull_request(fields).number >= 0


@given(RECORD)
def test_any_record_is_an_account_as_graphql_tells_it(fields: dict[str, Any]) -> None:
    who = wire.parse_actor(fields)
    assert who.id >= 0
    assert "\0" not in who.login


NOON, LATER = "2026-03-04T12:00:00Z", "2026-03-04T12:00:01Z"


@pytest.mark.parametrize(
    ("times", "edited", "stood_at_noon"),
    [
        ({"created_at": NOON, "updated_at": NOON}, False, False),
        ({"created_at": NOON, "updated_at": LATER}, True, False),
        ({"created_at": "2026-03-04T11:59:59Z", "updated_at": NOON}, True, False),
        ({"created_at": "2026-03-04T11:59:58Z", "updated_at": "2026-03-04T11:59:59Z"}, True, True),
        ({"created_at": "2026-03-04T11:59:59Z"}, False, True),
        ({"updated_at": "2026-03-04T11:59:59Z"}, True, True),
        ({}, False, False),
    ],
)
def test_when_a_comment_got_its_words(
    times: dict[str, Any], edited: bool, stood_at_noon: bool
) -> None:
    posted = wire.parse_comment({"id": 1, "user": None, "body": "b", **times})
    said = Comment("ann", "b", created_at=posted.created_at, changed_at=posted.changed_at)
    assert said.edited is edited
    assert said.stood_at(datetime(2026, 3, 4, 12, tzinfo=UTC)) is stood_at_noon


def test_what_is_missing_is_empty() -> None:
    found = parsed(body=None, user=None, labels=None, milestone=None, assignees=None)
    assert (found.body, found.author, found.labels, found.milestone) == ("", "", (), "")
    assert found.assignees == ()
    assert found.state is IssueState.OPEN
    assert found.source == "issue 3"


def test_the_whole_of_an_issue() -> None:
    found = parsed(
        labels=[{"name": " Bug "}, "docs", {"name": "BUG"}, {"name": None}, 7],
        state="closed",
        user={"login": "ann"},
        assignees=[{"login": "ben"}, None, {"login": None}],
        milestone={"title": "v1"},
        locked=True,
        created_at="2026-01-02T03:04:05Z",
        html_url="https://github.com/octo/cat/issues/3",
        pull_request={"url": "x"},
        unknown={"deep": [1]},
    )
    assert found.labels == ("bug", "docs")
    assert found.state is IssueState.CLOSED
    assert (found.author, found.assignees, found.milestone) == ("ann", ("ben",), "v1")
    assert found.locked
    assert found.pull_request
    assert found.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("number", [None, 0, -1, True, "3", 1.5, [3]])
def test_only_a_positive_whole_number_is_one(number: Any) -> None:
    assert isinstance(wire.parse_issue({"number": number, "title": "T"}), str)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "", None, 7])
def test_a_link_is_an_http_address(url: Any) -> None:
    assert wire.link({"html_url": url}) == ""


@pytest.mark.parametrize(
    ("account", "app", "kind"),
    [
        ({"login": "ann", "id": 1, "type": "User"}, None, AccountKind.USER),
        ({"login": "evil[bot]", "id": 1, "type": "Bot"}, None, AccountKind.BOT),
        ({"login": "plain", "id": 1, "type": "Bot"}, None, AccountKind.BOT),
        ({"login": "club", "id": 1, "type": "Organization"}, None, AccountKind.BOT),
        ({"login": "new", "id": 1, "type": "Mannequin"}, None, AccountKind.BOT),
        ({"login": "ann", "id": 1, "type": "User"}, {"slug": "app"}, AccountKind.BOT),
    ],
)
def test_only_a_user_who_acts_alone_is_a_person(account: Any, app: Any, kind: Any) -> None:
    assert wire.parse_account(account, app).kind is kind


def test_the_same_reading_whatever_the_form_of_line_ends() -> None:
    assert parsed(body="a\r\nb  ").fingerprint == parsed(body="a\nb").fingerprint
    assert parsed(body="a", labels=["x"], comments=7).fingerprint == parsed(body="a").fingerprint


@pytest.mark.parametrize(
    ("head", "base", "fork"),
    [(1, 1, False), (2, 1, True), (None, 1, True), (None, None, True)],
)
def test_a_head_elsewhere_is_a_fork(head: Any, base: Any, fork: bool) -> None:
    ends = {
        name: {"ref": "b", "sha": "c", "repo": None if number is None else {"id": number}}
        for name, number in (("head", head), ("base", base))
    }
    assert wire.parse_pull_request(ends).from_fork is fork
