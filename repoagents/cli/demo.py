"""`demo`: the whole path on an example project, from the issue to a change to merge."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

import repoagents
from repoagents.cli.boundary import UNFINISHED
from repoagents.cli.output import examples, shown_path
from repoagents.errors import RepoAgentsError

if TYPE_CHECKING:
    from repoagents.bootstrap import Premises
    from repoagents.cli.desk import Desk
    from repoagents.domain.reports import Verification
    from repoagents.domain.run import Run

EXAMPLE = "python-lib"
ISSUE = 1
BRANCH = "main"
IDENTITY = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "RepoAgents demo"), ("EMAIL", "demo@example.invalid"))
}
OPENING = """\
A rehearsal: no model is called. The agents' answers were recorded; what stands around them is
real: the clone, the worktree, the project's own checks, the guardrails and the verdict.

  repository  {root}
  issue       {issue}
"""
CLOSING = """\
Nothing was published: the flags are off. To get the change as a branch:
  cd {root}
  REPOAGENTS_SAFETY__ALLOW_OPEN_PR=true repoagents approval approve {number}
  git diff {base}...{branch}
For good: set safety.allow_open_pr to true in .ai-repoagents/repoagents.yaml.
In a repository of your own begin with `repoagents init`."""


@click.command(epilog=examples("demo"))
def command() -> int:
    """Rehearse the whole path on an example; no model is called.

    A small library with known bugs is copied into `./demo/` and made a git repository. Its first
    issue is planned, built, verified and reviewed there; no account and no network is needed.
    """
    from repoagents.cli import work
    from repoagents.cli.desk import Desk
    from repoagents.durable.worker import Interrupted

    premises = _set_up()
    issue = next((premises.loaded.root / "issues").glob(f"{ISSUE}-*.md"))
    root = shown_path(premises.loaded.root)
    click.echo(OPENING.format(root=root, issue=shown_path(issue)))
    with premises.house() as (house, database):
        desk = Desk(premises, house, database.reader)
        try:
            work.see_through(desk, desk.write("trigger", ISSUE), quiet=False)
        except Interrupted as stop:
            return work.explain_interruption(stop)
        run = house.runs.latest(ISSUE)
        if run is None:
            return UNFINISHED
        click.echo("\n".join(["", *_tell(desk, run), "", work.story(desk, run), ""]))
        closing = CLOSING.format(root=root, number=ISSUE, base=BRANCH, branch=run.branch)
        click.echo(closing if run.branch else f"cd {root} && repoagents status --issue {ISSUE}")
        return work.code_of_runs([run])


def _set_up() -> "Premises":
    """A fresh copy of the example as a git repository of its own, with one commit."""
    from repoagents import bootstrap
    from repoagents.git.command import Git

    stamp = f"{bootstrap.SystemClock().now():%Y%m%d-%H%M%S}"
    root = Path.cwd() / "demo" / f"{EXAMPLE}-{stamp}"
    shutil.copytree(_example(), root)
    premises = bootstrap.open_premises(root, terminal=True)
    git = Git.sealed(root, premises.loaded.environment).told(**IDENTITY)
    git.run("init", "--quiet", f"--initial-branch={BRANCH}")
    git.run("add", "--all")
    git.run("commit", "--quiet", "--message=Start")
    return premises


def _example() -> Path:
    """The example inside the installed package, or else in the checkout it runs from."""
    package = Path(repoagents.__file__).parent
    for folder in (package / "examples", package.parent / "examples"):
        if (folder / EXAMPLE).is_dir():
            return folder / EXAMPLE
    raise RepoAgentsError(
        f"this installation has no examples/{EXAMPLE} in {package}",
        next_step="Install it anew: pip install --force-reinstall repoagents",
    )


def _tell(desk: "Desk", run: "Run") -> Iterator[str]:
    """What happened, in the order in which it did, with the evidence."""
    from repoagents.pipeline.dossier import gather

    told = gather(desk.house, run)
    if told.plan is not None:
        yield f"Plan    {told.plan.summary}"
    yield from _evidence("Before", told.base_verification)
    yield from _evidence("After ", told.verification)
    if told.review is not None:
        met = sum(row.met for row in told.review.criteria)
        words = f"{told.review.decision}, {met} of {len(told.review.criteria)} criteria met"
        yield f"Review  {words}: {told.review.summary}"
    patch = desk.house.artifacts.read(run.issue_number, run.id, "changes.patch")
    if patch:
        yield "\nThe change:\n"
        yield from (f"  {line}" for line in patch.rstrip().splitlines())


def _evidence(when: str, verification: "Verification | None") -> Iterator[str]:
    for result in verification.results if verification else ():
        outcome = f"{result.outcome}, exit {result.exit_code}, {result.seconds:.1f} s"
        yield f"{when}  `{result.command}`: {outcome}"
