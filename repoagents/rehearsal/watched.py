"""The program, telling of itself what no other process may see: `python -m … FILE ARGUMENTS`.

A worker hides its environment from what it starts, and with it its open files from everybody who
is not root.
"""

import json
import runpy
import sys
import tempfile
from pathlib import Path
from threading import Event, Thread

import psutil

TELL_SECONDS = 0.2


def main() -> None:
    """Run the program with the other arguments, and keep the file up to date beside it."""
    report = Path(sys.argv.pop(1))
    _tell(report)
    Thread(target=_go_on_telling, args=(report,), name="watched", daemon=True).start()
    runpy.run_module("repoagents", run_name="__main__", alter_sys=True)


def read_told(report: Path) -> tuple[int, int, int]:
    """Pid, open files and temporary files, as the process told them last; raises OSError."""
    pid, files, scratch = json.loads(report.read_text())
    return pid, files, scratch


def _go_on_telling(report: Path) -> None:
    while True:
        Event().wait(TELL_SECONDS)
        _tell(report)


def _tell(report: Path) -> None:
    process, draft = psutil.Process(), report.with_suffix(".draft")
    scratch = len(list(Path(tempfile.gettempdir()).iterdir()))
    draft.write_text(json.dumps([process.pid, process.num_fds(), scratch]))
    draft.replace(report)


if __name__ == "__main__":
    main()
