"""`trigger`: work on one issue now."""

import click

from repoagents.cli.boundary import DONE, UNFINISHED
from repoagents.cli.options import AS_JSON, NUMBER
from repoagents.cli.output import examples, print_json, unanswered
from repoagents.views.snapshot import run_row


@click.command(epilog=examples("trigger 12 --dry-run", "trigger 12", "trigger 12 --force"))
@NUMBER
@click.option(
    "--dry-run", is_flag=True, help="Only plan, and show what would happen; nothing is recorded."
)
@click.option("--no-agent", is_flag=True, help="With --dry-run: leave out even the planner.")
@click.option("--force", is_flag=True, help="Run again although the issue's text is unchanged.")
@AS_JSON
def command(*, number: int, dry_run: bool, no_agent: bool, force: bool, as_json: bool) -> int:
    """Work on one issue now.

    When a worker is live, it does the work and this command follows it. Otherwise this command is
    the worker, for this issue alone, until the run has ended or waits. Ctrl-C detaches from a
    live worker; as the worker it ends the agent and parks the run.
    """
    if no_agent and not dry_run:
        raise click.UsageError("--no-agent goes with --dry-run")
    if dry_run:
        from repoagents.cli.plan import plan_one

        return plan_one(number, agent=not no_agent, force=force, as_json=as_json)
    return _work(number, force=force, as_json=as_json)


def _work(number: int, *, force: bool, as_json: bool) -> int:
    from repoagents.cli import work
    from repoagents.cli.desk import open_desk
    from repoagents.durable.worker import Interrupted

    with open_desk() as desk:
        request = desk.write("trigger", number, force=force)
        try:
            answer = work.see_through(desk, request, quiet=as_json)
        except Interrupted as stop:
            return work.explain_interruption(stop)
        run = desk.house.runs.latest(number)
        # An unchanged, completed issue is refused too, and nothing is unfinished about it. Of a
        # run that somebody cancelled that is not so, for this very run was asked for.
        code = DONE if run is not None and run.status in work.WELL_ENDED else UNFINISHED
        told = {"issue": number, "outcome": answer.outcome, "run": run and run_row(run)}
        if answer.refused and code == UNFINISHED:
            unanswered(answer.reason, as_json=as_json, **told)
            return UNFINISHED
        if as_json:
            print_json(told)
        elif run is not None and not answer.refused:
            click.echo(work.story(desk, run))
        else:
            click.echo(answer.reason)
        return code
