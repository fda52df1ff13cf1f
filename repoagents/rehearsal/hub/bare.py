"""The bare repository behind the pull requests: everything about commits is asked of real git."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from repoagents.git.command import Git

QUIET_DIFF = ("--no-ext-diff", "--no-textconv", "--no-color", "-M")
STATES = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "T": "changed"}


@dataclass(frozen=True)
class Person:
    """Author or committer, as git writes them; `date` is ISO 8601 with an offset."""

    name: str
    email: str
    date: str


@dataclass(frozen=True)
class Commit:
    """One commit's header."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: str


@dataclass(frozen=True)
class FileChange:
    """One file of a difference; `patch` is its unified diff without the header."""

    path: str
    state: str
    additions: int
    deletions: int
    patch: str


class BareRepository:
    """A bare repository on the disk, read and written by plumbing alone."""

    def __init__(self, folder: Path, environment: Mapping[str, str], branch: str) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.git = Git.sealed(folder, environment)
        self.git.run("init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}")
        self._commits: dict[str, Commit] = {}
        self._stamp: tuple[object, ...] = ()
        self._heads: dict[str, str] = {}

    def seed(self, source: Path) -> None:
        """Take every branch of another repository."""
        self.git.run("fetch", "--quiet", str(source), "+refs/heads/*:refs/heads/*")

    def heads(self) -> dict[str, str]:
        """Every branch and its commit; git is asked only after a ref's file has changed."""
        stamp = tuple(self._files())
        if stamp != self._stamp:
            listed = self.git.run("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads")
            lines = [line.split(" ", 1) for line in listed.line.splitlines()]
            self._heads = {name.removeprefix("refs/heads/"): sha for sha, name in lines}
            self._stamp = stamp
        return dict(self._heads)

    def _files(self) -> list[tuple[str, int, int]]:
        packed = self.folder / "packed-refs"
        found = [packed] if packed.exists() else []
        for here, _, names in os.walk(self.folder / "refs" / "heads"):
            found += [Path(here, name) for name in names if not name.endswith(".lock")]
        return sorted((str(p), p.stat().st_mtime_ns, p.stat().st_ino) for p in found if p.exists())

    def resolve(self, name: str) -> str | None:
        """The commit that a branch, a tag or a (short) SHA names, or None."""
        if name.startswith("-") or not name:
            return None
        for candidate in (f"refs/heads/{name}", f"refs/tags/{name}", name):
            answer = self.git.run(
                "rev-parse", "--verify", "--quiet", f"{candidate}^{{commit}}", accept=(0, 1, 128)
            )
            if answer.code == 0:
                return answer.line
        return None

    def commit(self, sha: str) -> Commit:
        """The commit's header."""
        if sha not in self._commits:
            form = "%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B"
            shown = self.git.run("show", "--no-patch", f"--format={form}", sha).line.split("\0")
            tree, parents, *people, message = shown
            self._commits[sha] = Commit(
                sha, tree, tuple(parents.split()), Person(*people[:3]), Person(*people[3:]), message
            )
        return self._commits[sha]

    def log(self, base: str, head: str) -> list[Commit]:
        """What the head has and the base lacks, oldest first."""
        listed = self.git.run("rev-list", "--reverse", "--topo-order", f"{base}..{head}")
        return [self.commit(sha) for sha in listed.line.split()]

    def merge_base(self, base: str, head: str) -> str | None:
        """The commit from which both came, or None."""
        return self.git.run("merge-base", base, head, accept=(0, 1)).line or None

    def difference(self, before: str, after: str) -> list[FileChange]:
        """The files that differ between two trees."""
        named = self.git.run("diff", "--name-status", "-z", *QUIET_DIFF, before, after).records
        changes, fields = [], iter(named)
        for state in fields:
            path = next(fields)
            old, path = (path, next(fields)) if state[0] in "RC" else (path, path)
            changes.append(self._file(before, after, STATES.get(state[0], "changed"), (old, path)))
        return changes

    def _file(self, before: str, after: str, state: str, paths: tuple[str, str]) -> FileChange:
        shown = self.git.run("diff", *QUIET_DIFF, before, after, "--", *dict.fromkeys(paths))
        _, mark, hunks = shown.out.decode(errors="replace").partition("\n@@")
        lines = f"@@{hunks}".rstrip("\n").split("\n") if mark else []
        added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
        return FileChange(paths[1], state, added, removed, "\n".join(lines))

    def merged_tree(self, base: str, head: str) -> str | None:
        """The tree of a clean merge, or None when there is a conflict."""
        answer = self.git.run("merge-tree", "--write-tree", base, head, accept=(0, 1))
        return answer.line.split("\n")[0] if answer.code == 0 else None

    def write(
        self, tree: str, parents: tuple[str, ...], message: str, author: str, at: datetime
    ) -> str:
        """A new commit; GitHub is its committer, as for everything done through its pages."""
        stamp = at.strftime("%Y-%m-%dT%H:%M:%S+00:00")
        git = self.git.told(
            GIT_AUTHOR_NAME=author,
            GIT_AUTHOR_EMAIL=f"{author}@users.noreply.example.invalid",
            GIT_AUTHOR_DATE=stamp,
            GIT_COMMITTER_NAME="GitHub",
            GIT_COMMITTER_EMAIL="noreply@example.invalid",
            GIT_COMMITTER_DATE=stamp,
        )
        named = [part for parent in parents for part in ("-p", parent)]
        return git.run("commit-tree", tree, *named, "-F", "-", stdin=message.encode()).line

    def move(self, branch: str, commit: str, expected: str | None) -> None:
        """Point a branch at a commit; `expected` guards against a push in between."""
        self.git.run("update-ref", f"refs/heads/{branch}", commit, expected or "0" * 40)

    def tree_with(self, parent: str | None, files: Mapping[str, str | None]) -> str:
        """The parent's tree with these files written, or taken away where the text is None."""
        index = self.folder / "rehearsal-index"
        git = self.git.told(GIT_INDEX_FILE=index)
        entries = [self._entry(path, text) for path, text in files.items()]
        try:
            git.run("read-tree", parent or "--empty")
            git.run("update-index", "-z", "--index-info", stdin="".join(entries).encode())
            return git.run("write-tree").line
        finally:
            index.unlink(missing_ok=True)

    def _entry(self, path: str, text: str | None) -> str:
        if text is None:
            return f"0 {'0' * 40}\t{path}\0"
        blob = self.git.run("hash-object", "-w", "--stdin", stdin=text.encode()).line
        return f"100644 {blob}\t{path}\0"
