"""The top of the command line: help, version, completion, what is refused at the door."""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from repoagents.cli import app

CONTEXT = click.Context(app.program, info_name="repoagents")


def every_command() -> Iterator[tuple[str, click.Command]]:
    """Each command and each command below it, by the words that are typed."""
    waiting = [(name, app.program.get_command(CONTEXT, name)) for name in app.COMMANDS]
    while waiting:
        name, command = waiting.pop()
        assert command is not None, name
        yield name, command
        if isinstance(command, click.Group):
            waiting += [(f"{name} {child}", found) for child, found in command.commands.items()]


def test_help_groups_the_commands_as_they_are_needed(repoagents, tmp_path: Path) -> None:
    shown = repoagents(tmp_path, "--help")
    assert (shown.code, shown.err) == (0, "")
    order = ["First evening:", "init", "doctor", "trigger", "run", "status", "approval"]
    order += ["Operate:", "retry", "cancel", "logs", "clean", "Expert:", "config", "demo"]
    rest = iter(shown.out.splitlines())
    for word in order:
        assert any(line.strip().startswith(word) for line in rest), word


def test_without_arguments_the_help_is_shown(repoagents, tmp_path: Path) -> None:
    shown = repoagents(tmp_path)
    assert shown.code == 2
    assert "First evening:" in shown.err


@pytest.mark.parametrize("name", app.COMMANDS)
def test_the_table_says_what_the_command_says(name: str) -> None:
    module = importlib.import_module(f"repoagents.cli.{app.COMMANDS[name].module}")
    assert module.command.get_short_help_str(200) == app.COMMANDS[name].summary


def test_every_command_explains_itself_with_an_example() -> None:
    named = dict(every_command())
    assert {"trigger", "approval reject", "config show"} <= named.keys()
    for name, command in named.items():
        # The names of the help option too: a command keeps the first that it was asked with.
        context = click.Context(command, info_name=name, help_option_names=["-h", "--help"])
        shown = command.get_help(context)
        assert f"repoagents {name}" in shown.partition("Example:")[2], name
        silent = [o.name for o in command.params if isinstance(o, click.Option) and not o.help]
        assert silent == [], name


def test_version_names_program_python_and_schema(repoagents, tmp_path: Path) -> None:
    from repoagents import __version__
    from repoagents.store.reader import SCHEMA

    python = ".".join(map(str, sys.version_info[:3]))
    shown = repoagents(tmp_path, "--version")
    assert shown.out == f"repoagents {__version__} (Python {python}, state schema {SCHEMA})\n"
    assert shown.code == 0


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        (["tigger", "1"], "No such command 'tigger'"),
        (["trigger"], "Missing argument 'NUMBER'"),
        (["trigger", "0"], "0 is not in the range"),
        (["trigger", "one"], "'one' is not a valid whole number"),
        (["trigger", "1", "--no-agent"], "--no-agent goes with --dry-run"),
        (["run", "--once", "--until-idle"], "exclude each other"),
        (["retry"], "name one issue, or --blocked"),
        (["retry", "1", "--blocked"], "name one issue, or --blocked"),
        (["retry", "1", "--limit", "2"], "--reason and --limit go with --blocked"),
        (["retry", "--blocked", "--reason", "weather"], "'weather' is not one of"),
        (["logs", "1", "--follow", "--json"], "exclude each other"),
        (["status", "--watch", "--json"], "exclude each other"),
    ],
)
def test_wrong_usage_ends_with_2(repoagents, tmp_path: Path, typed: list[str], named: str) -> None:
    ended = repoagents(tmp_path, *typed)
    assert ended.code == 2
    assert named in ended.err
    assert ended.out == ""


def test_the_shell_completes_commands_without_importing_them(repoagents, tmp_path: Path) -> None:
    asked = {"_REPOAGENTS_COMPLETE": "bash_complete", "COMP_WORDS": "repoagents r"}
    ended = subprocess.run(
        [sys.executable, "-m", "repoagents"],
        env={**os.environ, **asked, "COMP_CWORD": "1", "PYTHONPROFILEIMPORTTIME": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert set(ended.stdout.split()) == {"plain,run", "plain,retry", "plain,rollout"}
    assert "repoagents.cli.app" in ended.stderr
    assert "repoagents.cli.retry" not in ended.stderr
    script = repoagents(tmp_path, _REPOAGENTS_COMPLETE="bash_source")
    assert "complete -o nosort" in script.out


def test_windows_is_refused_with_one_line() -> None:
    pretend = "import sys; from repoagents.__main__ import main; sys.platform = 'win32'; "
    ended = subprocess.run(
        [sys.executable, "-c", pretend + "sys.exit(main())"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "WSL" in ended.stderr


def test_the_help_of_a_group_says_whole_sentences(repoagents, tmp_path: Path) -> None:
    for group in ("ops", "rollout", "config"):
        shown = repoagents(tmp_path, group, "--help").out
        assert "..." not in shown.partition("Commands:")[2], group


def test_a_mistyped_command_gets_the_nearest(repoagents, tmp_path: Path) -> None:
    ended = repoagents(tmp_path, "triger", "1")
    assert (ended.code, ended.out) == (2, "")
    assert "No such command 'triger'. Did you mean 'trigger'?" in ended.err
    assert "Did you mean" not in repoagents(tmp_path, "xyzzy").err
