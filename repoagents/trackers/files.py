"""The tracker's own files: read within bounds, replaced whole, never over somebody's edit."""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from repoagents.errors import TrackerError

SIZE_LIMIT = 10_000_000
TRIES = 5
LOCK = "state/tracker.lock"
SCRATCH = "cache"


def inside(root: Path, path: Path) -> Path:
    """The path with every symlink resolved; raises `TrackerError` when that leads outside."""
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError) as error:
        raise TrackerError(f"{path} cannot be followed: {error}") from error
    if not resolved.is_relative_to(root.resolve()):
        raise TrackerError(
            f"{path} leads outside the repository, to {resolved}",
            next_step="Keep the tracker's files inside the repository, without links to elsewhere.",
        )
    return resolved


def read_text(path: Path) -> str:
    """A file's text with its line ends as they are; raises `TrackerError` over 10 MB."""
    try:
        # A pipe would keep the reader waiting forever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise TrackerError(f"{path} is not a file")
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise TrackerError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > SIZE_LIMIT:
        raise TrackerError(f"{path} is larger than {SIZE_LIMIT // 1_000_000} MB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TrackerError(f"{path}:{line}: not UTF-8 text") from error


def edit_text(path: Path, control: Path, edit: Callable[[str], str]) -> None:
    """Replace a file's text by `edit` of it, whole, keeping its mode.

    A lock in the control folder keeps our own processes apart. An editor knows no such lock: when
    the file changed while we worked, the edit is made again on the new text.
    """
    try:
        with _locked(control / LOCK):
            for _ in range(TRIES):
                if _replaced(path, control, edit):
                    return
    except OSError as error:
        raise TrackerError(
            f"{path} cannot be written: {error.strerror}",
            next_step="Make room and the file writable, then retry the run.",
        ) from error
    raise TrackerError(f"{path} keeps changing while the bot writes", next_step="Retry the run.")


def _replaced(path: Path, control: Path, edit: Callable[[str], str]) -> bool:
    """One try; false when somebody changed the file meanwhile."""
    before = read_text(path)
    after = edit(before)
    if after == before:
        return True
    with _scratch(path, control, after) as fresh:
        if read_text(path) != before:
            return False
        fresh.replace(path)
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _scratch(path: Path, control: Path, text: str) -> Iterator[Path]:
    """A synced copy with the new text, off the operator's folders as far as the disk allows."""
    folder = control / SCRATCH
    folder.mkdir(parents=True, exist_ok=True)
    if folder.stat().st_dev != path.parent.stat().st_dev:
        folder = path.parent
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, fresh)
        yield fresh
    finally:
        fresh.unlink(missing_ok=True)
