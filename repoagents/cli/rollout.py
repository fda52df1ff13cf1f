"""`rollout`: open what the bot may write phase by phase, each time by a person's act."""

import sys
from typing import TYPE_CHECKING

import click

from repoagents.cli import place
from repoagents.cli.boundary import DONE, UNFINISHED
from repoagents.cli.options import AS_JSON
from repoagents.cli.output import at_terminal, examples, print_json, remark, shown_path
from repoagents.cli.soak import command as soak
from repoagents.config.files import CONFIG_PATH
from repoagents.domain.rollout import Brake, Phase
from repoagents.policy.safety import flags_of, holding, phase_of, phase_within
from repoagents.store.worker_lock import holder
from repoagents.views.rollout import (
    ALLOWS,
    assessment_row,
    render_assessment,
    render_assessment_report,
    render_diff,
    render_status,
)
from repoagents.views.text import brake_line

if TYPE_CHECKING:
    from repoagents.bootstrap import Premises
    from repoagents.config.edit import Edit
    from repoagents.policy.rollout import Assessment

YES = click.option("--yes", is_flag=True, help="Do not ask.")
PHASES = [phase.value for phase in Phase]


@click.group(epilog=examples("rollout status", "rollout check", "rollout advance"))
def command() -> None:
    """Open what the bot may write, phase by phase; a person takes each step."""


command.add_command(soak)


@command.command("status", epilog=examples("rollout status", "rollout status --json"))
@AS_JSON
def status(*, as_json: bool) -> int:
    """Say which phase is in force: observe, comment, draft-pr or merge.

    It is told from the flags in the configuration, and is stored nowhere else.
    """
    premises = place.open_premises()
    settings = premises.loaded.settings
    brake = holding(settings, premises.reader().brake())
    phase, within = phase_of(settings), phase_within(settings, brake)
    if as_json:
        print_json(
            {
                "phase": phase.value if phase else "custom",
                "in_force": within.value,
                "allows": ALLOWS[within],
                "held": brake,
            }
        )
    else:
        click.echo(render_status(phase, within, brake))
    return DONE


@command.command("check", epilog=examples("rollout check", "rollout check --json"))
@AS_JSON
def check(*, as_json: bool) -> int:
    """Say whether the next phase is justified, and what is missing for it.

    It judges the recorded runs of the last thirty days, the newest soak and the doctor. Exit code
    1 means that something is missing.
    """
    from repoagents.pipeline.reporting import render_json

    premises = place.open_premises()
    found, reports = _judge(premises), premises.reports()
    if as_json:
        print_json(assessment_row(found))
    else:
        click.echo(render_assessment(found))
    reports.write("reports/rollout.json", render_json(assessment_row(found)))
    path = reports.write("reports/rollout.md", render_assessment_report(found))
    remark(f"written: {shown_path(path)}")
    return UNFINISHED if found.missing else DONE


@command.command("advance", epilog=examples("rollout advance", "rollout advance --yes"))
@YES
@click.option("--force", metavar="REASON", help="Advance though something is missing, and why.")
def advance(*, yes: bool, force: str | None) -> int:
    """Open the next phase: show the change of the configuration, ask, and write it.

    If the bot is held to an earlier phase than its flags name, it is released by one phase instead.
    """
    from repoagents.config.edit import draft_edit

    premises = place.open_premises()
    if force is not None and not force.strip():
        raise click.UsageError("--force needs the reason, such as --force 'a fork to try out'")
    found = _judge(premises)
    if (reason := _why_not(found, forced=force is not None)) is not None:
        click.echo(reason)
        return UNFINISHED
    target = found.next
    if target is None:
        click.echo(f"{found.phase} is the last phase")
        return DONE
    brake = premises.reader().brake()
    if held := holding(premises.loaded.settings, brake):
        return _let_go(premises, held, target, force or "", yes=yes)
    edit = draft_edit(premises.loaded.root, flags_of(target))
    code = _carry_out(premises, edit, target, force or "", yes=yes)
    if code == DONE:
        _name_older_flags(premises)
        if brake is not None:
            _hold(premises, target, "let it go so far")
    return code


@command.command("back", epilog=examples("rollout back", "rollout back --to observe"))
@click.option("--to", type=click.Choice(PHASES), help="This phase; else the one before.")
@YES
def back(*, to: str | None, yes: bool) -> int:
    """Step back to a stricter phase: show the change of the configuration, ask, and write it.

    It needs no reason and is never refused. A live worker obeys at once.
    """
    from repoagents.config.edit import draft_edit

    premises = place.open_premises()
    settings = premises.loaded.settings
    brake = holding(settings, premises.reader().brake())
    within, phase = phase_within(settings, brake), phase_of(settings)
    nearest = within if phase is None and brake is None else within.previous or within
    target = nearest if to is None else Phase(to)
    if target.level > (opened := phase_within(settings)).level:
        raise click.UsageError(f"{target} opens more than {opened}: `repoagents rollout advance`")
    edit = draft_edit(premises.loaded.root, flags_of(target))
    code = _carry_out(premises, edit, target, "", yes=yes)
    if code == DONE:
        _hold_back(premises, target)
        _name_variables(premises)
    return code


def _judge(premises: "Premises") -> "Assessment":
    from repoagents import __version__
    from repoagents.pipeline.checkup import examine
    from repoagents.pipeline.rollout import judge, look_for_reverts

    bench = premises.bench()
    checks = examine(bench, premises.host_facts())
    with premises.books() as books:
        reverted = look_for_reverts(bench, books)
        return judge(books, premises.reports(), checks, __version__, reverted)


def _why_not(found: "Assessment", *, forced: bool) -> str | None:
    """Why the next phase is not opened; what a reason given by hand outweighs is left out."""
    if found.phase is None:
        return "the flags are those of no phase: first `repoagents rollout back`"
    if found.next is None or not found.missing or forced:
        return None
    rows = "\n".join(f"  {row.key}: {row.found} (wanted: {row.wanted})" for row in found.missing)
    return (
        f"{found.next} is not justified yet:\n{rows}\n"
        "`repoagents rollout check` says how to get there; --force REASON opens it all the same"
    )


def _carry_out(premises: "Premises", edit: "Edit", target: Phase, reason: str, *, yes: bool) -> int:
    """Show the edit, ask, and write it."""
    if edit.before == edit.after:
        click.echo(f"{CONFIG_PATH} says {target} already")
        return DONE
    click.echo(render_diff(edit.before, edit.after, CONFIG_PATH))
    if not _agreed(f"Go to {target}?", yes=yes):
        return UNFINISHED
    edit.write()
    _note(premises, target, reason)
    click.echo(f"{CONFIG_PATH} says {target} now")
    remark(f"commit it: git commit -m 'Roll out: {target}' -- {CONFIG_PATH}")
    return DONE


def _let_go(premises: "Premises", brake: Brake, target: Phase, reason: str, *, yes: bool) -> int:
    """Let the bot go by one phase; the configuration stays as it is."""
    click.echo(f"held to {brake.phase}: {brake_line(brake)}")
    if not _agreed(f"Let it go on to {target}?", yes=yes):
        return UNFINISHED
    _hold(premises, target, "let it go so far")
    _note(premises, target, reason)
    click.echo(f"{target} is in force")
    return DONE


def _hold_back(premises: "Premises", target: Phase) -> None:
    """Let a live worker obey, which goes on with the flags that it has read."""
    with premises.books() as books:
        brake = books.brakes.find()
    if target.level < (brake.phase if brake else Phase.MERGE).level:
        _hold(premises, target, "stepped back")
    click.echo(f"a live worker writes nothing beyond {target} from now on")


def _hold(premises: "Premises", target: Phase, deed: str) -> None:
    """Hold every worker to the phase that a person has chosen; the last one lets go of them all."""
    with premises.books() as books:
        if target.next is None:
            books.brakes.release()
        else:
            reason = f"{place.operator(premises)} {deed}"
            books.brakes.pull(Brake(target, reason, "", 0, premises.clock.now()))


def _agreed(question: str, *, yes: bool) -> bool:
    if yes:
        return True
    if not at_terminal(sys.stdin):
        raise click.UsageError("nobody can be asked here: add --yes")
    return click.confirm(question)


def _note(premises: "Premises", target: Phase, reason: str) -> None:
    by = place.operator(premises)
    because = f": {reason}" if reason else ""
    premises.journal.note("rollout_moved", f"{by} moved the rollout to {target}{because}", by=by)


def _name_variables(premises: "Premises") -> None:
    """Say what wins over the file's flags."""
    for row in premises.loaded.origins:
        if row.key in flags_of(Phase.MERGE) and row.origin.startswith("REPOAGENTS_"):
            remark(f"warning: {row.origin} wins over the file: unset it")


def _name_older_flags(premises: "Premises") -> None:
    """Say who still goes by other flags than the file's: variables, and a live worker."""
    _name_variables(premises)
    owner = holder(premises.control)
    if owner is not None:
        remark(f"the live worker (process {owner.pid}) goes on with what it has read: restart it")
