"""Dry runs: what `trigger` and `run` would do."""

import asyncio
from collections.abc import Sequence
from itertools import islice

import click

from repoagents.cli import place
from repoagents.cli.boundary import DONE, UNFINISHED
from repoagents.cli.output import print_json, unanswered
from repoagents.pipeline import tally
from repoagents.pipeline.preview import Candidate, candidate, candidates, preview
from repoagents.views.preview import PlanPreview, render_plan_preview


def plan_one(number: int, *, agent: bool, force: bool, as_json: bool) -> int:
    """Show what `trigger` would do with an issue; without `agent` no planner is asked."""
    premises = place.open_premises()
    bench = premises.bench()
    chosen = candidate(bench, premises.latest, number, forced=force)
    if chosen is None:
        unanswered(f"there is no issue {number}", as_json=as_json, issue=number)
        return UNFINISHED
    brake = premises.reader().brake()
    found = asyncio.run(preview(bench, chosen, agent=agent, brake=brake))
    if as_json:
        print_json(found)
    else:
        click.echo(render_plan_preview(found).rstrip())
    return DONE


def plan_cycle(*, agent: bool, as_json: bool) -> int:
    """Show what one cycle of `run` would do: every candidate, and the plans of the first ones."""
    premises = place.open_premises()
    bench = premises.bench()
    listed = candidates(bench, premises.latest)
    slots = bench.settings.agent.max_concurrent_runs
    first = islice((chosen for chosen in listed if chosen.reason is None), slots)
    brake = premises.reader().brake()
    found = [asyncio.run(preview(bench, chosen, agent=agent, brake=brake)) for chosen in first]
    if as_json:
        print_json({"candidates": [_row(chosen) for chosen in listed], "previews": found})
    else:
        nobody = "" if listed else tally.count(bench, (), help_out=True)
        click.echo(_render_cycle(listed, found, nobody))
    return DONE


def _row(chosen: Candidate) -> dict[str, object]:
    issue = chosen.issue
    return {
        "issue": issue.number,
        "title": issue.title,
        "eligible": chosen.reason is None,
        "reason": chosen.reason or "",
    }


def _render_cycle(listed: Sequence[Candidate], found: Sequence[PlanPreview], nobody: str) -> str:
    lines = ["dry run: candidates in the order in which they would be taken up"]
    lines += [
        f"  {'yes' if chosen.reason is None else 'no ':<4}issue {chosen.issue.number}: "
        f"{chosen.reason or chosen.issue.title}"
        for chosen in listed
    ] or [f"  none: {nobody}"]
    return "\n\n".join(["\n".join(lines), *(render_plan_preview(one).rstrip() for one in found)])
