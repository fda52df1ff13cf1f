"""The temporary folder of each process: its own, gone afterwards, swept after a crash."""

import asyncio
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from repoagents.agents.process import Command, Supervisor
from repoagents.agents.scratch import make_scratch, remove_scratch, sweep_scratch
from repoagents.errors import Stopped
from tests.fakes.identity import RUN
from tests.machine import NEEDS_OTHERS

MakeCommand = Callable[..., Command]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the system keeps what is temporary."""
    folder = tmp_path / "system"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


LITTER = """
import os
for depth in ("locked/inner", "empty"):
    os.makedirs(os.environ["TMPDIR"] + "/" + depth)
place = os.environ["TMPDIR"]
open(place + "/locked/inner/file", "w").close()
os.symlink("/", place + "/root")
os.symlink(place, place + "/locked/self")
os.mkfifo(place + "/pipe")
os.chmod(place + "/locked/inner", 0)
os.chmod(place + "/locked", 0)
os.chmod(place, 0)
"""


@pytest.mark.parametrize("ending", ["", "raise SystemExit(3)", "import time; time.sleep(60)"])
async def test_whatever_is_left_goes_with_the_process(
    supervisor: Supervisor, python: MakeCommand, temporary: Path, ending: str
) -> None:
    await supervisor.run(python(LITTER + ending, deadline=2))
    assert list(temporary.iterdir()) == []


NESTED = """
import os
os.chdir(os.environ["TMPDIR"])
os.mkdir("1")
for depth in range(3000):
    os.mkdir("0")
    os.chdir("0")
open("file", "w").close()
"""


async def test_folders_without_a_bottom_go_as_well(
    supervisor: Supervisor, python: MakeCommand, temporary: Path
) -> None:
    await supervisor.run(python(NESTED))
    assert list(temporary.iterdir()) == []


async def test_it_goes_when_nothing_could_be_started(
    supervisor: Supervisor, worktree: Path, temporary: Path
) -> None:
    await supervisor.run(Command(("no-such-program",), worktree, {}, RUN, 5))
    assert list(temporary.iterdir()) == []


async def test_it_goes_when_the_run_is_stopped(
    supervisor: Supervisor, python: MakeCommand, temporary: Path
) -> None:
    running = asyncio.create_task(supervisor.run(python("import time; time.sleep(60)")))
    while not list(temporary.iterdir()):
        await asyncio.sleep(0.01)
    supervisor.stop(RUN, "cancelled")
    with pytest.raises(Stopped):
        await running
    assert list(temporary.iterdir()) == []


async def test_a_full_disk_is_a_value_not_an_exception(
    supervisor: Supervisor, python: MakeCommand, temporary: Path
) -> None:
    temporary.rmdir()
    ended = await supervisor.run(python("print(1)"))
    assert ended.end.value == "not_started"
    assert "No such file" in ended.errors


def test_only_the_owner_may_look_and_sockets_find_room() -> None:
    folder = make_scratch("20260304-120000-abcdef")
    assert folder.stat().st_mode & 0o777 == 0o700
    # A macOS temporary folder, ours, and what multiprocessing puts into it, within 104 bytes.
    within = "/var/folders/xx/yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy/T/"
    assert len(within + folder.name + "/pymp-xxxxxxxx/listener-xxxxxxxx") < 104
    remove_scratch(folder)


def test_what_a_dead_worker_left_is_swept_by_its_run(
    supervisor: Supervisor, temporary: Path, tmp_path: Path
) -> None:
    for run in (RUN, RUN, "run-2", "../run-3", "run-*"):
        (make_scratch(run) / "left").write_text("x")
    supervisor.end_orphans(RUN)
    assert len(list(temporary.iterdir())) == 3
    sweep_scratch("run-*")
    sweep_scratch("../run-3")
    assert len(list(temporary.iterdir())) == 1


def test_a_link_of_that_name_is_not_followed(temporary: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    (precious / "inner").mkdir(parents=True)
    (precious / "inner").chmod(0o755)
    precious.chmod(0o755)
    (precious / "file").write_text("x")
    name = make_scratch(RUN).name
    (temporary / f"{name[:-1]}!").symlink_to(precious)
    sweep_scratch(RUN)
    assert (precious / "file").exists()
    assert {path.stat().st_mode & 0o777 for path in (precious, precious / "inner")} == {0o755}
    assert [path.name for path in temporary.iterdir()] == [f"{name[:-1]}!"]


UNTIL_TOLD = "import os, time\nwhile not os.path.exists('enough'): time.sleep(0.01)"


def test_our_own_running_process_keeps_its_folder(
    supervisor: Supervisor, python: MakeCommand, temporary: Path, worktree: Path
) -> None:
    async def meanwhile() -> bool:
        running = asyncio.create_task(supervisor.run(python(UNTIL_TOLD)))
        while not list(temporary.iterdir()):
            await asyncio.sleep(0.01)
        await asyncio.to_thread(supervisor.end_orphans, RUN)
        there = bool(list(temporary.iterdir()))
        (worktree / "enough").touch()
        await running
        return there

    assert asyncio.run(meanwhile())


def test_a_bottomless_folder_stops_nobody(temporary: Path) -> None:
    folder = make_scratch(RUN)
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(1_500):
        os.mkdir("d", dir_fd=descriptor)
        inner = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
    remove_scratch(folder)
    while (inner := folder / "d" / "d").exists():  # nor shall it stop who cleans up after the tests
        inner.rename(folder / "up")
        (folder / "d").rmdir()
        (folder / "up").rename(folder / "d")
    assert list(temporary.iterdir()) in ([], [folder])


def test_a_socket_in_it_goes_too(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_scratch(RUN)
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s")
        remove_scratch(folder)
    assert not folder.exists()


@NEEDS_OTHERS
def test_what_somebody_else_has_made_is_not_entered(temporary: Path) -> None:
    scratch = make_scratch(RUN)
    (scratch / "file").touch()
    os.chown(scratch, 1234, 1234)
    sweep_scratch(RUN)
    assert (scratch / "file").exists(), "its owner could swap it for a link to anywhere"
