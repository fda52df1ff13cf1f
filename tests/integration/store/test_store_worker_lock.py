"""One worker per state; the kernel gives the lock back however the worker ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from repoagents.errors import StoreError
from repoagents.store.worker_lock import LOCK, Owner, WorkerLock, hold, holder, take
from tests.fakes.clock import FakeClock

HOLDER = (
    "import sys\nfrom pathlib import Path\nfrom tests.fakes.clock import FakeClock\n"
    "from repoagents.store.worker_lock import take\n"
    "lock = take(Path(sys.argv[1]), 'the-other', FakeClock().now())\n"
    "print(type(lock).__name__, flush=True)\nsys.stdin.read()\n"
)


@pytest.fixture
def other(control: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(control)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "WorkerLock\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_nobody_holds_what_was_never_taken(control: Path) -> None:
    assert holder(control) is None
    assert not (control / "state").exists()


def test_the_owner_is_named(control: Path, clock: FakeClock) -> None:
    lock = take(control, "worker-1", clock.now())
    assert isinstance(lock, WorkerLock)
    owner = holder(control)
    assert owner is not None
    assert (owner.pid, owner.host, owner.owner) == (os.getpid(), socket.gethostname(), "worker-1")
    assert owner.started == clock.now().isoformat()
    assert owner.command.startswith("repoagents")
    assert take(control, "worker-2", clock.now()) == owner
    lock.release()
    assert holder(control) is None
    # The file stays, and empty: who asks next need not touch the lock.
    assert (control / LOCK).read_bytes() == b""


def test_the_second_worker_is_told_who_works(
    control: Path, other: subprocess.Popen[str], clock: FakeClock
) -> None:
    since = f"{clock.now():%Y-%m-%d %H:%M} UTC"
    with (
        pytest.raises(StoreError, match=rf"pid {other.pid} on .* since {since}\)") as caught,
        hold(control, "me", clock),
    ):
        raise AssertionError("two workers at once")
    assert "repoagents status" in caught.value.next_step
    kill(other)
    with hold(control, "me", clock):
        found = holder(control)
        assert found is not None
        assert found.owner == "me"
    assert holder(control) is None


def test_a_killed_worker_leaves_the_lock_free(
    control: Path, other: subprocess.Popen[str], clock: FakeClock
) -> None:
    held = holder(control)
    assert held is not None
    assert held.pid == other.pid
    kill(other)
    assert holder(control) is None
    # Its name is still in the file, which shows that not the file but the kernel decides.
    assert json.loads((control / LOCK).read_text())["pid"] == other.pid
    assert isinstance(take(control, "me", clock.now()), WorkerLock)


def test_an_error_gives_the_lock_back(control: Path, clock: FakeClock) -> None:
    with pytest.raises(KeyError), hold(control, "me", clock):
        raise KeyError
    assert holder(control) is None


def test_a_holder_that_has_not_signed_yet_still_counts(
    control: Path, other: subprocess.Popen[str], clock: FakeClock
) -> None:
    (control / LOCK).write_text('{"pid": ')
    unsigned = holder(control)
    assert isinstance(unsigned, Owner)
    assert "another worker" in str(unsigned)
    assert isinstance(take(control, "me", clock.now()), Owner)
    kill(other)


def test_asking_never_keeps_a_worker_out(control: Path, clock: FakeClock) -> None:
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            holder(control)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    # The name of a dead worker in the file makes each question try the lock.
    (control / "state").mkdir()
    for asker in askers:
        asker.start()
    try:
        for _ in range(200):
            (control / LOCK).write_text("{}")
            lock = take(control, "me", clock.now())
            assert isinstance(lock, WorkerLock)
            lock.release()
    finally:
        done.set()
        for asker in askers:
            asker.join()
