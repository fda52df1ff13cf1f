"""Payloads as they are in the wild, and as nobody should send them."""

import json
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.delivery import OBJECTS, Delivery, IssueEvent
from repoagents.errors import WebhookRejected
from repoagents.web.wire import MAX_BODY_BYTES, MAX_DEPTH, parse_delivery

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
AT = "2026-01-02T03:04:05Z"
INSTANT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SHA = "9" * 40

REPOSITORY = {"full_name": "octo/cat"}
COMMON = {"repository": REPOSITORY, "sender": {"login": "ann"}, "installation": {"id": 5}}
ISSUE = {"id": 42, "number": 7, "updated_at": AT, "body": None, "pull_request": {}}
PULL = {"id": 43, "number": 8, "updated_at": AT, "head": {"sha": SHA}}

Payload = dict[str, Any]


def parse(payload: object, event: str = "issues", **headers: str | None) -> Delivery:
    """Read a payload that came with ordinary headers, or with these."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    sent: dict[str, str | None] = {
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": "guid-1",
        "Content-Type": "application/json",
    }
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return parse_delivery(sent.get, body, NOW)


def refusal(payload: object, **headers: str | None) -> int:
    """The status with which a payload is refused."""
    with pytest.raises(WebhookRejected) as refused:
        parse(payload, **headers)
    assert len(str(refused.value)) < 100
    return refused.value.status


@pytest.mark.parametrize(
    ("event", "payload", "expected"),
    [
        (
            "issues",
            {"action": "labeled", "issue": ISSUE, "label": {"name": "bug"}},
            Delivery("guid-1", "issues", NOW, "labeled", issue_number=7, label="bug",
                     object_key="issue/42/bug", updated_at=INSTANT),
        ),
        (
            "issue_comment",
            {"action": "created", "issue": ISSUE, "comment": {"id": 9, "updated_at": AT}},
            Delivery("guid-1", "issue_comment", NOW, "created", issue_number=7, comment_id=9,
                     object_key="comment/9", updated_at=INSTANT),
        ),
        (
            "pull_request",
            {"action": "synchronize", "pull_request": PULL},
            Delivery("guid-1", "pull_request", NOW, "synchronize", issue_number=8, head_sha=SHA,
                     object_key=f"pull_request/43/{SHA}", updated_at=INSTANT),
        ),
        (
            "pull_request_review",
            {"action": "submitted", "pull_request": PULL, "review": {"id": 11, "submitted_at": AT}},
            Delivery("guid-1", "pull_request_review", NOW, "submitted", issue_number=8,
                     comment_id=11, object_key="review/11"),
        ),
        (
            "check_run",
            {"action": "completed",
             "check_run": {"id": 12, "head_sha": SHA, "pull_requests": [PULL]}},
            Delivery("guid-1", "check_run", NOW, "completed", issue_number=8, head_sha=SHA,
                     object_key=f"check_run/12/{SHA}"),
        ),
        (
            "check_suite",
            {"action": "completed",
             "check_suite": {"id": 13, "head_sha": SHA, "pull_requests": [], "updated_at": AT}},
            Delivery("guid-1", "check_suite", NOW, "completed", head_sha=SHA,
                     object_key=f"check_suite/13/{SHA}", updated_at=INSTANT),
        ),
    ],
)  # fmt: skip
def test_what_is_needed_is_read(event: str, payload: Payload, expected: Delivery) -> None:
    found = parse({**payload, **COMMON}, event)
    common = {"repo": "octo/cat", "sender": "ann", "installation": 5}
    assert found == Delivery(**{**vars(expected), **common})


def test_an_installation_is_its_own_object() -> None:
    installation = {"id": 5, "updated_at": AT}
    found = parse({"action": "created", "installation": installation}, "installation")
    assert (found.installation, found.object_key) == (5, "installation/5")
    assert (found.updated_at, found.look) == (INSTANT, None)


def test_it_is_reduced_to_where_to_look_and_why() -> None:
    found = parse({"action": "labeled", "issue": ISSUE, "label": {"name": "bug"}, **COMMON})
    assert found.look == IssueEvent("octo/cat", 7, "issues labeled bug, by ann")
    assert parse({"issue": ISSUE, "repository": REPOSITORY}).because == "issues"


def test_no_text_of_an_issue_is_taken() -> None:
    written = {"title": "MARK", "body": "MARK", "user": {"login": "MARK"}, "html_url": "MARK"}
    payload = {"action": "created", "issue": {**ISSUE, **written}, **COMMON}
    found = parse({**payload, "comment": {"id": 9, **written}}, "issue_comment")
    assert "MARK" not in repr(found)


@pytest.mark.parametrize("left_out", ["repository", "sender", "action", "issue", "label"])
@pytest.mark.parametrize("instead", [None, "absent", 7, [], {}])
def test_nothing_is_refused_for_what_it_lacks(left_out: str, instead: object) -> None:
    payload = {"action": "labeled", "issue": ISSUE, "label": {"name": "bug"}, **COMMON}
    payload[left_out] = instead
    if instead == "absent":
        del payload[left_out]
    found = parse(payload)
    assert found.id == "guid-1"
    assert (found.issue_number is None) == (left_out == "issue")
    assert (found.look is None) == (left_out in ("issue", "repository"))


numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
names = st.sampled_from(
    ["action", "issue", "comment", "pull_request", "review", "check_run", "check_suite", "hook",
     "installation", "repository", "sender", "label", "id", "number", "updated_at", "full_name",
     "login", "name", "head", "head_sha", "sha", "pull_requests"]
)  # fmt: skip
objects = st.recursive(
    json_values, lambda inner: st.dictionaries(names, inner, max_size=8), max_leaves=30
)


@given(st.sampled_from(sorted(OBJECTS)), st.dictionaries(names, objects, max_size=8))
def test_any_object_at_all_is_read(event: str, payload: Payload) -> None:
    found = parse(payload, event)
    assert found.issue_number is None or 0 < found.issue_number < 2**63
    texts = (found.action, found.repo, found.sender, found.label, found.head_sha, found.object_key)
    assert all(text.isprintable() and len(text) < 300 for text in texts)
    found.because.encode()


@given(st.binary(max_size=200))
def test_any_bytes_at_all_are_read_or_refused(body: bytes) -> None:
    try:
        answer = 0 if parse(body) else None
    except WebhookRejected as refused:
        answer = refused.status
    assert answer in (0, 400)


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_any_headers_at_all_are_read_or_refused(event: str, guid: str, kind: str) -> None:
    headers = {"X_GitHub_Event": event, "X_GitHub_Delivery": guid, "Content_Type": kind}
    assert refusal({}, **headers) in (400, 415)


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"{", b"nonsense", b"[]", b"[{}]", b'"text"', b"7", b"null", b"\xff{}",
     b"\xef\xbb\xbf{}", b'{"a": NaN}', b'{"a": Infinity}', b'{"a": 1, "a": 2}',
     b'{"issue": {"id": 1, "id": 2}}', b"{'a': 1}", b'{"a": 1}}',
     '{"ä": 1}'.encode("latin-1"), "{}".encode("utf-16"), b'{"n": ' + b"9" * 5000 + b"}",
     b"\x1f\x8b\x08gzip", b"payload=%7B%7D"],
)  # fmt: skip
def test_what_is_no_json_object_is_a_400(body: bytes) -> None:
    assert refusal(body) == 400


@pytest.mark.parametrize(
    "kind",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "json",
     "application/json; charset=utf-16", "application/json; charset=utf-7",
     "application/json; charset=nonsense", ";;;"],
)  # fmt: skip
def test_what_is_not_declared_as_json_in_utf8_is_a_415(kind: str | None) -> None:
    assert refusal({}, Content_Type=kind) == 415


@pytest.mark.parametrize(
    "kind",
    ["application/json", "Application/JSON", "application/json; charset=utf-8",
     'application/json;charset="UTF-8"', "application/json; charset=UTF8; x=y"],
)  # fmt: skip
def test_json_in_utf8_may_be_declared_in_many_ways(kind: str) -> None:
    assert parse({}, Content_Type=kind).event == "issues"


@pytest.mark.parametrize(
    "event", [None, "", "../../x", "a\nb", "Issues", "x" * 10_000, "issues ", "_", "ïssues"]
)
def test_an_event_must_look_like_one(event: str | None) -> None:
    assert refusal({}, X_GitHub_Event=event) == 400


@pytest.mark.parametrize("guid", [None, "", "../x", "a b", "a\nb", "-a", "x" * 101, "é", "a\0"])
def test_a_delivery_must_have_an_id(guid: str | None) -> None:
    assert refusal({}, X_GitHub_Delivery=guid) == 400


def test_an_event_that_is_not_read_gives_its_name_alone() -> None:
    assert parse({"issue": ISSUE, **COMMON}, "star") == Delivery("guid-1", "star", NOW)


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    inner = depth - 1
    return b'{"a": ' + opening.encode() * inner + b"1" + closing.encode() * inner + b"}"


def test_the_deepest_that_is_taken_is_taken() -> None:
    assert parse(nested(MAX_DEPTH)).event == "issues"
    assert parse(nested(MAX_DEPTH, '{"a":', "}")).event == "issues"


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 10_000, 1_000_000])
def test_deeper_is_a_400(depth: int) -> None:
    assert refusal(nested(depth)) == 400
    assert refusal(b"[" * depth) == 400
    assert refusal(nested(depth, '{"a":', "}")) == 400


def test_brackets_in_text_are_no_depth() -> None:
    deep = "[{" * 200
    for text in (deep, f'"{deep}', f'\\"{deep}', f"\\{deep}\\", f'{deep}"', "\\" * 3 + '"' + deep):
        assert parse({"text": text, "more": [text, {text: text}]}).event == "issues"


def test_depth_after_an_escaped_quote_is_seen() -> None:
    assert refusal(b'{"a\\\\": ' + b"[" * 100 + b"]" * 100 + b"}") == 400
    assert refusal(b'{"a\\"": ' + b"[" * 100 + b"]" * 100 + b"}") == 400


def test_more_than_github_sends_is_a_413() -> None:
    assert refusal(b" " * (MAX_BODY_BYTES + 1)) == 413


def test_a_large_payload_is_read_in_a_few_times_its_size() -> None:
    body = json.dumps({"issue": ISSUE, "body": "words " * 400_000, **COMMON}).encode()
    tracemalloc.start()
    assert parse(body).issue_number == 7
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * len(body)


@pytest.mark.parametrize(
    "at",
    [None, 7, "", "yesterday", "2026-01-02", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z",
     "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59"],
)  # fmt: skip
def test_a_time_that_is_none_is_left_out(at: object) -> None:
    assert parse({"issue": {**ISSUE, "updated_at": at}}).updated_at is None


@pytest.mark.parametrize("number", [0, -1, 2**63, 10**30, True, "7", 7.0, None, [7]])
def test_a_number_that_is_none_is_left_out(number: object) -> None:
    payload = {"issue": {**ISSUE, "number": number, "id": number}, "installation": {"id": number}}
    found = parse(payload)
    assert (found.issue_number, found.installation, found.object_key) == (None, None, "")


def test_text_is_fit_for_logs_and_terminals() -> None:
    hostile = "\x1b]8;;http://x\x07\u202egnp\u200b\0\ud800\nname" + "x" * 1000
    found = parse({"label": {"name": hostile}, "action": hostile, "sender": {"login": hostile}})
    assert found.label.startswith("]8;;http://xgnpname")
    assert len(found.label) <= 200
    assert found.because.isprintable()
