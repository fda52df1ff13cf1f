"""`ops`: reports for operators who were not there."""

import click

from repoagents.cli.boundary import DONE
from repoagents.cli.output import examples, print_json, remark, shown_path


@click.group(epilog=examples("ops status", "ops status --json"))
def command() -> None:
    """Write the reports and handoff bundles that operators open."""


@command.command("status", epilog=examples("ops status", "ops status --json"))
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def status(*, as_json: bool) -> int:
    """Say how things stand and what to type next; write `ops-status` and `ops-brief`."""
    from repoagents.cli import place
    from repoagents.pipeline.reporting import write_status
    from repoagents.pipeline.survey import stand, survey
    from repoagents.views.brief import render_brief
    from repoagents.views.ops_status import ops_status_row

    premises = place.open_premises()
    host = premises.host()
    with premises.books() as books:
        snapshot = survey(books, host)
        standing = stand(books, snapshot, host)
    paths = write_status(premises.reports(), snapshot, standing)
    if as_json:
        print_json(ops_status_row(snapshot, standing))
    else:
        click.echo(render_brief(snapshot, standing).rstrip())
    remark(f"written: {', '.join(shown_path(path) for path in paths)}")
    return DONE
