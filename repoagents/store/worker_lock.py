"""The worker lock: who works on this state. Standard library only; `status` asks it.

The kernel releases the lock when its holder dies, however it dies; the file itself stays. What
only the holder needs is imported late.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from repoagents.errors import StoreError
from repoagents.store.faults import fault

if TYPE_CHECKING:
    from repoagents.ports import Clock

LOCK = "state/worker.lock"
PROBES = 100
PROBE_SECONDS = 0.01


@dataclass(frozen=True)
class Owner:
    """Who holds the lock; `started` is an ISO 8601 instant, `owner` the name used in logs.

    `issue` is the one that it is for; None for all.
    """

    pid: int
    started: str
    host: str
    command: str
    owner: str
    issue: int | None = None

    def takes_up(self, number: int) -> bool:
        """Whether it carries out what is asked for about this issue."""
        return self.issue in (None, number)

    def __str__(self) -> str:
        since = f" since {self.started[:16].replace('T', ' ')} UTC" if self.started else ""
        return f"`{self.command}` (pid {self.pid} on {self.host}{since})"


UNKNOWN = Owner(0, "", "an unknown host", "another worker", "")
"""The holder has not written its name yet."""


class WorkerLock:
    """A lock that is held until `release`, or until this process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the next worker in."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


@contextmanager
def hold(control: Path, owner: str, clock: "Clock", *, issue: int | None = None) -> Iterator[None]:
    """Hold the lock; raises `StoreError` naming the owner when another worker does."""
    taken = take(control, owner, clock.now(), issue=issue)
    if isinstance(taken, Owner):
        raise StoreError(
            f"another worker is live: {taken}",
            next_step="Let it work, or end it first; `repoagents status` shows what it does.",
        )
    try:
        yield
    finally:
        taken.release()


def take(
    control: Path, owner: str, now: datetime, *, issue: int | None = None
) -> WorkerLock | Owner:
    """The lock, or who holds it."""
    path = control / LOCK
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise fault(error, str(path)) from error
    for _ in range(PROBES):
        if _locked(descriptor, fcntl.LOCK_EX):
            signed = Owner(os.getpid(), now.isoformat(), *_this_process(), owner, issue)
            _write(descriptor, signed)
            return WorkerLock(descriptor)
        if not _locked(descriptor, fcntl.LOCK_SH):
            break
        # Shared is granted, so nobody works: a `holder` call has the lock for an instant.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        _pause()
    os.close(descriptor)
    return _read(path)


def holder(control: Path) -> Owner | None:
    """Who works on this state; None when nobody does."""
    path = control / LOCK
    try:
        if not path.stat().st_size:
            return None
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return None if _locked(descriptor, fcntl.LOCK_SH) else _read(path)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pause() -> None:
    import threading

    threading.Event().wait(PROBE_SECONDS)


def _this_process() -> tuple[str, str]:
    import sys

    return os.uname().nodename, " ".join(["repoagents", *sys.argv[1:]])


def _write(descriptor: int, owner: Owner) -> None:
    text = json.dumps(asdict(owner)).encode()
    try:
        os.pwrite(descriptor, text, 0)
        os.ftruncate(descriptor, len(text))
    except OSError as error:
        os.close(descriptor)
        raise fault(error, LOCK) from error


def _read(path: Path) -> Owner:
    try:
        return Owner(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return UNKNOWN
