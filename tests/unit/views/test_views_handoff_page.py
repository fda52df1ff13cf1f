"""The handoff as a page: its structure at every kind of end, and what hostile text comes to."""

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.views.dossier import Handoff
from repoagents.views.handoff import HANDOFF_LIMIT, render_handoff
from repoagents.views.handoff_page import LINE_LIMIT, LINES_SHOWN, render_handoff_page
from tests.unit.policy.builders import a_failed_result, git_patch
from tests.unit.views import stories
from tests.unit.views.stories import STORIES

MAIN = re.compile(r'<main id="main">.*</main>', re.DOTALL)


class Page(HTMLParser):
    """The elements and the ids of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))

    @property
    def ids(self) -> list[str]:
        """Every id, in order."""
        return [str(at["id"]) for _, at in self.elements if "id" in at]

    @property
    def links(self) -> list[str]:
        """Where the page leads."""
        return [str(at["href"]) for tag, at in self.elements if tag == "a"]


@pytest.mark.parametrize("name", sorted(STORIES))
def test_page_golden(name: str, golden: Callable[[str, str], None]) -> None:
    found = MAIN.search(render_handoff_page(STORIES[name]()))
    assert found
    golden(f"handoff-{name}.html", found[0] + "\n")


@pytest.mark.parametrize("name", sorted(STORIES))
def test_the_contents_lead_to_every_section_and_nowhere_else(name: str) -> None:
    page = Page(render_handoff_page(STORIES[name]()))
    anchors = [link.removeprefix("#") for link in page.links if link.startswith("#")]
    sections = [at["aria-labelledby"] for tag, at in page.elements if tag == "section"]
    assert anchors == ["main", *sections[1:]]
    assert set(anchors) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def shape(page: Page) -> list[tuple[str, tuple[str, ...]]]:
    """The elements with the names of their attributes."""
    return [(tag, tuple(at)) for tag, at in page.elements]


HOSTILE = st.text(
    alphabet=st.sampled_from(["<", ">", '"', "'", "&", "{", "}", "%", "`", "\n", "-", "a", "/"]),
    min_size=1,
    max_size=30,
)


@given(HOSTILE)
def test_no_text_from_outside_becomes_an_element(text: str) -> None:
    story = replace(stories.telling(f"x{text}"), patch=git_patch("a.py", f"+x{text}"))
    plain = replace(stories.telling("x"), patch=git_patch("a.py", "+x"))
    allowed = {("code", ()), ("span", ("class",))}  # backticks, and lines of the patch

    def fixed(handoff: Handoff) -> list[tuple[str, tuple[str, ...]]]:
        return [one for one in shape(Page(render_handoff_page(handoff))) if one not in allowed]

    assert fixed(story) == fixed(plain)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        '"><a href="javascript:alert(1)">go</a>',
        "</title></pre></span><b>",
    ],
)
def test_hostile_text_is_shown_as_it_is(text: str) -> None:
    shown = render_handoff_page(replace(stories.telling(text), patch=git_patch("a.py", f"+{text}")))
    assert text not in shown
    page = Page(shown)
    assert {tag for tag, _ in page.elements} & {"script", "img", "iframe", "b"} == set()
    assert not [link for link in page.links if "script" in link]
    assert not [at for _, at in page.elements if any(name.startswith("on") for name in at)]


def test_text_is_no_template() -> None:
    assert "{{ run.id }} {% raw %}" in render_handoff_page(
        stories.telling("{{ run.id }} {% raw %}")
    )


def test_an_address_is_a_link_only_when_it_leads_to_the_web() -> None:
    rows = tuple(
        ("comment", "done", "", "", place) for place in ("javascript:alert(1)", "https://a.test/1")
    )
    page = Page(render_handoff_page(replace(stories.published(), effects=rows)))
    assert [link for link in page.links if ":" in link] == ["https://a.test/1"]


def test_what_nobody_would_see_in_a_patch_is_spelled_out() -> None:
    body = "+if admin\u202e \u2066// ok\x1b[2K:\n+crlf\r"
    shown = render_handoff_page(replace(stories.published(), patch=f"@@ -1 +1 @@\n{body}\n"))
    assert "+if admin[U+202E] [U+2066]// ok[U+001B][2K:\n" in shown
    assert "+crlf[U+000D]\n" in shown


def test_lines_of_the_change_are_told_from_the_head_of_the_patch() -> None:
    patch = git_patch("sql/a b/q.sql", "--- a comment goes\n+++ counter\n same")
    shown = render_handoff_page(replace(stories.published(), patch=patch))
    assert '<span class="head">--- a/sql/a b/q.sql' in shown
    assert '<span class="del">--- a comment goes' in shown
    assert '<span class="add">+++ counter' in shown
    assert "<summary>sql/a b/q.sql</summary>" in shown


def test_a_long_patch_is_cut_and_says_how_much_is_missing() -> None:
    patch = git_patch("a.txt", "\n".join(["+" + "x" * 9_000] * (LINES_SHOWN + 500)))
    story = replace(stories.published(), patch=patch, files=("changes.patch",))
    shown = render_handoff_page(story)
    assert "506 more lines are left out here" in shown
    assert 'href="changes.patch"' in shown
    assert len(shown) < LINES_SHOWN * (LINE_LIMIT + 60)


def test_the_markdown_fits_a_comment_whatever_it_has_to_tell() -> None:
    big = replace(
        stories.stopped_by_review(),
        verification=replace(
            stories.stopped_by_review().verification,
            results=tuple(a_failed_result(f"check-{n}", tail="x\n" * 5_000) for n in range(60)),
        ),
        patch=git_patch("a.txt", "+line\n" * 50_000),
    )
    told = render_handoff(big)
    assert len(told) <= HANDOFF_LIMIT
    assert told.endswith("```\n\n… cut here: the whole story is in `handoff.html`.\n")
    assert told.count("\n```") % 2 == 0, "the code block that was cut is closed"


def test_a_patch_that_is_too_long_for_a_comment_names_its_file() -> None:
    patch = git_patch("a.txt", "+line\n" * 9_000)
    told = render_handoff(replace(stories.published(), patch=patch))
    assert "Its beginning; the whole is in `.ai-repoagents/" in told
    assert told.endswith("+line\n```\n")
