"""JSON documents hold what JSON can hold, whatever numbers they are made from."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.cli.output import render_json as render_answer
from repoagents.pipeline.reporting import render_json as render_report
from repoagents.views.documents import render_json
from repoagents.views.html import embed
from repoagents.views.roles import report_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@dataclass(frozen=True)
class Timed:
    """A value of ours with a number that an odd clock made."""

    at: datetime
    seconds: float


ODD = Timed(datetime(2026, 1, 1, tzinfo=UTC), math.inf)


def refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def without_odd(value: object) -> object:
    match value:
        case float() if not math.isfinite(value):
            return None
        case list():
            return [without_odd(each) for each in value]
        case dict():
            return {name: without_odd(each) for name, each in value.items()}
        case _:
            return value


@given(VALUES)
def test_every_document_is_json_and_only_odd_numbers_become_null(value: object) -> None:
    for text in (render_json(value), render_json(value, indent=None)):
        assert json.loads(text, parse_constant=refuse) == without_odd(value)


def test_no_document_moves_a_cursor_or_turns_text_around() -> None:
    value = {"title": "\x9b2J\u202eevil\x7f \udcff é 漢"}
    text = render_json(value)
    assert text.replace("\n", "").isprintable()
    assert "é 漢" in text
    assert json.loads(text) == value


@pytest.mark.parametrize(
    "text",
    [
        render_answer(ODD),
        render_answer({"runs": [ODD, -math.inf, math.nan]}),
        render_report({"spent": {"cost": math.inf}}),
        report_json(ODD),
        str(embed([math.inf])),
    ],
)
def test_no_door_lets_an_odd_number_out(text: str) -> None:
    json.loads(text, parse_constant=refuse)
    assert "null" in text


def test_what_is_no_document_is_a_bug() -> None:
    with pytest.raises(TypeError):
        render_json({"at": ODD})
