"""`service`: the worker under a supervisor."""

import shlex
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

import click

from repoagents.cli import place
from repoagents.cli.boundary import DONE, UNFINISHED
from repoagents.cli.options import AS_JSON
from repoagents.cli.output import examples, print_json, remark
from repoagents.config.service import Kind, Unit, Wish, plan_unit, remove_unit, write_unit

if TYPE_CHECKING:
    from repoagents.bootstrap import Premises

SERVE = click.option("--serve", is_flag=True, help="Receive webhooks as well: `run --serve`.")
Command = TypeVar("Command", bound=Callable[..., int])


def options(command: Command) -> Command:
    """The options that choose a service; every command here has them."""
    kinds = click.option(
        "--kind",
        type=click.Choice(("systemd", "launchd")),
        help="Which supervisor; else the one of this system.",
    )
    scope = click.option(
        "--user/--system", default=True, help="For you, the default, or for the whole machine."
    )
    return kinds(scope(command))


@click.group(epilog=examples("service print", "service install --now", "service status"))
def command() -> None:
    """Have systemd or launchd start the worker and look after it."""


@command.command("print", epilog=examples("service print", "service print --system"))
@options
@SERVE
def show(*, kind: str | None, user: bool, serve: bool) -> int:
    """Print the unit; nothing is written."""
    unit = _plan(place.open_premises(), kind, user=user, serve=serve)
    click.echo(unit.text, nl=False)
    return DONE


@command.command("install", epilog=examples("service install", "service install --now --serve"))
@options
@SERVE
@click.option("--now", is_flag=True, help="Start it now, and at every login or boot from now on.")
def install(*, kind: str | None, user: bool, serve: bool, now: bool) -> int:
    """Write the unit, and say how it is started.

    A file in its place that this program did not write is left as it is.
    """
    premises = place.open_premises()
    unit = _plan(premises, kind, user=user, serve=serve)
    before = write_unit(unit)
    click.echo(f"{'unchanged' if before == 'current' else 'written'}: {unit.path}")
    if before == "outdated":
        remark("it replaces another unit of ours; a worker that is live goes on by that one until:")
        remark("\n".join(_lines(unit.renew)))
    if now:
        return _run(premises, unit.start)
    click.echo("\n".join(("start it, now and from now on:", *_lines(unit.start))))
    if unit.ask[:2] == ("systemctl", "--user"):
        click.echo("and so that it runs while you are not logged in:\n  loginctl enable-linger")
    return DONE


@command.command("status", epilog=examples("service status", "service status --json"))
@options
@AS_JSON
def status(*, kind: str | None, user: bool, as_json: bool) -> int:
    """Say whether the service is active, and whether the worker lives.

    The exit code is 0 when both are so.
    """
    premises = place.open_premises()
    unit, receiving = (_plan(premises, kind, user=user, serve=serve) for serve in (False, True))
    standing = "current" if receiving.standing == "current" else unit.standing
    asked = premises.ask(*unit.ask)
    active, holder = asked.exit_code == 0, premises.host().holder
    if as_json:
        print_json(
            {
                "name": unit.name,
                "path": unit.path,
                "unit": standing,
                "active": active,
                "worker": holder,
            }
        )
    else:
        click.echo(f"{unit.name}: {'active' if active else 'not active'}")
        click.echo(f"  unit: {standing}, {unit.path}")
        click.echo(f"  {holder or 'no worker is live'}")
    return DONE if active and holder else UNFINISHED


@command.command("uninstall", epilog=examples("service uninstall"))
@options
def uninstall(*, kind: str | None, user: bool) -> int:
    """Stop the service and remove its unit; what was under way is parked."""
    premises = place.open_premises()
    unit = _plan(premises, kind, user=user)
    if unit.standing == "absent":
        click.echo(f"not installed: {unit.path}")
        return DONE
    code = DONE if unit.standing == "foreign" else _run(premises, unit.stop)
    remove_unit(unit)
    click.echo(f"removed: {unit.path}")
    return code


def _plan(premises: "Premises", kind: str | None, *, user: bool, serve: bool = False) -> Unit:
    default = Kind.LAUNCHD if sys.platform == "darwin" else Kind.SYSTEMD
    # -P: a folder in the repository that is called repoagents is not this program.
    words = (sys.executable, "-P", "-m", "repoagents", "run", *(("--serve",) if serve else ()))
    wish = Wish(
        kind=Kind(kind) if kind else default,
        system=not user,
        root=premises.loaded.root,
        command=words,
        environment=premises.loaded.environment,
    )
    return plan_unit(wish)


def _run(premises: "Premises", lines: Iterable[tuple[str, ...]]) -> int:
    """Have the supervisor do this; what it refuses is told, with the line to type."""
    for words in lines:
        ended = premises.ask(*words)
        if ended.exit_code != 0:
            said = ended.errors.strip() or f"exit code {ended.exit_code}"
            remark(f"error: `{shlex.join(words)}` failed: {said}")
            return UNFINISHED
        click.echo(f"done: {shlex.join(words)}")
    return DONE


def _lines(lines: Iterable[tuple[str, ...]]) -> list[str]:
    return [f"  {shlex.join(words)}" for words in lines]
