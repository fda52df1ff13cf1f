"""The one door through which agents, checks and hooks are started, watched and ended."""

import asyncio
import os
import threading
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import cast

import psutil

from repoagents.agents.capture import Capture, Lines
from repoagents.agents.family import MARKER, Family, end, marked, started_at, with_children
from repoagents.agents.records import ProcessRecord, ProcessRecords
from repoagents.agents.scratch import make_home, make_scratch, remove_scratch, sweep_scratch
from repoagents.agents.shield import hide_from_children
from repoagents.errors import Stopped

LOOK_SECONDS = 5.0
"""How often the children of a running process are noted."""

DRAIN_SECONDS = 1.0
"""How long the pipes are read after the whole family has ended."""

_ERROR_TAIL = 64 * 1024
_CLOCK_SLACK_SECONDS = 2.0
_probes = count()

Listen = Callable[[list[str]], None]


@dataclass(frozen=True)
class Command:
    """One process to run: `environment` is all that it gets, besides the run's marker and a TMPDIR.

    Where it names no HOME, the process gets an empty one that goes with it.

    `idle_seconds` of silence or `deadline_seconds` in all end it. Of its standard output the first
    `keep_head` and the last `keep_tail` bytes are kept; standard error goes there too when merged.
    """

    argv: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str]
    run_id: str
    deadline_seconds: float
    idle_seconds: float | None = None
    stdin: str = ""
    merge_errors: bool = False
    keep_head: int = 0
    keep_tail: int = 2 * 1024 * 1024


class End(StrEnum):
    """What ended a process: itself, silence, or the deadline; or it could not be started at all."""

    NOT_STARTED = "not_started"
    EXITED = "exited"
    IDLE = "idle"
    DEADLINE = "deadline"


@dataclass(frozen=True)
class Ended:
    """How a process ended: a negative exit code is the signal, None means there is none.

    `output` and `errors` are what was kept; of a process that could not be started, `errors` is
    the reason.
    """

    end: End
    exit_code: int | None
    seconds: float
    output: str
    errors: str


class Supervisor:
    """Runs processes and knows, also after a crash, which of them are still there."""

    def __init__(self, folder: Path) -> None:
        hide_from_children()
        self._records = ProcessRecords(folder)
        self._live: list[_Live] = []
        self._lock = threading.Lock()

    async def run(self, command: Command, listen: Listen | None = None) -> Ended:
        """Run to the end, with nothing left behind; `listen` gets the lines of standard output.

        Raises Stopped when `stop` ended it.
        """
        live = _Live(command, asyncio.get_running_loop(), listen)
        with self._registered(live):
            try:
                # A folder of its own: the common one is where other programs can be reached.
                scratch = make_scratch(command.run_id)
            except OSError as error:
                return _not_started(error)
            try:
                ended = await self._lead(live, scratch)
            finally:
                await asyncio.to_thread(remove_scratch, scratch)
        if live.stop_kind:
            raise Stopped(f"{command.argv[0]} was ended: {live.stop_kind}", kind=live.stop_kind)
        return ended

    async def _lead(self, live: "_Live", scratch: Path) -> Ended:
        before = frozenset(psutil.pids())
        try:
            transport = await live.spawn(scratch)
        except (OSError, ValueError) as error:  # ValueError: a NUL in an argument
            return _not_started(error)
        family = Family(transport.get_pid(), live.command.run_id, before)
        try:
            with self._recorded(live, family.leader):
                ending = await live.watch(family)
        finally:
            await live.close(transport, family)
        return live.ended(ending, transport.get_returncode())

    def probe(self, argv: tuple[str, ...], environment: Mapping[str, str], cwd: Path) -> Ended:
        """Run a short command of the operator's, from a thread that runs no event loop."""
        run_id = f"probe-{os.getpid()}-{next(_probes)}"
        return asyncio.run(self.run(Command(argv, cwd, environment, run_id, 20)))

    def stop(self, run_id: str, kind: str) -> None:
        """End the run's processes; their `run` raises `Stopped` of that kind."""
        with self._lock:
            for live in self._live:
                if live.command.run_id == run_id:
                    live.stop(kind)

    def end_orphans(self, run_id: str) -> tuple[int, ...]:
        """End what a dead worker left behind of a run; returns the pids."""
        with self._lock:
            if any(live.command.run_id == run_id for live in self._live):
                return ()
        records = [
            (path, record) for path, record in self._records.read() if record.run_id == run_id
        ]

        def orphans() -> list[psutil.Process]:
            recorded = [
                p for _, record in records if _same(record) for p in with_children(record.pid)
            ]
            return list({p.pid: p for p in [*recorded, *marked(run_id)]}.values())

        ended = end(orphans)
        sweep_scratch(run_id)
        for path, _ in records:
            path.unlink(missing_ok=True)
        return ended

    @contextmanager
    def _registered(self, live: "_Live") -> Iterator[None]:
        # Before the process is there: a stop that comes while it starts must not get lost.
        with self._lock:
            self._live.append(live)
        try:
            yield
        finally:
            with self._lock:
                self._live.remove(live)

    @contextmanager
    def _recorded(self, live: "_Live", pid: int) -> Iterator[None]:
        command = live.command
        record = ProcessRecord(
            pid, started_at(pid) or 0.0, command.run_id, Path(command.argv[0]).name
        )
        path = self._records.write(record)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _not_started(error: Exception) -> Ended:
    why = str(error)
    if isinstance(error, OSError) and error.strerror:
        why = f"{error.strerror}: {error.filename}"
    return Ended(End.NOT_STARTED, None, 0.0, "", why)


def _same(record: ProcessRecord) -> bool:
    # The start time of a pid is derived from the wall clock, which may have been set meanwhile.
    started = started_at(record.pid)
    return started is not None and abs(started - record.started) < _CLOCK_SLACK_SECONDS


class _Live(asyncio.SubprocessProtocol):
    """One running process: what it wrote, whether it ended, and why it shall end."""

    def __init__(
        self, command: Command, loop: asyncio.AbstractEventLoop, listen: Listen | None
    ) -> None:
        self.command = command
        self.stop_kind = ""
        self._loop = loop
        self._listen = listen
        self._wake = asyncio.Event()
        self._exited = False
        self._open_pipes = 1 if command.merge_errors else 2
        self._begun = self._heard = loop.time()
        self._ended: float | None = None
        self._splitter = Lines()
        self._lines: list[str] = []
        self._output = Capture(command.keep_head, command.keep_tail)
        self._errors = Capture(0, _ERROR_TAIL)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Keep what came; any byte is a sign of life."""
        self._heard = self._loop.time()
        if fd == 1:
            self._output.feed(data)
            if self._listen:
                self._lines += self._splitter.feed(data)
        else:
            self._errors.feed(data)
        self._wake.set()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Count the output pipes that have ended; the prompt's pipe does not matter."""
        if fd != 0:
            self._open_pipes -= 1
            self._wake.set()

    def process_exited(self) -> None:
        """The leader is gone; others may still hold its pipes."""
        self._exited = True
        self._ended = self._loop.time()
        self._wake.set()

    def stop(self, kind: str) -> None:
        """Ask for the end, from any thread."""
        self._loop.call_soon_threadsafe(self._stop, kind)

    def _stop(self, kind: str) -> None:
        self.stop_kind = self.stop_kind or kind
        self._wake.set()

    async def spawn(self, scratch: Path) -> asyncio.SubprocessTransport:
        command = self.command
        home = {} if "HOME" in command.environment else {"HOME": make_home(scratch)}
        transport, _ = await self._loop.subprocess_exec(
            lambda: self,
            *command.argv,
            stdin=PIPE if command.stdin else DEVNULL,
            stdout=PIPE,
            stderr=STDOUT if command.merge_errors else PIPE,
            cwd=command.cwd,
            env={**home, **command.environment, "TMPDIR": str(scratch), MARKER: command.run_id},
            start_new_session=True,
        )
        if command.stdin:
            pipe = cast(asyncio.WriteTransport, transport.get_pipe_transport(0))
            pipe.write(command.stdin.encode("utf-8", "replace"))
            pipe.write_eof()
        return transport

    async def watch(self, family: Family) -> End:
        """Wait for the end, or for a reason to bring it about."""
        command = self.command
        next_look = self._begun + LOOK_SECONDS
        while True:
            self._wake.clear()
            self._deliver()
            now = self._loop.time()
            idle_until = self._heard + (command.idle_seconds or command.deadline_seconds)
            hard_until = self._begun + command.deadline_seconds
            if self._exited or self.stop_kind:
                late = self._ended is not None and self._ended >= hard_until
                return End.DEADLINE if late else End.EXITED
            if now >= hard_until:
                return End.DEADLINE
            if now >= idle_until:
                return End.IDLE
            if now >= next_look:
                family.look()
                next_look = now + LOOK_SECONDS
            await self._awake_until(min(idle_until, hard_until, next_look))

    async def close(self, transport: asyncio.SubprocessTransport, family: Family) -> None:
        """End the whole family, read what is still in the pipes, and let go of them."""
        try:
            await asyncio.to_thread(end, family.alive, family.leader)
            until = self._loop.time() + DRAIN_SECONDS
            while (self._open_pipes > 0 or not self._exited) and self._loop.time() < until:
                self._wake.clear()
                await self._awake_until(until)
        finally:
            transport.close()
        self._lines += self._splitter.rest()
        self._deliver()

    def ended(self, ending: End, exit_code: int | None) -> Ended:
        seconds = (self._ended or self._loop.time()) - self._begun
        return Ended(ending, exit_code, seconds, self._output.text(), self._errors.text())

    async def _awake_until(self, until: float) -> None:
        try:
            async with asyncio.timeout_at(until):
                await self._wake.wait()
        except TimeoutError:
            return

    def _deliver(self) -> None:
        lines, self._lines = self._lines, []
        if self._listen and lines:
            self._listen(lines)
