"""A repository in memory: `ports.Workspaces` whose worktrees are plain folders of text files."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from repoagents.domain.change import Base, ChangeKind, ChangeSet, Conflict, FileChange, TakenBack
from repoagents.errors import GitError
from repoagents.ports import CommitRequest, Worktree

Files = dict[str, str]


@dataclass
class MemoryWorkspaces:
    """Trees are kept by a hash of their files; `grounds` is where worktrees lie.

    `dirty`, `left` and `ahead` are what the operator's checkout is like, `unreachable` is raised by
    `refresh`. `branches` are the operator's, `pushes` counts what was written to them. `kept` are
    the names that commits are kept under, `taken` what was reverted.
    """

    grounds: Path
    files: Files = field(default_factory=lambda: {"README.md": "hello\n"})
    dirty: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    ahead: str | None = None
    unreachable: GitError | None = None
    branches: dict[str, str] = field(default_factory=dict)
    pushes: int = 0
    kept: set[str] = field(default_factory=set)
    taken: tuple[TakenBack, ...] = ()
    _trees: dict[str, Files] = field(default_factory=dict)
    _commits: dict[str, str] = field(default_factory=dict)
    _parents: dict[str, str] = field(default_factory=dict)
    _follows: dict[str, str] = field(default_factory=dict)
    _bases: dict[Path, str] = field(default_factory=dict)

    def dirty_paths(self) -> tuple[str, ...]:
        """What the test says is uncommitted."""
        return self.dirty

    def left_paths(self) -> tuple[str, ...]:
        """What the test says was left behind."""
        return self.left

    def refresh(self) -> Base:
        """A commit of the files as they stand."""
        if self.unreachable is not None:
            raise self.unreachable
        return Base("main", self._committed(self._keep(self.files), "base"))

    def base_branch(self) -> str:
        """Always main."""
        return "main"

    def taken_back(self, since: datetime) -> tuple[TakenBack, ...]:
        """What the test says was reverted, whenever it was."""
        return self.taken

    def open(self, issue_number: int, run_id: str, base_sha: str) -> tuple[Worktree, bool]:
        """A folder with the base's files; made once for each base."""
        place = self.grounds / f"issue-{issue_number}" / run_id
        made = not place.exists() or self._bases.get(place, base_sha) != base_sha
        worktree = Worktree(issue_number, run_id, place)
        self._bases[place] = base_sha
        if made:
            place.mkdir(parents=True, exist_ok=True)
            self.restore(worktree, base_sha, base_sha)
        return worktree, made

    def settle(self, worktree: Worktree) -> None:
        """Nothing is left out here, so nothing has to be remembered."""

    def freeze(self, worktree: Worktree, base_sha: str) -> str:
        """The folder's files, kept."""
        return self._keep(_read(worktree.path))

    def restore(self, worktree: Worktree, base_sha: str, tree: str) -> tuple[str, ...]:
        """Write and delete until the folder holds the tree's files."""
        wanted, found = self._trees[self.tree_of(tree)], _read(worktree.path)
        wrong = _different(found, wanted)
        for name in wrong:
            place = worktree.path / name
            if name in wanted:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(wanted[name])
            else:
                place.unlink()
        return wrong

    def tree_of(self, commit: str) -> str:
        """The tree of a commit; a tree is its own."""
        return self._commits.get(commit, commit)

    def change_set(self, base_sha: str, tree: str) -> ChangeSet:
        """Both sides compared file by file."""
        old, new = self._trees[self.tree_of(base_sha)], self._trees[self.tree_of(tree)]
        changed = tuple(_change(name, old, new) for name in _different(old, new))
        patch = "".join(
            f"--- {change.path}\n"
            + "".join(f"-{line}\n" for line in old.get(change.path, "").splitlines())
            + "".join(f"+{line}\n" for line in new.get(change.path, "").splitlines())
            for change in changed
        )
        return ChangeSet(base_sha, self.tree_of(tree), changed, patch, _hash(patch))

    def seal(self) -> str:
        """There is no clone that anybody could tamper with."""
        return "sealed"

    def commit(self, request: CommitRequest) -> str:
        """The same request gives the same commit."""
        made = self._committed(request.tree, f"{request}")
        self._parents[made] = request.base_sha
        self._follows[made] = request.onto
        self.kept.add(request.run_id)
        return made

    def merge_base(self, commit: str, base_sha: str, message: str, at: datetime) -> str | Conflict:
        """Both sides' files; a conflict where they tell different things of one."""
        if commit not in self._parents:
            return commit  # A base holds every base before it.
        base, ours, theirs = (
            self._trees[self.tree_of(name)]
            for name in (self._parents.get(commit, ""), commit, base_sha)
        )
        if ours.items() >= theirs.items() or self._parents.get(commit) == base_sha:
            return commit
        merged, both = dict(base), []
        for name in sorted(ours | theirs | base):
            one, other, old = ours.get(name), theirs.get(name), base.get(name)
            text = one if other == old else other
            if old not in (one, other) and one != other:
                both.append((name, "both changed it"))
                text = f"<<<<<<< ours\n{one or ''}=======\n{other or ''}>>>>>>> theirs\n"
            merged.pop(name, None)
            if text is not None:
                merged[name] = text
        if both:
            return Conflict(self._keep(merged), tuple(both))
        made = self._committed(self._keep(merged), f"{commit}{base_sha}{message}{at}")
        self._parents[made] = base_sha
        self._follows[made] = commit
        return made

    def recall(self, branch: str, commit: str) -> None:
        """Nothing is lost here."""

    def why_stale(self, commit: str, base: Base) -> str | None:
        """Nothing moves here by itself."""
        return None

    def why_ahead(self, base: Base) -> str | None:
        """What the test says."""
        return self.ahead

    def branch_head(self, branch: str) -> str | None:
        """The commit that a branch names, or None."""
        return self.branches.get(branch)

    def push(self, branch: str, commit: str, expected: str | None) -> str:
        """Move a branch that is absent or where it was expected."""
        if self.branches.get(branch) not in (None, expected, commit):
            raise GitError(f"The branch {branch} holds another commit")
        if expected in self._parents and not self._is_behind(expected, commit):
            raise GitError(f"The branch {branch} stands at what {commit} does not follow")
        self.pushes += self.branches.get(branch) != commit
        self.branches[branch] = commit
        return f"branch {branch}"

    def _is_behind(self, head: str, commit: str) -> bool:
        """Whether a commit follows another."""
        while commit and commit != head:
            commit = self._follows.get(commit, "")
        return bool(commit)

    def worktrees(self) -> tuple[Worktree, ...]:
        """Every folder, by issue and run."""
        found = sorted(self.grounds.glob("issue-*/*"))
        return tuple(
            Worktree(int(path.parent.name.removeprefix("issue-")), path.name, path)
            for path in found
        )

    def size(self, worktree: Worktree) -> int:
        """Bytes of its files."""
        return sum(len(text.encode()) for text in _read(worktree.path).values())

    def remove(self, worktree: Worktree) -> None:
        """Delete the folder; nothing when there is none."""
        shutil.rmtree(worktree.path, ignore_errors=True)

    def tidy(self, is_over: Callable[[str], bool]) -> None:
        """Forget the names that are over; the commits stay, as git's do."""
        self.kept -= set(filter(is_over, self.kept))

    def _keep(self, files: Files) -> str:
        tree = _hash(repr(sorted(files.items())))
        self._trees[tree] = dict(files)
        return tree

    def _committed(self, tree: str, words: str) -> str:
        commit = _hash(tree + words)
        self._commits[commit] = tree
        return commit


def _hash(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


def _read(folder: Path) -> Files:
    places = (place for place in folder.rglob("*") if place.is_file())
    return {str(place.relative_to(folder)): place.read_text() for place in places}


def _different(old: Files, new: Files) -> tuple[str, ...]:
    return tuple(sorted(name for name in old | new if old.get(name) != new.get(name)))


def _change(name: str, old: Files, new: Files) -> FileChange:
    kind = ChangeKind.MODIFIED if name in old and name in new else ChangeKind.ADDED
    return FileChange(
        name,
        kind if name in new else ChangeKind.DELETED,
        "100644" if name in old else "",
        "100644" if name in new else "",
        len(new.get(name, "").splitlines()),
        len(old.get(name, "").splitlines()),
        len(new.get(name, "").encode()),
    )
