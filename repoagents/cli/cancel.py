"""`cancel`: stop the run of an issue."""

import click

from repoagents.cli.options import AS_JSON, NUMBER
from repoagents.cli.output import examples


@click.command(epilog=examples("cancel 12"))
@NUMBER
@AS_JSON
def command(*, number: int, as_json: bool) -> int:
    """Stop the run of an issue and keep its work.

    The agent is ended, the worktree and the artifacts stay. `repoagents retry N` goes on later.
    """
    from repoagents.cli.desk import open_desk
    from repoagents.pipeline import inbox

    with open_desk() as desk:
        request = desk.write("cancel", number)
        answers = desk.ask([request]) if desk.taker(number) is not None else ()
        if any(not answer.waits for answer in answers):
            return desk.report(answers, as_json=as_json)
        # Nobody is at work, or not any more: a worker may end before it takes the request up.
        outcome = inbox.cancel(desk.house, request)
        desk.house.inbox.take(request.id, outcome, desk.house.clock.now())
        # Its worker is dead, but an agent may have outlived it.
        run = desk.house.runs.latest(number)
        if run is not None:
            desk.house.processes.end_orphans(run.id)
        return desk.report([desk.answer(request, outcome)], as_json=as_json)
