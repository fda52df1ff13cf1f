"""`make docs`: the pages as a site; a warning is an error, and no page asks for a network."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytestmark = pytest.mark.xdist_group("site")  # built once

ROOT = Path(__file__).parents[2]
PARTS = ("RepoAgents", "Start", "How to", "Reference", "Understanding", "Examples", "한국어")


class Page(HTMLParser):
    """What a page loads, and where it leads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.leads: list[str] = []
        self.names: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one element."""
        given = {name: value or "" for name, value in attrs}
        self.names.add(given.get("id", ""))
        if tag == "a":
            self.leads.append(given.get("href", ""))
        else:
            self.loads += [given[name] for name in ("src", "href", "data") if name in given]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; nothing is installed for it."""
    out = tmp_path_factory.mktemp("site")
    options = [f"BIN={Path(sys.executable).parent}", f"SITE={out}", "-o", ".venv/installed-dev"]
    ended = subprocess.run(
        ["make", "--no-print-directory", "docs", *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == [f"{out}/docs/index.html"]
    return out


def pages(site: Path) -> Iterator[tuple[Path, Page]]:
    """Every page that was built, parsed."""
    for path in site.rglob("*.html"):
        yield path, Page(path)


@pytest.mark.slow
def test_the_site_is_whole_and_asks_nothing_of_any_network(site: Path) -> None:
    built = dict(pages(site))
    for source in [*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        assert (site / source.relative_to(ROOT)).with_suffix(".html") in built
    for path, page in built.items():
        for target in page.loads:
            assert not urlsplit(target).netloc, (path, target)
        for target in page.leads:
            place = urlsplit(target)
            if place.scheme or place.netloc:
                continue
            other = (path.parent / unquote(place.path)).resolve() if place.path else path
            assert other.exists(), (path, target)
            if place.fragment and other in built:
                assert unquote(place.fragment) in built[other].names, (path, target)
    for style in site.rglob("*.css"):
        outside = re.findall(r"(?:url\(|@import)[\"' ]*(?:https?:)?//", style.read_text("utf-8"))
        assert outside == [], style


@pytest.mark.slow
def test_the_menu_is_made_from_the_index(site: Path) -> None:
    text = (site / "docs/faq.html").read_text(encoding="utf-8")
    menu = text[text.index('class="sidebar-tree"') :].partition("</aside>")[0]
    assert tuple(re.findall(r'class="caption-text">([^<]*)<', menu)) == PARTS
    assert "Walkthrough" not in menu
    for title in ("From a clone to a loop on a live repository", "Set limits", "Decisions"):
        assert f">{title}</a>" in menu
