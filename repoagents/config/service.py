"""The worker as a service: the unit that systemd or launchd reads, where it lies, whose it is."""

import hashlib
import html
import pwd
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from repoagents.config.files import read_text, shipped, write_whole
from repoagents.errors import ConfigError

MARK = "Written by `repoagents service`."
"""In every unit of ours, and in no other file."""

PLACEHOLDER = re.compile(r"\{\{([a-z]+)\}\}")


class Kind(StrEnum):
    """Who starts the worker and looks after it."""

    SYSTEMD = "systemd"
    LAUNCHD = "launchd"


class Standing(StrEnum):
    """What lies where the unit belongs."""

    ABSENT = "absent"
    CURRENT = "current"
    OUTDATED = "outdated"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Wish:
    """What shall run, and for whom: `system` is for the whole machine, else it is for one user.

    `command` is the argument list; `environment` gives HOME, XDG_CONFIG_HOME and the PATH on which
    agents and checks find their programs.
    """

    kind: Kind
    system: bool
    root: Path
    command: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Unit:
    """A unit: its name, its text, its place, and what is typed to start, stop and ask for it.

    `renew` starts a live one again, by what the unit says now.
    """

    name: str
    text: str
    path: Path
    start: tuple[tuple[str, ...], ...]
    stop: tuple[tuple[str, ...], ...]
    renew: tuple[tuple[str, ...], ...]
    ask: tuple[str, ...]
    system: bool = False

    @property
    def standing(self) -> Standing:
        """What lies in its place."""
        found = read_text(self.path, str(self.path))
        if found is None:
            return Standing.ABSENT
        if found == self.text:
            return Standing.CURRENT
        return Standing.OUTDATED if MARK in found else Standing.FOREIGN


def plan_unit(wish: Wish) -> Unit:
    """The unit for this wish; nothing is written.

    Raises `ConfigError` for a path that no unit can hold, and for launchd's whole machine.
    """
    if wish.kind is Kind.LAUNCHD and wish.system:
        raise ConfigError(
            "a launchd service is written for one user only",
            next_step="repoagents service print --kind launchd shows it, to be adapted.",
        )
    for text in (str(wish.root), *wish.command, wish.environment.get("PATH", "")):
        if not text.isprintable():
            raise _unfit(text)
    digest = hashlib.sha256(str(wish.root).encode()).hexdigest()[:6]
    name = f"repoagents-{_slug(wish.root.name)}-{digest}"
    return _launchd(wish, name) if wish.kind is Kind.LAUNCHD else _systemd(wish, name)


def write_unit(unit: Unit) -> Standing:
    """Write the unit, unless a file that is not ours is in its place; returns what was there.

    Raises `ConfigError` then, and where this user may not write.
    """
    before = unit.standing
    if before is Standing.FOREIGN:
        raise _not_ours(unit)
    try:
        if before is not Standing.CURRENT:
            write_whole(unit.path, unit.text)
    except OSError as error:
        raise ConfigError(
            f"{unit.path} cannot be written: {error.strerror}",
            next_step=f"repoagents service print{' --system' if unit.system else ''} | "
            f"sudo tee {shlex.quote(str(unit.path))}",
        ) from error
    return before


def remove_unit(unit: Unit) -> Standing:
    """Remove the unit, unless it is not ours; returns what was there."""
    before = unit.standing
    if before is Standing.FOREIGN:
        raise _not_ours(unit)
    unit.path.unlink(missing_ok=True)
    return before


def _systemd(wish: Wish, name: str) -> Unit:
    user, home = _owner(wish.root) if wish.system else ("", str(_home(wish)))
    # What an engine writes about itself, and caches; where they are missing, they are left out.
    writable = (str(wish.root), *(f"-{home}/{name}" for name in (".cache", ".codex")))
    values = {
        "name": name,
        "root": _line(str(wish.root)),
        "command": _command(*wish.command),
        "path": _word(f"PATH={wish.environment.get('PATH', '')}"),
        "writable": " ".join(map(_word, writable)),
        "user": _line(user),
    }
    scope = () if wish.system else ("--user",)
    of_user = Path(wish.environment.get("XDG_CONFIG_HOME") or Path(home, ".config"))
    folder = Path("/etc/systemd/system") if wish.system else of_user / "systemd/user"
    systemctl = ("systemctl", *scope)
    return Unit(
        name=name,
        text=_render(f"systemd/{'system' if wish.system else 'user'}.service", values),
        path=folder / f"{name}.service",
        start=((*systemctl, "daemon-reload"), (*systemctl, "enable", "--now", name)),
        # It ends by itself, within a minute: nobody needs to stand and wait for it.
        stop=((*systemctl, "disable", "--now", "--no-block", name),),
        renew=((*systemctl, "daemon-reload"), (*systemctl, "restart", name)),
        ask=(*systemctl, "is-active", name),
        system=wish.system,
    )


def _launchd(wish: Wish, name: str) -> Unit:
    home = _home(wish)
    words = (f"\t\t<string>{html.escape(word)}</string>" for word in wish.command)
    values = {
        "name": name,
        "root": html.escape(str(wish.root)),
        "arguments": "\n".join(words),
        "path": html.escape(wish.environment.get("PATH", "")),
    }
    path = home / "Library/LaunchAgents" / f"{name}.plist"
    domain = f"gui/{home.stat().st_uid}"
    start = ("launchctl", "bootstrap", domain, str(path))
    stop = ("launchctl", "bootout", f"{domain}/{name}")
    return Unit(
        name=name,
        text=_render("launchd/agent.plist", values),
        path=path,
        start=(start,),
        stop=(stop,),
        renew=(stop, start),
        ask=("launchctl", "print", f"{domain}/{name}"),
    )


def _home(wish: Wish) -> Path:
    home = wish.environment.get("HOME")
    if not home:
        raise ConfigError("HOME is not set, and a user's services lie there", next_step="Set it.")
    return Path(home)


def _owner(root: Path) -> tuple[str, str]:
    """Name and home of whoever owns the repository: the bot works as nobody else."""
    uid = root.stat().st_uid
    try:
        owner = pwd.getpwuid(uid)
    except KeyError:
        raise ConfigError(
            f"{root} belongs to user {uid}, whom this machine does not know",
            next_step="Give the repository to the user that the bot shall work as.",
        ) from None
    return owner.pw_name, owner.pw_dir


def _render(template: str, values: Mapping[str, str]) -> str:
    text = read_text(shipped(f"ops/{template}"), f"ops/{template}") or ""
    return PLACEHOLDER.sub(lambda found: values[found[1]], text)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "repository"


def _command(program: str, *words: str) -> str:
    # The program's own name is taken as it stands, and may hold no quotes:
    # https://www.freedesktop.org/software/systemd/man/systemd.service.html#Command%20lines
    if {'"', "'", "\\"} & set(program):
        raise _unfit(program)
    return " ".join((_word(program), *(_word(word).replace("$", "$$") for word in words)))


def _line(text: str) -> str:
    """A value that is the rest of its line; only systemd's specifiers are marked as text."""
    return text.replace("%", "%%")


def _word(text: str) -> str:
    """One word of a list, in quotes."""
    escaped = _line(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unfit(text: str) -> ConfigError:
    return ConfigError(f"{text!r} cannot be written into a unit", next_step="Rename it.")


def _not_ours(unit: Unit) -> ConfigError:
    return ConfigError(
        f"{unit.path} was not written by this program and is left as it is",
        next_step="Move it away, or print the unit and put it where you like.",
    )
