"""What runs beside the worker's ticks, because it may take long: each errand when it is due."""

import asyncio
from datetime import timedelta

from repoagents.pipeline import janitor
from repoagents.pipeline.followup import follow_up
from repoagents.pipeline.redelivery import ask_again
from repoagents.pipeline.rhythm import Rhythm, is_due, poll_interval
from repoagents.policy.safety import may_ask_for_deliveries
from repoagents.ports import Flows, House

SWEEP_EVERY = timedelta(hours=1)

ASK_AGAIN_EVERY = timedelta(hours=1)


async def run_errands(house: House, flows: Flows, rhythm: Rhythm) -> None:
    """Run the errands that are due, one after the other.

    What is swept may be what the next errand would begin to use.
    """
    await sweep_when_due(house, flows, rhythm)
    await ask_again_when_due(house, rhythm)
    await follow_when_due(house, rhythm)


async def sweep_when_due(house: House, flows: Flows, rhythm: Rhythm) -> None:
    """Remove what has outlived its retention, now and then."""
    now, errands = house.clock.now(), rhythm.errands
    if rhythm.issue is None and is_due(errands.swept_at, SWEEP_EVERY, now):
        errands.swept_at = now
        await janitor.tidy(house, flows)


async def ask_again_when_due(house: House, rhythm: Rhythm) -> None:
    """Ask for the deliveries that GitHub could not bring, at the start and now and then."""
    now, hooks, errands = house.clock.now(), house.tracker.hooks, rhythm.errands
    if hooks is None or rhythm.issue is not None or not errands.may_ask:
        return
    if not is_due(errands.asked_at, ASK_AGAIN_EVERY, now):
        return
    if may_ask_for_deliveries(house.settings, await asyncio.to_thread(house.brakes.find)):
        errands.asked_at = now
        errands.may_ask = await ask_again(house, hooks)


async def follow_when_due(house: House, rhythm: Rhythm) -> None:
    """Look after the pull requests of finished runs, as often as the tracker is polled."""
    now, errands = house.clock.now(), rhythm.errands
    wanted = rhythm.issue is None and rhythm.polls
    if wanted and is_due(errands.followed_at, poll_interval(house), now):
        errands.followed_at = now
        if await follow_up(house):
            # There is room for an issue that waited for one, and no event will tell.
            rhythm.last_poll.begun_at = None
