"""A JSON file of issues: an array, or `{"issues": […]}`; each issue with its place in the text."""

from collections.abc import Iterable

from repoagents.errors import TrackerError
from repoagents.trackers import spans
from repoagents.trackers.local import Entry
from repoagents.trackers.shapes import Fields, Misshapen, parse_issue, parse_number
from repoagents.trackers.spans import Span

BY_HAND = "Fix the file by hand."


def read_spans(text: str, name: str) -> list[Span]:
    """The issues' places; raises `TrackerError` with the line when the file is not such a list."""
    try:
        top = spans.root(text)
        array = spans.member(text, top, "issues") if isinstance(top.value, dict) else top
    except ValueError as error:
        line, _, why = str(error).partition(": ")
        raise TrackerError(f"{name}:{line}: not JSON: {why}", next_step=BY_HAND) from error
    if array is None or not isinstance(array.value, list):
        wanted = 'neither an array of issues nor {"issues": […]}'
        raise TrackerError(f"{name}:1: {wanted}", next_step=BY_HAND)
    return spans.items(text, array)


def read_entries(text: str, found: Iterable[Span], name: str, key: str) -> tuple[Entry, ...]:
    """An entry for each span, in the text's order; an issue's number is its member `key`."""
    return tuple(_entry(span, f"{name}:{line}", key) for line, span in spans.lines_of(text, found))


def _entry(span: Span, place: str, key: str) -> Entry:
    if not isinstance(span.value, dict):
        return Entry(place, None, problem=f"{place}: an issue must be an object")
    fields: Fields = span.value
    number = parse_number(fields.get(key))
    if number is None:
        problem = f"{place}: the issue has no `{key}` that is a positive whole number"
        return Entry(place, None, problem=problem)
    try:
        return Entry(place, number, parse_issue(fields, number, place))
    except Misshapen as error:
        problem = f"{place}: issue {number} cannot be read: {error}"
        return Entry(place, number, problem=problem)
