"""JSON documents: the one way that a report, an answer and a page's rows become text."""

import json
import re
from collections.abc import Callable

_OBEYED = "[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
"""What JSON may hold as it is, and a terminal obeys, or no encoding takes."""


def render_json(
    document: object,
    *,
    plain: Callable[[object], object] | None = None,
    indent: int | None = 2,
) -> str:
    """The text of a document, letters of all languages as they are.

    `plain` makes values of ours into simple ones.
    JSON has no infinity and no NaN: such a number is unknown, and becomes null.
    """
    try:
        return _dump(document, plain, indent)
    except ValueError:
        rendered = json.dumps(document, default=plain)
        return _dump(json.loads(rendered, parse_constant=lambda _name: None), plain, indent)


def _dump(document: object, plain: Callable[[object], object] | None, indent: int | None) -> str:
    close = None if indent else (",", ":")
    text = json.dumps(
        document,
        default=plain,
        indent=indent,
        separators=close,
        ensure_ascii=False,
        allow_nan=False,
    )
    return re.sub(_OBEYED, lambda found: f"\\u{ord(found[0]):04x}", text)
