"""Files of a tree that an agent wrote: reached by descriptors, never through a symlink.

Every step from the top is one `openat` with `O_NOFOLLOW`, so that a folder which is swapped for a
symlink between two looks is an error and not a way out.
"""

import itertools
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from repoagents.errors import GitError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

DEEPEST = 100
"""Folders above a path. Each costs a step at every look at it: thousands would take minutes."""

Enter = Callable[[str, int], int]
"""Opens the folder of that name in an open folder."""


class Print(NamedTuple):
    """What `lstat` says of a path that changes whenever its content does.

    `mode` is one of git's; `size` and `inode` are the lower 32 bits, as git's index keeps them.
    """

    mode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


def take_print(seen: os.stat_result) -> Print:
    """The print of a path from its `lstat`."""
    mode = seen.st_mode
    if stat.S_ISREG(mode):
        mode = 0o100755 if mode & stat.S_IXUSR else 0o100644
    elif stat.S_ISLNK(mode):
        mode = stat.S_IFLNK
    low = 0xFFFFFFFF
    return Print(mode, seen.st_size & low, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino & low)


def is_folder(seen: os.stat_result) -> bool:
    """Whether this is a real folder, not a symlink to one."""
    return stat.S_ISDIR(seen.st_mode)


def is_too_deep(path: str) -> bool:
    """Whether more folders than `DEEPEST` are above this path."""
    return path.count("/") > DEEPEST


@contextmanager
def reporting(action: str) -> Iterator[None]:
    """Turn an error of the file system into a `GitError` that says what was being done."""
    try:
        yield
    except OSError as error:
        place = f" ({os.fspath(error.filename)!r})" if error.filename else ""
        raise GitError(
            f"Could not {action}: {error.strerror or error}{place}",
            next_step="Check free space and permissions, and that no process still works there.",
        ) from error


class Scratch:
    """A folder of ours that is made when it is first needed, and gone afterwards.

    It lies beside what is being read, on the same file system: things are moved between the two.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._made: int | None = None
        self._numbers = itertools.count()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._made is not None:
            empty(self._path)
            self._path.rmdir()

    @property
    def path(self) -> Path:
        """The folder."""
        if self._made is None:
            self._path.mkdir(mode=0o700)
            self._made = self._path.stat().st_ctime_ns
        return self._path

    @property
    def stamp(self) -> int:
        """The file system's time, in nanoseconds, when the folder was made."""
        return self._made or 0

    def free_name(self) -> Path:
        """A path inside at which nothing stands yet."""
        return self.path / f"piece-{next(self._numbers)}"


class Folder:
    """A folder held open; paths are relative to it, with `/` between names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._top = os.open(path, _FOLDER)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._top)

    def scan(self, relative: str = "") -> Iterator[tuple[str, os.stat_result]]:
        """The paths in one folder with their `lstat`, in no order."""
        prefix = f"{relative}/" if relative else ""
        with self._inside(relative) as folder, os.scandir(folder) as entries:
            for entry in entries:
                yield prefix + entry.name, entry.stat(follow_symlinks=False)

    def walk(self, start: str = "") -> Iterator[tuple[str, os.stat_result]]:
        """Every path below a folder, parents first; a `.git` at the very top is left out."""
        waiting = [start]
        while waiting:
            for path, seen in self.scan(waiting.pop()):
                if path == ".git":
                    continue
                yield path, seen
                if is_folder(seen):
                    waiting.append(path)

    def copy(self, path: str, seen: os.stat_result, target: Path) -> None:
        """Copy the file or symlink that was seen; `GitError` when it is no longer the same."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._parent(path) as (folder, name):
            if stat.S_ISLNK(seen.st_mode):
                target.symlink_to(os.readlink(name, dir_fd=folder))
                same = take_print(_look(name, folder)) == take_print(seen)
            else:
                same = _copy_file(_open_file(name, folder), seen, target)
        if not same:
            raise GitError(
                f"{path!r} changed while it was being read in {self.path}",
                next_step="A process that the agent or a check started may still be running.",
            )

    def read(self, path: str, limit: int) -> bytes | None:
        """The content of a regular file; None when it is none or holds more than `limit` bytes."""
        with self._parent(path) as (folder, name):
            if not stat.S_ISREG(_look(name, folder).st_mode):
                return None
            with open(_open_file(name, folder), "rb") as stream:
                content = stream.read(limit + 1)
        return content if len(content) <= limit else None

    def place(self, source: Path, path: str, scratch: Scratch) -> None:
        """Move a finished file to its path; what stands in the way goes to the scratch folder."""
        parent, _, name = path.rpartition("/")
        with self._inside(
            parent, lambda name, folder: _make_folder(name, folder, scratch)
        ) as folder:
            _make_writable(folder)
            _discard(name, folder, scratch)
            os.rename(source, name, dst_dir_fd=folder)

    def discard(self, path: str, scratch: Scratch) -> None:
        """Take a path of any kind out of the tree; absent is fine."""
        with self._parent(path) as (folder, name):
            _make_writable(folder)
            _discard(name, folder, scratch)

    @contextmanager
    def _inside(self, relative: str, enter: Enter | None = None) -> Iterator[int]:
        folder = os.dup(self._top)
        try:
            for name in relative.split("/") if relative else ():
                child = (enter or _open_folder)(name, folder)
                os.close(folder)
                folder = child
            yield folder
        finally:
            os.close(folder)

    @contextmanager
    def _parent(self, path: str) -> Iterator[tuple[int, str]]:
        parent, _, name = path.rpartition("/")
        with self._inside(parent) as folder:
            yield folder, name


def empty(folder: Path) -> None:
    """Delete everything in a folder of ours, whatever an agent built there.

    Each folder below is first moved up to the top: neither depth nor path length matters, and no
    more than two descriptors are open.
    """
    top = os.open(folder, _FOLDER)
    numbers = itertools.count()
    try:
        waiting = _children(top)
        while waiting:
            name, holds = waiting.pop()
            if not holds:
                os.unlink(name, dir_fd=top)
                continue
            waiting.extend((moved, True) for moved in _hoist(name, top, numbers))
            os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)


def size_on_disk(folder: Path) -> int:
    """Bytes that a tree takes on the disk, the private `.git` included, down to `DEEPEST`."""
    total = 0
    with Folder(folder) as top:
        waiting = [""]
        while waiting:
            for path, seen in top.scan(waiting.pop()):
                total += seen.st_blocks * 512
                if is_folder(seen) and not is_too_deep(path):
                    waiting.append(path)
    return total


def _hoist(name: str, top: int, numbers: Iterator[int]) -> list[str]:
    """Delete a folder's files and move its folders to the top; returns their new names."""
    moved = []
    folder = _open_folder(name, top)
    try:
        _make_writable(folder)
        for entry, holds in _children(folder):
            if not holds:
                os.unlink(entry, dir_fd=folder)
                continue
            _unlock(entry, folder)
            new = next(n for n in map("discarded-{}".format, numbers) if not _exists(n, top))
            os.rename(entry, new, src_dir_fd=folder, dst_dir_fd=top)
            moved.append(new)
    finally:
        os.close(folder)
    return moved


def _children(folder: int) -> list[tuple[str, bool]]:
    """The names in an open folder, and which of them are real folders."""
    with os.scandir(folder) as entries:
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]


def _look(name: str, folder: int) -> os.stat_result:
    return os.stat(name, dir_fd=folder, follow_symlinks=False)


def _exists(name: str, folder: int) -> bool:
    try:
        _look(name, folder)
    except FileNotFoundError:
        return False
    return True


def _open_folder(name: str, folder: int) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except PermissionError:
        _unlock(name, folder)
        return os.open(name, _FOLDER, dir_fd=folder)


def _make_folder(name: str, folder: int, scratch: Scratch) -> int:
    """Open a folder; anything else that stands there is discarded first."""
    _make_writable(folder)
    if _exists(name, folder) and not is_folder(_look(name, folder)):
        _discard(name, folder, scratch)
    if not _exists(name, folder):
        os.mkdir(name, dir_fd=folder)
    return _open_folder(name, folder)


def _make_writable(folder: int) -> None:
    mode = stat.S_IMODE(os.fstat(folder).st_mode)
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        os.fchmod(folder, mode | stat.S_IRWXU)


def _open_file(name: str, folder: int) -> int:
    try:
        return os.open(name, _FILE, dir_fd=folder)
    except PermissionError:
        _unlock(name, folder)
        return os.open(name, _FILE, dir_fd=folder)


def _copy_file(source: int, seen: os.stat_result, target: Path) -> bool:
    """Copy an open file; returns whether it is the one that was seen and stayed the same."""
    with open(source, "rb") as stream, target.open("xb") as copy:
        before = os.fstat(source)
        if not stat.S_ISREG(before.st_mode) or before.st_ino != seen.st_ino:
            return False
        left = seen.st_size + 1  # a file that grows as we read must not keep us forever
        while left and (block := stream.read(min(left, 1 << 20))):
            left -= copy.write(block)
        os.fchmod(copy.fileno(), 0o755 if seen.st_mode & stat.S_IXUSR else 0o644)
        after = os.fstat(source)
    return left == 1 and take_print(before) == take_print(after)


def _discard(name: str, folder: int, scratch: Scratch) -> None:
    if not _exists(name, folder):
        return
    if not is_folder(_look(name, folder)):
        os.unlink(name, dir_fd=folder)
        return
    _unlock(name, folder)
    os.rename(name, scratch.free_name(), src_dir_fd=folder)


def _unlock(name: str, folder: int) -> None:
    """Let the owner read and write a path, and enter a folder; a symlink is never followed."""
    seen = _look(name, folder)
    mode = stat.S_IMODE(seen.st_mode) | (0o700 if is_folder(seen) else 0o600)
    if not hasattr(os, "O_PATH"):
        os.chmod(name, mode, dir_fd=folder, follow_symlinks=False)
        return
    # Linux has no chmod that stops at a symlink: go by a descriptor that only names the thing.
    thing = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        Path(f"/proc/self/fd/{thing}").chmod(mode)
    finally:
        os.close(thing)
