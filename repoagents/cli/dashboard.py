"""`dashboard`: the static page that shows every run."""

from pathlib import Path

import click

from repoagents.cli.boundary import DONE
from repoagents.cli.output import examples, shown_path


@click.command(epilog=examples("dashboard", "dashboard --refresh-seconds 30"))
@click.option(
    "--refresh-seconds",
    type=click.IntRange(0, 86_400),
    default=0,
    metavar="N",
    show_default=True,
    help="How often an open page reads itself anew; 0 is never.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Another file than .ai-repoagents/dashboard/index.html.",
)
def command(*, refresh_seconds: int, output: Path | None) -> int:
    """Draw the dashboard: one static page, to search, to filter and to watch."""
    from repoagents.cli import place
    from repoagents.pipeline.survey import stand, survey
    from repoagents.views.dashboard import render_dashboard

    premises = place.open_premises()
    host = premises.host()
    with premises.books() as books:
        snapshot = survey(books, host)
        standing = stand(books, snapshot, host)
    page = render_dashboard(snapshot, standing, refresh=refresh_seconds, artifacts="../artifacts")
    path = premises.reports().write("dashboard/index.html", page)
    click.echo(shown_path(path))
    return DONE
