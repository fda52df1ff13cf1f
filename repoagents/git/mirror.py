"""The bot's own bare clone: fetched with explicit URLs, its configuration written by us alone.

The refs below `refs/base/` and `refs/runs/` keep objects alive and shorten the next fetch; nothing
is ever decided by reading them, so they are the one part that the seal leaves out.
"""

import fcntl
import hashlib
import os
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from repoagents.domain.change import Base
from repoagents.errors import GitError
from repoagents.git.checkout import Source
from repoagents.git.command import Git, redact
from repoagents.git.disk import reporting

OBJECT_NAME = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
LS_REMOTE_SECONDS = 120.0
TRIES = 3

PACKS, LOOSE = 50, 6700
"""From so many packs or loose objects on they are packed together; git's own limits."""

SKIPPED = 1000
"""Of so many trees it stays known what was left out: it is asked for just after it was noted."""

RAW_ATTRIBUTES = "* -text -ident -filter !eol !working-tree-encoding\n"
"""For a folder without git: its bytes as they are, so that the patch fits them."""


def checked_object(name: str) -> str:
    """The object's name when it is one; it goes into argument lists."""
    if not OBJECT_NAME.fullmatch(name):
        raise GitError(f"{name!r} is not the name of a git object")
    return name


@dataclass(frozen=True)
class Mirror:
    """The clone at `home/repo.git`; `raw` switches every conversion of content off."""

    home: Path
    outside: Mapping[str, str]
    raw: bool = False

    @property
    def path(self) -> Path:
        """The bare repository."""
        return self.home / "repo.git"

    @property
    def objects(self) -> Path:
        """Where its objects are, for a worktree to borrow."""
        return self.path / "objects"

    @property
    def shallow(self) -> Path:
        """Where it says that its history is cut, when the source's is."""
        return self.path / "shallow"

    @property
    def git(self) -> Git:
        """Git on this clone, without a work tree; `GitError` when somebody deleted the clone."""
        if not self.path.is_dir():
            raise GitError(
                f"The bot's clone {self.path} is not there",
                next_step="It is fetched anew for a new run: repoagents retry N --fresh.",
            )
        return Git.sealed(self.path, self.outside).told(GIT_DIR=self.path)

    def identity(self) -> tuple[int, int]:
        """What tells this clone from one that was made anew in its place."""
        born = self.path / "description"
        if not born.exists():
            return 0, 0
        seen = born.stat()
        return seen.st_ino, seen.st_ctime_ns

    def fetch(self, source: Source, wanted: str) -> Base:
        """Bring the branch that is wanted, or the source's default branch, up to date."""
        with self.locked(), _naming(source.url):
            for _ in range(TRIES):
                base = _advertised(source, wanted)
                self.prepare(base.sha)
                if not self._holds(base):
                    self._fetch(source, base.branch)
                if self._holds(base):
                    self.note_base(base.branch)
                    return base
        raise GitError(
            f"{redact(source.url)} changes faster than it can be fetched: {TRIES} tries",
            kind="unreachable",
        )

    def fetch_branch(self, source: Source, branch: str) -> None:
        """Bring any branch of the source here, beside the base."""
        with self.locked(), _naming(source.url):
            self._fetch(source, branch)

    def knows(self, commit: str) -> bool:
        """Whether the clone is there and holds this commit."""
        if not self.path.is_dir():
            return False
        asked = self.git.run("cat-file", "-e", f"{commit}^{{commit}}", accept=(0, 1, 128))
        return asked.code == 0

    def note_base(self, branch: str) -> None:
        """Remember which branch work starts from."""
        self._write(self.home / "base-branch", branch)

    def base_branch(self) -> str:
        """The branch that work starts from; `GitError` before the first fetch."""
        branch = _read(self.home / "base-branch")
        if not branch:
            raise GitError("No base was fetched yet", next_step="Run repoagents doctor.")
        return branch

    def keep(self, ref: str, commit: str) -> None:
        """Keep a commit alive under a ref of ours, which nobody else writes."""
        (self.path / f"{ref}.lock").unlink(missing_ok=True)
        self.git.run("update-ref", ref, commit)

    def tidy(self, is_over: Callable[[str], bool]) -> None:
        """Let go of what was kept under names that are over, and pack what lies about.

        No object is deleted, so that a run which is sent back to work after a year goes on from
        the tree it had.
        """
        if not self.path.is_dir():
            return
        with reporting("tidy the bot's clone"):
            for kept in (self.path / "refs/runs").glob("*"):
                if kept.suffix != ".lock" and is_over(kept.name):
                    # Not by git, which would lock `packed-refs` and so change the seal.
                    kept.unlink(missing_ok=True)
            noted = sorted(
                (self.home / "skipped").glob("*.json"), key=lambda note: note.stat().st_mtime
            )
            for old in noted[:-SKIPPED]:
                old.unlink(missing_ok=True)
            with self.locked():
                packs = self.objects / "pack"
                for left in (*packs.glob("tmp_*"), *packs.glob(".tmp-*")):
                    left.unlink(missing_ok=True)  # of a fetch that was killed: none is under way
                loose = 256 * len(list((self.objects / "17").glob("*")))
                if loose > LOOSE or len(list(packs.glob("*.pack"))) > PACKS:
                    self.git.run("repack", "--quiet", "-d", "-n", "--geometric=2")

    def prepare(self, like: str) -> None:
        """Make the clone when it is absent and put its configuration right; called when locked.

        `like` is the name of any object of the source: its length tells the object format. Git's
        own locks that stand there now were left by a crash.
        """
        config = render_config(like)
        with reporting("prepare the bot's clone"):
            if not self.path.exists():
                self._create(_object_format(like))
            elif ("objectformat" in config) != ("objectformat" in _read(self.path / "config")):
                raise GitError(
                    f"The bot's clone {self.path} has another object format than its source",
                    next_step=f"Delete {self.path}: it is fetched anew.",
                )
            self._write(self.path / "config", config)
            self._write(self.path / "HEAD", "ref: refs/heads/main\n")
            kept = {"attributes"} if self.raw else set()
            info = (
                path for part in ("info", "objects/info") for path in (self.path / part).glob("*")
            )
            for strange in (self.path / "hooks", *info):
                if strange.name not in kept:
                    _clear(strange)
            for lock in (*self.path.glob("*.lock"), *(self.path / "refs/base").rglob("*.lock")):
                lock.unlink(missing_ok=True)
            if self.raw:
                (self.path / "info").mkdir(exist_ok=True)
                self._write(self.path / "info" / "attributes", RAW_ATTRIBUTES)

    def seal(self) -> str:
        """SHA-256 over everything but objects and the refs that nothing is decided by."""
        digest, top = hashlib.sha256(), str(self.path)
        with reporting("read the bot's clone"):
            for name in sorted(_trusted(top)):
                named = hashlib.sha256(os.fsencode(name)).digest()
                digest.update(named + _content_hash(f"{top}/{name}"))
        return digest.hexdigest()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One fetch at a time, over all processes."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, path: Path, text: str) -> None:
        """Replace a file of the clone at once; its half-written form lies outside the clone."""
        if path.is_symlink() or _read(path) != text:
            fresh = self.home / f"{path.name}.new"
            fresh.write_text(text)
            fresh.replace(path)

    def _create(self, form: str) -> None:
        # Made aside and renamed, so that a crash never leaves half a repository.
        fresh = self.home / "repo.git.new"
        shutil.rmtree(fresh, ignore_errors=True)
        maker = Git.sealed(self.home, self.outside)
        options = ("--bare", "--template=", "--initial-branch=main", f"--object-format={form}")
        maker.run("init", "--quiet", *options, str(fresh))
        (fresh / "description").write_text("The bot's own clone; it may be deleted.\n")
        fresh.rename(self.path)

    def _holds(self, base: Base) -> bool:
        return _read(self.path / "refs/base" / base.branch).strip() == base.sha

    def _fetch(self, source: Source, branch: str) -> None:
        source.git.at(self.path).told(GIT_DIR=self.path).run(
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-recurse-submodules",
            "--no-auto-maintenance",
            "--no-write-fetch-head",
            "--update-shallow",
            f"--upload-pack={source.upload_pack}",
            "--",
            source.url,
            f"+refs/heads/{branch}:refs/base/{branch}",
        )


def _trusted(top: str, folder: str = "") -> Iterator[str]:
    """Paths below the clone that decide something: strings, for this is asked around every role."""
    prefix = f"{folder}/" if folder else ""
    try:
        with os.scandir(f"{top}/{folder}") as entries:
            found = list(entries)
    except FileNotFoundError:  # what is gone is no error here: the seal is another one then
        return
    for entry in found:
        name = prefix + entry.name
        if entry.is_dir(follow_symlinks=False):
            # Of the objects only what says where further ones are: the others name themselves.
            if folder != "objects" or entry.name == "info":
                yield from _trusted(top, name)
        elif (folder != "objects" or entry.is_symlink()) and not _moves(name, entry):
            yield name


def _moves(name: str, entry: os.DirEntry[str]) -> bool:
    """Whether a concurrent run may rightly change this file: a plain ref of ours, `shallow`."""
    if name in ("shallow", "shallow.lock"):
        return True
    if not name.startswith(("refs/base/", "refs/runs/")) or entry.is_symlink():
        return False
    # By its length: a ref that names another ref is not one of ours.
    return name.endswith(".lock") or entry.stat(follow_symlinks=False).st_size in (41, 65)


def _advertised(source: Source, wanted: str) -> Base:
    """The branch to start from and its commit, as the source names them now."""
    name = redact(source.url)
    # Away from any repository, whose configuration would count besides what we hand on.
    answer = source.git.at(Path("/")).run(
        "ls-remote",
        "--symref",
        f"--upload-pack={source.upload_pack}",
        "--",
        source.url,
        "HEAD",
        f"refs/heads/{wanted or '*'}",
        seconds=LS_REMOTE_SECONDS,
    )
    pairs = [line.partition("\t") for line in os.fsdecode(answer.out).splitlines()]
    links = {ref: left.removeprefix("ref: ") for left, _, ref in pairs if left.startswith("ref: ")}
    heads = {ref: left for left, _, ref in pairs if not left.startswith("ref: ")}
    if not heads:
        raise GitError(
            f"{name} has no commit yet",
            kind="no_base",
            next_step="Commit something first: the bot starts its work from a commit.",
        )
    ref = f"refs/heads/{wanted}" if wanted else links.get("HEAD", "")
    if ref not in heads:
        problem = (
            f"has no branch {wanted}" if wanted else "names no branch with a commit as its HEAD"
        )
        raise GitError(
            f"{name} {problem}",
            kind="no_base",
            next_step="Set tracker.base_branch to the branch that changes start from.",
        )
    return Base(ref.removeprefix("refs/heads/"), checked_object(heads[ref]))


@contextmanager
def _naming(url: str) -> Iterator[None]:
    """Say which source could not be reached."""
    try:
        yield
    except GitError as error:
        if error.kind in ("failed", "no_base"):
            raise
        message = f"Could not fetch from {redact(url)}: {error}"
        raise GitError(message, kind=error.kind, next_step=error.next_step) from error


def render_config(like: str, *, bare: bool = True, sparse: bool = False) -> str:
    """A repository's configuration, from constants; `like` is the name of one of its objects."""
    form = _object_format(like)
    lines = [
        "[core]",
        f"\trepositoryformatversion = {0 if form == 'sha1' else 1}",
        f"\tbare = {str(bare).lower()}",
        "\tfilemode = true",
        "\tautocrlf = false",
        "\tsafecrlf = false",
        "\tprotectHFS = true",
        "\tprotectNTFS = true",
    ]
    if sparse:
        lines += ["\tsparseCheckout = true", "\tsparseCheckoutCone = true"]
    if sys.platform == "darwin":
        lines += ["\tignorecase = true", "\tprecomposeunicode = true"]
    if form != "sha1":
        lines += ["[extensions]", f"\tobjectformat = {form}"]
    return "\n".join(lines) + "\n"


def _object_format(name: str) -> str:
    return "sha1" if len(name) == 40 else "sha256"


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _clear(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _content_hash(path: str) -> bytes:
    seen = os.lstat(path)
    if stat.S_ISREG(seen.st_mode):
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - see `_trusted`
            return hashlib.sha256(file.readall()).digest()
    shown = os.fsencode(os.readlink(path)) if stat.S_ISLNK(seen.st_mode) else b""  # noqa: PTH115
    return hashlib.sha256(f"{stat.S_IFMT(seen.st_mode)}".encode() + shown).digest()
