"""How long a run waits for its worktree, measured against tar unpacking the same files.

    python benchmarks/worktree.py [--files N] [--rounds N]      (TMPDIR chooses the disk)

Makes a repository of 13,000 files, then takes turns on the same disk: `tar x` (what any way of
writing these files costs there), `git worktree add` for comparison, our own worktree whole, and
ours with one of 130 folders. Every turn writes to a new folder; the disk is synced before it and
the folder deleted after it, both outside the measured time. Medians of interleaved turns, and
ratios within this one run, because disks differ. Prints one JSON line; exit 1 when a ratio is over
its limit or objects were copied.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from repoagents.bootstrap import SystemClock
from repoagents.domain.settings import CommitSettings, TrackerSettings, WorkspaceSettings
from repoagents.git.workspaces import GitWorkspaces

LIMITS = {"whole": 1.5, "sparse": 0.2}
FOLDERS = 130
SPARSE = "part-007"
IDENTITY = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost")


def git(folder: Path, *arguments: str) -> None:
    """Run git in a folder; it must succeed."""
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


def make_repository(root: Path, files: int) -> None:
    """Files of the sizes that sources have: most of a few kilobytes, a few large."""
    chance = random.Random(1)  # noqa: S311 - the same files each time
    for number in range(files):
        folder = root / f"part-{number % FOLDERS:03}" / f"inner-{number // FOLDERS % 8}"
        folder.mkdir(parents=True, exist_ok=True)
        lines = int(chance.lognormvariate(4.5, 1.1)) + 1
        text = "".join(f"value_{chance.getrandbits(60):x} = call(one, two)\n" for _ in range(lines))
        (folder / f"module_{number}.py").write_text(text)
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, *IDENTITY, "commit", "--quiet", "--message=Start")


def make_bot(root: Path, sparse: tuple[str, ...]) -> GitWorkspaces:
    """The bot's own adapter, as bootstrap builds it."""
    return GitWorkspaces(
        root,
        root / ".ai-repoagents",
        WorkspaceSettings(sparse_paths=sparse),
        TrackerSettings(kind="local_file"),
        CommitSettings(),
        os.environ,
        (),
        SystemClock(),
    )


def ways(place: Path, root: Path) -> dict[str, Callable[[Path], None]]:
    """What takes turns; each makes the files in a folder that does not exist yet."""
    archive = place / "files.tar"
    subprocess.run(
        ["tar", "cf", str(archive), "--exclude=.git", "--exclude=.ai-repoagents", "."],
        cwd=root,
        check=True,
    )
    whole, sparse = make_bot(root, ()), make_bot(root, (SPARSE,))
    base = whole.refresh()

    def untar(folder: Path) -> None:
        folder.mkdir()
        subprocess.run(["tar", "xf", str(archive), "-C", str(folder)], check=True)

    def add(folder: Path) -> None:
        git(root, "worktree", "add", "--quiet", "--detach", str(folder), base.sha)

    return {
        "tar": untar,
        "git_worktree_add": add,
        "whole": lambda folder: unwrap(whole.open(1, folder.name, base.sha)[0].path, folder),
        "sparse": lambda folder: unwrap(sparse.open(2, folder.name, base.sha)[0].path, folder),
    }


def unwrap(path: Path, folder: Path) -> None:
    """Let `folder` stand for a worktree that was made elsewhere."""
    folder.symlink_to(path)


def take_turns(place: Path, root: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of every turn; a first round warms the caches and does not count."""
    kinds = ways(place, root)
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(rounds + 1):
        for kind, make in kinds.items():
            folder = place / f"{kind.replace('_', '-')}-{number}"
            os.sync()
            started = time.perf_counter()
            make(folder)
            if number:
                seconds[kind].append(time.perf_counter() - started)
            check(kind, folder)
            shutil.rmtree(folder.resolve())
            folder.unlink(missing_ok=True)
    return seconds


def check(kind: str, folder: Path) -> None:
    """A turn counts only when the files are there and no objects were copied."""
    found = sum(1 for _ in folder.resolve().rglob("module_*.py"))
    if found < 100 or (kind != "sparse" and found < 1000):
        raise SystemExit(f"{kind} made {found} files only")
    copied = sum(path.stat().st_size for path in folder.glob(".git/objects/**/*") if path.is_file())
    if copied > 10_000:
        raise SystemExit(f"{kind} copied {copied} bytes of objects")


def main() -> int:
    """Measure, print one line, and say by the exit code whether the limits hold."""
    options = argparse.ArgumentParser(description="Worktrees against tar.")
    options.add_argument("--files", type=int, default=13_000)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        root = place / "repository"
        root.mkdir()
        make_repository(root, chosen.files)
        seconds = take_turns(place, root, chosen.rounds)
    medians = {kind: statistics.median(values) for kind, values in seconds.items()}
    ratios = {kind: round(median / medians["tar"], 3) for kind, median in medians.items()}
    report = {
        "files": chosen.files,
        "rounds": chosen.rounds,
        "seconds": {kind: round(median, 3) for kind, median in medians.items()},
        "ratio_to_tar": ratios,
        "limits": LIMITS,
    }
    sys.stdout.write(json.dumps(report) + "\n")
    return int(any(ratios[kind] > limit for kind, limit in LIMITS.items()))


if __name__ == "__main__":
    sys.exit(main())
