"""Is a bundle what was signed? Answered offline, from the folder or the archive alone."""

import hashlib
import json
import os
import stat
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

from repoagents.errors import StoreError
from repoagents.store.archives import BROKEN
from repoagents.store.bundles import FORMAT, MANIFEST, SIGNATURE, is_name, render_archive
from repoagents.store.faults import fault
from repoagents.store.signing import PublicKey

LARGEST = 512_000_000
"""Bytes that a bundle may hold in all; what claims to be larger is not read."""

MOST_MEMBERS = 10_000
TOO_LARGE = "it is larger than {:,} bytes or {:,} members"
SHOWN = 200
"""Characters of a strange name that are told."""


@dataclass(frozen=True)
class Examined:
    """What is wrong with a bundle, whose key signed it, and how many members it has.

    `fingerprint` is only told of a bundle without a problem: one whose members are as signed.
    """

    problems: tuple[str, ...]
    fingerprint: str = ""
    members: int = 0


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
    except BROKEN as error:
        return Examined((f"it is no archive of ours: {_shown(str(error))}",))
    if problems:
        return Examined(tuple(problems), members=len(contents))
    return _compare(contents)


def _read_folder(folder: Path) -> tuple[dict[str, bytes], list[str]]:
    contents: dict[str, bytes] = {}
    problems: list[str] = []
    left = LARGEST
    for count, (name, kind) in enumerate(_entries(folder)):
        if count >= MOST_MEMBERS or kind.st_size > left:
            return contents, [TOO_LARGE.format(LARGEST, MOST_MEMBERS)]
        if stat.S_ISREG(kind.st_mode):
            contents[name] = _read_file(folder / name, left)
            left -= len(contents[name])
        elif not stat.S_ISDIR(kind.st_mode):
            problems.append(f"{_shown(name)} is not a plain file")
    return contents, sorted(problems)


def _entries(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Everything below a folder, however deep; no link is followed."""
    waiting = [""]
    while waiting:
        below = waiting.pop()
        with os.scandir(folder / below) as found:
            for one in found:
                name = below + one.name
                yield name, one.stat(follow_symlinks=False)
                if one.is_dir(follow_symlinks=False):
                    waiting.append(f"{name}/")


def _read_file(path: Path, most: int) -> bytes:
    # What was a file a moment ago may be a pipe by now, which would be waited for, or have grown.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(most + 1)


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
        if name.casefold() in seen:
            yield f"{_shown(name)} is in it twice"
        elif PurePosixPath(name).is_absolute() or ".." in name.split("/") or "\\" in name:
            yield f"{_shown(name)} leads out of the bundle"
        elif stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            yield f"{_shown(name)} is not a plain file"
        elif entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            yield f"{_shown(name)} is packed in a way of its own"
        seen.add(name.casefold())
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
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        problem = f"{MANIFEST} cannot be read, or is of another version: {_shown(str(error))}"
        return Examined((problem,), members=len(contents))
    try:
        line = signature.decode("ascii")
    except UnicodeDecodeError:
        line = ""
    problems = list(_misnamed((*contents, *listed)))
    if not line.endswith("\n") or not key.signed(raw, line[:-1]):
        problems.append(f"{MANIFEST} is not what {SIGNATURE} signs")
    elif key.fingerprint != said:
        problems.append(f"{MANIFEST} names another fingerprint than its key has")
    problems += _differences(contents, listed)
    if problems:
        return Examined(tuple(problems), members=len(contents))
    return Examined((), key.fingerprint, len(contents))


def _misnamed(names: Iterable[str]) -> Iterable[str]:
    """Names that a bundle never gives, and files that would be one file, or a folder, elsewhere."""
    known = sorted({*names})
    plain = {name.casefold() for name in known}
    if len(plain) != len(known):
        yield "some names differ in nothing but small and capital letters"
    for name in known:
        if not is_name(name):
            yield f"{_shown(name)} is no name in a bundle"
        elif plain.intersection(map(str, PurePosixPath(name.casefold()).parents)):
            yield f"{name} lies below a file"


def _differences(
    contents: Mapping[str, bytes], listed: Mapping[str, tuple[int, str]]
) -> Iterable[str]:
    present = contents.keys() - {MANIFEST, SIGNATURE}
    for name in sorted(listed.keys() - present):
        yield f"{_shown(name)} is missing"
    for name in sorted(present - listed.keys()):
        yield f"{_shown(name)} is not in the manifest"
    for name in sorted(present & listed.keys()):
        raw = contents[name]
        if (len(raw), hashlib.sha256(raw).hexdigest()) != listed[name]:
            yield f"{_shown(name)} was changed"


def _shown(text: str) -> str:
    """A text from a bundle as it may stand on a terminal: strange characters spelled out."""
    return text[:SHOWN] if text.isprintable() else repr(text[:SHOWN])
