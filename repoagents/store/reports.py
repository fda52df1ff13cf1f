"""Reports that people open: below `reports/` and `dashboard/`, whole files, redacted."""

import re
from pathlib import Path

from repoagents.errors import StoreError
from repoagents.logs import Redactor
from repoagents.store.artifacts import read_plainly
from repoagents.store.files import write_atomically

_NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,100}/){0,4}[A-Za-z0-9][A-Za-z0-9._-]{0,100}")


class FileReports:
    """`ports.Reports` as plain files below the control plane's folder."""

    def __init__(self, control: Path, redactor: Redactor) -> None:
        self._control = control
        self._redactor = redactor

    def write(self, name: str, text: str) -> Path:
        """Replace a report, redacted; `name` is its path below the control plane's folder."""
        if not _NAME.fullmatch(name):
            raise StoreError(f"{name!r} is not a name for a report")
        return self.write_at(self._control / name, text)

    def write_at(self, path: Path, text: str) -> Path:
        """Replace the file that an operator named, redacted."""
        write_atomically(path, self._redactor.redact(text))
        return path

    def read(self, name: str) -> str | None:
        """A report's text; None when there is none."""
        if not _NAME.fullmatch(name):
            raise StoreError(f"{name!r} is not a name for a report")
        return read_plainly(self._control / name)
