"""Where values stand in a JSON text, so that one can be replaced and the rest stay as typed."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_BLANK = " \t\r\n"
_SPACE = re.compile(rf"[{_BLANK}]*")
_decoder = json.JSONDecoder()


@dataclass(frozen=True)
class Span:
    """A value and the part of the text that it takes up."""

    start: int
    end: int
    value: object


def root(text: str) -> Span:
    """The whole document's value; raises `ValueError` with the line when it is not JSON."""
    try:
        start = _skip(text, 1 if text.startswith("\N{BYTE ORDER MARK}") else 0)
        value, end = _decoder.raw_decode(text, start)
        if _skip(text, end) != len(text):
            raise json.JSONDecodeError("Extra text", text, _skip(text, end))
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.lineno}: {error.msg}") from error
    except ValueError as error:
        raise ValueError("1: a number in it is too long") from error
    except RecursionError as error:
        raise ValueError("1: nested too deeply") from error
    return Span(start, end, value)


def items(text: str, array: Span) -> list[Span]:
    """The items of an array."""
    found = []
    at = _skip(text, array.start + 1)
    while text[at] != "]":
        item = _value(text, at)
        found.append(item)
        at = _next(text, item.end)
    return found


def member(text: str, mapping: Span, name: str) -> Span | None:
    """The value of an object's member, of the last one by that name."""
    found = None
    at = _skip(text, mapping.start + 1)
    while text[at] != "}":
        key = _value(text, at)
        value = _value(text, _skip(text, _skip(text, key.end) + 1))
        if key.value == name:
            found = value
        at = _next(text, value.end)
    return found


def append(text: str, container: Span, rendered: str) -> str:
    """The text with something added at the end of an array or object, in the layout it has."""
    inner = text[container.start + 1 : container.end - 1]
    if not inner.strip():
        return text[: container.start + 1] + rendered + text[container.end - 1 :]
    last = container.start + 1 + len(inner.rstrip(_BLANK))
    return f"{text[:last]},{lead(text, container) or ' '}{rendered}{text[last:]}"


def replace(text: str, span: Span, rendered: str) -> str:
    """The text with one value replaced."""
    return text[: span.start] + rendered + text[span.end :]


def lead(text: str, container: Span) -> str:
    """The white space before the first item or member: how this array or object is laid out."""
    return text[container.start + 1 : _skip(text, container.start + 1)]


def render(text: str, before: str, value: object) -> str:
    """A value as it would be typed after the white space `before`: indented as its neighbours."""
    ascii_only = text.isascii()
    if "\n" not in before:
        return json.dumps(value, ensure_ascii=ascii_only)
    step = re.search(r"\n([ \t]+)", text)
    rendered = json.dumps(value, ensure_ascii=ascii_only, indent=step[1] if step else "  ")
    newline = "\r\n" if "\r\n" in before else "\n"
    return rendered.replace("\n", newline + before[before.rfind("\n") + 1 :])


def lines_of(text: str, spans: Iterable[Span]) -> Iterator[tuple[int, Span]]:
    """Spans, in the order of the text, each with its line number from 1."""
    line, at = 1, 0
    for span in spans:
        line += text.count("\n", at, span.start)
        at = span.start
        yield line, span


def _value(text: str, at: int) -> Span:
    value, end = _decoder.raw_decode(text, at)
    return Span(at, end, value)


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _next(text: str, end: int) -> int:
    """Past the comma when there is one."""
    at = _skip(text, end)
    return _skip(text, at + 1) if text[at] == "," else at
