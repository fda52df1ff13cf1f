"""`dashboard` by the command line, and the page that `run` draws beside its work."""

import json
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.integration.cli.conftest import Repoagents, queue
from tests.prepared import Running

PAGE = Path(".ai-repoagents") / "dashboard" / "index.html"
LOG = Path(".ai-repoagents") / "logs" / "repoagents.jsonl"
SECRET = "a-very-secret-value-42"


def options(page: Path) -> dict[str, object]:
    """What the page gives its script."""
    text = page.read_text(encoding="utf-8")
    found = re.search(r'id="options">(.*?)</script>', text)
    assert found is not None
    told: dict[str, object] = json.loads(found[1])
    return told


def test_the_page_is_drawn_and_told(repoagents: Repoagents, control: Path) -> None:
    queue(control, (7, f"Say {SECRET} aloud"))

    ended = repoagents(
        control, "dashboard", "--refresh-seconds", "30", "--json", MY_API_TOKEN=SECRET
    )

    told = json.loads(ended.out)
    assert ended.code == 0
    assert (told["path"], told["runs"], told["level"]) == (str(PAGE), 1, "attention")
    assert told["headline"].startswith("1 run queued with nobody to take it up")
    page = control / PAGE
    assert (options(page)["refresh"], options(page)["artifacts"]) == (30, "../artifacts")
    assert SECRET not in page.read_text()
    assert "Say [redacted] aloud" in page.read_text()


def test_a_page_elsewhere_links_to_the_artifacts_from_there(
    repoagents: Repoagents, control: Path, tmp_path: Path
) -> None:
    page = tmp_path / "for you & me" / "bot 100%.html"

    ended = repoagents(control, "dashboard", "--output", str(page))

    assert (ended.code, ended.out) == (0, f"{page}\n")
    linked = page.parent / unquote(str(options(page)["artifacts"]))
    assert linked.resolve() == (control / ".ai-repoagents" / "artifacts").resolve()
    assert [path.name for path in page.parent.iterdir()] == [page.name]
    assert not (control / PAGE).exists()


@pytest.mark.parametrize(
    "arguments", [("--output", "."), ("--watch", "--json"), ("--refresh-seconds", "-1")]
)
def test_what_cannot_be_meant_is_a_usage_error(
    repoagents: Repoagents, control: Path, arguments: tuple[str, ...]
) -> None:
    assert repoagents(control, "dashboard", *arguments).code == 2


def test_only_a_page_is_replaced_by_one(repoagents: Repoagents, control: Path) -> None:
    config = control / ".ai-repoagents" / "repoagents.yaml"
    before, page = config.read_bytes(), control / "page.html"
    (control / "link.html").symlink_to(config)
    page.touch()

    for path in (config, control / "link.html"):
        ended = repoagents(control, "dashboard", "--output", str(path))
        assert (ended.code, config.read_bytes()) == (2, before)
        assert "is not a page" in ended.err
    for _ in range(2):
        assert repoagents(control, "dashboard", "--output", str(page)).code == 0
    assert (control / "link.html").is_symlink()


def test_the_browser_is_given_the_page(
    repoagents: Repoagents, control: Path, tmp_path: Path
) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path / "asked"}\n')
    browser.chmod(0o755)

    ended = repoagents(control, "dashboard", "--open", BROWSER=str(browser))

    assert (ended.code, ended.out, ended.err) == (0, f"{PAGE}\n", "")
    assert (tmp_path / "asked").read_text().strip() == (control / PAGE).as_uri()


def test_without_a_display_the_path_is_said(
    repoagents: Repoagents, control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")

    ended = repoagents(control, "dashboard", "--open")

    assert ended.code == 0
    assert ended.err == (
        f"no browser could be opened here: open {(control / PAGE).as_uri()} in yours\n"
    )


def test_a_watched_page_follows_what_happens(
    started: Callable[..., Running], control: Path
) -> None:
    watching = started(control, "dashboard", "--watch")
    assert watching.stdout is not None
    assert watching.stdout.readline() == f"{PAGE}\n"
    assert options(control / PAGE) | {"refresh": 10, "total": 0} == options(control / PAGE)

    queue(control, (7, "Something new"))

    deadline = time.monotonic() + 100
    while options(control / PAGE)["total"] != 1 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "Something new" in (control / PAGE).read_text()
    watching.send_signal(signal.SIGINT)
    assert watching.wait(timeout=100) == 130


def test_the_loop_draws_the_page_and_the_last_one_knows_that_it_ended(
    repoagents: Repoagents, control: Path
) -> None:
    (control / "issues" / "1-first.md").unlink()

    assert repoagents(control, "run", "--once").code == 0

    page = (control / PAGE).read_text()
    assert "no worker" in page
    assert "last poll" in page


def test_a_page_that_cannot_be_drawn_ends_no_loop(repoagents: Repoagents, control: Path) -> None:
    (control / "issues" / "1-first.md").unlink()
    (control / PAGE).parent.write_text("in the way")

    ended = repoagents(control, "run", "--once")

    assert ended.code == 0
    codes = [json.loads(line)["code"] for line in (control / LOG).read_text().splitlines()]
    assert "dashboard_stale" in codes
    assert "bug_met" not in codes
