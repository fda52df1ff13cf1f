"""The first page of a handoff bundle in a browser."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from repoagents.policy.attention import Concern, Weight
from repoagents.views.bundle import Landing, render_landing_page
from tests.fakes.board import a_story, stand
from tests.integration.pages.conftest import Windows, barriers
from tests.integration.pages.test_pages_dashboard import EVIL

pytestmark = pytest.mark.chromium

MEMBERS = ("README.md", "dashboard.html", "index.html", "ops-brief.md", "ops-status.md")


def a_landing(told: str = "") -> Landing:
    """The landing of a bundle; with `told`, every text from outside is this one."""
    snapshot = a_story()
    standing = stand(snapshot)
    if told:
        concern = Concern("code", Weight.HIGH, told, told, told)
        standing = replace(standing, headline=told, concerns=(concern,) * 7)
        snapshot = replace(snapshot, repo=told, rehearsal=told)
    return Landing(snapshot, standing, MEMBERS)


@pytest.fixture
def opened(windows: Windows) -> Callable[..., Page]:
    """Open a landing beside a member that it links to."""

    def draw(landing: Landing, **how: object) -> Page:
        windows.write("<!doctype html><title>the dashboard</title>", "dashboard.html")
        return windows.open(windows.write(render_landing_page(landing)), **how)

    return draw


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_there_are_no_barriers(opened: Callable[..., Page], axe: str, scheme: str) -> None:
    page = opened(a_landing(), color_scheme=scheme)

    assert barriers(page, axe) == []


def test_what_to_open_is_reached_by_keyboard(opened: Callable[..., Page]) -> None:
    page = opened(a_landing())
    expect(page.get_by_role("heading", level=1)).to_contain_text("out of attempts")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "dashboard.html":
            break

    page.keyboard.press("Enter")

    expect(page).to_have_title("the dashboard")


@pytest.mark.parametrize("width", [400, 1300])
def test_hostile_texts_stay_texts(opened: Callable[..., Page], width: int) -> None:
    page = opened(a_landing(EVIL), width=width)

    assert page.evaluate("[window.owned, document.scripts.length]") == [None, 0]
    assert page.locator("body img, body iframe, body style, body svg").count() == 0
    expect(page.locator("h1")).to_contain_text("<img src=x onerror=")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
