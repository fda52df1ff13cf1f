"""A temporary folder per process, named so that what a dead worker left behind is found again.

It lies where the system keeps what is temporary, not in the control plane: no agent may write near
the operator's checkout, and sockets need short paths (104 bytes on macOS).
"""

import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path


def make_scratch(run_id: str) -> Path:
    """A new, empty folder for one process of the run."""
    return Path(tempfile.mkdtemp(prefix=_prefix(run_id)))


def make_home(scratch: Path) -> str:
    """An empty home in a process's temporary folder."""
    home = scratch / "home"
    home.mkdir(mode=0o700)
    return str(home)


def remove_scratch(folder: Path) -> None:
    """Delete the folder with all that was left in it, locked or nested without end."""
    try:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            # Everybody may write there: a link, or a folder that its owner may swap for one.
            return
        folder.chmod(0o700)
        waiting, moved = [folder], 0
        while waiting:
            # Each folder is moved to the top before it is looked into: no path gets long.
            for entry in list(os.scandir(waiting.pop())):
                if not entry.is_dir(follow_symlinks=False):
                    Path(entry).unlink()
                    continue
                Path(entry).chmod(0o700)
                while os.path.lexists(folder / f"{moved}"):
                    moved += 1
                waiting.append(Path(entry).rename(folder / f"{moved}"))
        shutil.rmtree(folder, ignore_errors=True)
    except OSError:  # it stays, and harms nobody
        return


def sweep_scratch(run_id: str) -> None:
    """Delete the folders that a dead worker left behind for the run."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_prefix(run_id)}*"):
        remove_scratch(folder)


def _prefix(run_id: str) -> str:
    return f"ra-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}-"
