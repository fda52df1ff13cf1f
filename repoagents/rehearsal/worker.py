"""A worker in a process of its own, as operators start it: watched, killed and started again."""

import asyncio
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Thread

import psutil

from repoagents.agents.process import Command, Ended, Supervisor
from repoagents.config.files import CONTROL
from repoagents.domain.soak import Reading
from repoagents.errors import RepoAgentsError, Stopped
from repoagents.rehearsal.watched import read_told
from repoagents.store.worker_lock import holder

PYTHON = (sys.executable, "-P", "-m")
STOP_SECONDS = 40.0

_workers = count()


class RehearsalWorker:
    """`repoagents run --serve` in a clone; one at a time."""

    def __init__(self, clone: Path, environment: Mapping[str, str], limit: float) -> None:
        """`limit` is how many seconds one of its processes may live."""
        self._control = clone / CONTROL
        # The supervisor looks for it on the whole machine, where another soak may be at work.
        self._run_id = f"soak-{os.getpid()}-{next(_workers)}"
        self._clone = clone
        self._told = clone.parent / "worker.json"
        self._environment = environment
        self._limit = limit
        self._supervisor = Supervisor(clone.parent / "processes")
        self._thread: Thread | None = None
        self._ended: list[Ended] = []

    def start(self) -> None:
        """Start the process; `pid` tells when it is at work."""
        argv = (*PYTHON, "repoagents.rehearsal.watched", str(self._told), "run", "--serve")
        command = Command(argv, self._clone, self._environment, self._run_id, self._limit)

        def follow() -> None:
            with suppress(Stopped):
                self._ended.append(asyncio.run(self._supervisor.run(command)))

        self._thread = Thread(target=follow, name="soak-worker")
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The process that holds the worker lock; None before it does, and after."""
        owner = holder(self._control)
        return owner.pid if owner is not None and owner.pid else None

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._thread is None or not self._thread.is_alive()

    @property
    def last_words(self) -> str:
        """What the process said last of why it ended."""
        return self._ended[-1].errors.strip()[-500:] if self._ended else ""

    def kill(self) -> None:
        """End it as a power cut would."""
        self._signal("kill")

    def stop(self) -> None:
        """Ask it to end, and wait; raises `RepoAgentsError` when it does not."""
        self._signal("terminate")
        if not self.ended:
            raise RepoAgentsError("the worker did not end when it was asked to")

    def close(self) -> None:
        """End whatever is left of it, also when it has hardly begun."""
        while not self.ended:
            # Again and again: it may only be about to start.
            self._supervisor.stop(self._run_id, "interrupted")
            self._join(0.1)

    def read(self, at: float) -> Reading | None:
        """What the process holds now; None before it has told, and when it is gone."""
        pid = self.pid
        if pid is None:  # which would mean this very process
            return None
        with suppress(psutil.Error, OSError):
            process, (teller, files, scratch) = psutil.Process(pid), read_told(self._told)
            if teller == pid:
                return Reading(
                    process=pid,
                    at=at,
                    memory=process.memory_info().rss,
                    files=files,
                    threads=process.num_threads(),
                    children=len(process.children(recursive=True)),
                    scratch=scratch,
                )
        return None

    def say(self, *arguments: str) -> str:
        """Type another command in the clone; gives what it answered."""
        return self._supervisor.probe(
            (*PYTHON, "repoagents", *arguments), self._environment, self._clone
        ).output

    def _signal(self, name: str) -> None:
        pid = self.pid
        if pid is not None:
            with suppress(psutil.Error):
                getattr(psutil.Process(pid), name)()
        self._join(STOP_SECONDS)

    def _join(self, seconds: float) -> None:
        if self._thread is not None:
            self._thread.join(seconds)
