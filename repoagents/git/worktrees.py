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
from repoagents.git.disk import Folder, Scratch, empty, is_folder, take_print
from repoagents.git.mirror import RAW_ATTRIBUTES, Mirror, render_config
from repoagents.git.places import Manifest, RunFolder
from repoagents.git.sparse import Cone
from repoagents.git.survey import Survey
from repoagents.git.trees import SUBMODULE, Entry, parents_of


def check_out(mirror: Mirror, run: RunFolder, base: str, cone: Cone) -> bool:
    """Make the run's worktree at the base; False when it stands already.

    The worktree is moved into place last: what a crash left behind is not taken for one, and goes.
    So does one that was made from another base: the run has moved on to this one.
    """
    making = run.making
    stands = run.repo.is_dir() and not run.repo.is_symlink()
    moved = stands and run.read_manifest().base != base
    for left in (making, *run.path.glob("scratch-*"), *([run.repo] if moved else [])):
        _delete(left)
    if stands and not moved:
        return False
    for left in (run.index, run.index.with_suffix(".lock")):
        left.unlink(missing_ok=True)
    private = making / ".git"
    _furnish(private, _private_files(mirror, base, cone))
    # Git runs with this folder now, while it is ours alone, and never once an agent has seen it.
    place = {"GIT_DIR": private, "GIT_WORK_TREE": making, "GIT_INDEX_FILE": run.index}
    mirror.git.at(making).told(**place).run("read-tree", "-m", "-u", base)
    # Git writes its index last: whatever is older than it cannot have changed in the same tick.
    stamp = run.index.stat().st_ctime_ns
    run.write_manifest(Manifest(base, stamp, None, sparse=cone.folders))
    shutil.copyfile(run.index, private / "index")
    making.rename(run.repo)
    return True


def clear_away(run: RunFolder) -> None:
    """Delete the run's folder, whatever an agent left in it.

    The worktree is moved aside first, so that one which was deleted in part, because the process
    was killed, is never taken for a whole one.
    """
    if run.repo.is_dir() and not run.repo.is_symlink():
        _delete(run.making)
        run.repo.rename(run.making)
    _delete(run.path)


def _delete(folder: Path) -> None:
    if folder.exists():
        empty(folder)
        folder.rmdir()


def settle(run: RunFolder, reader: Reader) -> None:
    """Take what a hook left for the state in which the agent finds the worktree.

    Files that it added are no part of the change, ignored or not; a tracked file that it changed
    is, because what the checks see must be what is published.
    """
    stamp = run.stamp()
    found = reader.survey(capped=False)
    changed = reader.changed(found.files)
    tracked, before = reader.outline.entries, reader.manifest.extras
    strange = [path for path, _ in reader.tree.walk() if not reader.outline.holds(path)]
    if not (changed or strange or before):
        return
    taken = reader.take(_comparable(changed))
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
    kept = frozenset(strange) - extras.keys()
    run.write_manifest(
        replace(reader.manifest, stamp=stamp, files=prints, extras=extras, kept=kept)
    )


def restore(mirror: Mirror, run: RunFolder, reader: Reader, tree: str) -> tuple[str, ...]:
    """Put the worktree back to a tree, with a new private `.git`; returns the paths that differed.

    What a hook left before the agent came stays; ignored leftovers go without being told.
    """
    manifest, scratch = reader.manifest, reader.scratch
    wanted = reader.read_outline(tree)
    goal = {
        path: entry
        for path, entry in {**manifest.extras, **wanted.entries}.items()
        if entry.mode != SUBMODULE
    }
    found = reader.survey(capped=False)
    broken = _broken(reader, found, goal)
    strays = {*found.files, *found.skipped} - goal.keys() - manifest.kept - wanted.submodules
    staying = goal.keys() | manifest.kept
    folders = parents_of(staying) | manifest.kept | wanted.submodules
    _sweep(reader.tree, staying, folders, scratch)
    for path, source in _rebuild(reader, {path: goal[path] for path in broken}).items():
        reader.tree.place(source, path, scratch)
    private = _private_files(mirror, manifest.base, reader.cone)
    private["index"] = run.index.read_bytes()
    if not _is_pristine(reader.tree, private):
        fresh = scratch.free_name()
        _furnish(fresh, private)
        reader.tree.place(fresh, ".git", scratch)
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
    for path in sorted(special):
        built[path] = reader.scratch.free_name()
        reader.fetch(path, entries[path], built[path])
    return built


def _sweep(tree: Folder, files: Set[str], folders: Set[str], scratch: Scratch) -> None:
    """Take everything out of the tree that is not named, the private `.git` left out."""
    waiting = [""]
    while waiting:
        for path, seen in sorted(tree.scan(waiting.pop())):
            if path == ".git":
                continue
            if is_folder(seen) and path in folders:
                waiting.append(path)
            elif is_folder(seen) or path not in files:
                tree.discard(path, scratch)


def _private_files(mirror: Mirror, base: str, cone: Cone) -> dict[str, bytes]:
    """The files of a private `.git` that borrows the objects of the bot's clone; no index yet."""
    files = {
        "HEAD": f"{base}\n",
        "config": render_config(base, sparse=bool(cone.folders), bare=False),
        "objects/info/alternates": f"{mirror.objects}\n",
    }
    if cone.folders:
        files["info/sparse-checkout"] = cone.patterns()
    if mirror.raw:
        files["info/attributes"] = RAW_ATTRIBUTES
    if mirror.shallow.exists():
        files["shallow"] = mirror.shallow.read_text()
    return {path: os.fsencode(text) for path, text in files.items()}


def _furnish(folder: Path, files: Mapping[str, bytes]) -> None:
    for part in sorted({*parents_of(files), "refs"}):
        (folder / part).mkdir(parents=True)
    for path, content in files.items():
        (folder / path).write_bytes(content)


def _is_pristine(tree: Folder, files: Mapping[str, bytes]) -> bool:
    """Whether the private `.git` is still exactly what was written there."""
    folders = {f".git/{path}" for path in (*parents_of(files), "refs")}
    expected = {f".git/{path}": content for path, content in files.items()}
    try:
        found = set()
        for path, seen in tree.walk(".git"):
            # Told at the first difference: what an agent put there may have no bottom.
            wanted = expected.get(path)
            folder = is_folder(seen) and path in folders
            if not folder and (wanted is None or tree.read(path, len(wanted)) != wanted):
                return False
            found.add(path)
        return found == folders | expected.keys()
    except OSError:
        return False
