"""Domain values as JSON text and back; effects carry their name as a tag."""

import json
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from repoagents.domain.effect import (
    Effect,
    MergePullRequest,
    OpenDraftPullRequest,
    PostComment,
    PushBranch,
    React,
    ReplyToRemark,
    SetLabel,
    effect_name,
)
from repoagents.errors import StoreError, ValueUnreadable

T = TypeVar("T")

TAG = "type"
EFFECTS: dict[str, type[Effect]] = {
    "comment": PostComment,
    "branch": PushBranch,
    "draft_pull_request": OpenDraftPullRequest,
    "label": SetLabel,
    "merge": MergePullRequest,
    "reply": ReplyToRemark,
    "reaction": React,
}


_adapters: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    # Building one takes milliseconds.
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def encode(value: object) -> str:
    """The JSON text of a frozen value, in ASCII: any text at all can be stored."""
    return json.dumps(_adapter(type(value)).dump_python(value, mode="json"))


def decode(text: str, kind: type[T]) -> T:
    """The value of that kind; raises `ValueUnreadable` when the text does not fit it."""
    try:
        value: T = _adapter(kind).validate_python(json.loads(text))
    except (ValidationError, ValueError) as error:
        raise ValueUnreadable(
            f"a stored {kind.__name__} cannot be read: {error}",
            next_step="`repoagents retry N --fresh` begins the issue anew.",
        ) from error
    return value


def encode_effect(effect: Effect) -> str:
    """The JSON text of an effect, with its name."""
    return json.dumps({TAG: effect_name(effect), **json.loads(encode(effect))})


def decode_effect(text: str) -> Effect:
    """The effect; raises `StoreError` for one that this version does not know."""
    name = json.loads(text).get(TAG, "")
    if name not in EFFECTS:
        raise StoreError(f"a stored effect has the unknown type {name!r}")
    return decode(text, EFFECTS[name])
