"""`ops`: reports and bundles for operators who were not there."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from repoagents.cli import place
from repoagents.cli.boundary import DONE, UNFINISHED
from repoagents.cli.colours import coloured
from repoagents.cli.ops_backup import backup, restore
from repoagents.cli.options import AS_JSON, ISSUE
from repoagents.cli.output import examples, print_json, remark, shown_path
from repoagents.cli.terminal import room
from repoagents.views import tones

if TYPE_CHECKING:
    from repoagents.bootstrap import Premises
    from repoagents.domain.run import Run
    from repoagents.pipeline.bundle import Made


@click.group(epilog=examples("ops status", "ops snapshot --archive", "ops verify PATH"))
def command() -> None:
    """Write the reports and handoff bundles that operators open, and check them."""


@command.command("status", epilog=examples("ops status", "ops status --json"))
@AS_JSON
def status(*, as_json: bool) -> int:
    """Say how things stand and what to type next; write `ops-status` and `ops-brief`.

    For a repository on GitHub `github-smoke` too, by a handful of requests that only read.
    """
    from repoagents.pipeline.reporting import write_status
    from repoagents.pipeline.survey import stand, survey
    from repoagents.views.brief import render_brief_text
    from repoagents.views.ops_status import ops_status_row

    premises = place.open_premises()
    host = premises.host()
    with premises.books() as books:
        snapshot = survey(books, host)
        standing = stand(books, snapshot, host)
    # The answer first: it is wanted most where a report cannot be written.
    if as_json:
        print_json(ops_status_row(snapshot, standing))
    else:
        shown = render_brief_text(snapshot, standing, room())
        click.echo(coloured(shown, tones.LEVELS | tones.WEIGHTS))
    paths = write_status(premises.reports(), snapshot, standing)
    _, smoke_paths = _write_smoke(premises)
    remark(f"written: {', '.join(shown_path(path) for path in (*paths, *smoke_paths))}")
    return DONE


@command.command("snapshot", epilog=examples("ops snapshot", "ops snapshot --issue 12 --archive"))
@click.option("--issue", type=ISSUE, metavar="N", help="With this issue in full.")
@click.option("--archive", is_flag=True, help="Make an archive of it as well.")
@AS_JSON
def snapshot(*, issue: int | None, archive: bool, as_json: bool) -> int:
    """Make a handoff bundle: one signed folder for a person who was not there."""
    premises = place.open_premises()
    run = premises.latest(issue) if issue is not None else None
    if issue is not None and run is None:
        remark(f"there is no run of issue {issue}: `repoagents trigger {issue}` makes one")
        return UNFINISHED
    made = _make(premises, run, archive=archive)
    shown = {
        **vars(made.entry),
        "folder": shown_path(made.folder),
        "archive": shown_path(made.archive) if made.archive else None,
    }
    if as_json:
        print_json(shown)
        return DONE
    click.echo(made.entry.headline)
    click.echo(f"  open: {shown_path(made.folder / 'index.html')}")
    if made.archive is not None:
        click.echo(f"  hand over: {shown_path(made.archive)}")
    click.echo(f"  signed by: {made.entry.fingerprint}")
    return DONE


def _make(premises: "Premises", run: "Run | None", *, archive: bool) -> "Made":
    from repoagents.pipeline.bundle import Contents, make_bundle
    from repoagents.pipeline.checkup import examine
    from repoagents.pipeline.reporting import write_status
    from repoagents.pipeline.survey import stand, survey
    from repoagents.views.dashboard import render_dashboard

    host, checks = premises.host(), examine(premises.bench(), premises.host_facts())
    with premises.books() as books:
        taken = survey(books, host)
        standing = stand(books, taken, host)
        write_status(premises.reports(), taken, standing)
        smoke_texts, _ = _write_smoke(premises)
        further = smoke_texts | {"dashboard.html": render_dashboard(taken, standing)}
        contents = Contents(taken, standing, checks, further, run)
        return make_bundle(books, premises.bundles(), contents, archive=archive)


def _write_smoke(premises: "Premises") -> "tuple[dict[str, str], tuple[Path, ...]]":
    """Write `github-smoke`; its texts by name, and where they are, both empty without GitHub."""
    from repoagents.cli.github import take_smoke
    from repoagents.pipeline.reporting import smoke_texts, write_smoke

    smoke = take_smoke(premises)
    if smoke is None:
        remark("no github-smoke: the issues are not read from GitHub")
        return {}, ()
    return smoke_texts(smoke), write_smoke(premises.reports(), smoke)


@command.command("verify", epilog=examples("ops verify .ai-repoagents/reports/ops/STAMP"))
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--fingerprint", metavar="SHA256:…", help="The key that must have signed it.")
@AS_JSON
def verify(*, path: Path, fingerprint: str | None, as_json: bool) -> int:
    """Check a bundle, folder or archive, offline: every file, the manifest and the signature.

    It needs nothing but the bundle: neither a repository nor a configuration. Anybody can sign with
    a key of their own: only --fingerprint says that it was yours.
    """
    from repoagents.store.bundle_check import examine

    found = examine(path)
    problems = list(found.problems)
    if not problems and fingerprint is not None and found.fingerprint != fingerprint:
        problems.append(f"it is signed by {found.fingerprint}, not by {fingerprint}")
    if as_json:
        print_json(
            {
                "path": str(path),
                "sound": not problems,
                "problems": problems,
                "fingerprint": found.fingerprint,
                "compared": fingerprint is not None,
                "members": found.members,
            }
        )
    elif problems:
        click.echo("\n".join(f"not sound: {problem}" for problem in problems))
    else:
        click.echo(f"sound: {found.members} files, signed by {found.fingerprint}")
        if fingerprint is None:
            click.echo("  compare: `repoagents ops key` on the machine that made it")
    return UNFINISHED if problems else DONE


@command.command("key", epilog=examples("ops key", "ops key --json"))
@AS_JSON
def key(*, as_json: bool) -> int:
    """Show the public key that bundles are signed with; make it when there is none."""
    from repoagents.store.signing import load_key

    public = load_key(place.control_folder()).public
    if as_json:
        print_json({"public_key": public.base64, "fingerprint": public.fingerprint})
    else:
        click.echo(f"{public.fingerprint}\n  Ed25519 {public.base64}")
    return DONE


command.add_command(backup)
command.add_command(restore)
