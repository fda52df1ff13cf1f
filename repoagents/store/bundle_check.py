"""Is a bundle what was signed? Answered offline, from the folder or the archive alone."""

import hashlib
import json
import os
import stat
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

from repoagents.errors import StoreError
from repoagents.store.bundles import FORMAT, MANIFEST, SIGNATURE, render_archive
from repoagents.store.faults import fault
from repoagents.store.signing import PublicKey

LARGEST = 512_000_000
"""Bytes that a bundle may hold in all; what claims to be larger is not read."""

MOST_MEMBERS = 10_000


@dataclass(frozen=True)
class Examined:
    """What a bundle was found to be: whose key signed it, what it says, and what is wrong.

    `fingerprint` and `manifest` are only told of a bundle without a problem.
    """

    problems: tuple[str, ...]
    fingerprint: str = ""
    manifest: Mapping[str, object] | None = None
    members: int = 0

    @property
    def sound(self) -> bool:
        """Whether every member is as it was signed."""
        return not self.problems


def examine(path: Path) -> Examined:
    """Check a bundle, folder or archive, offline: every member, the manifest, the signature.

    Nothing is written or unpacked. Raises `StoreError` when there is nothing that can be read.
    """
    try:
        if path.is_dir():
            contents, problems = _read_folder(path)
        elif path.is_file():
            contents, problems = _read_archive(path)
        else:
            raise StoreError(f"{path} is neither a folder nor an archive")
    except OSError as error:
        raise fault(error, str(path)) from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        return Examined((f"it is no archive of ours: {error}",))
    if problems:
        return Examined(tuple(problems), members=len(contents))
    return _compare(contents)


def _read_folder(folder: Path) -> tuple[dict[str, bytes], list[str]]:
    contents: dict[str, bytes] = {}
    problems: list[str] = []
    total = 0
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        kind = path.lstat()
        if stat.S_ISDIR(kind.st_mode):
            continue
        total += kind.st_size
        if not stat.S_ISREG(kind.st_mode):
            problems.append(f"{name} is not a plain file")
        elif total > LARGEST or len(contents) >= MOST_MEMBERS:
            return contents, [f"it is larger than {LARGEST:,} bytes or {MOST_MEMBERS:,} members"]
        else:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(descriptor, "rb") as file:
                contents[name] = file.read()
    return contents, problems


def _read_archive(path: Path) -> tuple[dict[str, bytes], list[str]]:
    if path.stat().st_size > LARGEST:
        return {}, [f"it is larger than {LARGEST:,} bytes"]
    raw = path.read_bytes()
    with zipfile.ZipFile(BytesIO(raw)) as archive:
        entries = archive.infolist()
        problems = list(_faults(entries))
        if problems:
            return {}, problems
        contents = {entry.filename: archive.read(entry) for entry in entries}
    if render_archive(contents) != raw:
        return contents, ["it is not the archive that these members make: something was changed"]
    return contents, []


def _faults(entries: Iterable[zipfile.ZipInfo]) -> Iterable[str]:
    """What makes an archive one that must not be unpacked."""
    seen: set[str] = set()
    total = 0
    for entry in entries:
        name = entry.filename
        total += max(entry.file_size, entry.compress_size)
        mode = entry.external_attr >> 16
        if name in seen:
            yield f"{name!r} is in it twice"
        elif PurePosixPath(name).is_absolute() or ".." in name.split("/") or "\\" in name:
            yield f"{name!r} leads out of the bundle"
        elif stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            yield f"{name!r} is not a plain file"
        elif entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            yield f"{name!r} is packed in a way of its own"
        seen.add(name)
        if total > LARGEST or len(seen) > MOST_MEMBERS:
            yield f"it claims more than {LARGEST:,} bytes or {MOST_MEMBERS:,} members"
            return


def _compare(contents: Mapping[str, bytes]) -> Examined:
    """The members against the manifest, and the manifest against its signature."""
    raw, signature = contents.get(MANIFEST), contents.get(SIGNATURE)
    if raw is None or signature is None:
        absent = MANIFEST if raw is None else SIGNATURE
        return Examined((f"{absent} is missing: this is no bundle",), members=len(contents))
    try:
        manifest = json.loads(raw)
        key = PublicKey(str(manifest["signed_by"]["public_key"]))
        listed = {str(m["path"]): (int(m["bytes"]), str(m["sha256"])) for m in manifest["members"]}
        if manifest["schema"] != FORMAT or len(listed) != len(manifest["members"]):
            raise ValueError("schema or members")
        said = str(manifest["signed_by"]["fingerprint"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        problem = f"{MANIFEST} cannot be read, or is of another version: {error}"
        return Examined((problem,), members=len(contents))
    try:
        line = signature.decode("ascii")
    except UnicodeDecodeError:
        line = ""
    problems = []
    if not line.endswith("\n") or not key.signed(raw, line[:-1]):
        problems.append(f"{MANIFEST} is not what {SIGNATURE} signs")
    elif key.fingerprint != said:
        problems.append(f"{MANIFEST} names another fingerprint than its key has")
    problems += _differences(contents, listed)
    if problems:
        return Examined(tuple(problems), members=len(contents))
    return Examined((), key.fingerprint, manifest, len(contents))


def _differences(
    contents: Mapping[str, bytes], listed: Mapping[str, tuple[int, str]]
) -> Iterable[str]:
    present = contents.keys() - {MANIFEST, SIGNATURE}
    for name in sorted(listed.keys() - present):
        yield f"{name} is missing"
    for name in sorted(present - listed.keys()):
        yield f"{name} is not in the manifest"
    for name in sorted(present & listed.keys()):
        raw = contents[name]
        if (len(raw), hashlib.sha256(raw).hexdigest()) != listed[name]:
            yield f"{name} was changed"
