"""`rollout soak`: the rehearsal for some minutes, with faults, and what it left behind counted."""

import math
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from repoagents.cli import place
from repoagents.cli.boundary import DONE, UNFINISHED
from repoagents.cli.options import AS_JSON
from repoagents.cli.output import examples, print_json, remark, shown_path

if TYPE_CHECKING:
    from repoagents.domain.soak import Reading, Tally
    from repoagents.ports import Clock


@click.command("soak", epilog=examples("rollout soak", "rollout soak --minutes 60"))
@click.option(
    "--minutes",
    type=click.FloatRange(min=0.0, min_open=True, max=1440),
    default=10.0,
    show_default=True,
    metavar="N",
    help="How long new issues keep coming; the last ones are finished.",
)
@AS_JSON
def command(*, minutes: float, as_json: bool) -> int:
    """Rehearse with faults for some minutes, and count what goes wrong.

    A worker of its own works on an example in a scratch folder, against a GitHub on this machine
    that fails on purpose. No model is called and your repository is not touched. The result is
    kept for `rollout check`; exit code 1 means that it failed.
    """
    if math.isnan(minutes):  # No bound keeps it out: it is neither more nor less than any number.
        raise click.UsageError("--minutes takes a number")
    from repoagents import __version__
    from repoagents.domain.rollout import Soak
    from repoagents.pipeline.reporting import render_json
    from repoagents.policy.soak import why_failed
    from repoagents.views.soak import render_soak, soak_row

    premises = place.open_premises()
    reports, clock = premises.reports(), premises.clock
    folder, began = Path(tempfile.mkdtemp(prefix="repoagents-soak-")), clock.monotonic()
    readings, tally = _play(folder, minutes * 60, clock)
    seconds, problems = round(clock.monotonic() - began, 1), why_failed(readings, tally)
    soak = Soak(clock.now(), __version__, seconds, problems)
    row, text = soak_row(soak, tally, readings), render_soak(soak, tally, readings)
    if soak.passed:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        remark(f"what it left is kept: {folder}")
    if as_json:
        print_json(row)
    else:
        click.echo(text.rstrip())
    reports.write("reports/soak.json", render_json(row))
    path = reports.write("reports/soak.md", text)
    remark(f"written: {shown_path(path)}")
    return DONE if soak.passed else UNFINISHED


def _play(folder: Path, seconds: float, clock: "Clock") -> "tuple[tuple[Reading, ...], Tally]":
    """The readings and the tally; after Ctrl-C nothing is left in the folder."""
    from repoagents.config.ambient import ambient
    from repoagents.config.files import shipped
    from repoagents.rehearsal.soak_scene import SoakScene
    from repoagents.rehearsal.stage import EXAMPLE

    scene = SoakScene(folder, shipped(f"examples/{EXAMPLE}"), ambient(), clock, remark)
    try:
        return scene.play(seconds)
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        raise
