"""`doctor`: check everything that a run needs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from repoagents.cli.boundary import DONE, UNFINISHED
from repoagents.cli.output import examples, print_json

if TYPE_CHECKING:
    from repoagents.pipeline.check import Check


@click.command(epilog=examples("doctor", "doctor --json"))
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def command(*, as_json: bool) -> int:
    """Check everything that a run needs, each with why and how to fix it.

    No model is called. Warnings leave the exit code at 0; an error makes it 1.
    """
    from repoagents.cli import place
    from repoagents.pipeline.checkup import examine

    premises = place.open_premises(remarks=False)  # they are checks of their own here
    checks = examine(premises.bench(), premises.host_facts())
    if as_json:
        print_json({"checks": checks})
    else:
        click.echo(render_checks(checks))
    return UNFINISHED if any(check.status == "error" for check in checks) else DONE


def render_checks(checks: "Sequence[Check]") -> str:
    """One line per check, with why and fix below those that are not in order."""
    lines = []
    for check in checks:
        lines.append(f"{check.status:<6}{check.name}: {check.message}")
        lines += [f"      why: {check.why}"] if check.why else []
        lines += [f"      fix: {check.fix}"] if check.fix else []
    count = {status: sum(c.status == status for c in checks) for status in ("error", "warn")}
    ready = "ready" if not count["error"] else "not ready"
    lines.append(f"{ready}: {count['error']} in error, {count['warn']} to look at")
    return "\n".join(lines)
