"""Whole files or none: a reader never sees half of one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from repoagents.errors import StoreError
from repoagents.store.faults import fault


class Taken(StoreError):
    """Something is in the place of a file that was to be new."""


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace a file, or make it; raises `StoreError` and leaves what was there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
        fresh = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                raw = content if isinstance(content, bytes) else content.encode("utf-8", "replace")
                file.write(raw)
                os.fchmod(file.fileno(), 0o644)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise fault(error, str(path), "written") from error


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file for its owner only that appears when it is whole, and replaces nothing.

    Raises `Taken` when its place is not free any more.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # A link never replaces a file, as a rename would: the first of two processes wins.
        os.link(draft, path)
    except FileExistsError as error:
        raise Taken(f"{path} is there already, and stays", next_step="Name another.") from error
    finally:
        draft.unlink(missing_ok=True)
