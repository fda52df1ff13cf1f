"""A delivery as it comes over the wire, read into our own value.

Payloads of many ages and versions are in the wild, so only what is needed is read and whatever
else is missing or odd is passed over: nothing is refused for its schema.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import accumulate

from werkzeug.http import parse_options_header

from repoagents.domain.delivery import OBJECTS, Delivery
from repoagents.errors import WebhookRejected

MAX_BODY_BYTES = 25 * 2**20
"""GitHub sends no larger payload."""
MAX_DEPTH = 64
MAX_TEXT = 200
MAX_NUMBER = 2**63 - 1
LAST_YEAR = 9999
"""No time of day can be added to its end."""

Header = Callable[[str], str | None]
"""Gives a header's value by its name, in whatever case the name is."""

_EVENT = re.compile(r"[a-z][a-z_]{0,49}", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}", re.ASCII)
_SHA = re.compile(r"[0-9a-f]{40,64}", re.ASCII)

_KEPT = b'[]{}"'
_DROPPED = bytes(byte for byte in range(256) if byte not in _KEPT)
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def parse_delivery(header: Header, body: bytes, received_at: datetime) -> Delivery:
    """What a delivery says; an event that we do not read gives its id and name only.

    Raises `WebhookRejected` for a request that GitHub would not send.
    """
    event, delivery_id = header("X-GitHub-Event"), header("X-GitHub-Delivery")
    if event is None or not _EVENT.fullmatch(event):
        raise WebhookRejected(400, "X-GitHub-Event is missing or malformed")
    if delivery_id is None or not _ID.fullmatch(delivery_id):
        raise WebhookRejected(400, "X-GitHub-Delivery is missing or malformed")
    _require_json(header("Content-Type") or "")
    payload = _parse_payload(body)
    if event not in OBJECTS:
        return Delivery(delivery_id, event, received_at)
    return _read(payload, event, delivery_id, received_at)


def _require_json(content_type: str) -> None:
    """GitHub can also send a form with the JSON in it; we ask for JSON, and JSON is UTF-8."""
    kind, options = parse_options_header(content_type)
    if kind.lower() != "application/json":
        raise WebhookRejected(415, "the content type must be application/json")
    if options.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise WebhookRejected(415, "the charset must be UTF-8")


def _parse_payload(body: bytes) -> Mapping[str, object]:
    if len(body) > MAX_BODY_BYTES:
        raise WebhookRejected(413, f"the payload is larger than {MAX_BODY_BYTES} bytes")
    if _nests_too_deep(body):
        raise WebhookRejected(400, f"the payload is nested deeper than {MAX_DEPTH} levels")
    try:
        payload = _DECODER.decode(body.decode("utf-8"))
    except ValueError as error:
        raise WebhookRejected(400, "the payload is not valid JSON in UTF-8") from error
    if not isinstance(payload, dict):
        raise WebhookRejected(400, "the payload is not a JSON object")
    return payload


def _nests_too_deep(body: bytes) -> bool:
    """Whether brackets nest too deep, without recursion: a parser would run out of stack first."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    # Without the escaped ones, every second part between quotes is outside of text.
    bare = body.replace(rb"\\", b"").replace(rb"\"", b"").translate(None, _DROPPED)
    outside = b"".join(bare.split(b'"')[::2])
    return max(accumulate(map(_STEPS.__getitem__, outside)), default=0) > MAX_DEPTH


def _unambiguous(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unambiguous, parse_constant=_refuse_constant)


def _read(
    payload: Mapping[str, object], event: str, delivery_id: str, received_at: datetime
) -> Delivery:
    kind = OBJECTS[event]
    thing = _member(payload, kind)
    label = _text(_member(payload, "label").get("name"))
    head_sha = _head_sha(thing)
    identity = _number(thing.get("id"))
    parts = (kind, str(identity), label or head_sha)
    installation = thing if event == "installation" else _member(payload, "installation")
    return Delivery(
        id=delivery_id,
        event=event,
        received_at=received_at,
        action=_text(payload.get("action")),
        repo=_text(_member(payload, "repository").get("full_name")),
        issue_number=_issue_number(payload, thing),
        object_key="" if identity is None else "/".join(part for part in parts if part),
        updated_at=_instant(thing.get("updated_at")),
        installation=_number(installation.get("id")),
        sender=_text(_member(payload, "sender").get("login")),
        label=label,
        comment_id=identity if kind in ("comment", "review") else None,
        head_sha=head_sha,
    )


def _issue_number(payload: Mapping[str, object], thing: Mapping[str, object]) -> int | None:
    """The number of the issue or pull request; of a check, that of its first pull request."""
    pulls = thing.get("pull_requests")
    first = pulls[0] if isinstance(pulls, list) and pulls else None
    for place in (payload.get("issue"), payload.get("pull_request"), first):
        number = _number(place.get("number")) if isinstance(place, dict) else None
        if number is not None:
            return number
    return None


def _head_sha(thing: Mapping[str, object]) -> str:
    for found in (thing.get("head_sha"), _member(thing, "head").get("sha")):
        if isinstance(found, str) and _SHA.fullmatch(found):
            return found
    return ""


def _member(payload: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = payload.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str:
    """Printable text of bounded length: it will stand in logs and on terminals."""
    text = value[:MAX_TEXT] if isinstance(value, str) else ""
    return text if text.isprintable() else "".join(filter(str.isprintable, text))


def _number(value: object) -> int | None:
    """A positive number that a database column can hold."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_NUMBER:
        return value
    return None


def _instant(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        return at.astimezone(UTC) if at.tzinfo and at.year < LAST_YEAR else None
    except (ValueError, OverflowError):
        return None
