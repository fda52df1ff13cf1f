"""Where runs live on the disk, and the proof that a path is inside the control folder."""

import json
import os
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from repoagents.errors import GitError
from repoagents.git.disk import Print
from repoagents.git.trees import Entry

_STAT = struct.Struct("!10I")
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")


@dataclass(frozen=True)
class Manifest:
    """What stood in a worktree before an agent saw it.

    `files` are the prints of paths that equal the base, or None when these are the ones that the
    checkout left in the index; `extras` is what a hook added beside it, as entries, and `kept` the
    names of whatever else there was. `stamp` is the file system's time, in nanoseconds, at which
    the prints were taken; `sparse` the folders that were checked out.
    """

    base: str
    stamp: int
    files: Mapping[str, Print] | None
    extras: Mapping[str, Entry] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    sparse: tuple[str, ...] = ()

    def holds(self, path: str, seen: Print) -> bool:
        """Whether the path is certainly as it was.

        A file that changed in the same tick of the clock in which its print was taken could look
        the same: such a print proves nothing.
        """
        files = self.files or {}
        return seen.ctime_ns < self.stamp and files.get(path) == seen


@dataclass(frozen=True)
class RunFolder:
    """One run's folder: the worktree in `repo`, and beside it what only the host uses."""

    path: Path

    @property
    def repo(self) -> Path:
        """Where agents work."""
        return self.path / "repo"

    @property
    def making(self) -> Path:
        """A worktree that is not there yet, or not any more."""
        return self.path / "making"

    @property
    def index(self) -> Path:
        """The index as it was after the checkout, for a new private `.git`."""
        return self.path / "index"

    @property
    def _manifest(self) -> Path:
        return self.path / "manifest.json"

    def read_manifest(self) -> Manifest:
        """The manifest; `GitError` when it is not there or not whole."""
        try:
            manifest = parse_manifest(self._manifest.read_bytes())
            if manifest.files is None:
                prints = parse_index(self.index.read_bytes(), len(manifest.base) // 2)
                manifest = replace(manifest, files=prints)
        except (OSError, ValueError, TypeError, KeyError, struct.error) as error:
            raise GitError(
                f"The record of the worktree {self.repo} cannot be read: {error}",
                next_step="Start the run in a new worktree: repoagents retry N --fresh.",
            ) from error
        return manifest

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest at once."""
        fresh = self.path / "manifest.json.new"
        fresh.write_bytes(render_manifest(manifest))
        fresh.replace(self._manifest)

    def stamp(self) -> int:
        """The file system's own time: what a file written now would get."""
        probe = self.path / "probe"
        probe.write_bytes(b"")
        os.utime(probe)
        now = probe.stat().st_ctime_ns
        probe.unlink()
        return now


def parse_manifest(content: bytes) -> Manifest:
    """A manifest from JSON; `ValueError`, `TypeError` or `KeyError` when it is none."""
    raw = json.loads(content)
    files = raw["files"]
    return Manifest(
        base=raw["base"],
        stamp=raw["stamp"],
        files=files and {path: Print(*values) for path, values in files.items()},
        extras={path: Entry(*values) for path, values in raw["extras"].items()},
        kept=frozenset(raw["kept"]),
        sparse=tuple(raw["sparse"]),
    )


def render_manifest(manifest: Manifest) -> bytes:
    """A manifest as compact JSON; names that are not UTF-8 survive as lone surrogates."""
    raw = {
        "base": manifest.base,
        "stamp": manifest.stamp,
        "sparse": manifest.sparse,
        "extras": manifest.extras,
        "kept": sorted(manifest.kept),
        "files": manifest.files,
    }
    return json.dumps(raw, separators=(",", ":")).encode("ascii")


def parse_index(content: bytes, hash_size: int) -> dict[str, Print]:
    """The prints in a git index (https://git-scm.com/docs/index-format); `ValueError` if unknown.

    `hash_size` is the bytes of an object's name. Git has taken these prints while it wrote the
    files: to look at each a second time would make every run wait longer.
    """
    signature, version, count = struct.unpack_from("!4sII", content)
    if signature != b"DIRC" or version not in (2, 3):
        raise ValueError(f"an index of version {version}")
    prints, place = {}, 12
    for _ in range(count):
        ctime, ctime_ns, mtime, mtime_ns, _, inode, mode, _, _, size = _STAT.unpack_from(
            content, place
        )
        flags = place + _STAT.size + hash_size
        name = flags + (4 if content[flags] & 0x40 else 2)
        end = content.index(b"\0", name)
        times = (mtime * 10**9 + mtime_ns, ctime * 10**9 + ctime_ns)
        prints[os.fsdecode(content[name:end])] = Print(mode, size, *times, inode)
        # Entries end in one to eight NUL bytes, so that each is a multiple of eight long.
        place += (end - place) // 8 * 8 + 8
    return prints


@dataclass(frozen=True)
class Grounds:
    """The folder of all worktrees, `<control>/workspaces`."""

    control: Path

    @property
    def path(self) -> Path:
        """The folder, symlinks above the control folder resolved."""
        return Path(os.path.realpath(self.control)) / "workspaces"

    def run(self, issue_number: int, run_id: str) -> RunFolder:
        """A run's folder; `GitError` when its name or a symlink would lead elsewhere."""
        if not _RUN_ID.fullmatch(run_id):
            raise GitError(f"{run_id!r} cannot be the name of a run's folder")
        folder = RunFolder(self.path / f"issue-{issue_number:d}" / run_id)
        _require_real(folder.path)
        return folder

    def runs(self) -> list[tuple[int, RunFolder]]:
        """Every run's folder on the disk, by issue number and name."""
        _require_real(self.path)
        found = [
            (int(issue.name.removeprefix("issue-")), RunFolder(run))
            for issue in self.path.glob("issue-*")
            if issue.name.removeprefix("issue-").isdecimal() and not issue.is_symlink()
            for run in issue.iterdir()
            if run.is_dir() and not run.is_symlink() and _RUN_ID.fullmatch(run.name)
        ]
        return sorted(found, key=lambda pair: (pair[0], pair[1].path.name))


def _require_real(path: Path) -> None:
    if (real := os.path.realpath(path)) != str(path):
        raise GitError(
            f"{path} leads to {real}: a symlink stands in its way",
            next_step=f"Replace the symlink in {path} with a real folder.",
        )
