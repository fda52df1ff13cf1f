"""Where a command stands: the control plane's folder, and the premises that it works on."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from repoagents.cli import boundary
from repoagents.cli.output import at_terminal, remark
from repoagents.config.files import CONTROL

if TYPE_CHECKING:
    from repoagents.bootstrap import Premises


def control_folder() -> Path:
    """The control plane of the repository that we are in, found without loading anything.

    Raises `ConfigError` when there is none.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / CONTROL).is_dir():
            return folder / CONTROL
        if (folder / ".git").exists():
            break
    from repoagents.config.loader import find_root

    return find_root(here) / CONTROL


def open_premises(*, remarks: bool = True) -> "Premises":
    """The repository that we are in; with `remarks`, what is odd in its configuration is told."""
    from repoagents import bootstrap

    premises = bootstrap.open_premises(Path.cwd(), terminal=at_terminal(sys.stderr))
    boundary.remember_environment(premises.loaded.environment)
    for warning in premises.loaded.warnings if remarks else ():
        remark(f"warning: {warning}")
    return premises


def operator(premises: "Premises") -> str:
    """The name of the account that typed the command, for the record."""
    names = (premises.loaded.environment.get(name) for name in ("LOGNAME", "USER"))
    return next((name for name in names if name), "operator")
