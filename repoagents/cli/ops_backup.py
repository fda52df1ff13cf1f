"""`ops backup` and `ops restore`: the state, kept elsewhere and brought back."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from repoagents.cli import place
from repoagents.cli.boundary import DONE
from repoagents.cli.options import AS_JSON
from repoagents.cli.output import examples, print_json, remark, shown_path, size
from repoagents.errors import StateUnreadable, StoreError

if TYPE_CHECKING:
    from repoagents.ports import Clock

STAMP = "%Y%m%dT%H%M%SZ"
RECENT = timedelta(minutes=1)
"""Twice as long as the receiver's pulse takes."""


@click.command("backup", epilog=examples("ops backup", "ops backup PATH"))
@click.argument("path", type=click.Path(), required=False)
@AS_JSON
def backup(*, path: str | None, as_json: bool) -> int:
    """Back up the state into one archive; a live worker keeps working.

    It holds the database, the key of `ops key`, the control plane and the artifacts, each with its
    checksum: no secrets of `repoagents.env`, no clone, no worktrees. PATH is a new file, or a
    folder; without it, the archive lies below `state/`, on the same disk.
    """
    from repoagents.store.backup import make_backup, refuse_server

    premises = place.open_premises()
    refuse_server(premises.loaded.settings.state.database_url)
    now = premises.clock.now()
    target = Path(path) if path else premises.control / "state" / "backups"
    # With a slash at its end it is a folder, also one that is not there yet.
    if not path or path.endswith("/") or target.is_dir():
        target /= f"repoagents-{premises.loaded.root.name}-{now.strftime(STAMP)}.zip"
    made = make_backup(premises.control, target, now)
    if as_json:
        print_json(made)
        return DONE
    click.echo(shown_path(made.path))
    click.echo(f"  {made.runs} runs, {made.members} files, {size(made.size)}")
    if path is None:
        remark("it is on the same disk as the state: copy it to another one")
    return DONE


@click.command("restore", epilog=examples("ops restore PATH", "ops restore PATH --force"))
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--force", is_flag=True, help="Put the state that is here aside, and restore.")
@AS_JSON
def restore(*, path: Path, force: bool, as_json: bool) -> int:
    """Bring back what `ops backup` wrote; everything in it is checked first.

    Neither a worker nor a receiver may be live. Files of the control plane are added where they
    are missing, and never replaced.
    """
    from repoagents.bootstrap import SystemClock
    from repoagents.store.restore import restore_backup
    from repoagents.store.worker_lock import hold

    clock, control = SystemClock(), _control()
    with hold(control, "ops restore", clock):
        _refuse_receiver(control, clock)
        stamp = clock.now().strftime(STAMP)
        done = restore_backup(control, path, stamp, force=force)
    adrift = _adrift(control)
    for number in adrift:
        remark(
            f"issue {number} was under way, and its worktree is in no backup: begin it anew with "
            f"`repoagents cancel {number}` and `repoagents retry {number} --fresh`"
        )
    if as_json:
        print_json({**vars(done), "adrift": adrift})
        return DONE
    made_at = f"{done.made_at[:16].replace('T', ' ')} UTC"
    click.echo(f"restored: {done.runs} runs, as they were at {made_at}")
    if done.aside is not None:
        click.echo(f"  what was here before: {shown_path(done.aside)}")
    for name in done.kept:
        click.echo(f"  kept, though the backup has another one: {shown_path(control / name)}")
    return DONE


def _control() -> Path:
    """The control plane's folder; it may be missing still, and come out of the backup."""
    from repoagents.config.files import CONFIG, CONTROL
    from repoagents.config.loader import find_top
    from repoagents.store.backup import refuse_server

    control = (find_top(Path.cwd()) or Path.cwd()) / CONTROL
    if (control / CONFIG).exists():
        refuse_server(place.open_premises().loaded.settings.state.database_url)
    return control


def _adrift(control: Path) -> tuple[int, ...]:
    """The issues whose runs were under way, where the clone that they stood on is not here."""
    from repoagents.domain.run import AT_WORK
    from repoagents.store.reader import open_reader

    if (control / "git").is_dir():
        return ()
    try:
        runs = open_reader(control).runs(AT_WORK, limit=10_000)
    except StateUnreadable:
        return ()  # of an older version: the next worker brings it up to date
    return tuple(sorted(run.issue_number for run in runs if run.base_sha))


def _refuse_receiver(control: Path, clock: "Clock") -> None:
    """Raise `StoreError` while webhooks are received: they would go into the old state."""
    from repoagents.domain.pulse import Part
    from repoagents.store.reader import open_reader

    try:
        pulses = open_reader(control).pulses()
    except StateUnreadable:
        return  # that is what a backup is restored for
    for pulse in pulses:
        if pulse.part is Part.RECEIVER and clock.now() - pulse.beat_at < RECENT:
            raise StoreError(
                f"`repoagents serve` was at work at {pulse.beat_at.isoformat(timespec='seconds')}",
                next_step="End it, wait for a minute, and run the command again.",
            )
