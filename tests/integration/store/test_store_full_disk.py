"""A full disk stops a write with a clear word, and the state stays readable."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from repoagents.domain.delivery import Delivery
from repoagents.domain.issue import Issue
from repoagents.domain.run import Run, RunStatus
from repoagents.errors import StoreError
from repoagents.logs import Redactor
from repoagents.store.artifacts import FileArtifacts
from repoagents.store.database import Database, open_database
from repoagents.store.export import export_runs
from repoagents.store.faults import fault
from repoagents.store.reader import open_reader
from repoagents.store.reports import FileReports
from repoagents.store.worker_lock import take
from tests.fakes.clock import FakeClock


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system cannot be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def run_of(number: int, clock: FakeClock) -> Run:
    return Run(f"run-{number}", number, "T", "f", RunStatus.QUEUED, clock.now(), clock.now())


def fill_up(books: Database, clock: FakeClock) -> tuple[int, StoreError]:
    """Add runs until one is refused; returns how many were accepted, and the refusal."""
    for number in range(1, 5000):
        try:
            assert books.runs.add(run_of(number, clock), Issue(number, "T", "B" * 2000))
        except StoreError as error:
            return number - 1, error
    raise AssertionError("the disk never filled up")


def test_the_state_survives_a_full_disk(small_disk: Path, clock: FakeClock) -> None:
    path = small_disk / "state" / "repoagents.sqlite"
    books = open_database(path, clock=clock)
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 200_000)
    accepted, refusal = fill_up(books, clock)
    assert "the disk is full" in str(refusal)
    assert "Free some space" in refusal.next_step
    assert accepted > 0
    assert len(books.runs.select((), 10_000)) == accepted
    assert len(open_reader(small_disk).runs(limit=10_000)) == accepted
    for write in (
        lambda: FileArtifacts(small_disk, Redactor(())).write(1, "run-1", "x.md", "x" * 300_000),
        lambda: export_runs(books.runs, small_disk / "state" / "runs.json", clock.now()),
        lambda: open_database(small_disk / "other" / "new.sqlite", clock=clock),
    ):
        with pytest.raises(StoreError, match="the disk is full"):
            write()
    left = {entry.name for entry in small_disk.rglob("*") if entry.is_file()}
    assert left == {"ballast", *(f"{path.name}{end}" for end in ("", "-wal", "-shm"))}
    # A worker that died on the full disk left its log; it is all there once there is room.
    ballast.unlink()
    assert books.runs.add(run_of(accepted + 1, clock), Issue(1, "T"))
    books.close()
    again = open_database(path, clock=clock)
    assert len(again.runs.select((), 10_000)) == accepted + 1
    again.close()


def test_a_probe_finds_out_that_a_delivery_could_not_be_kept(
    small_disk: Path, clock: FakeClock
) -> None:
    books = open_database(small_disk / "state" / "repoagents.sqlite", clock=clock)
    fill_up(books, clock)
    refused = 0
    for number in range(100):  # what is left of the last page takes a few
        try:
            books.deliveries.put(Delivery(f"id-{number}", "issues", clock.now()))
        except StoreError:
            refused += 1
    assert refused > 0
    with pytest.raises(StoreError, match="the disk is full"):
        books.deliveries.probe()
    books.close()


def test_the_lock_says_that_the_disk_is_full(small_disk: Path, clock: FakeClock) -> None:
    (small_disk / "state").mkdir()
    (small_disk / "state" / "worker.lock").touch()
    with pytest.raises(OSError, match="No space"):
        (small_disk / "ballast").write_bytes(b"x" * 2_000_000)
    with pytest.raises(StoreError, match="the disk is full"):
        take(small_disk, "me", clock.now())


def test_a_limit_on_file_size_is_told_likewise(tmp_path: Path) -> None:
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from repoagents.errors import StoreError\n"
        "from repoagents.logs import Redactor\n"
        "from repoagents.store.artifacts import FileArtifacts\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    FileArtifacts(Path(sys.argv[1]), Redactor(())).write(1, 'r', 'x.md', 'x' * 9000)\n"
        "except StoreError as error:\n"
        "    print(error)\n"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4096
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "the disk is full" in done.stdout
    assert [entry for entry in tmp_path.rglob("*") if entry.is_file()] == []


def test_a_report_says_that_it_is_the_report_that_finds_no_room(small_disk: Path) -> None:
    with pytest.raises(StoreError) as caught:
        FileReports(small_disk, Redactor(())).write("reports/soak.json", "x" * 2_000_000)
    path = small_disk / "reports" / "soak.json"
    assert str(caught.value) == f"{path} cannot be written: the disk is full"
    assert "Free some space" in caught.value.next_step
    assert not any((small_disk / "reports").iterdir())


@pytest.mark.parametrize(
    ("number", "words", "step"),
    [
        (errno.EACCES, "Permission denied", "readable and writable for this user"),
        (errno.EROFS, "Read-only file system", "Mount the file system writable"),
        (errno.EEXIST, "/place/reports is in the way", "Move away what lies there"),
        (errno.EIO, "Input/output error", ""),
    ],
)
def test_a_file_that_cannot_be_written_is_named_with_the_reason(
    number: int, words: str, step: str
) -> None:
    error = OSError(number, os.strerror(number), "/place/reports")
    told = fault(error, "/place/reports/soak.json", "written")
    assert str(told) == f"/place/reports/soak.json cannot be written: {words}"
    assert step in told.next_step
