"""`github`: what GitHub lets the bot do, looked at before anything is trusted to it."""

from typing import TYPE_CHECKING

import click

from repoagents.cli import place
from repoagents.cli.boundary import DONE, UNFINISHED
from repoagents.cli.colours import coloured
from repoagents.cli.options import AS_JSON, ISSUE, Whole
from repoagents.cli.output import examples, print_json, remark, shown_path
from repoagents.cli.terminal import room
from repoagents.views import tones

if TYPE_CHECKING:
    from repoagents.bootstrap import Premises
    from repoagents.domain.smoke import Smoke


@click.group(epilog=examples("github smoke", "github smoke --require-write-ready"))
def command() -> None:
    """Look at GitHub as the bot sees it, before you trust it with anything."""


@command.command("smoke", epilog=examples("github smoke", "github smoke --issue 12 --json"))
@click.option("--issue", type=ISSUE, metavar="N", help="Look at this issue.")
@click.option(
    "--limit",
    type=Whole(1, 100),
    default=10,
    metavar="N",
    show_default=True,
    help="Look at this many open issues, the oldest first.",
)
@click.option(
    "--require-write-ready",
    is_flag=True,
    help="Exit with 1 as well when comments and pull requests would not go out.",
)
@AS_JSON
def smoke(*, issue: int | None, limit: int, require_write_ready: bool, as_json: bool) -> int:
    """Say what stands between the bot and GitHub; write `github-smoke`, change nothing there.

    Credential, repository, branch rules, origin, writes and issues, by a handful of requests that
    only read. With tracker.smoke_fixture_path there is none: it is rehearsed from that file. The
    exit code is 1 when the status is `issues`.
    """
    from repoagents.domain.smoke import Overall
    from repoagents.errors import ConfigError
    from repoagents.pipeline.reporting import write_smoke
    from repoagents.policy.smoke import why_not_ready
    from repoagents.views.smoke import render_smoke_text, smoke_row

    premises = place.open_premises()
    report = take_smoke(premises, issue or 0, limit)
    if report is None:
        raise ConfigError(
            "the issues are not read from GitHub: there is nothing to look at",
            next_step="Set tracker.kind: github and tracker.repo, or tracker.smoke_fixture_path.",
        )
    if as_json:
        print_json(smoke_row(report))
    else:
        shown = render_smoke_text(report, room())
        click.echo(coloured(shown, tones.CHECKS | tones.OVERALL))
    paths = write_smoke(premises.reports(), report)
    remark(f"written: {', '.join(shown_path(path) for path in paths)}")
    missing = why_not_ready(report) if require_write_ready else ()
    for point in missing:
        remark(f"error: not ready to write: {point.message}")
        if point.fix:
            remark(f"  {point.fix}")
    return UNFINISHED if missing or report.summary.status is Overall.ISSUES else DONE


def take_smoke(premises: "Premises", number: int = 0, limit: int = 10) -> "Smoke | None":
    """The report as things stand now, from the fixture where one is set; None without GitHub.

    `number` is the issue to look at, 0 for the first eligible one.
    """
    from repoagents.config.smoke_fixture import read_fixture
    from repoagents.domain.smoke import stands_in
    from repoagents.pipeline.smoke import Surroundings, Wish, look, rehearse

    settings, wish = premises.loaded.settings, Wish(number, limit)
    if stands_in(settings):
        fixture = read_fixture(premises.loaded.root, settings.tracker.smoke_fixture_path)
        return rehearse(fixture, settings, premises.clock, wish)
    bench = premises.bench()
    if bench.tracker.inspection is None:
        return None
    origin, branch = premises.checkout()
    around = Surroundings(origin, branch, premises.latest, premises.reader().brake())
    return look(bench, bench.tracker.inspection, around, wish)
