"""Files of a run that people read, below `artifacts/issue-N/<run-id>/`; redacted at this door."""

import os
import re
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from repoagents.domain.reports import Plan
from repoagents.errors import StoreError
from repoagents.logs import Redactor
from repoagents.store.codec import decode, encode
from repoagents.store.faults import fault
from repoagents.store.files import write_atomically

SIZE_LIMIT = 8_000_000
"""Characters of one artifact; what is longer is cut, and says so."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,150}")
_ISSUE = re.compile(r"issue-([1-9][0-9]{0,17})")


class FileArtifacts:
    """`ports.Artifacts` as plain files."""

    def __init__(self, control: Path, redactor: Redactor) -> None:
        self._root = control / "artifacts"
        self._redactor = redactor

    def folder(self, issue_number: int, run_id: str) -> Path:
        """The run's folder, made when absent."""
        folder = self._place(issue_number, run_id)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise fault(error, str(folder)) from error
        return folder

    def write(self, issue_number: int, run_id: str, name: str, text: str) -> Path:
        """Write a file atomically, redacted and cut to `SIZE_LIMIT` characters."""
        path = self.folder(issue_number, run_id) / _checked(name)
        write_atomically(path, _cut(self._redactor.redact(text)))
        return path

    def read(self, issue_number: int, run_id: str, name: str) -> str | None:
        """A file's text; None when there is none."""
        return read_plainly(self._place(issue_number, run_id) / _checked(name))

    def names(self, issue_number: int, run_id: str) -> tuple[str, ...]:
        """The names of a run's files, sorted; links and what has no proper name are left out."""
        try:
            with os.scandir(self._place(issue_number, run_id)) as found:
                files = [one.name for one in found if one.is_file(follow_symlinks=False)]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise fault(error, str(self._place(issue_number, run_id))) from error
        return tuple(sorted(name for name in files if _NAME.fullmatch(name)))

    def keep_plan(self, issue_number: int, key: str, plan: Plan) -> None:
        """Keep a dry run's plan for the real run."""
        write_atomically(self._plan(issue_number, key), self._redactor.redact(encode(plan)))

    def find_plan(self, issue_number: int, key: str) -> Plan | None:
        """The plan that a dry run made for the same input; None when there is none to use."""
        text = read_plainly(self._plan(issue_number, key))
        try:
            return None if text is None else decode(text, Plan)
        except StoreError:
            # Written by another version, or by hand: planning anew is always right.
            return None

    def plans(self) -> tuple[int, ...]:
        """The issue numbers of the plans that dry runs left, one for each plan, sorted."""
        kept = (path.parent.name for path in self._root.glob("issue-*/plan-*.json"))
        return tuple(sorted(int(issue[1]) for name in kept if (issue := _ISSUE.fullmatch(name))))

    def folders(self) -> tuple[tuple[int, str, Path], ...]:
        """Issue number, run id and path of every run folder, by number and id."""
        found = []
        for path in self._root.glob("issue-*/*"):
            issue = _ISSUE.fullmatch(path.parent.name)
            if issue and path.is_dir() and not path.is_symlink():
                found.append((int(issue[1]), path.name, path))
        return tuple(sorted(found))

    def remove(self, issue_number: int, run_id: str) -> None:
        """Delete a run's folder, and its issue's when nothing else is in it."""
        folder = self._place(issue_number, run_id)
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise fault(error, str(folder)) from error
        with suppress(OSError):
            folder.parent.rmdir()

    def _place(self, issue_number: int, run_id: str) -> Path:
        return self._root / f"issue-{issue_number:d}" / _checked(run_id)

    def _plan(self, issue_number: int, key: str) -> Path:
        return self._root / f"issue-{issue_number:d}" / _checked(f"plan-{key}.json")


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise StoreError(f"{name!r} is not a name for an artifact: letters, digits and . _ - only")
    return name


def _cut(text: str) -> str:
    left_out = len(text) - SIZE_LIMIT
    if left_out <= 0:
        return text
    return f"{text[:SIZE_LIMIT]}\n[cut: {left_out} more characters were not kept]\n"


def read_plainly(path: Path) -> str | None:
    """A regular file's text; a link that an agent may have left there is not followed."""
    try:
        # A pipe is not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise fault(error, str(path)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StoreError(f"{path} is not a plain file", next_step="Move it away.")
    with os.fdopen(descriptor, encoding="utf-8", errors="replace", newline="") as file:
        return file.read(SIZE_LIMIT + 1000)
