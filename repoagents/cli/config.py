"""`repoagents config`: what holds and where it came from, and the schema of the file."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from repoagents.cli.options import AS_JSON
from repoagents.cli.output import examples, print_json, remark
from repoagents.cli.terminal import room
from repoagents.views.layout import hanging

if TYPE_CHECKING:
    from repoagents.config.document import Plain

WIDEST = 40
"""Longer values push their origin to the right instead of every other one."""


@click.group(
    epilog=examples("config show", "config show --json", "config schema > repoagents.schema.json")
)
def command() -> None:
    """Show the configuration and where each value came from."""


@command.command(epilog=examples("config show", "config show --json"))
@AS_JSON
def show(*, as_json: bool) -> None:
    """Show every value with its origin: a default, a line of a file, or a variable.

    Passwords and the values of the environment file are hidden.
    """
    from repoagents.config.loader import find_root, load

    loaded = load(find_root(Path.cwd()))
    for warning in loaded.warnings:
        remark(f"warning: {warning}")
    if as_json:
        print_json({"root": loaded.root, "values": loaded.origins})
        return
    rows = [(row.key, _shown(row.value), row.origin) for row in loaded.origins]
    key_width = max(len(key) for key, _, _ in rows)
    value_width = min(WIDEST, max(len(value) for _, value, _ in rows))
    if room() < key_width + value_width + WIDEST:
        for key, value, origin in rows:
            click.echo("\n".join(hanging(f"{key}: ", value, room())))
            click.echo("\n".join(hanging("    ", origin, room())))
        return
    for key, value, origin in rows:
        click.echo(f"{key:<{key_width}}  {value:<{value_width}}  {origin}")


@command.command(epilog=examples("config schema > repoagents.schema.json"))
@click.option("--markdown", is_flag=True, help="The reference page for people instead.")
def schema(*, markdown: bool) -> None:
    """Print the JSON Schema of the configuration file, for editors."""
    from repoagents.config.reference import json_schema, render_reference

    if markdown:
        click.echo(render_reference(), nl=False)
    else:
        print_json(json_schema())


def _shown(value: "Plain") -> str:
    import json

    bare = isinstance(value, str) and value.isprintable() and value
    return bare or json.dumps(value, ensure_ascii=False)
