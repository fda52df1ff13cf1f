"""Git trees and indexes as values: what a commit holds, and a private index to build a tree in."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from repoagents.git.command import Answer, Git

LINK = "120000"
SUBMODULE = "160000"


class Entry(NamedTuple):
    """What git keeps of a path: its octal mode and its blob."""

    mode: str
    sha: str


@dataclass(frozen=True)
class Outline:
    """Everything that a tree holds, by path."""

    entries: Mapping[str, Entry]

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every folder that holds something."""
        return parents_of(self.entries)

    def holds(self, path: str) -> bool:
        """Whether this is the path of an entry or of a folder above one."""
        return path in self.entries or path in self.folders

    @cached_property
    def submodules(self) -> frozenset[str]:
        """The paths of submodule pointers."""
        return frozenset(path for path, entry in self.entries.items() if entry.mode == SUBMODULE)


def parents_of(paths: Iterable[str]) -> frozenset[str]:
    """Every folder above any of these paths."""
    found: set[str] = set()
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent and parent not in found:
            found.add(parent)
            parent = parent.rpartition("/")[0]
    return frozenset(found)


def read_outline(git: Git, tree: str) -> Outline:
    """The outline of a tree or commit."""
    records = git.run("ls-tree", "-r", "-z", "--full-tree", tree).records
    pairs = (record.partition("\t") for record in records)
    return Outline({path: _entry(head.split(" ")[0::2]) for head, _, path in pairs})


def read_blobs(git: Git, names: Iterable[str]) -> list[bytes]:
    """The content of blobs, in the order asked."""
    asked = "".join(f"{name}\n" for name in names).encode()
    out = git.run("cat-file", "--batch", stdin=asked).out if asked else b""
    blobs, place = [], 0
    while place < len(out):
        end = out.index(b"\n", place)
        size = int(out[place:end].split(b" ")[2])
        blobs.append(out[end + 1 : end + 1 + size])
        place = end + size + 2
    return blobs


def join_paths(paths: Iterable[str]) -> bytes:
    """Paths as git reads them with `-z`."""
    return b"".join(os.fsencode(path) + b"\0" for path in paths)


class Index:
    """A private index over a private work tree, `files`, that holds what we put there ourselves.

    Rules for line endings come from the `.gitattributes` that the index holds.
    """

    def __init__(self, git: Git, scratch: Path, tree: str) -> None:
        self.files = scratch / "files"
        self.files.mkdir(parents=True)
        place = {"GIT_INDEX_FILE": scratch / "index", "GIT_WORK_TREE": self.files}
        self._git = git.at(self.files).told(**place)
        self.load(tree)

    def load(self, tree: str) -> None:
        """Hold exactly what a tree or commit holds."""
        self._nothing = f"0 {'0' * len(tree)}"
        self._git.run("read-tree", tree)

    def add(self, paths: Iterable[str]) -> None:
        """Take these files of `files`; git leaves out a path that it refuses to store."""
        self._update("--add", "--replace", "--stdin", stdin=join_paths(paths))

    def assign(self, entries: Mapping[str, Entry | None]) -> None:
        """Set entries as they are; None takes a path out."""
        lines = (
            f"{' '.join(entry) if entry else self._nothing}\t".encode() + os.fsencode(path) + b"\0"
            for path, entry in entries.items()
        )
        self._update("--index-info", stdin=b"".join(lines))

    def entries(self) -> dict[str, Entry]:
        """Every entry."""
        pairs = (record.partition("\t") for record in self._git.run("ls-files", "-s", "-z").records)
        return {path: _entry(head.split(" ")[:2]) for head, _, path in pairs}

    def check_out(self, paths: Iterable[str]) -> None:
        """Write these entries to `files`."""
        self._git.run("checkout-index", "-q", "-f", "-z", "--stdin", stdin=join_paths(paths))

    def write(self) -> str:
        """Store the index as a tree; returns its name."""
        return self._git.run("write-tree").line

    def _update(self, *options: str, stdin: bytes) -> Answer | None:
        return self._git.run("update-index", "-z", *options, stdin=stdin) if stdin else None


def _entry(pair: list[str]) -> Entry:
    return Entry(*pair)
