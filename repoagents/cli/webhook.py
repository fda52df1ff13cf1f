"""`webhook`: what a payload would make the bot look at."""

from typing import IO, TYPE_CHECKING

import click

from repoagents.cli import place
from repoagents.cli.boundary import DONE, UNFINISHED
from repoagents.cli.options import AS_JSON
from repoagents.cli.output import examples, print_json

if TYPE_CHECKING:
    from repoagents.bootstrap import Premises
    from repoagents.domain.delivery import Delivery
    from repoagents.web.reception import Answer


@click.command(epilog=examples("webhook --event issues --payload webhook.json --dry-run"))
@click.option("--event", required=True, help="The event, as in X-GitHub-Event: issues.")
@click.option("--payload", type=click.File("rb"), required=True, help="A JSON file; - is stdin.")
@click.option("--delivery", "delivery_id", help="The delivery's id; else one is made up.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; record nothing.")
@AS_JSON
def command(
    *, event: str, payload: IO[bytes], delivery_id: str | None, dry_run: bool, as_json: bool
) -> int:
    """Try out a webhook payload from a file, with the code that `serve` runs.

    Nobody signs a file, so the signature alone is not checked. Without --dry-run the delivery is
    recorded like any other, and the worker looks at what it names.
    """
    from repoagents.web.wire import MAX_BODY_BYTES, parse_delivery

    premises = place.open_premises()
    headers = {
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery_id or f"local-{premises.clock.token(32)}",
        "Content-Type": "application/json",
    }
    delivery = parse_delivery(headers.get, payload.read(MAX_BODY_BYTES + 1), premises.clock.now())
    answer = _answer(premises, delivery, dry_run=dry_run)
    if as_json:
        print_json(
            {"delivery": delivery, "look": delivery.look, "answer": answer, "dry_run": dry_run}
        )
    else:
        click.echo(_told(delivery, answer, dry_run=dry_run))
    return UNFINISHED if answer.status == "refused" else DONE


def _answer(premises: "Premises", delivery: "Delivery", *, dry_run: bool) -> "Answer":
    from repoagents.web.reception import ACCEPTED, DUPLICATE, recipient_of

    answer = recipient_of(premises.loaded.settings.tracker).answer_at_once(delivery)
    if answer is not None:
        return answer
    if dry_run:
        return ACCEPTED
    with premises.database() as database:
        return ACCEPTED if database.deliveries.put(delivery) else DUPLICATE


def _told(delivery: "Delivery", answer: "Answer", *, dry_run: bool) -> str:
    """What came of it, and what is looked at because of what."""
    if answer.reason:
        return f"{answer.status}: {answer.reason}"
    look = delivery.look
    what = f"look at {look.repo}#{look.number}" if look else "names no issue and no pull request"
    status = "dry run, nothing recorded" if dry_run else answer.status
    return f"{status}: {what}, because of {delivery.because}"
