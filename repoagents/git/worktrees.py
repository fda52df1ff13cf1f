"""A run's worktree: a full checkout with a `.git` of its own that the host never runs git in.

The private `.git` borrows the objects of the bot's clone. The agent may do with it what it likes:
the host reads files, never that folder, and puts a new one in its place after every change of
hands.
"""

import os
import shutil
from collections.abc import Mapping, Set
from dataclasses import replace
from pathlib import Path

from repoagents.git.changes import LARGEST_FILE, Files, Reader, linked_outside
from repoagents.git.disk import Folder, empty, is_folder, take_print
from repoagents.git.mirror import RAW_ATTRIBUTES, Mirror, render_config
from repoagents.git.places import Manifest, RunFolder
from repoagents.git.sparse import Cone
from repoagents.git.survey import Survey
from repoagents.git.trees import SUBMODULE, Entry, parents_of, read_outline


def check_out(mirror: Mirror, run: RunFolder, base: str, cone: Cone) -> bool:
    """Make the run's worktree at the base; False when it stands already.

    The worktree is moved into place last: what a crash left behind is not taken for one, and goes.
    """
    making, private = run.path / "making", run.path / "making.git"
    for left in (making, private, *run.path.glob("scratch-*")):
        if left.exists():
            empty(left)
            left.rmdir()
    if run.repo.is_dir() and not run.repo.is_symlink():
        return False
    making.mkdir(parents=True)
    for left in (run.index, run.index.with_suffix(".lock")):
        left.unlink(missing_ok=True)
    # Git runs with this folder now, while it is ours alone, and never once an agent has seen it.
    _furnish(private, mirror, base, cone)
    place = {"GIT_DIR": private, "GIT_WORK_TREE": making, "GIT_INDEX_FILE": run.index}
    mirror.git.at(making).told(**place).run("read-tree", "-m", "-u", base)
    run.write_manifest(Manifest(base, run.stamp(), None, sparse=cone.folders))
    shutil.copyfile(run.index, private / "index")
    private.rename(making / ".git")
    making.rename(run.repo)
    return True


def settle(run: RunFolder, reader: Reader) -> None:
    """Take what a hook left for the state in which the agent finds the worktree.

    Files that it added are no part of the change, ignored or not; a tracked file that it changed
    is, because what the checks see must be what is published.
    """
    stamp = run.stamp()
    found = reader.survey(capped=False)
    changed = reader.changed(found.files)
    taken = reader.take(_comparable(changed))
    tracked, before = reader.outline.entries, reader.manifest.extras
    differing = {path for path in changed if taken.get(path) != tracked.get(path)}
    prints = {
        path: take_print(seen)
        for path, seen in found.files.items()
        if path not in tracked or path not in differing
    }
    extras = {
        path: taken.get(path) or before[path]
        for path in found.files
        if path not in tracked and (path in taken or (path in before and path not in changed))
    }
    known = tracked.keys() | extras.keys() | reader.outline.folders
    kept = frozenset(path for path, _ in reader.tree.walk() if path not in known)
    run.write_manifest(
        replace(reader.manifest, stamp=stamp, files=prints, extras=extras, kept=kept)
    )


def restore(mirror: Mirror, run: RunFolder, reader: Reader, tree: str) -> tuple[str, ...]:
    """Put the worktree back to a tree, with a new private `.git`; returns the paths that differed.

    What a hook left before the agent came stays; ignored leftovers go without being told.
    """
    manifest = reader.manifest
    wanted = read_outline(mirror.git, tree)
    goal = {
        path: entry
        for path, entry in {**manifest.extras, **wanted.entries}.items()
        if entry.mode != SUBMODULE
    }
    found = reader.survey(capped=False)
    broken = _broken(reader, found, goal)
    strays = {*found.files, *found.skipped} - goal.keys() - manifest.kept - wanted.submodules
    trash = reader.scratch / "trash"
    trash.mkdir()
    staying = goal.keys() | manifest.kept
    folders = parents_of(staying) | manifest.kept | wanted.submodules
    _sweep(reader.tree, staying, folders, trash)
    for path, source in _rebuild(reader, {path: goal[path] for path in broken}).items():
        reader.tree.place(source, path, trash)
    fresh = reader.scratch / "git"
    _furnish(fresh, mirror, manifest.base, reader.cone)
    shutil.copyfile(run.index, fresh / "index")
    reader.tree.place(fresh, ".git", trash)
    return tuple(sorted({*broken, *strays}))


def _comparable(files: Files) -> dict[str, os.stat_result]:
    """Files worth hashing: neither huge nor with a name elsewhere."""
    linked = linked_outside(files)
    return {
        path: seen
        for path, seen in files.items()
        if seen.st_size <= LARGEST_FILE and path not in linked
    }


def _broken(reader: Reader, found: Survey, goal: Mapping[str, Entry]) -> list[str]:
    """The paths of the goal that do not stand in the worktree as they should."""
    changed = reader.changed(found.files)
    taken = reader.take(_comparable({path: changed[path] for path in changed if path in goal}))
    known = {**reader.manifest.extras, **reader.outline.entries}

    def stands(path: str, entry: Entry) -> bool:
        if path in changed:
            return taken.get(path) == entry
        there = path in found.files or not reader.cone.holds(path)
        return there and known.get(path) == entry

    return [path for path, entry in goal.items() if not stands(path, entry)]


def _rebuild(reader: Reader, entries: Mapping[str, Entry]) -> dict[str, Path]:
    """Write entries to files of ours, with the line endings that the base's rules ask for."""
    special = {path for path in entries if path.rpartition("/")[2] == ".gitattributes"}
    ordinary = {path: entry for path, entry in entries.items() if path not in special}
    if not entries:
        return {}
    reader.index.load(reader.manifest.base)
    reader.index.assign(ordinary)
    reader.index.check_out(ordinary)
    built = {path: reader.index.files / path for path in ordinary}
    for number, path in enumerate(sorted(special)):
        built[path] = reader.scratch / f"attributes-{number}"
        reader.fetch(path, entries[path], built[path])
    return built


def _sweep(tree: Folder, files: Set[str], folders: Set[str], trash: Path) -> None:
    """Take everything out of the tree that is not named, the private `.git` left out."""
    waiting = [""]
    while waiting:
        for path, seen in sorted(tree.scan(waiting.pop())):
            if path == ".git":
                continue
            if is_folder(seen) and path in folders:
                waiting.append(path)
            elif is_folder(seen) or path not in files:
                tree.discard(path, trash)


def _furnish(folder: Path, mirror: Mirror, base: str, cone: Cone) -> None:
    """Write a private `.git` that borrows the objects of the bot's clone."""
    for part in ("objects/info", "objects/pack", "refs/heads", "info"):
        (folder / part).mkdir(parents=True)
    (folder / "HEAD").write_text(f"{base}\n")
    (folder / "config").write_text(render_config(base, sparse=bool(cone.folders), bare=False))
    (folder / "objects/info/alternates").write_text(f"{mirror.objects}\n")
    if cone.folders:
        (folder / "info/sparse-checkout").write_text(cone.patterns())
    if mirror.raw:
        (folder / "info/attributes").write_text(RAW_ATTRIBUTES)
    if mirror.shallow.exists():
        shutil.copyfile(mirror.shallow, folder / "shallow")
