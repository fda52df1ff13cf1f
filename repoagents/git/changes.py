"""A change, read from the files that stand in a worktree and told by git from its own objects.

Nothing of the agent's counts but content: the ignore rules and the rules for line endings are the
base's, no filter driver is defined, and files are copied out by descriptor before git sees them.
"""

import hashlib
import json
import os
import stat
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryFile

from repoagents.domain.change import ChangeKind, ChangeSet, FileChange, SkippedPath
from repoagents.errors import GitError
from repoagents.git.command import Git
from repoagents.git.disk import Folder, Scratch, reporting, take_print
from repoagents.git.memory import Memory
from repoagents.git.mirror import Mirror, checked_object
from repoagents.git.places import Manifest
from repoagents.git.sparse import Cone
from repoagents.git.survey import Asked, Rules, Survey, survey
from repoagents.git.trees import LINK, Entry, Index, Outline, read_blobs, read_outline

LARGEST_FILE = 100_000_000
PATCH_CAP = 5_000_000
KINDS = {
    "A": ChangeKind.ADDED,
    "M": ChangeKind.MODIFIED,
    "D": ChangeKind.DELETED,
    "T": ChangeKind.TYPE_CHANGED,
}
RAW = ("--raw", "--numstat", "-z")
PATCH = ("--patch", "--binary", "--full-index", "--no-ext-diff", "--no-textconv", "--no-color")

Files = Mapping[str, os.stat_result]


class Reader:
    """Reads one worktree against its base, with a scratch folder of ours where it is needed."""

    def __init__(
        self, git: Git, tree: Folder, manifest: Manifest, scratch: Scratch, memory: Memory
    ) -> None:
        self.git = git
        self.tree = tree
        self.manifest = manifest
        self.scratch = scratch
        self.memory = memory.run(str(tree.path), manifest.base)
        self.cone = Cone(manifest.sparse)
        self._outlines = memory
        self.outline = self.read_outline(manifest.base)

    def read_outline(self, tree: str) -> Outline:
        """What a tree or commit holds."""
        return self._outlines.outline(tree, lambda: read_outline(self.git, tree))

    @cached_property
    def index(self) -> Index:
        """A private index that holds the base, until something is taken into it."""
        return Index(self.git, self.scratch.path / "taken", self.manifest.base)

    @cached_property
    def rules(self) -> Rules:
        """The base's own rules."""
        return Rules(self.git, self.scratch.path / "rules", self.outline.entries)

    def survey(self, *, capped: bool = True) -> Survey:
        """What stands in the worktree."""
        return survey(self.tree, self.outline, self._ignored, capped=capped)

    def _ignored(self, paths: Collection[Asked]) -> frozenset[str]:
        return self.memory.sift(paths, lambda unknown: self.rules.ignored(unknown))

    def changed(self, files: Files) -> dict[str, os.stat_result]:
        """Those of the files that may differ from what the manifest knows."""
        holds = self.manifest.holds
        return {path: seen for path, seen in files.items() if not holds(path, take_print(seen))}

    def missing(self, survey: Survey) -> list[str]:
        """Paths of the base that were checked out and are gone."""
        there = survey.files.keys() | survey.skipped.keys() | self.outline.submodules
        return [
            path for path in self.outline.entries if path not in there and self.cone.holds(path)
        ]

    def take(self, files: Files) -> dict[str, Entry]:
        """What these files hold, stored as git's objects; git may refuse some paths."""
        prints = {path: take_print(seen) for path, seen in files.items()}
        known = {path: self.memory.entry(path, seen) for path, seen in prints.items()}
        found = {path: entry for path, entry in known.items() if entry}
        fresh = self._store({path: files[path] for path in files if path not in found})
        for path, entry in fresh.items():
            self.memory.learn(path, prints[path], entry, self.scratch.stamp)
        return found | fresh

    def build(self, changes: Mapping[str, Entry | None]) -> str:
        """The tree of the base with these changes; None takes a path out."""
        return self.memory.tree(changes, lambda: self._write_tree(changes))

    def _write_tree(self, changes: Mapping[str, Entry | None]) -> str:
        if not changes:
            return self.git.run("rev-parse", f"{self.manifest.base}^{{tree}}").line
        self.index.assign(dict.fromkeys(self.manifest.extras) | dict(changes))
        return self.index.write()

    def _store(self, files: Files) -> dict[str, Entry]:
        if not files:
            return {}
        special = {path for path in files if path.rpartition("/")[2] == ".gitattributes"}
        index, aside = self.index, self.scratch.path / "attributes"
        for path in files:
            self.tree.copy(path, files[path], (aside if path in special else index.files) / path)
        index.add(path for path in files if path not in special)
        index.assign({path: self._store_rules(aside / path, path) for path in special})
        entries = index.entries()
        links = {path: stat.S_ISLNK(seen.st_mode) for path, seen in files.items()}
        # A refused path keeps the base's entry, which the kind of the file then contradicts.
        return {
            path: entries[path]
            for path, link in links.items()
            if path in entries and (entries[path].mode == LINK) == link
        }

    def fetch(self, path: str, entry: Entry, target: Path) -> None:
        """Write a `.gitattributes` to a file of ours, by the base's rules as `take` reads it."""
        if entry.mode == LINK:
            target.symlink_to(os.fsdecode(read_blobs(self.rules.git, [entry.sha])[0]))
            return
        shown = self.rules.git.run("cat-file", "--filters", f"--path={path}", entry.sha)
        target.write_bytes(shown.out)
        target.chmod(0o755 if entry.mode == "100755" else 0o644)

    def _store_rules(self, copy: Path, path: str) -> Entry:
        """Store a `.gitattributes` by the base's rules: among the others its own would count."""
        if copy.is_symlink():
            content, how, mode = os.fsencode(copy.readlink()), "--no-filters", LINK
        else:
            content, how = copy.read_bytes(), f"--path={path}"
            mode = "100755" if copy.stat().st_mode & stat.S_IXUSR else "100644"
        stored = self.rules.git.run("hash-object", "-w", how, "--stdin", stdin=content)
        return Entry(mode, stored.line)


def freeze(reader: Reader) -> tuple[str, tuple[SkippedPath, ...]]:
    """The worktree's content as a tree, and what was left out of it."""
    found = reader.survey()
    changed = reader.changed(found.files)
    require_small(changed)
    linked = linked_outside(changed)
    taken = reader.take({path: seen for path, seen in changed.items() if path not in linked})
    extras = reader.manifest.extras
    untouched = {path for path, entry in extras.items() if taken.get(path) == entry}
    gone = dict.fromkeys(reader.missing(found))
    same = {path for path, entry in taken.items() if reader.outline.entries.get(path) == entry}
    kept = {path: entry for path, entry in taken.items() if path not in untouched | same}
    tree = reader.build(gone | kept)
    skipped = dict(found.skipped)
    skipped |= dict.fromkeys(linked, "it is a hard link to a file elsewhere")
    skipped |= {
        path: "git stores no path of this name"
        for path in changed
        if path not in taken and path not in linked
    }
    told = (path for path in sorted(skipped) if path not in reader.manifest.kept)
    return tree, tuple(SkippedPath(path, skipped[path]) for path in told)


def require_small(files: Files) -> None:
    """`GitError` when a file is larger than a change may hold; asked before any is read."""
    large = [path for path, seen in files.items() if seen.st_size > LARGEST_FILE]
    if large:
        size = files[large[0]].st_size
        raise GitError(
            f"{large[0]!r} has {size:,} bytes, more than a change may hold ({LARGEST_FILE:,});"
            f" {len(large)} such file(s)",
            next_step="Let the project's .gitignore name it, or delete it.",
        )


def linked_outside(files: Files) -> frozenset[str]:
    """Files that have a further name which is not among them."""
    names = Counter(
        (seen.st_dev, seen.st_ino) for seen in files.values() if stat.S_ISREG(seen.st_mode)
    )
    return frozenset(
        path
        for path, seen in files.items()
        if stat.S_ISREG(seen.st_mode) and seen.st_nlink > names[seen.st_dev, seen.st_ino]
    )


def remember_skipped(mirror: Mirror, tree: str, skipped: Iterable[SkippedPath]) -> None:
    """Keep what was left out of a tree, for whoever asks for its change later."""
    path = _skipped_file(mirror, tree)
    rows = [(row.path, row.reason) for row in skipped]
    if rows:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(rows))
        fresh.replace(path)
    else:
        path.unlink(missing_ok=True)


def recall_skipped(mirror: Mirror, tree: str) -> tuple[SkippedPath, ...]:
    """What was left out when the tree was last frozen."""
    path = _skipped_file(mirror, tree)
    with reporting("read what was left out of a change"):
        rows = json.loads(path.read_text()) if path.exists() else []
    return tuple(SkippedPath(name, reason) for name, reason in rows)


def _skipped_file(mirror: Mirror, tree: str) -> Path:
    return mirror.home / "skipped" / f"{checked_object(tree)}.json"


def read_change_set(mirror: Mirror, base: str, tree: str) -> ChangeSet:
    """The difference between a commit and a tree, with renames told as deletion and addition."""
    git, sides = mirror.git, (checked_object(base), checked_object(tree))
    records = git.run("diff-tree", "-r", "--no-renames", *RAW, *sides).records
    with TemporaryFile() as sink:
        git.pour(sink, "diff-tree", "-r", "--no-renames", *PATCH, *sides)
        length = sink.tell()
        sink.seek(0)
        patch = sink.read(PATCH_CAP)
        sink.seek(0)
        diff_hash = hashlib.file_digest(sink, "sha256").hexdigest()
    return ChangeSet(
        base_sha=base,
        tree=tree,
        files=_parse_files(git, records),
        patch=patch.decode(errors="replace"),
        diff_hash=diff_hash,
        patch_cut=length > PATCH_CAP,
        skipped=recall_skipped(mirror, tree),
    )


def _parse_files(git: Git, records: list[str]) -> tuple[FileChange, ...]:
    """File changes from `--raw --numstat -z`: first all raw records, each followed by its path."""
    raw = 2 * sum(record.startswith(":") for record in records[::2])
    counts = {}
    for record in records[raw:]:
        added, deleted, path = record.split("\t", 2)
        counts[path] = tuple(None if n == "-" else int(n) for n in (added, deleted))
    heads = {path: head for head, path in zip(records[0:raw:2], records[1:raw:2], strict=True)}
    sizes = _sizes(git, [head.split(" ")[3] for head in heads.values()])
    return tuple(
        _file_change(path, head, counts.get(path, (0, 0)), size)
        for (path, head), size in zip(heads.items(), sizes, strict=True)
    )


def _file_change(path: str, head: str, lines: tuple[int | None, ...], size: int) -> FileChange:
    old_mode, new_mode, _, _, letter = head.removeprefix(":").split(" ")
    return FileChange(
        path=path,
        kind=KINDS[letter],
        old_mode="" if letter == "A" else old_mode,
        new_mode="" if letter == "D" else new_mode,
        added=lines[0],
        deleted=lines[1],
        size=size,
    )


def _sizes(git: Git, blobs: list[str]) -> list[int]:
    """Bytes of each blob; 0 for what is deleted or lies in another repository."""
    asked = "".join(f"{blob}\n" for blob in blobs).encode()
    out = git.run("cat-file", "--batch-check=%(objectsize)", stdin=asked).out
    return [int(line) if line.isdigit() else 0 for line in out.splitlines()]
