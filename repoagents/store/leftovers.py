"""What processes that were killed left half-made in the control plane's folder."""

import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

DRAFTS = re.compile(r"\.(?:backup|restore|new)-.+|\..+\.[a-z0-9_]{8}")
"""The names of what is being made: by `backup`, `restore`, `migrations` and `files`."""

PLACES = ("state", "dashboard", "reports", "reports/ops")
STILL_MADE = timedelta(days=1)
"""Whatever is younger may be another process's, which is at it."""

CRASH_LOGS = 20
"""How many of the newest stay."""


def clear_leftovers(control: Path, now: datetime) -> None:
    """Delete old drafts and crash logs; what cannot be deleted stays and harms nobody."""
    oldest = (now - STILL_MADE).timestamp()
    for path in _drafts(control):
        with suppress(OSError):
            if path.lstat().st_mtime < oldest:
                _delete(path)
    for path in sorted((control / "logs").glob("crash-*.txt"), key=_age)[:-CRASH_LOGS]:
        with suppress(OSError):
            path.unlink()


def _drafts(control: Path) -> Iterator[Path]:
    for place in PLACES:
        for path in (control / place).glob(".*"):
            if DRAFTS.fullmatch(path.name):
                yield path


def _age(path: Path) -> float:
    with suppress(FileNotFoundError):
        return path.lstat().st_mtime
    return 0.0


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
