"""`demo`: the whole path on an example project, from a label to a merge, on a loopback GitHub."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from repoagents.cli.boundary import UNFINISHED
from repoagents.cli.output import examples, shown_path

if TYPE_CHECKING:
    from repoagents.bootstrap import Premises
    from repoagents.cli.desk import Desk
    from repoagents.domain.reports import Verification
    from repoagents.domain.run import Run
    from repoagents.rehearsal.hub import LoopbackGitHub
    from repoagents.rehearsal.stage import Stage

ISSUE = 1
OPENING = """\
A rehearsal: no model is called, and GitHub is a small one on this machine. The agents' answers were
recorded; what stands around them is real: webhooks, the clone, the worktree, the project's own
checks, the guardrails, the verdict, git.

  github      {site}
  clone       {clone}
"""
CLOSING = """\
In a repository of your own begin with `repoagents init`: there every write is off until you allow
it."""


@click.command(epilog=examples("demo", "demo --keep"))
@click.option("--keep", is_flag=True, help="Keep the loopback GitHub up until Ctrl-C.")
def command(*, keep: bool) -> int:
    """Rehearse the whole path on an example; no model is called, no account is needed.

    A small library with known bugs is put on a GitHub that runs on this machine, below `./demo/`.
    A maintainer labels an issue there; a signed webhook brings it here; it is planned, built,
    verified and reviewed; a draft pull request is opened, approved and merged.
    """
    from repoagents.cli.desk import Desk

    with _scene() as scene:
        clone = shown_path(scene.premises.loaded.root)
        click.echo(OPENING.format(site=f"{scene.hub.site}/{scene.hub.full_name}", clone=clone))
        with scene.premises.house() as (house, database):
            code = _play(scene, Desk(scene.premises, house, database.reader))
        click.echo(CLOSING)
        if keep:
            _stay(scene.hub)
    return code


@dataclass(frozen=True)
class _Scene:
    """The stage with its GitHub up, and the receiver's address subscribed to its webhooks."""

    premises: "Premises"
    hub: "LoopbackGitHub"
    stage: "Stage"


@contextmanager
def _scene() -> Iterator[_Scene]:
    from repoagents import bootstrap
    from repoagents.cli.serve import listening
    from repoagents.config.ambient import ambient
    from repoagents.config.files import shipped
    from repoagents.domain.delivery import WEBHOOKS
    from repoagents.git.command import Git
    from repoagents.rehearsal.hub import LoopbackGitHub
    from repoagents.rehearsal.stage import EVENTS, EXAMPLE, build_stage

    clock = bootstrap.SystemClock()
    folder = Path.cwd() / "demo" / f"{EXAMPLE}-{clock.now():%Y%m%d-%H%M%S}"
    folder.mkdir(parents=True)
    environment = ambient()
    with LoopbackGitHub(folder / "github", clock, environment, f"example/{EXAMPLE}") as hub:
        git, example = Git.sealed(folder, environment), shipped(f"examples/{EXAMPLE}")
        stage = build_stage(folder, example, hub, git)
        premises = bootstrap.open_premises(stage.clone, terminal=True)
        with listening(premises, "127.0.0.1", 0, allow_unsigned=False) as (server, _):
            receiver = threading.Thread(target=server.serve, name="receiver")
            receiver.start()
            try:
                hub.subscribe(f"{server.url}{WEBHOOKS}", stage.secret, EVENTS)
                yield _Scene(premises, hub, stage)
            finally:
                hub.hooks.drain()
                server.stop()
                receiver.join()


def _play(scene: _Scene, desk: "Desk") -> int:
    """From the label to the merge; returns the exit code."""
    from repoagents.cli import work
    from repoagents.durable.worker import Assignment, Interrupted
    from repoagents.rehearsal.stage import LABEL, MAINTAINER

    hub, until_idle = scene.hub, Assignment(until_idle=True)
    hub.label(ISSUE, LABEL, by=MAINTAINER)
    hub.hooks.drain()
    click.echo(
        f"{MAINTAINER} labels issue #{ISSUE}; the signed webhook is received and recorded.\n"
    )
    try:
        work.be_worker(desk, until_idle, quiet=False)
        run = desk.house.runs.latest(ISSUE)
        if run is None or not hub.pulls:
            return UNFINISHED
        click.echo("\n".join(["", *_tell(desk, run), "", work.story(desk, run)]))
        pull = hub.pulls[-1]
        hub.review(pull.number, by=MAINTAINER, state="APPROVED")
        hub.hooks.drain()
        click.echo(f"\n{MAINTAINER} approves pull request #{pull.number} at {run.head_sha[:12]}.\n")
        work.be_worker(desk, until_idle, quiet=False)
    except Interrupted as stop:
        return work.explain_interruption(stop)
    return _report(scene, desk)


def _report(scene: _Scene, desk: "Desk") -> int:
    """What stands on GitHub at the end, and the files that show it."""
    from repoagents.cli import work

    hub, folder = scene.hub, scene.premises.loaded.root.parent
    pull, run = hub.pulls[-1], desk.house.runs.latest(ISSUE)
    where = f"merged into {pull.pull.base}" if pull.pull and pull.merged else "not merged"
    click.echo(f"\nPull request #{pull.number} is {where}. What was said there, as pages:")
    for number, kind in ((ISSUE, "issues"), (pull.number, "pull")):
        page = folder / f"{kind}-{number}.html"
        page.write_bytes(hub.page(f"{kind}/{number}"))
        click.echo(f"  {shown_path(page)}")
    click.echo(
        f"and in git:\n  git --git-dir {shown_path(Path(hub.clone_url))} log --graph -p main\n"
    )
    return work.code_of_runs([run]) if run is not None and pull.merged else UNFINISHED


def _stay(hub: "LoopbackGitHub") -> None:
    """Until Ctrl-C."""
    click.echo(f"\nThe loopback GitHub stays up: {hub.site}/{hub.full_name}  (Ctrl-C ends it)")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return


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
