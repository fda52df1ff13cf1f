"""The configuration for readers: JSON Schema for editors, and the reference page."""

import ast
import inspect
import json
from itertools import pairwise
from typing import Any

from repoagents.config.keys import Key, catalogue
from repoagents.domain import settings

INTRODUCTION = """\
<!-- Written by `repoagents config schema --markdown` from repoagents/domain/settings.py. -->
# Configuration

Everything is in `.ai-repoagents/repoagents.yaml`, which `repoagents init` writes and you commit. A
key that is missing has its default. Unknown keys, duplicate keys and values of the wrong kind are
refused, all at once and each with its line: `"false"` in quotes is text, not false.

- **See what applies:** `repoagents config show` lists every value and where it came from.
- **Override one value** with the environment variable in the tables, for example
  `REPOAGENTS_AGENT__RETRY_LIMIT=1`. Lists are written as `[a, b]`. It overrides the file.
- **Secrets** do not belong in this file. Put them into the environment, or into
  `.ai-repoagents/repoagents.env` (lines of `NAME=value`, mode 0600, ignored by git), which is read
  for variables that are unset.
- **In an editor:** `repoagents config schema > repoagents.schema.json` writes the JSON Schema.
- **For a live loop:** a worker reads the configuration when it starts; restart it after a change.
"""
SPECIAL = {
    "tracker.trigger_label": "`repoagents`; local trackers: null",
    "tracker.path": "`issues.json` or `issues` for local trackers",
}
"""Defaults that depend on another key, as the loader fills them in."""


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the configuration file, draft 2020-12."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(settings.Settings).json_schema()
    for name, definition in {"Settings": schema, **schema["$defs"]}.items():
        for field, sentence in _sentences(getattr(settings, name)).items():
            definition["properties"][field]["description"] = sentence
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "RepoAgents configuration",
    }


def _sentences(section: type) -> dict[str, str]:
    """The text below each field, read off the source; Pydantic would do it at every start."""
    found = {}
    nodes = ast.walk(ast.parse(inspect.getsource(section)))  # breadth first: by lines
    for pair in pairwise(nodes):
        match pair:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                found[name] = inspect.cleandoc(text)
            case _:
                pass
    return found


def render_reference() -> str:
    """The Markdown page: one table per section, made from the settings classes alone."""
    meanings = _meanings()
    keys = [key for key in catalogue() if not key.is_section]
    parts = [INTRODUCTION]
    for section in dict.fromkeys(key.path[0] for key in keys):
        rows = [key for key in keys if key.path[0] == section]
        parts.append(f"\n## {section}\n\n{meanings['Settings', section]}\n\n")
        parts.append("| key | value | default | meaning | variable |\n|---|---|---|---|---|\n")
        parts += [_row(key, meanings[key.owner, key.path[-1]]) for key in rows]
    return "".join(parts)


def _row(key: Key, meaning: str) -> str:
    default = SPECIAL.get(key.name) or ("*needed*" if key.required else _default(key.default))
    variable = f"`{key.variable}`" if key.variable else ""
    cells = (f"`{key.name}`", key.expected, default, meaning, variable)
    return f"| {' | '.join(_cell(cell) for cell in cells)} |\n"


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


def _default(value: object) -> str:
    if value in ("", ()):
        return "empty"
    text = value if isinstance(value, str) and "\n" not in value else json.dumps(value)
    return f"`{text}`"


def _meanings() -> dict[tuple[str, str], str]:
    """The sentence below each field, by class and field."""
    schema = json_schema()
    classes = {"Settings": schema, **schema["$defs"]}
    return {
        (owner, name): field["description"]
        for owner, definition in classes.items()
        for name, field in definition.get("properties", {}).items()
    }
