"""A change as git tells it: never from the agent's word."""

from dataclasses import dataclass
from enum import StrEnum


class ChangeKind(StrEnum):
    """How one path differs from the base."""

    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"
    TYPE_CHANGED = "type_changed"


@dataclass(frozen=True)
class FileChange:
    """One changed path.

    Modes are git's octal strings, empty where the side is absent. `added` and `deleted` count
    lines, None for binary content. `size` is the new content's bytes.
    """

    path: str
    kind: ChangeKind
    old_mode: str = ""
    new_mode: str = ""
    added: int | None = 0
    deleted: int | None = 0
    size: int = 0


@dataclass(frozen=True)
class TakenBack:
    """A commit of the base that a later one reverts; its parents, and its subject line."""

    commit: str
    parents: tuple[str, ...]
    subject: str


@dataclass(frozen=True)
class SkippedPath:
    """A path of the tree that was not taken into the change, and why (a socket, a nested .git)."""

    path: str
    reason: str


@dataclass(frozen=True)
class ChangeSet:
    """The difference between the base commit and a frozen tree.

    `patch` is the whole textual diff (undecodable bytes replaced), `diff_hash` the SHA-256 of its
    raw bytes. `patch_cut` is true when it was larger than the cap and `patch` holds its beginning.
    """

    base_sha: str
    tree: str
    files: tuple[FileChange, ...] = ()
    patch: str = ""
    diff_hash: str = ""
    patch_cut: bool = False
    skipped: tuple[SkippedPath, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing differs from the base."""
        return not self.files

    @property
    def paths(self) -> tuple[str, ...]:
        """The changed paths, in git's order."""
        return tuple(change.path for change in self.files)

    @property
    def lines(self) -> int:
        """Lines added and deleted, binary content not counted."""
        return sum((change.added or 0) + (change.deleted or 0) for change in self.files)


@dataclass(frozen=True)
class Conflict:
    """A merge that needs a decision, as far as git could make it.

    `tree` has both sides between conflict markers where texts conflict. `paths` are what is left
    to decide, each with why in git's words.
    """

    tree: str
    paths: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Base:
    """Where the work starts: a branch's name and the commit that it pointed to when fetched."""

    branch: str
    sha: str
