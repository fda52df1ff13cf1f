"""`approval`: a person's word on what the bot has proven."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from repoagents.cli.boundary import DONE, UNFINISHED
from repoagents.cli.options import AS_JSON, NUMBER
from repoagents.cli.output import examples, print_json, remark, shown_path, unanswered
from repoagents.cli.terminal import room
from repoagents.domain.effect import effect_name
from repoagents.policy.wording import one_line
from repoagents.views.layout import fit, hanging

if TYPE_CHECKING:
    from repoagents.cli.desk import Desk
    from repoagents.pipeline.approval import Waiting


@click.group(epilog=examples("approval list", "approval show 12", "approval approve 12"))
def command() -> None:
    """See, approve or reject what waits for a person.

    An approval holds for exactly the commit that is shown; anything that changes it voids it.
    """


@command.command("list", epilog=examples("approval list"))
@AS_JSON
def list_(*, as_json: bool) -> int:
    """List the results that wait for a person or for a flag."""
    from repoagents.cli.desk import open_desk
    from repoagents.pipeline import approval

    with open_desk() as desk:
        waiting = approval.pending(desk.house)
    if as_json:
        print_json({"waiting": [_row(one) for one in waiting]})
        return DONE
    for one in waiting:
        click.echo("\n".join(_entry(one)))
    if not waiting:
        click.echo("nothing waits for a person's word")
    return DONE


@command.command("show", epilog=examples("approval show 12"))
@NUMBER
@AS_JSON
def show(*, number: int, as_json: bool) -> int:
    """Show what an approval would publish: commit, effects, and the files to read."""
    from repoagents.cli.desk import open_desk
    from repoagents.pipeline import approval

    with open_desk() as desk:
        waiting = approval.show(desk.house, number)
        if waiting is None:
            reason = f"nothing of issue {number} waits for a person's word"
            unanswered(reason, as_json=as_json, issue=number)
            return UNFINISHED
        files = _files(desk, waiting)
    if as_json:
        print_json(_row(waiting) | {"files": files})
    else:
        click.echo(_render(waiting, files))
    return DONE


@command.command("approve", epilog=examples("approval approve 12"))
@NUMBER
@AS_JSON
def approve(*, number: int, as_json: bool) -> int:
    """Publish exactly the proven content; no model is called again."""
    from repoagents.cli.desk import open_desk
    from repoagents.pipeline import approval

    with open_desk() as desk:
        request = desk.write("approve", number)
        if (worker := desk.taker(number)) is not None:
            answers = desk.ask([request])
            if answers[0].refused:
                remark(f"answered by {worker} with the configuration that it was started with")
        else:
            answers = (desk.answer(request, approval.approve(desk.house, number, request.by)),)
        return desk.report(answers, as_json=as_json)


@command.command("reject", epilog=examples('approval reject 12 --note "wrong approach"'))
@NUMBER
@click.option("--note", metavar="TEXT", default="", help="Why, for the record.")
@AS_JSON
def reject(*, number: int, note: str, as_json: bool) -> int:
    """Discard what is withheld; it will never be published."""
    from repoagents.cli.desk import open_desk
    from repoagents.pipeline import approval

    with open_desk() as desk:
        request = desk.write("reject", number, note=note)
        outcome = approval.reject(desk.house, number, request.by, note)
        return desk.report((desk.answer(request, outcome),), as_json=as_json)


def _row(waiting: "Waiting") -> dict[str, object]:
    run = waiting.run
    return {
        "issue": run.issue_number,
        "title": run.title,
        "run": run.id,
        "status": run.status.value,
        "head_sha": run.head_sha,
        "diff_hash": run.diff_hash,
        "verified": run.verified,
        "effects": [effect_name(effect) for effect in waiting.effects],
        "flags": waiting.flags,
        "pull_request": waiting.pull or None,
    }


def _entry(waiting: "Waiting") -> list[str]:
    width = room()
    heading = fit(f"issue {waiting.run.issue_number}: {one_line(waiting.run.title)}", width)
    return [heading, *hanging("  ", _fate(waiting), width)]


def _fate(waiting: "Waiting") -> str:
    names = ", ".join(effect_name(effect) for effect in waiting.effects)
    if waiting.flags:
        return f"{names}: withheld by {' and '.join(waiting.flags)}"
    does = "merges" if waiting.merges else "publishes"
    return f"{names}: `repoagents approval approve {waiting.run.issue_number}` {does}"


def _files(desk: "Desk", waiting: "Waiting") -> tuple[str, ...]:
    folder = desk.house.artifacts.folder(waiting.run.issue_number, waiting.run.id)
    names = ("handoff.md", "handoff.html", "changes.patch")
    return tuple(shown_path(folder / name) for name in names if (folder / name).is_file())


def _render(waiting: "Waiting", files: Sequence[str]) -> str:
    run = waiting.run
    proof = "the project's checks passed" if run.verified else "unverified: no required check ran"
    lines = [
        fit(f"issue {run.issue_number}: {one_line(run.title)}", room()),
        f"  commit  {run.head_sha}",
        f"  diff    {run.diff_hash}",
        f"  proof   {proof}",
        *([f"  pull    {waiting.pull}"] if waiting.pull else []),
        *hanging("  ", _fate(waiting), room()),
        *(f"  read    {file}" for file in files),
    ]
    return "\n".join(lines)
