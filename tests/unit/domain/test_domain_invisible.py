"""The table of characters that a person does not see."""

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.invisible import HIDDEN, SHAPING, storable

FILLERS = {"\u115f", "\u1160", "\u3164", "\uffa0"}
"""Letters by their class, without any shape."""


def found(table: str) -> set[str]:
    """Every assigned character of a part of the table."""
    pattern = re.compile(f"[{table}]")
    every = map(chr, range(0x110000))
    return {char for char in every if pattern.match(char) and unicodedata.category(char) != "Cn"}


def test_each_is_in_one_part_and_none_has_a_shape() -> None:
    hidden, shaping = found(HIDDEN), found(SHAPING)
    assert not hidden & shaping
    assert {unicodedata.category(char) for char in (hidden | shaping) - FILLERS} == {"Cf", "Mn"}


def test_all_that_turns_the_direction_or_has_no_width_is_there() -> None:
    direction = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    every = {
        char for char in map(chr, range(0x110000)) if unicodedata.bidirectional(char) in direction
    }
    assert every
    assert every <= found(HIDDEN)
    assert {"\u200b", "\u2060", "\ufeff", "\U000e0041"} <= found(HIDDEN)


@given(st.text(st.characters()))
def test_what_is_storable_can_be_written_anywhere(text: str) -> None:
    stored = storable(text)
    stored.encode()
    assert "\0" not in stored
    assert storable(stored) == stored
