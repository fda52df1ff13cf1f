"""Webhook deliveries that did not arrive: found in GitHub's own list, and asked for again."""

import asyncio

from repoagents.domain.delivery import Sending
from repoagents.errors import Forbidden, GitHubError, RateLimited, Unavailable
from repoagents.policy.redelivery import LOOK_BACK, find_missed, room_left
from repoagents.ports import Hooks, House


async def ask_again(house: House, hooks: Hooks) -> bool:
    """Ask for what is missing; False when the credential may not, so that nobody need ask again.

    What was asked for so far is read from GitHub's list: nothing is remembered here. It arrives
    like any other delivery.
    """
    try:
        for sending in await asyncio.to_thread(_find, house, hooks):
            await asyncio.to_thread(_ask_for, house, hooks, sending)
    except GitHubError as error:
        if isinstance(error, Forbidden) and error.kind == "forbidden":
            house.journal.warn("redelivery_refused", f"{error}. {error.next_step}")
            return False
        house.journal.warn("redelivery_failed", f"{error}; looked at again in an hour")
    return True


def _find(house: House, hooks: Hooks) -> tuple[Sending, ...]:
    """What is missing here, as much of it as may be asked for now."""
    now = house.clock.now()
    sendings = hooks.sendings(now - LOOK_BACK)
    missed = find_missed(sendings, now)
    # An answer may have been lost after the delivery was recorded.
    known = house.deliveries.knows([sending.delivery_id for sending in missed])
    missing = [sending for sending in missed if sending.delivery_id not in known]
    return tuple(missing[: room_left(sendings, now)])


def _ask_for(house: House, hooks: Hooks, sending: Sending) -> None:
    came = f"answered {sending.status}" if sending.status else "not answered"
    what = f"{sending.event} of {sending.at:%Y-%m-%d %H:%M}, {came}"
    try:
        hooks.resend(sending)
    except (Forbidden, RateLimited, Unavailable):
        raise
    except GitHubError as error:
        # It may be gone by now; the others are not.
        house.journal.warn("redelivery_failed", f"{what}: {error}", delivery=sending.delivery_id)
        return
    house.journal.note(
        "redelivery_asked", f"{what}: GitHub sends it again", delivery=sending.delivery_id
    )
