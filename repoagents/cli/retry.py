"""`retry`: send stopped runs back to work."""

from typing import TYPE_CHECKING

import click

from repoagents.cli.options import AS_JSON, ISSUE, Whole
from repoagents.cli.output import examples
from repoagents.domain.run import FailureClass, RunStatus

if TYPE_CHECKING:
    from repoagents.ports import House, Request


@click.command(
    epilog=examples(
        'retry 12 --note "keep the parser lazy"',
        "retry 12 --fresh",
        "retry --blocked --reason environment --limit 5",
    )
)
@click.argument("number", type=ISSUE, required=False)
@click.option("--note", metavar="TEXT", default="", help="A hint for the planner and the builder.")
@click.option("--fresh", is_flag=True, help="Plan anew in a new worktree; the old one is kept.")
@click.option("--blocked", is_flag=True, help="Every blocked run, instead of one issue's.")
@click.option(
    "--reason",
    type=click.Choice([kind.value for kind in FailureClass]),
    metavar="CLASS",
    help="With --blocked: only what stopped for this reason, for example environment.",
)
@click.option("--limit", type=Whole(min=1), metavar="N", help="With --blocked: at most this many.")
@AS_JSON
def command(
    *,
    number: int | None,
    note: str,
    fresh: bool,
    blocked: bool,
    reason: str | None,
    limit: int | None,
    as_json: bool,
) -> int:
    """Send a stopped run back to work.

    A run that has failed, is blocked, was cancelled, ended without a change or waits for its next
    attempt goes on at the stage that stopped it, with a new budget of attempts.
    """
    if blocked == (number is not None):
        raise click.UsageError("name one issue, or --blocked for all that are blocked")
    if not blocked and (reason or limit):
        raise click.UsageError("--reason and --limit go with --blocked")
    from repoagents.cli.desk import open_desk

    with open_desk() as desk:
        numbers = _blocked(desk.house, reason, limit) if number is None else (number,)
        requests = [desk.write("retry", n, note=note, fresh=fresh) for n in numbers]
        heard = [request for request in requests if desk.taker(request.issue_number) is not None]
        here = (request for request in requests if request not in heard)
        answers = desk.ask(heard) + tuple(desk.answer(r, _queue(desk.house, r)) for r in here)
        return desk.report(answers, as_json=as_json)


def _queue(house: "House", request: "Request") -> str:
    """Send the run back right here; the next worker finds it queued."""
    from repoagents.pipeline.sendback import send_back

    sent = send_back(house, request)
    return f"refused: {sent}" if isinstance(sent, str) else f"queued: run {sent.id}"


def _blocked(house: "House", reason: str | None, limit: int | None) -> tuple[int, ...]:
    """Issues with a blocked run that stopped for this reason, the longest blocked first."""
    blocked = house.runs.select((RunStatus.BLOCKED,), limit=10_000)
    wanted = [run for run in blocked if reason in (None, run.failure and run.failure.kind.value)]
    return tuple(dict.fromkeys(run.issue_number for run in reversed(wanted)))[:limit]
