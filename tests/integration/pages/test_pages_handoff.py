"""The handoff's page in a browser: narrow and wide, light and dark, by keyboard, and attacked."""

from dataclasses import replace

import pytest
from playwright.sync_api import expect

from repoagents.views.handoff_page import render_handoff_page
from tests.integration.pages.conftest import Windows, barriers
from tests.unit.policy.builders import git_patch
from tests.unit.views import stories

pytestmark = pytest.mark.chromium

EVIL = (
    "</pre></span></script><script>window.owned = 1</script><img src=x onerror='window.owned = 1'>"
    "<style>body{display:none}</style><!-- -->](javascript:alert(1)) \u202e"
    f" {'w' * 400}"
)


def hostile() -> str:
    """A page in which every text from outside attacks, the lines of the patch too."""
    patch = git_patch(f"src/{EVIL}.py", f"+{EVIL}\n-{'w' * 5_000}\n {EVIL}")
    return render_handoff_page(replace(stories.telling(EVIL), patch=patch))


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (768, "light"), (1400, "dark")])
def test_a_hostile_run_is_read_at_any_width(
    windows: Windows, axe: str, width: int, scheme: str
) -> None:
    page = windows.open(windows.write(hostile()), width=width, color_scheme=scheme)

    expect(page.get_by_role("heading", level=1)).to_contain_text("Issue #7")
    expect(page.get_by_text("<style>body{display:none}").first).to_be_visible()
    assert page.evaluate("window.owned") is None
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert barriers(page, axe) == []


def test_the_contents_are_followed_by_keyboard(windows: Windows) -> None:
    page = windows.open(windows.write(render_handoff_page(stories.stopped_by_review())))

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    links = page.get_by_role("navigation", name="Contents").get_by_role("link")
    for number in range(links.count()):
        page.keyboard.press("Tab")
        expect(links.nth(number)).to_be_focused()
    page.get_by_role("link", name="Change").press("Enter")
    assert page.evaluate("location.hash") == "#change"
    expect(page.get_by_role("heading", name="Change")).to_be_in_viewport()


def test_lines_that_came_and_went_are_told_apart_on_paper_too(windows: Windows) -> None:
    html = render_handoff_page(stories.published())
    page = windows.open(windows.write(html), color_scheme="dark")
    page.emulate_media(media="print")

    sheets = page.locator("main > .sheet").evaluate_all(
        "all => all.map(one => getComputedStyle(one).backgroundColor)"
    )
    assert set(sheets) == {"rgb(255, 255, 255)"}, "paper is white, whatever the screen is"
    expect(page.get_by_role("navigation", name="Contents")).to_be_hidden()
    colours = [
        page.locator(f".diff .{name}").first.evaluate("e => getComputedStyle(e).backgroundColor")
        for name in ("add", "del", "hunk")
    ]
    assert len({*colours, "rgba(0, 0, 0, 0)"}) == 4
