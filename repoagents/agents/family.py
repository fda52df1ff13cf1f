"""Every process that comes from one we started, also those that left its group or session.

Three nets, because each has a hole: the session (left by `setsid`), the children (a double fork
loses its parent), and the marker variable in the environment (a process may clean its own).
"""

import os
import re
import signal
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

MARKER = "REPOAGENTS_RUN_ID"
"""The variable that every process of a run inherits."""
_MARKED = re.compile(rb"(?:\A|\0)" + MARKER.encode() + rb"=([^\0]*)")

TERM_GRACE_SECONDS = 10.0
STRAGGLER_GRACE_SECONDS = 2.0
_QUIET_LOOKS = 6
_KILL_ROUNDS = 40
_POLL_SECONDS = 0.05
_LONGEST_POLL_SECONDS = 0.5

Processes = list[psutil.Process]


class Family:
    """The processes below one leader, which began its own session.

    `before` are the pids that were there already when the leader was started: only newer ones are
    looked at, which keeps a look at a busy machine cheap.
    """

    def __init__(self, leader: int, run_id: str, before: frozenset[int]) -> None:
        self.leader = leader
        self._run_id = run_id
        self._before = before
        self._known = {process.pid: process for process in _existing([leader])}

    def look(self) -> None:
        """Note the children of everything known: later they may have lost their parent."""
        for process in list(self._known.values()):
            for child in _children(process):
                self._known.setdefault(child.pid, child)

    def alive(self) -> Processes:
        """Every member that still runs."""
        self.look()
        new = set(psutil.pids()) - self._before - self._known.keys()
        self._known |= {p.pid: p for p in _those(new, self._ours)}
        self._known = {p.pid: p for p in self._known.values() if _running(p)}
        return list(self._known.values())

    def _ours(self, pid: int) -> bool:
        return _session(pid) == self.leader or _run_of(pid) == self._run_id


def marked(run_id: str) -> Processes:
    """Every running process, but this one, that carries the run's marker."""
    others = set(psutil.pids()) - {os.getpid()}
    return [p for p in _those(others, lambda pid: _run_of(pid) == run_id) if _running(p)]


def started_at(pid: int) -> float | None:
    """When a process began, in seconds since the epoch; None when there is none of that pid."""
    for process in _existing([pid]):
        return process.create_time()
    return None


def with_children(pid: int) -> Processes:
    """A process and all its descendants, as far as they run."""
    related = [p for process in _existing([pid]) for p in (process, *_children(process))]
    return [process for process in related if _running(process)]


def end(alive: Callable[[], Processes], leader: int | None = None) -> tuple[int, ...]:
    """TERM, a grace, KILL, for whatever `alive` names now and while we wait; returns the pids.

    The grace is ten seconds while the leader lives, two for those that it left behind. Blocks the
    thread.
    """
    pause = threading.Event()
    ended: set[int] = set()
    left, wait = TERM_GRACE_SECONDS, _POLL_SECONDS
    while (processes := alive()) and left > 0:
        _send([p for p in processes if p.pid not in ended], signal.SIGTERM)
        ended |= {p.pid for p in processes}
        if leader is not None and leader not in {p.pid for p in processes}:
            left = min(left, STRAGGLER_GRACE_SECONDS)
        pause.wait(wait)
        left -= wait
        # Each look costs: who has not ended at once may take its time.
        wait = min(wait * 1.5, _LONGEST_POLL_SECONDS)
    quiet = 0
    for _ in range(_KILL_ROUNDS):
        processes = alive()
        ended |= {p.pid for p in processes}
        _send(processes, signal.SIGKILL)
        # One look at nobody proves little: a family whose members each fork and leave at once
        # shows none to a look that lies between two of them.
        quiet = 0 if processes else quiet + 1
        if quiet >= (_QUIET_LOOKS if ended else 1):
            break
        pause.wait(_POLL_SECONDS)
    return tuple(sorted(ended))


def _existing(pids: Iterable[int]) -> Processes:
    found = []
    for pid in pids:
        try:
            found.append(psutil.Process(pid))
        except psutil.Error:
            continue
    return found


def _those(pids: Iterable[int], ours: Callable[[int], bool]) -> Processes:
    # Asked again once psutil has noted the start time: the pid may have been given away meanwhile.
    return [p for p in _existing(pid for pid in pids if ours(pid)) if ours(p.pid)]


def _children(process: psutil.Process) -> Processes:
    if not _running(process):  # it has no children any more; psutil would look at every process
        return []
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _run_of(pid: int) -> str | None:
    try:
        if (
            psutil.LINUX
        ):  # every process of the machine is asked, and psutil takes eight times as long
            found = _MARKED.search(Path(f"/proc/{pid}/environ").read_bytes())
            return os.fsdecode(found[1]) if found else None
        return psutil.Process(pid).environ().get(MARKER)
    except (psutil.Error, OSError):
        return None


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _send(processes: Processes, number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)  # psutil makes sure that the pid was not given away
        except (psutil.Error, OSError):
            continue
