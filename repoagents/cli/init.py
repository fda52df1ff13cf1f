"""`repoagents init`: write the control plane into a repository, or bring it up to date."""

import os
import shlex
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from repoagents.cli.options import AS_JSON
from repoagents.cli.output import at_terminal, examples, print_json, remark
from repoagents.config.presets import NAMES, load_preset
from repoagents.config.rules import LOCAL_PATHS
from repoagents.errors import ConfigError, RepoAgentsError

if TYPE_CHECKING:
    from repoagents.config.draft import Choices
    from repoagents.config.presets import Proposal
    from repoagents.config.scaffold import Mode, Step

KINDS = ("github", "local_file", "local_markdown")
WORDS = {
    "create": "created",
    "refresh": "updated",
    "replace": "replaced",
    "keep": "kept",
    "unchanged": "unchanged",
}
PATIENCE_SECONDS = 12.0
"""For so long GitHub's answer is waited for, after everything is written."""

_UNASKED = """
The bot needs a token in GITHUB_TOKEN or .ai-repoagents/repoagents.env, or what `gh auth login` \
knows, or a GitHub App.
It takes up issues with its label:
  gh label create repoagents --repo {repo} --description 'Work for the bot'
  gh issue edit NUMBER --repo {repo} --add-label repoagents"""


@dataclass(frozen=True)
class Wish:
    """What the operator typed; None where nothing was."""

    preset: str | None
    kind: str | None
    repo: str | None
    path: str | None


@click.command(
    epilog=examples(
        "init",
        "init --preset python-library --tracker-repo OWNER/REPO",
        "init --tracker-kind local_markdown --tracker-path issues --yes",
        "init --upgrade",
    )
)
@click.option("--preset", type=click.Choice(NAMES), help="The kind of repository this is.")
@click.option("--tracker-kind", type=click.Choice(KINDS), help="Where issues come from.")
@click.option("--tracker-repo", metavar="OWNER/REPO", help="The GitHub repository; implies github.")
@click.option("--tracker-path", metavar="P", help="The local tracker's file or folder.")
@click.option("--upgrade", is_flag=True, help="Refresh what you did not edit; show what you did.")
@click.option("--force", is_flag=True, help="Overwrite everything and keep a copy of it.")
@click.option("--dry-run", is_flag=True, help="List what would be written, and write nothing.")
@click.option("--yes", is_flag=True, help="Ask nothing; accept the proposed verify commands.")
@AS_JSON
def command(
    *,
    preset: str | None,
    tracker_kind: str | None,
    tracker_repo: str | None,
    tracker_path: str | None,
    upgrade: bool,
    force: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Write the control plane into a repository, or bring it up to date.

    At a terminal it asks what was not given. What you edited is never overwritten: --upgrade
    keeps it and shows the difference, --force keeps a copy.
    """
    from repoagents.bootstrap import SystemClock
    from repoagents.config.loader import find_top
    from repoagents.config.scaffold import make_issue_folder, plan_scaffold, write_scaffold

    wish = Wish(preset, tracker_kind, tracker_repo, tracker_path)
    mode = _mode(wish, upgrade=upgrade, force=force)
    root = find_top(Path.cwd()) or Path.cwd()
    asks = at_terminal(sys.stdin) and at_terminal(sys.stdout) and not (yes or dry_run or as_json)
    choices = _choose(root, wish, mode, asks=asks, yes=yes)
    steps = plan_scaffold(root, choices, mode)
    backup = None
    if not dry_run:
        backup = write_scaffold(root, steps, f"{SystemClock().now():%Y%m%dT%H%M%S.%fZ}")
        make_issue_folder(root, choices)
        _try(root)
    done = _Done(root, choices, steps, backup, dry_run)
    if as_json:
        print_json(_document(done))
    else:
        _report(done)


def _try(root: Path) -> None:
    """Load what was written: the environment may not fit it, and readers learn where the state is.

    What was written stays useful, so a refusal is a remark here and an error in the next command.
    """
    from repoagents.config.loader import load

    try:
        warnings = load(root).warnings
    except ConfigError as error:
        warnings = (f"{error}\n  {error.next_step}",)
    for warning in warnings:
        remark(f"warning: {warning}")


def _mode(wish: Wish, *, upgrade: bool, force: bool) -> "Mode":
    from repoagents.config.scaffold import Mode

    if upgrade and force:
        raise click.UsageError("--upgrade and --force are two different things: give one of them")
    if upgrade and (wish.kind or wish.repo or wish.path):
        raise click.UsageError("--upgrade leaves the configuration alone: change the tracker there")
    if wish.repo and wish.kind not in (None, "github"):
        raise click.UsageError(f"--tracker-repo does not go with --tracker-kind {wish.kind}")
    if wish.path and (wish.repo or wish.kind == "github"):
        raise click.UsageError("--tracker-path is for local trackers, not for github")
    if upgrade:
        return Mode.UPGRADE
    return Mode.FORCE if force else Mode.NEW


# --- choosing -------------------------------------------------------------------------------


def _choose(root: Path, wish: Wish, mode: "Mode", *, asks: bool, yes: bool) -> "Choices":
    from repoagents.config.draft import Choices
    from repoagents.config.proposals import propose_checks
    from repoagents.config.scaffold import Mode, has_config

    asks = asks and not (mode is Mode.UPGRADE or has_config(root))
    if has_config(root):
        wish = _remembered(root, wish)
    elif asks:
        wish = _ask(wish)
    preset = load_preset(wish.preset or "none")
    kind = wish.kind or ("github" if wish.repo else "local_markdown")
    if kind == "github" and not wish.repo:
        raise click.UsageError("--tracker-kind github needs --tracker-repo OWNER/REPO")
    proposals = propose_checks(root, preset)
    accepted = proposals if yes else _accepted(proposals) if asks else ()
    return Choices(
        preset=preset,
        kind=kind,
        repo=wish.repo or "",
        path=wish.path or LOCAL_PATHS.get(kind, ""),
        strategy="worktree" if kind == "github" or (root / ".git").exists() else "copy",
        accepted=accepted,
        suggested=() if asks or yes else proposals,
    )


def _remembered(root: Path, wish: Wish) -> Wish:
    """What was not typed is as it was chosen before."""
    from repoagents.config.scaffold import previous_preset, previous_tracker

    preset = wish.preset or previous_preset(root)
    if wish.kind or wish.repo or wish.path:
        return Wish(preset, wish.kind, wish.repo, wish.path)
    return Wish(preset, *previous_tracker(root))


def _ask(wish: Wish) -> Wish:
    """Ask for what was not typed."""
    preset, kind, repo, path = wish.preset, wish.kind, wish.repo, wish.path
    if preset is None:
        remark("What kind of repository is this?")
        for name in NAMES:
            remark(f"  {name:<17} {load_preset(name).description}")
        preset = click.prompt("Preset", type=click.Choice(NAMES), default="none", err=True)
    if kind is None and repo is None and path is None:
        remark("Where do issues come from? A GitHub repository, a JSON file, or Markdown files?")
        kind = click.prompt("Tracker", type=click.Choice(KINDS), default="local_markdown", err=True)
    if kind == "github" and repo is None:
        repo = click.prompt("Repository (OWNER/REPO)", err=True)
    if kind in LOCAL_PATHS and path is None:
        path = click.prompt("Its file or folder", default=LOCAL_PATHS[kind], err=True)
    return Wish(preset, kind, repo, path)


def _accepted(proposals: "tuple[Proposal, ...]") -> "tuple[Proposal, ...]":
    """The checks that a person accepts, one question each."""
    if proposals:
        remark("Checks that the bot could run to prove a change:")
    return tuple(
        proposal
        for proposal in proposals
        if click.confirm(f"  {proposal.run}  ({proposal.because})?", default=True, err=True)
    )


# --- telling --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Done:
    """What was done, or in a dry run would be; `backup` holds copies of what was replaced."""

    root: Path
    choices: "Choices"
    steps: "tuple[Step, ...]"
    backup: Path | None
    dry_run: bool

    @property
    def commit_line(self) -> str:
        """The git line for what was written, to be typed where we stand; empty for nothing."""
        top = dict.fromkeys(step.path.partition("/")[0] for step in self.steps if step.text)
        places = shlex.join(os.path.relpath(self.root / path) for path in top)
        return f"git add {places} && git commit -m 'Set up RepoAgents'" if top else ""


def _document(done: _Done) -> dict[str, object]:
    return {
        "root": done.root,
        "preset": done.choices.preset.name,
        "dry_run": done.dry_run,
        "files": [
            {"path": step.path, "action": step.action, "remark": step.remark, "diff": step.diff}
            for step in done.steps
        ],
        "accepted": done.choices.accepted,
        "suggested": done.choices.suggested,
        "backup": done.backup,
        "commit": done.commit_line,
    }


def _report(done: _Done) -> None:
    click.echo(f"{done.root}" + ("  (dry run: nothing is written)" if done.dry_run else ""))
    for step in done.steps:
        word = step.action.value if done.dry_run else WORDS[step.action.value]
        note = f"  ({step.remark})" if step.remark else ""
        click.echo(f"  {word:<10}{step.path}{note}")
    for step in done.steps:
        if step.diff:
            click.echo(f"\n{step.diff}", nl=False)
    if done.backup:
        click.echo(f"\nCopies of what was replaced: {done.backup.relative_to(done.root)}")
    if not done.commit_line:
        click.echo("\nNothing to do: everything is as this would write it.")
    elif not done.dry_run:
        if (done.root / ".git").exists():
            click.echo(f"\nCommit it:\n  {done.commit_line}")
        _next(done.root, done.choices, done.steps)


def _next(root: Path, choices: "Choices", steps: "tuple[Step, ...]") -> None:
    from repoagents.config.files import CONFIG_PATH

    if choices.kind == "local_markdown":
        click.echo(
            f"\nAn issue is a Markdown file in {choices.path}/, its number first:\n"
            f"  {choices.path}/1-say-what-is-wrong.md"
        )
    elif choices.kind == "local_file":
        click.echo(
            f"\nIssues are a JSON list in {choices.path}:\n"
            '  [{"id": 1, "title": "Say what is wrong", "body": "And how to tell it is done."}]'
        )
    elif choices.kind == "github":
        click.echo(_how_to_label(root) or _UNASKED.format(repo=choices.repo))
    if choices.suggested and any(step.path == CONFIG_PATH and step.text for step in steps):
        click.echo(
            f"\nProposed checks are comments in {CONFIG_PATH}: "
            "take the marks away from those you want."
        )
    click.echo("\nThen: repoagents doctor")


def _how_to_label(root: Path) -> str:
    """How many issues are open and labelled, and how to label one; asked where a token is given.

    Empty where there is none, or GitHub gives no answer soon: `doctor` says why.
    """
    from repoagents import bootstrap
    from repoagents.pipeline import tally

    try:
        premises = bootstrap.open_premises(root, terminal=True)
        tracker = premises.loaded.settings.tracker
        bench = premises.bench()
        inspection, label = bench.tracker.inspection, tracker.trigger_label
    except RepoAgentsError:
        return ""
    given = premises.loaded.environment.get(tracker.token_env)
    if not (given and inspection and label) or tracker.smoke_fixture_path:
        return ""

    told: list[str] = []

    def ask() -> None:
        with suppress(RepoAgentsError):
            if labelled := bench.tracker.read_issues():
                told.append(f"{len(labelled)} open, labelled {label}")
            else:
                count, steps = tally.count_open(inspection, tracker.repo, label)
                told.append("\n  ".join((count, *steps)))

    remark("asking GitHub which issues are open ...")
    # Nothing waits for the thread in the end: a request may take minutes to fail.
    asking = threading.Thread(target=ask, name="ask", daemon=True)
    asking.start()
    asking.join(PATIENCE_SECONDS)
    if asking.is_alive():
        remark("GitHub has not answered yet; `repoagents doctor` asks again")
    return f"\nIt takes up issues with its label: {told[0]}" if told else ""
