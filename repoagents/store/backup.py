"""Backups: state, key, control plane and artifacts in one archive with checksums."""

import hashlib
import json
import os
import shlex
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from repoagents import __version__
from repoagents.domain.places import DATABASE
from repoagents.errors import ConfigError, StoreError
from repoagents.store.engine import parse_place
from repoagents.store.files import new_file
from repoagents.store.migrations import check_file, copy_file
from repoagents.store.reader import SCHEMA, connect_readonly
from repoagents.store.rows import render_instant
from repoagents.store.signing import KEY

FORMAT = 1
"""The schema of the manifest."""

MANIFEST = "backup.json"
CONTROL_PLANE = (".gitignore", "repoagents.yaml", "templates.lock", "roles", "prompts", "policies")
ARTIFACTS = "artifacts"
CHUNK = 1 << 20
_MODE = (stat.S_IFREG | 0o600) << 16


@dataclass(frozen=True)
class Backup:
    """An archive that was made: where it lies, its bytes, how many files and runs it holds."""

    path: Path
    size: int
    members: int
    runs: int


def make_backup(control: Path, place: Path, now: datetime) -> Backup:
    """Write a backup to `place`, readable by its owner only; a live worker is not disturbed.

    Raises `StoreError` when there is no state yet, when `place` is taken or cannot be written, and
    `StateUnreadable` when the state is damaged: a backup of that would be none.
    """
    database = control / DATABASE
    if not database.exists():
        raise StoreError(
            f"there is no state in {database} yet", next_step="repoagents run makes one."
        )
    try:
        with tempfile.TemporaryDirectory(dir=database.parent, prefix=".backup-") as folder:
            copy = Path(folder) / "copy.sqlite"
            copy_file(database, copy)
            check_file(copy)
            with new_file(place) as file:
                runs = _count_runs(copy)
                members = _pack(file, control, copy, {"made_at": render_instant(now), "runs": runs})
    except OSError as error:
        raise StoreError(
            f"the backup {place} cannot be written: {error.strerror or error}",
            next_step="Name a place with enough room that this user can write.",
        ) from error
    return Backup(place, place.stat().st_size, members, runs)


def is_member(name: str) -> bool:
    """Whether a backup may hold a file of this name: one of ours, and nowhere else."""
    parts = name.split("/")
    ours = name in (DATABASE, KEY) or parts[0] in (*CONTROL_PLANE, ARTIFACTS)
    plain = name.isprintable() and "\\" not in name and not {"", ".", ".."} & set(parts)
    return ours and plain


def dump_line(url: str) -> str:
    """The line that backs up a state in PostgreSQL; it holds no password."""
    place = parse_place(url)
    words = ["pg_dump", "--format=custom", "--file=repoagents.dump"]
    known = {"host": place.host, "port": place.port, "username": place.username}
    words += [f"--{name}={value}" for name, value in known.items() if value]
    return shlex.join([*words, place.database or "repoagents"])


def refuse_server(url: str) -> None:
    """Raise `ConfigError` with the server's own tools for a state in PostgreSQL."""
    if url:
        raise ConfigError(
            "the state is in PostgreSQL, which has its own tools for this",
            next_step=f"{dump_line(url)}\n  and to restore: pg_restore --clean --if-exists "
            "--dbname=DATABASE repoagents.dump",
        )


def _count_runs(copy: Path) -> int:
    with closing(connect_readonly(copy)) as connection:
        return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])


def _pack(file: IO[bytes], control: Path, copy: Path, about: dict[str, object]) -> int:
    """Fill the archive; returns how many files it holds besides its manifest."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        rows = [_put(archive, DATABASE, copy)]
        # After the database: what it speaks of is there already.
        rows += [_put(archive, name, control / name) for name in _names(control)]
        members = [row for row in rows if row]
        manifest = {"format": FORMAT, "tool": f"repoagents {__version__}", "schema": SCHEMA}
        text = json.dumps({**manifest, **about, "members": members}, indent=2)
        archive.writestr(_entry(MANIFEST), text + "\n")
    return len(members)


def _names(control: Path) -> Iterator[str]:
    """The plain files that a backup holds besides the database; links are never followed."""
    for top in (KEY, *CONTROL_PLANE, ARTIFACTS):
        for path in (control / top, *sorted((control / top).rglob("*"))):
            name = path.relative_to(control).as_posix()
            if not path.is_symlink() and path.is_file() and is_member(name):
                yield name


def _put(archive: zipfile.ZipFile, name: str, path: Path) -> dict[str, object]:
    """Add one file; empty when it has vanished meanwhile, as an artifact may."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return {}
    digest, size = hashlib.sha256(), 0
    with (
        os.fdopen(descriptor, "rb") as source,
        archive.open(_entry(name), "w", force_zip64=True) as target,
    ):
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            target.write(chunk)
    return {"path": name, "bytes": size, "sha256": digest.hexdigest()}


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3  # Unix, whatever this runs on
    entry.external_attr = _MODE
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
