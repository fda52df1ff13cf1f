"""The shell of every page: nothing from outside becomes markup, nothing is loaded."""

import base64
import hashlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.views.html import embed, link, render_page

HOSTILE = "</p><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\u200b\x1b[31m"


def test_the_policy_names_the_style_by_its_hash_and_nothing_else() -> None:
    page = render_page("page.html", {"rehearsal": ""})

    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = re.findall(r'Security-Policy" content="([^"]*)"', page)
    assert f"style-src &#39;sha256-{digest}&#39;" in policy
    assert "default-src &#39;none&#39;" in policy
    assert "script-src &#39;none&#39;" in policy
    assert "unsafe" not in policy


def test_text_from_outside_stays_text() -> None:
    page = render_page("page.html", {"rehearsal": HOSTILE})

    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert not {"\u202e", "\u200b", "\x1b"} & set(page)


VALUES = st.recursive(
    st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_embedded_json_comes_back_and_cannot_end_its_element(value: object) -> None:
    text = str(embed(value))

    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", " https://x", "//x", "file:///etc", ""]
)
def test_only_web_addresses_become_links(address: str) -> None:
    assert link(address) == ""
    assert link("https://github.com/o/r/issues/1") == "https://github.com/o/r/issues/1"
