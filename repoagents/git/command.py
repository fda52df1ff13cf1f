"""The only place that starts git: argument lists, an environment of our own, a limit on every call.

Nothing from outside reaches git unless it is named here. The system's and the user's configuration
are out of sight, hooks and the fsmonitor are off, and no replace ref is honoured, so that a
repository which an agent has touched cannot make the host run anything.
"""

import os
import re
import select
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from repoagents.errors import GitError
from repoagents.git.disk import reporting

LOCAL_SECONDS = 900.0
NETWORK_SECONDS = 3600.0
NETWORK_COMMANDS = frozenset({"fetch", "ls-remote", "push"})

PASSED_ON = ("PATH", "TMPDIR", "TZ")
SEALED = {
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
OPTIONS = (
    "--no-replace-objects",
    "-c",
    f"core.hooksPath={os.devnull}",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "protocol.ext.allow=never",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "checkout.workers=2",
)

_USERINFO = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^/\s'\"]*@", re.IGNORECASE)
_AUTH = (
    "authentication failed",
    "could not read username",
    "could not read password",
    "terminal prompts disabled",
    "permission denied (",
    "host key verification failed",
    "returned error: 401",
    "returned error: 403",
    "invalid username or",
    "access denied",
)
_UNREACHABLE = (
    "could not resolve",
    "failed to connect",
    "couldn't connect",
    "could not connect",
    "connection refused",
    "connection timed out",
    "connection reset",
    "connection closed",
    "operation timed out",
    "operation too slow",
    "network is unreachable",
    "no route to host",
    "empty reply from server",
    "returned error: 5",
    "does not appear to be a git repository",
    "could not read from remote repository",
)
_NEXT_STEP = {
    "auth": "Check that `git ls-remote` with this URL works in your own shell without a question.",
    "unreachable": "Check the network and the URL: `git ls-remote URL` in your own shell.",
}


def redact(text: str) -> str:
    """The text without the user names and passwords of its URLs."""
    return _USERINFO.sub(r"\g<scheme>", text)


def classify(complaint: str) -> str:
    """What git's complaint about a remote means: `auth`, `unreachable` or `failed`."""
    lowered = complaint.lower()
    if any(sign in lowered for sign in _AUTH):
        return "auth"
    if any(sign in lowered for sign in _UNREACHABLE):
        return "unreachable"
    return "failed"


@dataclass(frozen=True)
class Answer:
    """What git said: its exit code and its output as bytes."""

    code: int
    out: bytes

    @property
    def line(self) -> str:
        """The output as one line of text."""
        return os.fsdecode(self.out).rstrip("\n")

    @property
    def records(self) -> list[str]:
        """The NUL-terminated records of the output, as file system names."""
        return [os.fsdecode(record) for record in self.out.split(b"\0")[:-1]]


@dataclass(frozen=True)
class Git:
    """A way to call git: in which folder and with exactly which environment."""

    folder: Path
    environment: Mapping[str, str]

    @classmethod
    def sealed(cls, folder: Path, outside: Mapping[str, str]) -> "Git":
        """Git with nothing of the outside environment but PATH, TMPDIR and TZ."""
        kept = {name: outside[name] for name in PASSED_ON if name in outside}
        return cls(folder, kept | SEALED)

    def at(self, folder: Path) -> "Git":
        """The same, run in another folder."""
        return replace(self, folder=folder)

    def told(self, **variables: str | Path) -> "Git":
        """The same with further environment variables."""
        added = {name: str(value) for name, value in variables.items()}
        return replace(self, environment={**self.environment, **added})

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        accept: tuple[int, ...] = (0,),
        seconds: float | None = None,
    ) -> Answer:
        """Run one command; an exit code outside `accept` is a `GitError`."""
        with reporting("keep what git says"), _memory_file() as sink:
            code = self.pour(sink, *arguments, stdin=stdin, accept=accept, seconds=seconds)
            sink.seek(0)
            return Answer(code, sink.read())

    def pour(
        self,
        sink: IO[bytes],
        *arguments: str,
        stdin: bytes = b"",
        accept: tuple[int, ...] = (0,),
        seconds: float | None = None,
    ) -> int:
        """Run one command with its output going to a file; returns the exit code."""
        remote = arguments[0] in NETWORK_COMMANDS
        limit = seconds or (NETWORK_SECONDS if remote else LOCAL_SECONDS)
        # Files, not pipes: a grandchild that keeps a pipe open (an ssh master, a credential
        # daemon) would hold us after git itself has ended.
        with (
            reporting("hand git its input"),
            _memory_file() as source,
            _memory_file() as complaints,
        ):
            source.write(stdin)
            source.seek(0)
            code = self._spawn(arguments, (source, sink, complaints), limit)
            if code in accept:
                return code
            complaints.seek(0)
            complaint = redact(complaints.read().decode(errors="replace")).strip()[-2000:]
        kind = classify(complaint) if remote else "failed"
        what = f"git {arguments[0]} failed in {self.folder}"
        raise GitError(
            f"{what}: {complaint or f'exit code {code}'}",
            kind=kind,
            next_step=_NEXT_STEP.get(kind, ""),
        )

    def _spawn(
        self, arguments: tuple[str, ...], files: tuple[IO[bytes], ...], seconds: float
    ) -> int:
        source, sink, complaints = files
        try:
            process = subprocess.Popen(
                ["git", *OPTIONS, *arguments],
                cwd=self.folder,
                env=dict(self.environment),
                stdin=source,
                stdout=sink,
                stderr=complaints,
                start_new_session=True,
            )
        except OSError as error:
            raise GitError(
                f"git could not be started in {self.folder}: {error.strerror or error}",
                next_step="Install git 2.38 or newer and put it on PATH.",
            ) from error
        if _wait(process, seconds):
            return process.returncode
        raise GitError(
            f"git {arguments[0]} in {self.folder} was ended after {seconds:.0f} seconds",
            kind="unreachable" if arguments[0] in NETWORK_COMMANDS else "failed",
            next_step="Look whether the disk or the network hangs, then retry.",
        )


def _memory_file() -> IO[bytes]:
    """A file that never reaches a disk, where the system has such a thing."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("git"), "w+b")
    return TemporaryFile()


def _wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for the end; at the limit kill the whole process group and return False."""
    try:
        if _ended(process, seconds):
            process.wait()
            return True
        return False
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    if hasattr(os, "pidfd_open"):  # wakes at once, and takes no thread
        watch = os.pidfd_open(process.pid)
        try:
            poll = select.poll()
            poll.register(watch, select.POLLIN)
            return bool(poll.poll(seconds * 1000))
        finally:
            os.close(watch)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
