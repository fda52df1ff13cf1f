"""Handoff bundles on disk: a folder of plain files, its signed manifest, an archive made last."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from repoagents.errors import StoreError
from repoagents.logs import HIDDEN, Redactor
from repoagents.ports import BundleDraft, BundleEntry, Member
from repoagents.store.faults import fault
from repoagents.store.files import write_atomically
from repoagents.store.signing import SigningKey, load_key

MANIFEST, SIGNATURE = "bundle.json", "bundle.json.sig"
FORMAT = 1
"""The schema of the manifest."""

FOLDER = "reports/ops"
_NAME = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,150}/){0,4}[A-Za-z0-9_][A-Za-z0-9._-]{0,150}")
_STAMP = re.compile(r"\d{8}T\d{6}Z(-\d+)?")
_EPOCH = (1980, 1, 1, 0, 0, 0)


class FileBundles:
    """`ports.Bundles` below `reports/ops/`."""

    def __init__(self, control: Path, redactor: Redactor) -> None:
        self._control = control
        self._root = control / FOLDER
        self._redactor = redactor

    def draft(self, texts: Mapping[str, str]) -> BundleDraft:
        """The members, redacted and described; nothing is written yet."""
        contents = {}
        for name, text in texts.items():
            if not is_name(name):
                raise StoreError(f"{name!r} is not a name for a member of a bundle")
            contents[name] = self._redactor.redact(text).encode("utf-8", "replace")
        members = tuple(
            Member(name, len(raw), hashlib.sha256(raw).hexdigest(), raw.count(HIDDEN.encode()))
            for name, raw in sorted(contents.items())
        )
        return BundleDraft(contents, members)

    def keep(
        self, stamp: str, draft: BundleDraft, manifest: Mapping[str, object], *, archive: bool
    ) -> tuple[Path, Path | None, str]:
        """Write the folder, and with `archive` the archive; returns both and the fingerprint."""
        key = load_key(self._control)
        told = {name: self._hide(value) for name, value in manifest.items()}
        contents = {**draft.contents, **_sealed(draft, told, key)}
        with self._locked():
            folder = self._free(stamp)
            _write_folder(folder, contents)
            packed = folder.with_name(f"{folder.name}.zip") if archive else None
            if packed is not None:
                write_atomically(packed, render_archive(contents))
        return folder, packed, key.public.fingerprint

    def remember(self, entry: BundleEntry, keep: int) -> tuple[BundleEntry, ...]:
        """Put the entry at the head of the history, and delete what falls off its end."""
        with self._locked():
            every = (entry, *self._entries())
            entries, gone = every[:keep], every[keep:]
            rows = [
                {name: self._hide(value) for name, value in vars(one).items()} for one in entries
            ]
            document = json.dumps({"limit": keep, "bundles": rows}, indent=2, ensure_ascii=False)
            write_atomically(self._root / "history.json", document + "\n")
            self._prune({one.stamp for one in entries}, {one.stamp for one in gone})
        return entries

    def write(self, name: str, text: str) -> Path:
        """Replace a file beside the bundles."""
        path = self._root / name
        write_atomically(path, self._redactor.redact(text))
        return path

    def _entries(self) -> tuple[BundleEntry, ...]:
        try:
            rows = json.loads((self._root / "history.json").read_bytes())["bundles"]
            return tuple(_entry(row) for row in rows)
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise StoreError(
                f"{self._root / 'history.json'} cannot be read: {error}",
                next_step="Move it away; the bundles stay, and a new history begins.",
            ) from error

    def _free(self, stamp: str) -> Path:
        """A folder for this instant that is not there yet."""
        names = (stamp, *(f"{stamp}-{number}" for number in range(2, 10_000)))
        paths = (self._root / name for name in names)
        return next(path for path in paths if not path.exists())

    def _hide(self, value: object) -> object:
        return self._redactor.redact(value) if isinstance(value, str) else value

    def _prune(self, live: set[str], gone: set[str]) -> None:
        """Delete the bundles that fell off the history, and older ones that nothing names.

        What is newer may be another's, who has not yet put it at the head.
        """
        oldest = min((stamp for stamp in gone if _STAMP.fullmatch(stamp)), default="")
        for path in sorted(self._root.iterdir()):
            stamp = path.name.removesuffix(".zip")
            if not _STAMP.fullmatch(stamp) or stamp in live:
                continue
            if stamp not in gone and stamp > oldest:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer of the history at a time."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._root / ".lock", os.O_WRONLY | os.O_CREAT, 0o644)
        except OSError as error:
            raise fault(error, str(self._root), "written") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        except OSError as error:
            raise fault(error, str(self._root), "written") from error
        finally:
            os.close(descriptor)


def is_name(name: str) -> bool:
    """Whether a member of a bundle may be called so: plain, relative, and no other place's."""
    return _NAME.fullmatch(name) is not None


def render_archive(contents: Mapping[str, bytes]) -> bytes:
    """The archive of these members: the same members give the same bytes, on every machine.

    Nothing is compressed: what a compressor makes of the same bytes differs between its versions.
    """
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix, whatever this runs on
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, contents[name])
    return out.getvalue()


def _sealed(
    draft: BundleDraft, manifest: Mapping[str, object], key: SigningKey
) -> dict[str, bytes]:
    """The manifest and its signature."""
    whole = {
        "schema": FORMAT,
        **manifest,
        "members": [
            {"path": m.path, "bytes": m.size, "sha256": m.sha256, "redactions": m.redactions}
            for m in draft.members
        ],
        "signed_by": {
            "algorithm": "Ed25519",
            "public_key": key.public.base64,
            "fingerprint": key.public.fingerprint,
        },
    }
    raw = (json.dumps(whole, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "replace")
    return {MANIFEST: raw, SIGNATURE: f"{key.sign(raw)}\n".encode()}


def _entry(row: dict[str, object]) -> BundleEntry:
    """A line of the history; `TypeError` for one that somebody has changed into another."""
    entry = BundleEntry(**row)  # type: ignore[arg-type]  # looked at below
    for name, value in vars(entry).items():
        if not isinstance(value, int if name == "issue" else str):
            raise TypeError(f"{name} cannot be {value!r}")
    return entry


def _write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write a bundle's folder whole, or not at all."""
    draft = folder.with_name(f".{folder.name}.{os.urandom(4).hex()}")
    try:
        for name, raw in contents.items():
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
