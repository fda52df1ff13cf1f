"""The command line, forked from a process that has imported it already.

Importing is most of what a short command does, and tests run hundreds of them. Each is a process of
its own, with its own folder, environment, streams and exit code; only Python does not start anew.
How the program starts from nothing is seen where tests start it themselves.
"""

import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[1]


@cache
def _parent() -> tuple[socket.socket, "subprocess.Popen[bytes]"]:
    """The process that commands are forked from; it ends when the socket is closed, as we end."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.prepared", str(theirs.fileno())],
            cwd=ROOT,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
    return ours, process


class Running:
    """A command that was just begun; what it has, it has as `subprocess.Popen` has it.

    `stdout` and `stderr` are text, as long as no file is given for them to go to.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        start_new_session: bool = False,
    ) -> None:
        asked = {"arguments": list(arguments), "cwd": str(cwd), "env": dict(env)}
        self.args = list(arguments)
        self.returncode: int | None = None
        with ExitStack() as sent:
            request = sent.enter_context(tempfile.TemporaryFile())
            request.write(json.dumps({**asked, "session": start_new_session}).encode())
            request.seek(0)
            _, given = _ends(stdin, sent)
            self.stdout, out = _ends(stdout, sent)
            self.stderr, err = (None, out) if stderr == subprocess.STDOUT else _ends(stderr, sent)
            ended, result = os.pipe()
            sent.callback(os.close, result)
            # Open as long as anybody may ask: more than one thread can wait for the same end.
            weakref.finalize(self, os.close, ended)
            self._result, self._reading = os.fdopen(ended, closefd=False), threading.Lock()
            files = [request.fileno(), given, out, err, result]
            socket.send_fds(_parent()[0], [b"."], files)
        self.pid = int(self._result.readline())
        _begun.add(self)

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its exit code."""
        door = select.poll()
        door.register(self._result, select.POLLIN)
        if not door.poll(None if timeout is None else timeout * 1000):
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        with self._reading:
            if self.returncode is None:
                self.returncode = int(self._result.readline())
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; what it said that nobody has read yet."""
        streams = [stream for stream in (self.stdout, self.stderr) if stream]
        readers = ThreadPoolExecutor(2)
        said = {stream: readers.submit(stream.read) for stream in streams if not stream.closed}
        readers.shutdown(wait=False)
        if futures.wait(said.values(), timeout).not_done:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        self.wait(timeout)
        for stream in streams:
            stream.close()
        out, err = (said[s].result() if s in said else "" for s in (self.stdout, self.stderr))
        return out, err

    def send_signal(self, which: int) -> None:
        """Send a signal, unless it has ended (it may between the question and the signal)."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, which)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def _ends(wanted: int, sent: ExitStack) -> tuple[IO[str] | None, int]:
    """Our end of a stream, and the one to send; what is opened to be sent is closed after it."""
    if wanted == subprocess.DEVNULL:
        return None, sent.enter_context(Path(os.devnull).open("r+b", buffering=0)).fileno()
    if wanted != subprocess.PIPE:
        return None, wanted
    reading, writing = os.pipe()
    sent.callback(os.close, writing)
    return os.fdopen(reading), writing


_begun: set[Running] = set()


def end_running() -> None:
    """Kill every command that was begun and goes on; their output is read to its end."""
    while _begun:
        command = _begun.pop()
        command.kill()
        command.communicate()


def run_prepared(
    arguments: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: str = "",
    timeout: float = 500,
) -> subprocess.CompletedProcess[str]:
    """Run `repoagents` with these arguments to its end, as `subprocess.run` would."""
    with ExitStack() as files:
        typed, *streams = [files.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        typed.write(stdin.encode())
        typed.seek(0)
        given, out, err = (file.fileno() for file in (typed, *streams))
        command = Running(arguments, cwd=cwd, env=env, stdin=given, stdout=out, stderr=err)
        try:
            code = command.wait(timeout)
        finally:
            # It takes too long, or the test is ended.
            command.kill()
            command.wait()
            _begun.discard(command)
        for stream in streams:
            stream.seek(0)
        texts = [stream.read().decode() for stream in streams]
    return subprocess.CompletedProcess(list(arguments), code, *texts)


def _import_everything() -> None:
    package = importlib.import_module("repoagents")
    for module in pkgutil.walk_packages(package.__path__, "repoagents."):
        importlib.import_module(module.name)
    gc.freeze()


def _serve(door: socket.socket) -> list[int]:
    """Fork for every request; returns its files in the child, and none in the parent at the end."""
    while files := socket.recv_fds(door, 1, 5)[1]:
        if os.fork() == 0:
            break
        for file in files:
            os.close(file)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    return files


def _become(request: int, streams: Sequence[int]) -> None:
    """Take the folder, the environment, the streams and the arguments of a request."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    with os.fdopen(request) as file:
        asked = json.load(file)
    if asked["session"]:
        os.setsid()
    # What Python found out about the old ones as it started, they would believe of the new ones.
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", buffering=1 if os.isatty(1) else -1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(asked["env"])
    time.tzset()
    os.chdir(asked["cwd"])
    sys.argv = ["repoagents", *asked["arguments"]]


def main() -> int:
    """Serve requests until the door is closed; each child leaves here as the command itself."""
    _import_everything()
    with socket.socket(fileno=int(sys.argv[1])) as door:
        files = _serve(door)
    if not files:
        return 0
    request, *streams, result = files
    if pid := os.fork():
        for stream in streams:
            os.close(stream)
        with suppress(BrokenPipeError):
            os.write(result, b"%d\n" % pid)
            os.write(result, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os._exit(0)
    os.close(result)
    _become(request, streams)
    from repoagents.__main__ import main as command

    return command()


if __name__ == "__main__":
    sys.exit(main())
