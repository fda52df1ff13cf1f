"""Text from outside made safe to show."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.policy.wording import clean, one_line, tail


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;aGk=\x07x", "x"),
        ("\x9b2Jx", "x"),
        ("a\x00b\x08c\x7f", "abc"),
        ("a\u202eb\u2066c\u200bd\ufeff\U000e0041", "abcd"),
        ("a\u180fb\ufff9c\ufffbd\U0001d173", "abcd"),
        ("❤\ufe0f می\u200cرود", "❤\ufe0f می\u200cرود"),
        ("a\r\nb\rc\td", "a\nb\nc\td"),
        ("half \ud800", "half \ufffd"),
        ("größe 日本 👩\u200d👧", "größe 日本 👩\u200d👧"),
    ],
)
def test_clean(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_one_line_is_flat_and_bounded() -> None:
    assert one_line("  a\n\n b\tc ") == "a b c"
    assert one_line("abcdef", 4) == "abc…"
    assert one_line("abcd", 4) == "abcd"


def test_tail_begins_at_a_line() -> None:
    assert tail("one\ntwo\nthree", 9) == "…\nthree"
    assert tail("one\ntwo\n", 9) == "one\ntwo"
    assert tail("x" * 20, 5) == "…\nxxxxx"


@given(st.text(), st.integers(1, 50))
def test_nothing_hidden_is_left(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in line)
    assert "\n" not in line
    assert clean(clean(text)) == clean(text)


@given(st.lists(st.sampled_from(["\x1b", "[", "]", "8", ";", "m", "\x07", "\\", "a", "\x9b", "P"])))
def test_no_sequence_survives(parts: list[str]) -> None:
    shown = clean("".join(parts))
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert "\x07" not in shown
