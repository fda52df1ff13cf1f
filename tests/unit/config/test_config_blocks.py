"""The marked block: added, replaced, and nothing around it touched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.config.blocks import BEGIN, END, find_block, splice_block
from repoagents.errors import ConfigError

BLOCK = "Some text.\n\n- A line.\n"
PLAIN = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="<\r"))


def test_a_new_file_is_the_block_alone() -> None:
    assert splice_block("", BLOCK, "A.md") == f"{BEGIN}\n{BLOCK}{END}\n"


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_block_is_appended_in_the_endings_of_the_file(ending: str) -> None:
    before = ending.join(["# Mine", "", "text"])
    after = splice_block(before, BLOCK, "A.md")
    assert after.startswith(before + ending * 2 + BEGIN + ending)
    assert after.endswith(END + ending)
    assert after.count("\n") == after.count(ending)
    assert find_block(after, "A.md") == BLOCK


@given(before=PLAIN, after=PLAIN, crlf=st.booleans())
def test_only_the_block_changes_and_twice_is_once(before: str, after: str, crlf: bool) -> None:
    if crlf:
        before, after = (text.replace("\n", "\r\n") for text in (before, after))
    old = f"{before}{BEGIN}\nold\n{END}{after}"
    new = splice_block(old, BLOCK, "A.md")
    assert new.startswith(before)
    assert new.endswith(after)
    assert find_block(new, "A.md") == BLOCK
    assert splice_block(new, BLOCK, "A.md") == new


@given(text=PLAIN)
def test_what_was_in_the_file_stays_in_front(text: str) -> None:
    assert splice_block(text, BLOCK, "A.md").startswith(text)


@pytest.mark.parametrize(
    "text", [BEGIN, END, f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}", f"{BEGIN}{BEGIN}{END}"]
)
def test_broken_marks_are_refused_rather_than_guessed(text: str) -> None:
    with pytest.raises(ConfigError, match="expected"):
        splice_block(text, BLOCK, "A.md")
