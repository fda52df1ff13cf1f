"""`doctor`: check everything that a run needs."""

import click

from repoagents.cli import place
from repoagents.cli.boundary import DONE, UNFINISHED
from repoagents.cli.colours import coloured
from repoagents.cli.options import AS_JSON
from repoagents.cli.output import examples, print_json
from repoagents.cli.terminal import room
from repoagents.views import tones


@click.command(epilog=examples("doctor", "doctor --json"))
@AS_JSON
def command(*, as_json: bool) -> int:
    """Check everything a run needs, and say how to fix what is missing.

    No model is called. Warnings leave the exit code at 0; an error makes it 1.
    """
    from repoagents.pipeline.checkup import examine
    from repoagents.views.checks import render_checks

    premises = place.open_premises(remarks=False)  # they are checks of their own here
    checks = examine(premises.bench(), premises.host_facts())
    if as_json:
        print_json({"checks": checks})
    else:
        click.echo(coloured(render_checks(checks, room()), tones.CHECKS))
    return UNFINISHED if any(check.status == "error" for check in checks) else DONE
