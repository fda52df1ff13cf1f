"""`dashboard`: the static page that shows every run."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote

import click

from repoagents.cli import place
from repoagents.cli.boundary import DONE
from repoagents.cli.options import AS_JSON, Whole
from repoagents.cli.output import examples, print_json, remark, shown_path

if TYPE_CHECKING:
    from repoagents.bootstrap import Premises
    from repoagents.pipeline.dashboard import Drawing

PAGE = "dashboard/index.html"
BEGINNING = b"<!doctype html>"
WATCH_SECONDS = 3.0
ANYWAY_SECONDS = 60.0
"""How often a watched page is drawn anew although nothing moved: that, too, is news."""

WATCHED_REFRESH = 10
WATCHED_RUNS = 100
"""The newest runs: whatever happens to one of them is news."""


@click.command(epilog=examples("dashboard", "dashboard --open", "dashboard --watch --open"))
@click.option(
    "--refresh-seconds",
    type=Whole(0, 86_400),
    metavar="N",
    help="How often an open page reloads itself; 0 is never.  [default: 0; 10 with --watch]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="Another file than .ai-repoagents/dashboard/index.html.",
)
@click.option("--open", "opens", is_flag=True, help="Show it in the browser.")
@click.option("--watch", is_flag=True, help="Draw it again when something changes, until Ctrl-C.")
@AS_JSON
def command(
    *, refresh_seconds: int | None, output: Path | None, opens: bool, watch: bool, as_json: bool
) -> int:
    """Draw the dashboard: one static page to search, filter and watch.

    `repoagents run` and `repoagents trigger` draw it as well while they work.
    """
    if watch and as_json:
        raise click.UsageError("--watch and --json exclude each other")
    if output is not None and not _may_be_replaced(output):
        raise click.UsageError(f"{output} is not a page and would be overwritten: name a new file")
    premises = place.open_premises()
    refresh = refresh_seconds
    if refresh is None:
        refresh = WATCHED_REFRESH if watch else 0
    path, drawing = draw(premises, refresh, output)
    if as_json:
        standing = drawing.standing
        told = {"path": shown_path(path), "level": standing.level, "headline": standing.headline}
        print_json({**told, "runs": drawing.snapshot.total})
    else:
        click.echo(shown_path(path))
    if opens:
        _show(premises, path)
    if watch:
        _watch(premises, refresh, output)
    return DONE


def _may_be_replaced(path: Path) -> bool:
    """Whether nothing is lost: there is no such file, an empty one, or a page."""
    if not path.is_file():
        return True
    with path.open("rb") as file:
        return file.read(len(BEGINNING)) in (b"", BEGINNING)


def draw(premises: "Premises", refresh: int, output: Path | None) -> "tuple[Path, Drawing]":
    """Write the page as things stand; its links to artifacts hold from wherever it lies."""
    from repoagents.pipeline.dashboard import draw as draw_page

    page = (output or premises.control / PAGE).absolute()
    artifacts = os.path.relpath(premises.control / "artifacts", page.parent)
    host = premises.host()
    with premises.books() as books:
        drawing = draw_page(books, host, refresh=refresh, artifacts=quote(artifacts))
    return premises.reports().write_at(page, drawing.page), drawing


def _show(premises: "Premises", path: Path) -> None:
    """Open a page in the browser, where there is one."""
    import webbrowser

    environment = premises.loaded.environment
    seen = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    display = sys.platform == "darwin" or any(environment.get(name) for name in seen)
    # Without a display it would be a browser in the terminal, if any.
    if not display or not webbrowser.open(path.as_uri()):
        remark(f"no browser could be opened here: open {path.as_uri()} in yours")


def _watch(premises: "Premises", refresh: int, output: Path | None) -> NoReturn:
    """Draw the page whenever something moved, until Ctrl-C."""
    import threading

    remark("drawn again when something changes, until Ctrl-C")
    pause = threading.Event()
    before, drawn_at = _signs(premises), premises.clock.monotonic()
    while True:
        pause.wait(WATCH_SECONDS)
        now, waited = _signs(premises), premises.clock.monotonic() - drawn_at
        if now != before or waited >= ANYWAY_SECONDS:
            draw(premises, refresh, output)
            before, drawn_at = now, premises.clock.monotonic()


def _signs(premises: "Premises") -> object:
    """What differs as soon as a run moves, or a worker comes or goes."""
    from repoagents.store.worker_lock import holder

    reader = premises.reader()
    return reader.counts(), reader.runs(limit=WATCHED_RUNS), holder(premises.control)
