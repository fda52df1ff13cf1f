"""The command line, forked from a process that has imported it already.

Importing is most of what a short command does, and tests run hundreds of them to their end. Each is
a process of its own, with its own folder, environment, streams and exit code; only Python does not
start anew. How the program starts from nothing is seen where tests start it themselves.
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
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path

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


def run_prepared(
    arguments: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: str = "",
    timeout: float = 100,
) -> subprocess.CompletedProcess[str]:
    """Run `repoagents` with these arguments to its end, as `subprocess.run` would."""
    asked = json.dumps({"arguments": list(arguments), "cwd": str(cwd), "env": dict(env)})
    with ExitStack() as files:
        streams = [files.enter_context(tempfile.TemporaryFile()) for _ in range(4)]
        for file, text in zip(streams, (asked, stdin), strict=False):
            file.write(text.encode())
            file.seek(0)
        reading, writing = os.pipe()
        result = files.enter_context(os.fdopen(reading))
        with os.fdopen(writing, "w"):
            sent = [*(stream.fileno() for stream in streams), writing]
            socket.send_fds(_parent()[0], [b"."], sent)
        code = _wait(result.fileno(), timeout, arguments)
        for stream in streams[2:]:
            stream.seek(0)
        out, err = (stream.read().decode() for stream in streams[2:])
    return subprocess.CompletedProcess(list(arguments), code, out, err)


def _wait(result: int, timeout: float, arguments: Sequence[str]) -> int:
    """The exit code of the command; it is killed when it takes too long, or the test is ended."""
    pid = int(os.read(result, 100))
    try:
        if not select.select([result], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(list(arguments), timeout)
        return int(os.read(result, 100))
    except BaseException:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        raise


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
        with suppress(BrokenPipeError):
            os.write(result, b"%d" % pid)
            os.write(result, b"%d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os._exit(0)
    os.close(result)
    _become(request, streams)
    from repoagents.__main__ import main as command

    return command()


if __name__ == "__main__":
    sys.exit(main())
