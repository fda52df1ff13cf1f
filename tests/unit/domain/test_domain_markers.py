"""The marker of the bot's comments: found where it was put, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.markers import (
    PREFIX,
    has_marked_line,
    has_marker,
    installation_of,
    make_marker,
    render_marked,
)

OURS = make_marker("a1b2", "issue=7")


def test_a_marker_names_its_installation_and_what_it_is_of() -> None:
    assert OURS == "<!-- repoagents:a1b2:issue=7 -->"
    assert installation_of(f"\n {OURS}\ntext") == "a1b2"


@pytest.mark.parametrize("text", ["", "text", f"text\n{OURS}", "<!-- repoagents:end -->"])
def test_no_installation_is_told_without_a_marker_in_front(text: str) -> None:
    assert installation_of(text) is None


@pytest.mark.parametrize(
    ("text", "told"), [(OURS, True), (f"text\n{OURS}", True), (f"> {OURS}", False), ("", False)]
)
def test_a_quoted_marker_marks_nothing(text: str, told: bool) -> None:
    assert has_marked_line(text) is told


@given(st.lists(st.sampled_from([OURS, PREFIX, "text", "\n", "\r\n", "\0", "> "])).map("".join))
def test_nothing_in_the_body_passes_for_a_marker(body: str) -> None:
    text = render_marked(OURS, body)
    assert has_marker(text, OURS)
    assert not has_marked_line(text.removeprefix(OURS))
    assert "\0" not in text
