"""The texts that `init` writes and keeps up to date: what they should say, and what they say."""

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from repoagents.config.blocks import find_block, splice_block
from repoagents.config.files import CONTROL, read_text
from repoagents.config.presets import BASE, NAMES, base_text, preset_texts
from repoagents.errors import ConfigError

LOCK = f"{CONTROL}/templates.lock"
AGENTS = "AGENTS.md"
WORKFLOW = "WORKFLOW.md"
WORKFLOW_MARK = "<!-- repoagents:workflow -->"
IGNORED = ("state", "git", "cache", "artifacts", "workspaces", "logs", "reports", "dashboard")
IGNORE = (
    "# Written while the bot runs, or secret: never committed.\n"
    + "".join(f"/{name}/\n" for name in IGNORED)
    + "/repoagents.env\n"
)


@dataclass(frozen=True)
class Lock:
    """What was written last: the preset, and the hash of each text by its path."""

    preset: str = BASE
    hashes: Mapping[str, str] = field(default_factory=dict)


class Standing(StrEnum):
    """How a managed text stands to what this version of the program would write."""

    MISSING = "missing"
    CURRENT = "current"
    OUTDATED = "outdated"
    """Unedited, but written by an older version or for another preset."""
    EDITED = "edited"
    """Edited here, and the program's own text has not changed since."""
    DIVERGED = "edited and outdated"
    """Edited here, and the program's own text has changed too."""
    FOREIGN = "not ours"
    """Somebody else's file in the same place."""


@dataclass(frozen=True)
class Managed:
    """One text: its path from the root, what it should say, and what the file says now.

    Line endings are set aside: texts are compared and recorded with `\\n`. `link` is where the
    operator's own link in its place leads; such a file is never ours.
    """

    path: str
    wanted: str
    found: str | None
    recorded: str | None
    link: str = ""

    @property
    def standing(self) -> Standing:
        """Told from the recorded hash: an edit is what differs from what was last written."""
        if self.link:
            return Standing.FOREIGN
        if self.found is None:
            return Standing.MISSING
        if self.found == self.wanted:
            return Standing.CURRENT
        if self.recorded is None:
            return Standing.FOREIGN
        if hash_text(self.found) == self.recorded:
            return Standing.OUTDATED
        same = hash_text(self.wanted) == self.recorded
        return Standing.EDITED if same else Standing.DIVERGED

    @property
    def diff(self) -> str:
        """From the program's text to the file's, unified."""
        rows = difflib.unified_diff(
            self.wanted.splitlines(keepends=True),
            (self.found or "").splitlines(keepends=True),
            f"repoagents/{self.path}",
            self.path,
        )
        return "".join(row if row.endswith("\n") else f"{row}\n" for row in rows)


@dataclass(frozen=True)
class Drift:
    """The texts that are not as this program would write them, each with how: `path (edited)`.

    Edited texts are the operator's right. What is missing or outdated is `behind`, and `fix` is
    the line that fixes it.
    """

    edited: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    fix: str = ""


def find_drift(control: Path) -> Drift:
    """Compare every managed text with the file; a `WORKFLOW.md` that was never ours is no drift."""
    root = control.parent
    if not (root / LOCK).exists():
        fix = f"git checkout -- {LOCK}, or: repoagents init --upgrade --preset NAME"
        return Drift(behind=(f"{LOCK} (missing)",), fix=fix)
    try:
        lock = read_lock(root)
        rows = managed_texts(root, lock.preset, lock)
    except ConfigError as error:
        return Drift(behind=(str(error),), fix=error.next_step)
    edited = (Standing.EDITED, Standing.DIVERGED)
    behind = (Standing.MISSING, Standing.OUTDATED)
    return Drift(
        tuple(f"{row.path} ({row.standing})" for row in rows if row.standing in edited),
        tuple(f"{row.path} ({row.standing})" for row in rows if row.standing in behind),
        "repoagents init --upgrade",
    )


def managed_texts(root: Path, preset: str, lock: Lock) -> tuple[Managed, ...]:
    """Every managed text but the configuration, which is the operator's from its first line."""
    wanted = {f"{CONTROL}/{path}": text for path, text in preset_texts(preset).items()}
    wanted[f"{CONTROL}/.gitignore"] = IGNORE
    wanted[AGENTS] = base_text(AGENTS)
    wanted[WORKFLOW] = base_text(WORKFLOW)
    return tuple(
        Managed(path, text, _found(root, path), lock.hashes.get(path), _link(root, path))
        for path, text in wanted.items()
    )


def _link(root: Path, path: str) -> str:
    """`AGENTS.md` is often a link to another tool's file: the operator's arrangement, kept."""
    place = root / path
    return str(place.readlink()) if path in (AGENTS, WORKFLOW) and place.is_symlink() else ""


def _found(root: Path, path: str) -> str | None:
    text = None if _link(root, path) else read_text(root / path, path)
    if text is None:
        return None
    return find_block(text, path) if path == AGENTS else text.replace("\r\n", "\n")


def written_text(root: Path, row: Managed) -> str:
    """What the whole file will say: of `AGENTS.md` only our block is replaced or added."""
    if row.path != AGENTS:
        return row.wanted
    return splice_block(read_text(root / AGENTS, AGENTS) or "", row.wanted, AGENTS)


def read_lock(root: Path) -> Lock:
    """What was written last; empty when nothing was, or `ConfigError` when it cannot be read."""
    text = read_text(root / LOCK, LOCK)
    if text is None:
        return Lock()
    try:
        tree = json.loads(text)
        preset, hashes = tree["preset"], tree["files"]
    except (ValueError, KeyError, TypeError):
        preset, hashes = None, None
    if preset not in NAMES or not isinstance(hashes, dict):
        raise ConfigError(
            f"{LOCK} is damaged or written by another version",
            next_step=f"git checkout -- {LOCK}; without it every text counts as edited by you",
        )
    return Lock(preset, {str(path): str(value) for path, value in hashes.items()})


def render_lock(lock: Lock) -> str:
    """The lock as a file, one text per line so that merges stay readable."""
    tree = {"version": 1, "preset": lock.preset, "files": dict(sorted(lock.hashes.items()))}
    return json.dumps(tree, indent=2) + "\n"


def hash_text(text: str) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
