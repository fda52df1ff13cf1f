"""Where each value of the configuration came from, for `config show`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from repoagents.config.document import Plain
from repoagents.config.keys import catalogue
from repoagents.config.redaction import mask
from repoagents.config.validation import Sources
from repoagents.config.variables import SHOWN, EnvironmentFile
from repoagents.logs import HIDDEN


@dataclass(frozen=True)
class Origin:
    """One row: a key, its value as it may be shown, and where it came from.

    `origin` is `default`, `file:line`, a variable, or a variable in a line of the env file. The
    env file's own variables are rows too: `$NAME`, their values hidden.
    """

    key: str
    value: Plain
    origin: str


@dataclass(frozen=True)
class Environment:
    """The env file, the process environment, and both together, where the process wins."""

    file: EnvironmentFile
    process: Mapping[str, str] = field(repr=False)

    @property
    def merged(self) -> Mapping[str, str]:
        """Every variable."""
        return {**self.file.values, **self.process}

    def where(self, variable: str) -> str:
        """The variable, and the env file's line when its value stands there."""
        if variable in self.process:
            return variable
        return f"{variable} in {SHOWN}:{self.file.lines[variable]}"


def trace_origins(sources: Sources, environment: Environment) -> tuple[Origin, ...]:
    """A row for every key, in the order of the settings, then for the env file's variables."""
    tree, merged = sources.tree(), environment.merged
    variables = {override.key.path: override.variable for override in sources.overrides}
    rows: list[Origin] = []
    for key in (key for key in catalogue() if key.is_value):
        origin = "default"
        if key.path in variables:
            origin = environment.where(variables[key.path])
        elif key.path in sources.document.lines:
            origin = sources.document.where(key.path)
        rows.append(Origin(key.name, mask(_value(tree, key.path, key.default), merged), origin))
    for name in environment.file.values:
        shown = "the environment" if name in environment.process else environment.where(name)
        rows.append(Origin(f"${name}", HIDDEN, shown))
    return tuple(rows)


def _value(tree: Plain, path: tuple[str, ...], default: object) -> Plain:
    for part in path:
        if not isinstance(tree, dict) or part not in tree:
            plain: Plain = json.loads(json.dumps(default))
            return plain
        tree = tree[part]
    return tree
