"""Whole files or none: a reader never sees half of one."""

import os
import tempfile
from pathlib import Path

from repoagents.store.faults import fault


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
