"""Issues as outside text has them, turned into values; problems are sentences."""

import re
from datetime import UTC, datetime

from repoagents.domain.invisible import storable
from repoagents.domain.issue import Comment, Issue, IssueState, normal_labels
from repoagents.domain.markers import has_marked_line

Fields = dict[str, object]


class Misshapen(ValueError):
    """An issue that is not what it should be; the text says what is wrong."""


def parse_issue(fields: Fields, number: int, source: str) -> Issue:
    """An issue from a mapping; raises `Misshapen`."""
    title = _text(fields, "title").strip()
    if not title:
        raise Misshapen("it has no title")
    return Issue(
        number=number,
        title=title,
        body=_text(fields, "body"),
        labels=parse_labels(fields.get("labels")),
        state=parse_state(fields.get("state")),
        author=_person(fields.get("author") or fields.get("user")),
        comments=_comments(fields.get("comments")),
        created_at=_instant(fields.get("created_at")),
        source=source,
    )


def parse_number(value: object) -> int | None:
    """A positive whole number, also as text; None for anything else."""
    text = str(value).strip() if isinstance(value, str | int) else ""
    return int(text) if re.fullmatch(r"0*[1-9][0-9]{0,14}", text) else None


def parse_labels(value: object) -> tuple[str, ...]:
    """Labels from a list of names (or of objects with a `name`), or names between commas."""
    if value is None:
        return ()
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list):
        raise Misshapen("its labels are not a list")
    names = [item.get("name") if isinstance(item, dict) else item for item in items]
    if not all(isinstance(name, str) for name in names):
        raise Misshapen("a label is not text")
    return normal_labels([storable(str(name)) for name in names])


def parse_state(value: object) -> IssueState:
    """The state; open when absent."""
    text = str(value or IssueState.OPEN.value).strip().lower()
    try:
        return IssueState(text)
    except ValueError:
        raise Misshapen(f"its state is {text!r}, neither open nor closed") from None


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise Misshapen(f"its {name} is not text")
    return storable(value or "")


def _person(value: object) -> str:
    name = value.get("login") if isinstance(value, dict) else value
    return storable(name) if isinstance(name, str) else ""


def _comments(value: object) -> tuple[Comment, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise Misshapen("its comments are not a list")
    return tuple(_comment(item) for item in value)


def _comment(value: object) -> Comment:
    fields: Fields = value if isinstance(value, dict) else {"body": value}
    body = _text(fields, "body")
    return Comment(_person(fields.get("author") or fields.get("user")), body, has_marked_line(body))


def _instant(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
