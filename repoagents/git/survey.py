"""What stands in a worktree: a walk that follows no link and believes no rule of the agent's."""

import os
import stat
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from repoagents.errors import GitError
from repoagents.git.command import Git
from repoagents.git.disk import DEEPEST, Folder, is_folder, is_too_deep
from repoagents.git.trees import LINK, Entry, Outline, join_paths, read_blobs

MOST_NEW = 200_000
LONGEST_PATH = 3_000
RULE_FILES = (".gitignore", ".gitattributes")

Found = tuple[str, os.stat_result]
Asked = tuple[str, bool]
"""A path, and whether it is a folder."""
Ignored = Callable[[Collection[Asked]], frozenset[str]]
"""Which of these paths the project's ignore rules name."""

_INVISIBLE = dict.fromkeys(
    [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF]
)
"""Characters that HFS+ drops from names."""


@dataclass(frozen=True)
class Survey:
    """Regular files and symlinks by path, and what can never be taken, with the reason."""

    files: Mapping[str, os.stat_result]
    skipped: Mapping[str, str]


class Rules:
    """The rule files of a tree in a folder of ours, and what the ignore rules say."""

    def __init__(self, git: Git, folder: Path, entries: Mapping[str, Entry]) -> None:
        folder.mkdir(parents=True)
        self.git = git.at(folder).told(GIT_WORK_TREE=folder)
        self.folder = folder
        wanted = {
            path: entry.sha
            for path, entry in entries.items()
            if path.rpartition("/")[2] in RULE_FILES and entry.mode != LINK
        }
        for path, content in zip(wanted, read_blobs(git, wanted.values()), strict=True):
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    def ignored(self, paths: Collection[Asked]) -> frozenset[str]:
        """Those of these paths that the rules name."""
        for path, folder in paths:
            # A rule that ends in a slash holds for folders only, and git looks whether it is one.
            if folder and not (self.folder / path).exists():
                (self.folder / path).mkdir(parents=True)
        # With a folder in front no name can look like pathspec magic, which starts with a colon.
        asked = join_paths(f"./{path}" for path, _ in paths)
        options = ("--no-index", "-z", "--stdin")
        answer = self.git.run("check-ignore", *options, stdin=asked, accept=(0, 1))
        return frozenset(path.removeprefix("./") for path in answer.records)


def survey(folder: Folder, outline: Outline, ignored: Ignored, *, capped: bool = True) -> Survey:
    """Walk a tree level by level; ignored folders are not entered unless they hold tracked files.

    When `capped`, more than 200,000 paths that the outline does not know are a `GitError`.
    """
    files: dict[str, os.stat_result] = {}
    skipped: dict[str, str] = {}
    level, left = [""], MOST_NEW if capped else None
    while level:
        known, unknown = _sort(level, folder, outline, skipped, left)
        left = None if left is None else left - len(unknown)
        asked = [(path, is_folder(seen)) for path, seen in unknown]
        hidden = ignored(asked) if asked else frozenset()
        level = []
        for path, seen in [*known, *(found for found in unknown if found[0] not in hidden)]:
            if is_folder(seen):
                level.append(path)
            elif reason := _why_special(seen):
                skipped[path] = reason
            else:
                files[path] = seen
    return Survey(files, skipped)


def _sort(
    level: list[str], folder: Folder, outline: Outline, skipped: dict[str, str], left: int | None
) -> tuple[list[Found], list[Found]]:
    """What the folders of one level hold: paths that the outline knows, and others."""
    known: list[Found] = []
    unknown: list[Found] = []
    for path, seen in (found for place in level for found in folder.scan(place)):
        tracked = outline.folders if is_folder(seen) else outline.entries
        if path in tracked and path not in outline.submodules:
            known.append((path, seen))
            continue
        reason = _why_never(path, seen, folder, outline)
        if reason is None:
            unknown.append((path, seen))
        elif reason:
            skipped[path] = reason
        if left is not None and len(unknown) > left:
            raise _too_many(folder)
    return known, unknown


def _too_many(folder: Folder) -> GitError:
    return GitError(
        f"{folder.path} holds {MOST_NEW + 1:,} new entries or more, the limit is {MOST_NEW:,}",
        next_step="Let the project's .gitignore name what its tools generate.",
    )


def _why_never(path: str, seen: os.stat_result, folder: Folder, outline: Outline) -> str | None:
    """Why a path is not even asked about; empty when that need not be told."""
    if path == ".git":
        return ""
    if is_git_name(path.rpartition("/")[2]):
        return "it is named like git's own folder"
    if len(os.fsencode(path)) > LONGEST_PATH:
        return f"its path is longer than {LONGEST_PATH:,} bytes"
    if is_too_deep(path):
        return f"more than {DEEPEST} folders are above it"
    if path in outline.submodules:
        empty = is_folder(seen) and next(folder.scan(path), None) is None
        return "" if empty else "it is a submodule: its pointer and its content are left alone"
    return None


def _why_special(seen: os.stat_result) -> str:
    if stat.S_ISREG(seen.st_mode) or stat.S_ISLNK(seen.st_mode):
        return ""
    kinds = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
    return f"it is {kinds.get(stat.S_IFMT(seen.st_mode), 'a device')}"


def is_git_name(name: str) -> bool:
    """Whether any file system would take this name for `.git`."""
    plain = name.translate(_INVISIBLE).lower().partition(":")[0].rstrip(" .")
    return plain in (".git", "git~1")
