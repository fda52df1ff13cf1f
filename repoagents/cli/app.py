"""The command line: the table of commands, each imported only when it is used."""

import importlib
from typing import TYPE_CHECKING, NamedTuple

import click

from repoagents.cli import boundary
from repoagents.cli.terminal import columns

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

PROGRAM = "repoagents"


class Entry(NamedTuple):
    """One command: its heading in the help, the module that holds it, and its one line."""

    heading: str
    module: str
    summary: str


COMMANDS: dict[str, Entry] = {
    "init": Entry(
        "First evening",
        "init",
        "Write the control plane into a repository, or bring it up to date.",
    ),
    "doctor": Entry(
        "First evening",
        "doctor",
        "Check everything a run needs, and say how to fix what is missing.",
    ),
    "trigger": Entry("First evening", "trigger", "Work on one issue now."),
    "run": Entry(
        "First evening", "run", "Be the worker: take up eligible issues and see them through."
    ),
    "status": Entry("First evening", "status", "Show the runs, and whether a worker is live."),
    "dashboard": Entry(
        "First evening",
        "dashboard",
        "Draw the dashboard: one static page to search, filter and watch.",
    ),
    "approval": Entry(
        "First evening", "approval", "See, approve or reject what waits for a person."
    ),
    "retry": Entry("Operate", "retry", "Send a stopped run back to work."),
    "cancel": Entry("Operate", "cancel", "Stop the run of an issue and keep its work."),
    "logs": Entry("Operate", "logs", "Show what the bot noted, about one issue or all of them."),
    "clean": Entry("Operate", "clean", "Remove the worktrees of finished runs."),
    "serve": Entry(
        "Operate", "serve", "Receive GitHub's webhooks and record them, for the worker to act on."
    ),
    "github": Entry(
        "Operate", "github", "Look at GitHub as the bot sees it, before you trust it with anything."
    ),
    "ops": Entry(
        "Operate",
        "ops",
        "Write the reports and handoff bundles that operators open, and check them.",
    ),
    "rollout": Entry(
        "Operate",
        "rollout",
        "Open what the bot may write, phase by phase; a person takes each step.",
    ),
    "service": Entry(
        "Operate", "service", "Have systemd or launchd start the worker and look after it."
    ),
    "config": Entry("Expert", "config", "Show the configuration and where each value came from."),
    "webhook": Entry(
        "Expert",
        "webhook",
        "Try out a webhook payload from a file, with the code that `serve` runs.",
    ),
    "demo": Entry(
        "Expert",
        "demo",
        "Rehearse the whole path on an example; no model is called, no account is needed.",
    ),
}
"""Every command; the lines are literal, so that the help imports none of them.

A test compares each line with the command's own help.
"""

EPILOG = """\b
Exit codes:
  0    done
  1    something you asked for failed or is unfinished
  2    usage or configuration
  3    a bug in RepoAgents; the path of a crash log is printed
  130  interrupted

\b
Tab completion:
  bash  eval "$(_REPOAGENTS_COMPLETE=bash_source repoagents)"
  zsh   eval "$(_REPOAGENTS_COMPLETE=zsh_source repoagents)"
  fish  _REPOAGENTS_COMPLETE=fish_source repoagents | source

\b
Example:
  repoagents init --preset python-library
  repoagents doctor
  repoagents trigger 1 --dry-run
"""


WHOLE = 200
"""Long enough for every first sentence; click itself cuts what does not fit one line."""


class Program(click.Group):
    """The top group: commands come from the table, under its headings."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module; None for an unknown name."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"repoagents.cli.{entry.module}")
        command: click.Command = module.command
        for child in command.commands.values() if isinstance(command, click.Group) else ():
            child.short_help = child.get_short_help_str(WHOLE)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; of an unknown one, name the nearest, which click cannot know."""
        from difflib import get_close_matches

        name = args[0]
        near = get_close_matches(name, COMMANDS, 1)
        if near and name not in COMMANDS:
            ctx.fail(f"No such command '{name}'. Did you mean '{near[0]}'?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; click itself would make a closed pipe a failure."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            return boundary.end_quietly()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One section per heading, from the table alone."""
        for heading in dict.fromkeys(entry.heading for entry in COMMANDS.values()):
            rows = [(n, e.summary) for n, e in COMMANDS.items() if e.heading == heading]
            with formatter.section(heading):
                formatter.write_dl(rows, col_max=12)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Names from the table, so that pressing Tab imports no command."""
        from click.shell_completion import CompletionItem

        names = [
            CompletionItem(name, help=entry.summary)
            for name, entry in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001
    if not value or ctx.resilient_parsing:
        return
    from repoagents.cli.output import versions

    click.echo(versions())
    ctx.exit()


@click.group(cls=Program, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version, Python and the state's schema.",
)
def program() -> None:
    """An AI maintainer team for this repository.

    A labelled issue is planned, built, verified and reviewed in a worktree of its own. Nothing is
    written outside `.ai-repoagents/` until a flag in the configuration allows it.
    """


def run(argv: list[str]) -> int:
    """Run one command line; returns the exit code and lets no exception out."""
    width = max(min(columns(), 80) - 2, 50)
    return boundary.guard(
        lambda: program.main(argv, PROGRAM, standalone_mode=False, terminal_width=width)
    )
