"""`clean`: remove what finished runs left on disk."""

import asyncio
from pathlib import Path

import click

from repoagents.cli.options import AS_JSON
from repoagents.cli.output import examples, print_json, shown_path, size
from repoagents.cli.terminal import room
from repoagents.views.layout import hanging


@click.command(epilog=examples("clean --dry-run", "clean"))
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@AS_JSON
def command(*, dry_run: bool, as_json: bool) -> int:
    """Remove the worktrees of finished runs.

    Nothing that waits for a person is removed: blocked runs and unpublished results keep theirs.
    Artifacts, patches and logs stay.
    """
    from repoagents.cli.desk import open_desk
    from repoagents.pipeline import janitor

    with open_desk() as desk:
        removals = asyncio.run(janitor.sweep(desk.house, dry_run=dry_run))
    total = sum(removal.size for removal in removals)
    if as_json:
        print_json({"dry_run": dry_run, "removed": removals, "bytes": total})
        return 0
    for removal in removals:
        told = f"{shown_path(Path(removal.path))}  ({removal.reason})"
        click.echo("\n".join(hanging(f"{size(removal.size):>9}  ", told, room())))
    verb = "would be removed" if dry_run else "removed"
    nothing = "nothing to remove; blocked runs and unpublished results keep their worktrees"
    click.echo(f"{len(removals)} {verb}, {size(total)}" if removals else nothing)
    return 0
