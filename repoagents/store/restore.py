"""Restoring a backup: all of it is unpacked and checked before the state is touched."""

import hashlib
import json
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from repoagents.domain.places import DATABASE, EXPORT
from repoagents.errors import StoreError
from repoagents.store.archives import BROKEN
from repoagents.store.backup import ARTIFACTS, CHUNK, FORMAT, MANIFEST, is_member
from repoagents.store.faults import foreign_schema
from repoagents.store.migrations import check_file
from repoagents.store.reader import SCHEMA, connect_readonly, read_schema
from repoagents.store.signing import KEY

MANIFEST_BYTES = 100_000_000


@dataclass(frozen=True)
class Restored:
    """What was restored: when the backup was made, how many runs it holds, where the old lies.

    `kept` are files of the control plane that were here and differ from the backup's.
    """

    made_at: str
    runs: int
    aside: Path | None
    kept: tuple[str, ...]


@dataclass(frozen=True)
class _Manifest:
    made_at: str
    runs: int
    members: Mapping[str, tuple[int, str]]


def restore_backup(control: Path, archive: Path, stamp: str, *, force: bool) -> Restored:
    """Put a backup in the place of the state; the caller holds the worker lock.

    A state that is there is replaced with `force` only, and then kept in `state/before-<stamp>/`.
    Files of the control plane are added where they are missing, never replaced. Raises `StoreError`
    for a damaged backup, `StateUnreadable` for one of a newer version; both leave all as it was.
    """
    database = control / DATABASE
    if database.exists() and not force:
        raise StoreError(
            f"there is a state in {database} already",
            next_step="--force puts it aside, whole, and restores the backup in its place.",
        )
    try:
        with tempfile.TemporaryDirectory(dir=control / "state", prefix=".restore-") as folder:
            fresh = Path(folder)
            manifest = _unpack(archive, fresh)
            _check_database(fresh / DATABASE)
            _check_places(control, manifest.members)
            aside = _set_aside(control, stamp)
            kept = tuple(_lay(control, fresh, manifest.members))
    except BROKEN as error:
        raise damaged(archive, str(error)) from error
    except OSError as error:
        raise StoreError(
            f"restoring {archive} failed: {error.strerror or error}",
            next_step=f"What was moved already is in {control / 'state' / f'before-{stamp}'}.",
        ) from error
    return Restored(manifest.made_at, manifest.runs, aside, kept)


def damaged(archive: Path, why: str) -> StoreError:
    """The archive is not what a backup wrote."""
    shown = why if why.isprintable() else repr(why)
    return StoreError(
        f"{archive} cannot be restored: {shown}",
        next_step="Nothing was changed. Use another backup.",
    )


def _unpack(path: Path, folder: Path) -> _Manifest:
    """Write every member into the folder; `StoreError` at the first that is not as listed."""
    with zipfile.ZipFile(path) as archive:
        problem = next(_faults(archive.infolist()), "")
        if problem:
            raise damaged(path, problem)
        manifest = _read_manifest(path, archive)
        room = shutil.disk_usage(folder).free
        if sum(size for size, _ in manifest.members.values()) > room:
            raise StoreError(f"{path} does not fit on the disk", next_step="Free some space.")
        for name, (size, digest) in manifest.members.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not _copied(archive, name, target, size, digest):
                raise damaged(path, f"{name} is not as it was backed up")
    return manifest


def _faults(entries: list[zipfile.ZipInfo]) -> Iterator[str]:
    """What makes an archive one that must not be unpacked."""
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename
        if name in seen:
            yield f"{name!r} is in it twice"
        elif name != MANIFEST and not is_member(name):
            yield f"{name!r} is no file of a backup"
        elif stat.S_IFMT(entry.external_attr >> 16) != stat.S_IFREG:
            yield f"{name!r} is not a plain file"
        elif entry.flag_bits & 1:
            yield f"{name!r} is encrypted"
        elif entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            yield f"{name!r} is packed in a way of its own"
        seen.add(name)


def _read_manifest(path: Path, archive: zipfile.ZipFile) -> _Manifest:
    names = {entry.filename: entry.file_size for entry in archive.infolist()}
    if names.pop(MANIFEST, MANIFEST_BYTES) >= MANIFEST_BYTES:
        raise damaged(path, f"it has no {MANIFEST}")
    try:
        raw = json.loads(archive.read(MANIFEST))
        members = {str(m["path"]): (int(m["bytes"]), str(m["sha256"])) for m in raw["members"]}
        manifest = _Manifest(str(raw["made_at"]), int(raw["runs"]), members)
        if not manifest.made_at.isprintable() or any(size < 0 for size, _ in members.values()):
            raise ValueError("such a time or size is never written")
        known = raw["format"] == FORMAT
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise damaged(path, f"its {MANIFEST} cannot be read: {error}") from error
    if not known:
        raise damaged(path, "another version of repoagents made it; use that one")
    differing = sorted(names.keys() ^ members.keys())
    if differing or DATABASE not in members:
        raise damaged(path, f"not as listed: {', '.join(differing[:3]) or DATABASE}")
    return manifest


def _copied(archive: zipfile.ZipFile, name: str, target: Path, size: int, digest: str) -> bool:
    """Unpack one member; whether it is the one that was listed. At most a byte too much is read."""
    found, left = hashlib.sha256(), size
    with archive.open(name) as source, target.open("xb") as file:
        while chunk := source.read(min(CHUNK, left + 1)):
            left -= len(chunk)
            found.update(chunk)
            file.write(chunk)
    target.chmod(0o600)
    return left == 0 and found.hexdigest() == digest


def _check_database(path: Path) -> None:
    check_file(path)
    with closing(connect_readonly(path)) as connection:
        found = read_schema(connection, str(path))
    if found > SCHEMA:
        raise foreign_schema(path.name, found, SCHEMA)


def _check_places(control: Path, members: Iterable[str]) -> None:
    """Raise `StoreError` where a file of the control plane would have to lie in, or be, a folder.

    Looked at first: once the state is put aside, nothing may fail any more.
    """
    for name in members:
        if name.startswith(("state/", f"{ARTIFACTS}/")):
            continue
        above = (control / part for part in Path(name).parents)
        if (control / name).is_dir() or any(path.exists() and not path.is_dir() for path in above):
            raise StoreError(
                f"{control / name} cannot be restored: a folder or a file is in its place",
                next_step="Nothing was changed. Move it away, and run the command again.",
            )


def _set_aside(control: Path, stamp: str) -> Path | None:
    """Move what the backup replaces into a folder of its own; None when there was nothing."""
    database = [f"{DATABASE}{ending}" for ending in ("", "-wal", "-shm")]
    old = (*database, KEY, EXPORT, ARTIFACTS)
    present = [control / name for name in old if (control / name).exists()]
    if not present:
        return None
    aside = control / "state" / f"before-{stamp}"
    aside.mkdir()
    for path in present:
        path.rename(aside / path.name)
    return aside


def _lay(control: Path, fresh: Path, members: Iterable[str]) -> Iterator[str]:
    """Move the new files into their places, the database last; yields what was kept instead."""
    for name in sorted(members, key=lambda name: name == DATABASE):
        source, target = fresh / name, control / name
        if not name.startswith(("state/", f"{ARTIFACTS}/")):
            source.chmod(0o644)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
        elif target.read_bytes() != source.read_bytes():
            yield name
