"""A headless Chromium that looks at our pages as a person does: from a file, with a keyboard."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ACCEPTED = ("minor", "moderate")
"""What axe-core calls a barrier that we look at, but that does not fail a test."""
PATIENCE_MS = 100_000

expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of one file to one process: a browser takes seconds to start."""
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for the tests of a file; each test opens windows of its own."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser is installed: looked for {', '.join(NAMES)}")
    home = tmp_path_factory.mktemp("browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            # In a container, the shared memory may be too small for a page.
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--force-color-profile=srgb",
            ],
            timeout=PATIENCE_MS,
            env={"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        )
        yield browser
        browser.close()


@dataclass
class Windows:
    """Opens pages, and keeps what their consoles said and what they asked the world for."""

    browser: Browser
    folder: Path
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def write(self, html: str, name: str = "index.html") -> str:
        """Keep a page as a file; returns its address."""
        path = self.folder / name
        path.write_text(html, encoding="utf-8")
        return path.as_uri()

    def open(self, address: str, *, width: int = 1300, height: int = 900, **how: object) -> Page:
        """A window of its own on an address; `how` is for `browser.new_context`."""
        context = self.browser.new_context(viewport={"width": width, "height": height}, **how)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: self.said.append(f"dialog: {dialog.message}"))
        page.on("request", self._note)
        page.goto(address)
        return page

    def _hear(self, message: ConsoleMessage) -> None:
        self.said.append(f"{message.type}: {message.text}")

    def _note(self, request: Request) -> None:
        if not (request.is_navigation_request() and request.url.startswith("file:")):
            self.asked.append(request.url)


@pytest.fixture
def windows(chromium: Browser, tmp_path: Path) -> Iterator[Windows]:
    """Windows that are closed at the end; no page may have complained or asked for anything."""
    opened = Windows(chromium, tmp_path)
    yield opened
    for context in chromium.contexts:
        context.close()
    assert opened.said == []
    assert opened.asked == []


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which finds what keeps people from using a page."""
    found = sorted((ROOT / ".venv").glob("axe-core-*.js"))
    if not found:
        pytest.skip("axe-core is not here: `make axe` gets it, with npm")
    return found[-1].read_text(encoding="utf-8")


def barriers(page: Page, axe: str) -> list[str]:
    """What is serious or worse on a page: the rule and where it is broken."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {node['target']} {node.get('failureSummary', '')}"
        for rule in found["violations"]
        if rule["impact"] not in ACCEPTED
        for node in rule["nodes"]
    ]
