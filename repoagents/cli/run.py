"""`run`: be the worker."""

import click

from repoagents.cli.output import examples, print_json, remark
from repoagents.views.snapshot import run_row


@click.command(epilog=examples("run", "run --serve", "run --until-idle", "run --once --dry-run"))
@click.option("--once", is_flag=True, help="Read the tracker once, finish what it gives, and end.")
@click.option("--until-idle", is_flag=True, help="End when nothing is queued, running or due.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="One cycle: list every candidate, plan the first ones, record nothing.",
)
@click.option("--no-agent", is_flag=True, help="With --dry-run: leave out even the planner.")
@click.option("--serve", is_flag=True, help="Receive GitHub's webhooks as well, like `serve`.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON, at the end.")
def command(
    *, once: bool, until_idle: bool, dry_run: bool, no_agent: bool, serve: bool, as_json: bool
) -> int:
    """Be the worker: take up eligible issues and see them through.

    One worker per state. Ctrl-C ends the agents and parks their runs; the next worker goes on at
    the interrupted stage.
    """
    if once and until_idle:
        raise click.UsageError("--once and --until-idle exclude each other")
    if no_agent and not dry_run:
        raise click.UsageError("--no-agent goes with --dry-run")
    if serve and (once or until_idle or dry_run):
        raise click.UsageError("--serve goes with the loop, which ends when it is told to")
    if dry_run:
        from repoagents.cli.plan import plan_cycle

        return plan_cycle(agent=not no_agent, as_json=as_json)
    return _work(once=once, until_idle=until_idle, serve=serve, as_json=as_json)


def _work(*, once: bool, until_idle: bool, serve: bool, as_json: bool) -> int:
    from contextlib import ExitStack

    from repoagents.cli import work
    from repoagents.cli.desk import open_desk
    from repoagents.durable.worker import Assignment, Interrupted

    assignment = Assignment(once=once, until_idle=until_idle)
    with open_desk() as desk, ExitStack() as beside:
        if serve:
            from repoagents.cli.serve import serving

            remark(beside.enter_context(serving(desk.premises)))
        if not assignment.ends:
            remark(
                "working until Ctrl-C; `repoagents status` shows where things stand, "
                "`repoagents logs` what each poll found"
            )
        try:
            runs = work.be_worker(desk, assignment, quiet=as_json)
        except Interrupted as stop:
            return work.explain_interruption(stop)
    if as_json:
        print_json({"runs": [run_row(run) for run in runs]})
    elif not runs:
        click.echo(
            "nothing to do: no issue is eligible and no run is under way; "
            "`repoagents run --dry-run --no-agent` says why"
        )
    return work.code_of_runs(runs)
