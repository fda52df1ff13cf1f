"""The dashboard in a browser: searched, filtered, watched, by keyboard alone, and attacked."""

import json
import socket
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from repoagents.domain.run import Failure, FailureClass, RunStatus
from repoagents.views.dashboard import render_dashboard
from repoagents.views.snapshot import Snapshot
from tests.fakes.board import NOW, PULL, a_card, a_run, a_snapshot, a_story, many_runs, stand
from tests.integration.pages.conftest import ROOT, Windows, barriers

pytestmark = pytest.mark.chromium

PICTURES = ROOT / "docs" / "images"
LARGEST = 275_000
EVIL = (
    "</script><script>window.owned = 1</script><img src=x onerror='window.owned = 1'>"
    '"><svg onload=alert(1)><style>body{display:none}</style>${7*7}{{7*7}}`x`\u202e '
    f"{'w' * 400}"
)
"""What would run, hide or load something, were it ever more than text."""

STATE = "({cards: [...document.querySelectorAll('.card h3')].map((one) => one.textContent.trim())})"


@pytest.fixture
def shown(windows: Windows) -> Callable[..., Page]:
    """Draw a snapshot and open it."""

    def draw(snapshot: Snapshot, fragment: str = "", *, refresh: int = 0, **how: object) -> Page:
        html = render_dashboard(
            snapshot, stand(snapshot), refresh=refresh, artifacts="../artifacts"
        )
        return windows.open(windows.write(html) + fragment, **how)

    return draw


def titles(page: Page) -> list[str]:
    found: dict[str, list[str]] = page.evaluate(STATE)
    return found["cards"]


def fragment(page: Page) -> str:
    return str(page.evaluate("location.hash"))


def test_a_search_narrows_the_runs_and_outlives_a_reload(shown: Callable[..., Page]) -> None:
    page = shown(a_story())
    assert len(titles(page)) == 25
    expect(page.locator("#count")).to_have_text("48")

    page.get_by_role("searchbox").fill("UMLAUT")

    expect(page.locator("#count")).to_have_text("6 of 48")
    assert {title.partition(" ")[2] for title in titles(page)} == {
        "Sort names that begin with an umlaut"
    }
    before = titles(page)
    page.reload()
    assert titles(page) == before
    expect(page.get_by_role("searchbox")).to_have_value("UMLAUT")
    page.get_by_role("searchbox").fill("repoagents/issue-141")
    assert titles(page) == ["#141 Empty sheets are exported as one blank line"]
    page.get_by_role("searchbox").fill("no such run")
    expect(page.locator("#count")).to_have_text("0 of 48")
    page.get_by_role("button", name="Show all").click()
    assert len(titles(page)) == 25


def test_several_statuses_are_shown_at_once_and_outlive_a_reload(
    shown: Callable[..., Page],
) -> None:
    page = shown(a_story())

    page.get_by_role("checkbox", name="failed").check()
    page.get_by_role("checkbox", name="blocked").check()

    chosen = ["#139 Dates", "#138 "]
    assert [title[:4] for title in titles(page)] == [title[:4] for title in chosen]
    assert "status=blocked%2Cfailed" in fragment(page)
    page.reload()
    assert [title[:4] for title in titles(page)] == ["#139", "#138"]
    expect(page.get_by_role("checkbox", name="failed")).to_be_checked()
    expect(page.get_by_role("checkbox", name="queued")).not_to_be_checked()
    page.get_by_role("searchbox").fill("1970")
    assert [title[:4] for title in titles(page)] == ["#138"]


def test_a_status_that_nothing_has_any_more_stays_chosen(shown: Callable[..., Page]) -> None:
    page = shown(a_story(), "#status=retry_pending,nonsense,__proto__")

    expect(page.get_by_role("checkbox", name="retry pending")).to_be_checked()
    assert titles(page) == []


def test_pages_and_opened_cards_outlive_a_reload(shown: Callable[..., Page]) -> None:
    page = shown(a_story())
    page.locator(".card", has_text="#141").locator("summary").click()
    page.get_by_role("button", name="Older").click()
    expect(page.locator("#page")).to_have_text("page 2 of 2")
    assert len(titles(page)) == 23
    page.reload()
    assert len(titles(page)) == 23
    expect(page.get_by_role("button", name="Older")).to_be_disabled()

    page.get_by_role("button", name="Newer").click()

    expect(page.locator(".card details[open]")).to_have_count(1)
    expect(page.locator(".card details[open]")).to_contain_text("name the constant")


def test_old_runs_are_found_however_many_there_are(shown: Callable[..., Page]) -> None:
    page = shown(many_runs(3_000))
    expect(page.locator("#count")).to_have_text("3,000")
    expect(page.locator("#page")).to_have_text("page 1 of 120")

    page.get_by_role("searchbox").fill("issue-17 ".strip())

    expect(page.locator("#count")).to_have_text("111 of 3,000")
    page.goto(page.url.partition("#")[0] + "#page=120")
    page.reload()
    assert titles(page)[-1].startswith("#1 ")


# --- refresh ------------------------------------------------------------------------------------


def held(page: Page) -> Page:
    """The page with a clock that only the test moves."""
    page.clock.install(time=NOW)
    page.reload()
    return page


def renews(page: Page, seconds: int) -> bool:
    """Let time pass in which the page should reload itself; whether it has."""
    with page.expect_event("load"):
        page.clock.run_for(seconds * 1000)
    return True


def stays(page: Page, seconds: int) -> bool:
    """Let time pass; whether the page is the same still."""
    page.evaluate("window.same = true")
    page.clock.run_for(seconds * 1000)
    return bool(page.evaluate("window.same"))


def test_the_page_reads_itself_anew_as_often_as_was_chosen(shown: Callable[..., Page]) -> None:
    page = held(shown(a_story()))
    assert stays(page, 300)

    page.get_by_label("Refresh").select_option("30")

    assert stays(page, 29)
    assert renews(page, 2)
    expect(page.get_by_label("Refresh")).to_have_value("30")
    assert renews(page, 31)


def test_what_the_page_was_drawn_with_holds_for_later_pages(
    shown: Callable[..., Page], windows: Windows
) -> None:
    page = shown(a_story(), refresh=45)
    expect(page.get_by_label("Refresh")).to_have_value("45")
    snapshot = a_story()

    windows.write(render_dashboard(snapshot, stand(snapshot)))
    page.reload()

    expect(page.get_by_label("Refresh")).to_have_value("45")
    page.get_by_label("Refresh").select_option("0")
    page.reload()
    expect(page.get_by_label("Refresh")).to_have_value("0")


def test_nobody_is_interrupted_who_types_or_reads(shown: Callable[..., Page]) -> None:
    page = held(shown(a_story(), "#refresh=10"))
    refresh = page.get_by_label("Refresh")
    page.get_by_role("searchbox").focus()
    assert stays(page, 60)
    expect(refresh).to_have_attribute("title", "waits: you are typing")
    page.get_by_role("searchbox").blur()
    assert renews(page, 2)

    page.locator(".card", has_text="#141").locator("summary").click()

    assert stays(page, 60)
    expect(refresh).to_have_attribute("title", "waits: an opened card is in view")
    page.evaluate("scrollTo({top: document.body.scrollHeight, behavior: 'instant'})")
    assert renews(page, 2)
    expect(page.locator(".card details[open]")).to_have_count(1)


# --- keyboard -----------------------------------------------------------------------------------

FOCUSED = """(() => {
  const one = document.activeElement;
  return one.id || one.value || one.className || one.textContent.trim();
})()"""


def test_everything_is_done_by_keyboard(shown: Callable[..., Page]) -> None:
    page = shown(a_story())

    def tab() -> str:
        page.keyboard.press("Tab")
        return str(page.evaluate(FOCUSED))

    assert [tab(), tab(), tab()] == ["skip", "refresh", "charts"]
    page.keyboard.press("/")
    assert page.evaluate(FOCUSED) == "search"
    page.keyboard.type("a/b")
    expect(page.get_by_role("searchbox")).to_have_value("a/b")
    page.keyboard.press("Escape")
    assert [tab(), tab()] == ["queued", "in_progress"]
    page.keyboard.press("Space")
    assert [title[:4] for title in titles(page)] == ["#142"]
    page.keyboard.press("Space")
    while tab() != "superseded":
        continue
    tab()
    page.keyboard.press("Enter")
    expect(page.locator(".card details[open]")).to_have_count(1)
    page.locator("#next").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#page")).to_have_text("page 2 of 2")
    assert page.evaluate(FOCUSED) == "runs"


def test_what_has_the_focus_is_seen(shown: Callable[..., Page]) -> None:
    page = shown(a_story())
    page.keyboard.press("/")
    page.keyboard.press("Tab")

    outline = page.evaluate(
        "getComputedStyle(document.activeElement.closest('.chip')).outlineStyle"
    )

    assert outline == "solid"


# --- what a card tells --------------------------------------------------------------------------


def test_a_card_tells_what_happened_and_what_was_withheld(shown: Callable[..., Page]) -> None:
    page = shown(a_story())
    held, waiting, working = (
        page.locator(".card", has_text=f"#{number}") for number in (141, 140, 142)
    )

    expect(held.locator(".happened")).to_have_text("a proven change is ready and not published.")
    expect(held.locator(".asked code").nth(1)).to_have_text("repoagents approval approve 141")
    expect(held.locator(".effects")).to_contain_text("withheldbranchbysafety.allow_open_pr")
    expect(waiting.locator(".effects a").last).to_have_attribute("href", f"{PULL}/211")
    expect(waiting.locator("summary .facts")).to_contain_text("round 2 of 4")
    expect(working.locator(".stage.now")).to_have_text("reviewrunning for 12 s")
    kinds = [one.get_attribute("class") for one in working.locator(".stage").all()]
    assert kinds == ["stage check", "stage role", "stage role", "stage check", "stage role now"]
    held.locator("summary").click()
    files = [one.get_attribute("href") for one in held.locator(".files a").all()]
    assert files[:2] == [
        f"../artifacts/issue-141/r00141/{name}" for name in ("handoff.html", "handoff.md")
    ]


def test_without_artifacts_beside_it_no_file_is_linked(windows: Windows) -> None:
    snapshot = a_story()
    page = windows.open(windows.write(render_dashboard(snapshot, stand(snapshot))))
    page.locator(".card", has_text="#141").locator("summary").click()

    expect(page.locator(".files")).to_have_count(0)
    expect(page.locator(".card details[open]")).to_contain_text("name the constant")


def test_an_empty_state_says_how_to_begin(shown: Callable[..., Page]) -> None:
    page = shown(a_snapshot((), ()))

    expect(page.locator("#count")).to_contain_text("repoagents trigger N")
    expect(page.locator("#pages")).to_be_hidden()


# --- attacks ------------------------------------------------------------------------------------


def hostile() -> Snapshot:
    """Every text that may come from outside tries to be more than text."""
    failure = Failure(FailureClass.NETWORK, EVIL, EVIL)
    run = a_run(
        1,
        RunStatus.FAILED,
        5,
        id=EVIL,
        title=EVIL,
        branch=EVIL,
        note=EVIL,
        asked_by=EVIL,
        failure=failure,
    )
    effects = (
        ("comment", "done", "", "", "javascript:window.owned=1"),
        ("branch", "withheld", EVIL, EVIL, ""),
        (EVIL, EVIL, "", EVIL, "data:text/html,<script>1</script>"),
    )
    card = a_card(
        run,
        effects,
        headline=EVIL,
        findings=((EVIL, EVIL, EVIL),),
        reasons=(EVIL,),
        files=(EVIL, "handoff.html"),
    )
    older = tuple(replace(run, id=f"{EVIL}{n}", issue_number=n) for n in range(2, 80))
    snapshot = a_snapshot((run, *older), (card,))
    return replace(snapshot, repo=EVIL, holder=EVIL, rehearsal=EVIL)


def test_hostile_texts_stay_texts(shown: Callable[..., Page]) -> None:
    page = shown(hostile())
    for summary in page.locator("summary").all():
        summary.click()
    page.get_by_role("searchbox").fill("onerror")

    assert page.evaluate("window.owned") is None
    assert page.evaluate("document.scripts.length") == 4
    assert page.locator("body img, body iframe, body style, main script").count() == 0
    assert page.locator(".card a:not(.files a)").count() == 0
    hrefs = [str(one.get_attribute("href")) for one in page.locator(".files a").all()]
    assert all(href.startswith("../artifacts/issue-1/%3C%2Fscript%3E") for href in hrefs)
    assert len(hrefs) == 2
    expect(page.locator(".card h3").first).to_contain_text("<img src=x onerror=")
    expect(page.locator("#count")).to_have_text("79 of 79")


@pytest.mark.parametrize(
    "fragment", ["#search=<img src=x onerror=alert(1)>", "#page=1e999&refresh=-3&open=,,", "#%"]
)
def test_a_hostile_address_does_nothing(shown: Callable[..., Page], fragment: str) -> None:
    page = shown(a_story(), fragment)

    assert page.locator("body img").count() == 0
    expect(page.locator("#count")).to_contain_text("48")


REFUSED = ["script-src-elem", "style-src-elem", "style-src-attr", "img-src", "connect-src"]
INJECT = """async ([site, all]) => {
  const refused = [];
  document.addEventListener("securitypolicyviolation", (e) => refused.push(e.effectiveDirective));
  const script = document.createElement("script");
  script.textContent = "window.owned = 1";
  const style = document.createElement("style");
  style.textContent = "body { display: none }";
  document.body.append(script, style);
  document.body.insertAdjacentHTML("beforeend",
    `<img src='${site}x.png' onerror='window.owned = 1'><p style='color: red'>x</p>`
    + `<iframe src='${site}'></iframe><object data='${site}'></object>`);
  await fetch(site).catch(() => 0);
  const pause = () => new Promise((done) => setTimeout(done, 200));
  for (let n = 0; n < 300 && !all.every((each) => refused.includes(each)); n++) await pause();
  await pause();
  return {refused, owned: window.owned, shown: getComputedStyle(document.body).display};
}"""


def heard(listens: socket.socket) -> bytes:
    """What callers have said: a browser connects to where it might go, and stays silent."""
    listens.setblocking(False)
    said = b""
    while True:
        try:
            caller, _ = listens.accept()
        except BlockingIOError:
            return said
        with caller, suppress(TimeoutError):
            caller.settimeout(0.2)
            said += caller.recv(100)


def test_the_policy_refuses_what_gets_in_all_the_same(windows: Windows) -> None:
    snapshot = a_story()
    page = windows.open(windows.write(render_dashboard(snapshot, stand(snapshot))))

    with socket.create_server(("127.0.0.1", 0)) as listens:
        site = f"http://127.0.0.1:{listens.getsockname()[1]}/"
        seen = page.evaluate(INJECT, [site, REFUSED])
        assert heard(listens) == b""
    page.context.close()  # So that nothing more is said.

    assert seen["owned"] is None
    assert seen["shown"] == "block"
    assert set(REFUSED) <= set(seen["refused"])
    assert windows.said
    assert all("Content Security Policy" in line for line in windows.said)
    windows.said.clear()
    windows.asked.clear()  # what was refused


# --- for everybody ------------------------------------------------------------------------------


@pytest.mark.parametrize(("scheme", "width"), [("light", 1300), ("dark", 400)])
def test_there_are_no_barriers(
    shown: Callable[..., Page], axe: str, scheme: str, width: int
) -> None:
    page = shown(
        a_story(), "#open=r00141&status=completed,failed", width=width, color_scheme=scheme
    )

    assert barriers(page, axe) == []


@pytest.mark.parametrize("width", [400, 900, 1300])
def test_nothing_has_to_be_pushed_sideways(shown: Callable[..., Page], width: int) -> None:
    page = shown(a_story(), "#open=r00141", width=width)

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page = shown(hostile(), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_javascript_the_newest_runs_are_shown(shown: Callable[..., Page]) -> None:
    page = shown(a_story(), java_script_enabled=False)

    expect(page.locator("noscript tbody tr")).to_have_count(48)
    table = page.locator("noscript table")
    assert "Sort names that begin with an umlaut" in (table.text_content() or "")
    assert (table.bounding_box() or {"height": 0})["height"] > 500
    expect(page.get_by_role("searchbox")).to_be_hidden()
    expect(page.get_by_label("Refresh")).to_be_hidden()
    expect(page.get_by_role("heading", level=1)).to_contain_text("out of attempts")


def test_on_paper_cards_are_opened_and_controls_left_out(shown: Callable[..., Page]) -> None:
    page = shown(a_story(), color_scheme="dark")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    colour = page.locator(".card").first.evaluate("e => getComputedStyle(e).backgroundColor")
    assert colour == "rgb(255, 255, 255)", "paper is white, whatever the screen is"

    expect(page.get_by_role("searchbox")).to_be_hidden()
    expect(page.locator("#refresh")).to_be_hidden()
    expect(page.locator(".card", has_text="#141").locator(".files")).to_be_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(page.locator(".card details[open]")).to_have_count(0)


def packed(png: bytes) -> bytes:
    """A picture with its pixels compressed as far as they go; other chunks of it are left out."""
    chunks, place = [], 8
    while place < len(png):
        size, name = int.from_bytes(png[place : place + 4], "big"), png[place + 4 : place + 8]
        chunks.append((name, png[place + 8 : place + 8 + size]))
        place += size + 12
    pixels = zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT"))
    head = next(body for name, body in chunks if name == b"IHDR")
    kept = ((b"IHDR", head), (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b""))
    return png[:8] + b"".join(
        len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")
        for name, body in kept
    )


@pytest.mark.parametrize(
    ("name", "scheme", "width", "height"),
    [("light", "light", 1240, 1400), ("dark", "dark", 1240, 1400), ("phone", "light", 400, 860)],
)
def test_the_pictures_in_the_documentation(
    windows: Windows,
    request: pytest.FixtureRequest,
    name: str,
    scheme: str,
    width: int,
    height: int,
) -> None:
    path = PICTURES / f"dashboard-{name}.png"
    if request.config.getoption("--regenerate"):
        snapshot = a_story()
        html = render_dashboard(snapshot, stand(snapshot), artifacts="../artifacts")
        page = windows.open("about:blank", width=width, height=height, color_scheme=scheme)
        windows.asked.clear()
        page.clock.set_fixed_time(NOW)
        page.goto(windows.write(html))
        page.screenshot(path=path)
        path.write_bytes(packed(path.read_bytes()))

    raw = Path(path).read_bytes()

    assert raw.startswith(b"\x89PNG")
    assert int.from_bytes(raw[16:20], "big") == width
    assert len(raw) < LARGEST


def test_what_the_page_embeds_is_what_was_drawn(shown: Callable[..., Page]) -> None:
    page = shown(hostile())

    rows = page.evaluate("[first, rest].flatMap((one) => JSON.parse(one.textContent))")

    assert len(rows) == 79
    assert json.dumps(rows).count("window.owned = 1") >= 79
