"""JSON documents: the one way that a report, an answer and a page's rows become text."""

import json
from collections.abc import Callable


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
    from repoagents.logs import escape_obeyed  # Here, because a plain `status` does without.

    close = None if indent else (",", ":")
    text = json.dumps(
        document,
        default=plain,
        indent=indent,
        separators=close,
        ensure_ascii=False,
        allow_nan=False,
    )
    return escape_obeyed(text)
