"""What this process has learned and need not ask git again; to lose it costs time only.

Everything here follows from content: a tree's outline, what a file of a certain print holds, what
the base's rules say of a path.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from repoagents.git.disk import Print
from repoagents.git.trees import Entry, Outline

T = TypeVar("T")
MOST_TREES = 8
MOST_RUNS = 32
MOST_PATHS = 100_000


@dataclass
class RunMemory:
    """What was learned about one worktree."""

    contents: dict[str, tuple[Print, Entry]] = field(default_factory=dict)
    ignored: dict[tuple[str, bool], bool] = field(default_factory=dict)
    trees: dict[frozenset[tuple[str, Entry | None]], str] = field(default_factory=dict)

    def entry(self, path: str, seen: Print) -> Entry | None:
        """What a file of this print is known to hold."""
        before, entry = self.contents.get(path, (None, None))
        return entry if before == seen else None

    def learn(self, path: str, seen: Print, entry: Entry, stamp: int) -> None:
        """Remember what a file held when it was read after `stamp`, in the file system's time.

        A file that changed in that very tick may change again unseen: it is not remembered.
        """
        if seen.ctime_ns < stamp and len(self.contents) < MOST_PATHS:
            self.contents[path] = (seen, entry)

    def sift(
        self,
        paths: Iterable[tuple[str, bool]],
        ask: Callable[[set[tuple[str, bool]]], Iterable[str]],
    ) -> frozenset[str]:
        """Which of the paths (with whether it is a folder) are ignored; `ask` for unknown ones."""
        wanted = set(paths)
        unknown = wanted - self.ignored.keys()
        if unknown:
            if len(self.ignored) > MOST_PATHS:
                self.ignored.clear()
                unknown = wanted
            hidden = frozenset(ask(unknown))
            self.ignored |= {pair: pair[0] in hidden for pair in unknown}
        return frozenset(path for path, folder in wanted if self.ignored[path, folder])

    def tree(self, changes: Mapping[str, Entry | None], build: Callable[[], str]) -> str:
        """The tree of these changes to the base."""
        return _recall(self.trees, frozenset(changes.items()), build, MOST_TREES)


@dataclass
class Memory:
    """What was learned about one clone; one that is made in its place starts anew."""

    clone: tuple[int, int] = (0, 0)
    outlines: dict[str, Outline] = field(default_factory=dict)
    runs: dict[tuple[str, str], RunMemory] = field(default_factory=dict)

    def about(self, clone: tuple[int, int]) -> "Memory":
        """This memory, emptied when the clone is not the one that it is about."""
        if clone != self.clone:
            self.clone, self.outlines, self.runs = clone, {}, {}
        return self

    def outline(self, tree: str, read: Callable[[], Outline]) -> Outline:
        """The outline of a tree or commit."""
        return _recall(self.outlines, tree, read, MOST_TREES)

    def run(self, worktree: str, base: str) -> RunMemory:
        """What was learned about a worktree of this base."""
        return _recall(self.runs, (worktree, base), RunMemory, MOST_RUNS)


K = TypeVar("K")


def _recall(known: dict[K, T], key: K, find: Callable[[], T], most: int) -> T:
    """The value of a key, found when it is not known; the oldest goes when there are too many."""
    value = known.get(key)
    if value is None:
        value = find()
        known[key] = value
        for oldest in list(known)[: max(0, len(known) - most)]:
            known.pop(oldest, None)
    return value
