"""Markdown from hostile text."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.views.markdown import bounded, code, fenced, inline, neutral, quiet, table

MENTION = re.compile(r"@[A-Za-z0-9_-]")
CLOSING = re.compile(
    r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?)[\W_]{0,20}(?:[\w.-]+/[\w.-]+)?#\d", re.IGNORECASE
)


@pytest.mark.parametrize(
    "text", ["ask @user", "@org/everyone", "(@a)", "**@a**", "\\@a", "@a@b", "@\u200bstripped @b"]
)
def test_nobody_is_called(text: str) -> None:
    assert not MENTION.search(neutral(text))


@pytest.mark.parametrize(
    "keyword", ["Fixes", "fix", "FIXED", "closes", "Close", "resolved", "Resolve"]
)
@pytest.mark.parametrize(
    "rest", [" #1", ": #12", " owner/repo#3", " **#4**", "#5", " `#6`", "\n#7", "  [#8](x)"]
)
def test_no_issue_is_closed(keyword: str, rest: str) -> None:
    assert not CLOSING.search(neutral(f"This {keyword}{rest}."))
    assert CLOSING.search(f"This {keyword}{rest}.") is not None


@pytest.mark.parametrize(
    "text", ["closes https://github.com/o/r/issues/1", "Fixes GH-1", "resolves: gh-22"]
)
def test_no_issue_is_closed_by_other_references(text: str) -> None:
    assert "\u200b" in quiet(text)


def test_words_that_close_nothing_stay() -> None:
    assert quiet("fixes the total, closes the file; see #3") == (
        "fixes the total, closes the file; see #3"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<!-- repoagents:run=1 --> x", "&lt;!-- repoagents:run=1 --> x"),
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        ("![x](http://tracker)", "![x]\\(http://tracker)"),
        ("[![x](http://a)](http://b)", "[![x]\\(http://a)]\\(http://b)"),
        ("[x](javascript:alert(1))", "[x]\\(javascript:alert(1))"),
        ("[x](javascript\\:alert(1))", "[x]\\(javascript\\:alert(1))"),
        ("[approve](https://elsewhere)", "[approve]\\(https://elsewhere)"),
        ("<javascript:alert(1)>", "&lt;javascript:alert(1)>"),
        ("]\u200b(x)", "]\\(x)"),
        ("&#64;user &lt;b&gt;", "&amp;#64;user &amp;lt;b&amp;gt;"),
        ("a < b && c", "a < b && c"),
    ],
)
def test_html_images_and_script_links_are_shown_as_text(text: str, shown: str) -> None:
    assert neutral(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "# Decision",
        "> quoted",
        "- item",
        "* item",
        "1. one",
        "```sh",
        "~~~",
        "---",
        "| a |",
        "/lgtm",
    ],
)
def test_a_line_from_outside_begins_no_block(text: str) -> None:
    assert inline(text).startswith("\\")
    assert "\n" not in inline(f"x\n{text}")


@pytest.mark.parametrize("text", ["[skip ci]", "[ci skip]", "[no ci]", "[SKIP ACTIONS]"])
def test_a_title_does_not_skip_ci(text: str) -> None:
    assert quiet(f"Totals {text}") == f"Totals ({text[1:-1]})"


def test_a_summary_forges_no_trailer() -> None:
    assert quiet("Co-authored-by: x <x@y>").startswith("Co-authored-by - x")
    assert quiet("a\nSigned-off-by: x") == "a\nSigned-off-by - x"


def test_code_cannot_be_left() -> None:
    assert code("a`b") == "`` a`b ``"
    assert code("a\nb") == "`a b`"
    assert code("") == "` `"


@given(st.text())
def test_a_fence_cannot_be_left(text: str) -> None:
    first, *body, last = fenced(text).split("\n")
    fence = first.removesuffix("text")
    assert last == fence
    assert not any(line.strip().startswith(fence) for line in body)


def test_a_cell_cannot_add_a_column() -> None:
    made = table(("a",), [("x | y\nz",), ("x \\| y",), (code("x\\\\|@y"),)])
    assert made.split("\n")[2:] == ["| x \\| y z |", "| x \\| y |", "| `x\\|@y` |"]


@given(st.text(alphabet="ab\n", max_size=300), st.integers(100, 200))
def test_a_body_is_bounded_with_a_notice(body: str, limit: int) -> None:
    cut = bounded(body, limit)
    assert len(cut) <= limit
    assert cut == body or "handoff.md" in cut


@given(st.text())
def test_no_text_keeps_a_mention_a_tag_or_a_link(text: str) -> None:
    shown = inline(text)
    assert not MENTION.search(shown)
    assert "<!--" not in shown
    assert "](" not in shown
    assert not re.search(r"<[A-Za-z/!?]", shown)


@given(st.lists(st.sampled_from(["[x", "]", "(", "\u200b", "\x1b[1m", "\\", "!", "a)", " "])))
def test_nothing_taken_out_makes_a_link(parts: list[str]) -> None:
    assert "](" not in inline("".join(parts))


@pytest.mark.parametrize("filler", ["\u3164", "\u115f", "\uffa0", "\u034f", "\U000e0100", "\u2065"])
def test_what_shows_nothing_is_nothing(filler: str) -> None:
    assert inline(filler * 3) == ""


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 200_000,
        " " * 200_000,
        "fixes " * 40_000,
        "@" * 200_000,
        "`" * 200_000,
        "cc " * 70_000,
    ],
    ids=["lines", "blanks", "closing", "mentions", "ticks", "trailers"],
)
def test_a_huge_text_is_shown_in_time(text: str) -> None:
    started = time.process_time()
    neutral(text)
    fenced(text)
    assert time.process_time() - started < 20
