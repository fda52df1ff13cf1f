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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from repoagents.errors import GitError
from repoagents.git.disk import reporting

LOCAL_SECONDS = 900.0
NETWORK_SECONDS = 3600.0
LONGEST_COMPLAINT = 2000
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
    "denied to ",
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
    "gnutls_handshake",
    "ssl_error_syscall",
    "rpc failed",
    "early eof",
    "hung up unexpectedly",
    "returned error: 408",
    "returned error: 429",
    "returned error: 5",
    "does not appear to be a git repository",
    "could not read from remote repository",
)
_FOR_GOOD = re.compile(r"returned error: 4(?!08|29)")
"""The server has understood the request and refuses it, whatever else broke off after that."""

_NEXT_STEP = {
    "auth": "`repoagents doctor` says which credential is in use and what it may do; without one of"
    " the bot's own, `git ls-remote` with this URL must work in your own shell without a question.",
    "unreachable": "Check the network and the URL: `git ls-remote URL` in your own shell.",
}
_ARCHIVED = "repository was archived"
"""GitHub's words beside a 403 that no other login would spare us."""
_IF_IT_FAILED = {
    re.compile(_ARCHIVED): "Unarchive the repository, then retry.",
    re.compile(r"returned error: 30\d"): "It was renamed or moved: set tracker.repo, and"
    " tracker.clone_url where that is set, to where it is now. No redirect is followed.",
    re.compile(r"^(fatal: )?repository '.*' not found", re.MULTILINE): "Check tracker.repo and"
    " tracker.clone_url; `repoagents doctor` says whether the credential may see the repository.",
}
_NOBODY_TO_ASK = "could not read Username"
"""What git says of a refused header: it would ask for another login, and nobody is there."""


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without these secrets, and without the user names and passwords of its URLs."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return _USERINFO.sub(r"\g<scheme>", text)


def classify(complaint: str) -> str:
    """What git's complaint about a remote means: `auth`, `unreachable` or `failed`."""
    lowered = complaint.lower()
    if _ARCHIVED in lowered:
        return "failed"
    if any(sign in lowered for sign in _AUTH):
        return "auth"
    if any(sign in lowered for sign in _UNREACHABLE) and not _FOR_GOOD.search(lowered):
        return "unreachable"
    return "failed"


@dataclass(frozen=True)
class Answer:
    """What git said: its exit code, its output as bytes, and its complaint without any secret."""

    code: int
    out: bytes
    complaint: str = ""

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
    """A way to call git: in which folder and with exactly which environment.

    `secrets` are taken out of whatever git says: a server may send back what it was shown.
    """

    folder: Path
    environment: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

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

    def hiding(self, *secrets: str) -> "Git":
        """The same, with further secrets that nothing may show."""
        return replace(self, secrets=(*self.secrets, *secrets))

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        accept: tuple[int, ...] = (0,),
        seconds: float | None = None,
    ) -> Answer:
        """Run one command; an exit code outside `accept` is a `GitError`."""
        with reporting("keep what git says"), _memory_file() as sink:
            answer = self.pour(sink, *arguments, stdin=stdin, accept=accept, seconds=seconds)
            sink.seek(0)
            return replace(answer, out=sink.read())

    def pour(
        self,
        sink: IO[bytes],
        *arguments: str,
        stdin: bytes = b"",
        accept: tuple[int, ...] = (0,),
        seconds: float | None = None,
    ) -> Answer:
        """Run one command with its output going to a file and not into the answer."""
        usual = NETWORK_SECONDS if arguments[0] in NETWORK_COMMANDS else LOCAL_SECONDS
        limit = seconds or usual
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
            complaints.seek(0)
            said = redact(complaints.read().decode(errors="replace"), self.secrets)
        answer = Answer(code, b"", said.strip())
        if code in accept:
            return answer
        raise self.failure(arguments[0], answer)

    def failure(self, command: str, answer: Answer) -> GitError:
        """The error that an answer to this command stands for."""
        complaint = answer.complaint[-LONGEST_COMPLAINT:]
        kind = classify(complaint) if command in NETWORK_COMMANDS else "failed"
        advice = (text for sign, text in _IF_IT_FAILED.items() if sign.search(complaint))
        if self.secrets and _NOBODY_TO_ASK in complaint:
            complaint = "the login was refused"
        return GitError(
            f"git {command} failed in {self.folder}: {complaint or f'exit code {answer.code}'}",
            kind=kind,
            next_step=_NEXT_STEP.get(kind) or next(advice, ""),
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
