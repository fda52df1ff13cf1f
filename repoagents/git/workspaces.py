"""`ports.Workspaces` with git: one class that hands each question to the module that knows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from repoagents.domain.change import Base, ChangeSet, Conflict, TakenBack
from repoagents.domain.settings import Settings
from repoagents.errors import GitError
from repoagents.git import changes, worktrees
from repoagents.git.changes import Reader
from repoagents.git.checkout import Checkout, Source
from repoagents.git.commit import build_commit, why_stale
from repoagents.git.disk import Folder, Scratch, reporting, size_on_disk
from repoagents.git.memory import Memory
from repoagents.git.merging import merge_base
from repoagents.git.mirror import Mirror, checked_object
from repoagents.git.places import Grounds, RunFolder
from repoagents.git.plain_folder import record_folder
from repoagents.git.remote import Remote, RemoteBranches
from repoagents.git.reverts import read_taken_back
from repoagents.git.sparse import Cone
from repoagents.ports import Clock, CommitRequest, Worktree


class GitWorkspaces:
    """The bot's own clone and the worktrees made from it, for both strategies.

    With a `remote` the base comes from there and branches go there; without one they stay in the
    operator's repository.
    """

    def __init__(
        self,
        checkout: Checkout,
        control: Path,
        settings: Settings,
        clock: Clock,
        remote: Remote | None = None,
    ) -> None:
        self._root = checkout.root.resolve()
        self._copying = settings.workspace.strategy == "copy"
        self._cone = Cone.of(settings.workspace.sparse_paths)
        self._tracker = settings.tracker
        self._identity = settings.commit
        self._clock = clock
        self._control = control
        self._grounds = Grounds(control)
        self._mirror = Mirror(control.resolve() / "git", checkout.outside, raw=self._copying)
        self._memory = Memory()
        self._checkout = replace(checkout, root=self._root)
        self._remote = RemoteBranches(remote, self._checkout) if remote else None

    def dirty_paths(self) -> tuple[str, ...]:
        """Uncommitted paths of the operator's checkout; none under strategy copy."""
        return () if self._copying else self._checkout.dirty_paths()

    def left_paths(self) -> tuple[str, ...]:
        """Untracked paths of `left_behind` in the operator's checkout."""
        return () if self._copying else self._checkout.left_paths()

    def refresh(self) -> Base:
        """Fetch the base branch into the bot's own clone, or record the folder there."""
        with reporting(f"read the base of {self._root}"):
            if not self._copying:
                return self._mirror.fetch(self._source(), self._tracker.base_branch)
            return record_folder(self._mirror, self._root, self._control)

    def base_branch(self) -> str:
        """The name of the branch that `refresh` last fetched, in this process or another."""
        return self._mirror.base_branch()

    def taken_back(self, since: datetime) -> tuple[TakenBack, ...]:
        """Commits that the base, as it was last fetched, says it reverts since then."""
        with reporting("read what was reverted on the base"):
            return read_taken_back(self._mirror, self._mirror.base_branch(), since)

    def open(self, issue_number: int, run_id: str, base_sha: str) -> tuple[Worktree, bool]:
        """The run's worktree at the base, and whether it was made just now."""
        run = self._grounds.run(issue_number, run_id)
        with reporting(f"make the worktree {run.repo}"):
            made = worktrees.check_out(self._mirror, run, checked_object(base_sha), self._cone)
        return Worktree(issue_number, run_id, run.repo), made

    def settle(self, worktree: Worktree) -> None:
        """Take what a hook has just left in the worktree for its starting state."""
        run = self._run(worktree)
        with self._reading(run, run.read_manifest().base) as reader:
            worktrees.settle(run, reader)

    def freeze(self, worktree: Worktree, base_sha: str) -> str:
        """The worktree's content as a git tree, read without trusting anything inside it."""
        with self._reading(self._run(worktree), base_sha) as reader:
            tree, skipped = changes.freeze(reader)
            changes.remember_skipped(self._mirror, tree, skipped)
        return tree

    def restore(self, worktree: Worktree, base_sha: str, tree: str) -> tuple[str, ...]:
        """Put the worktree back to a tree; returns the paths that had to be changed."""
        run = self._run(worktree)
        with self._reading(run, base_sha) as reader:
            return worktrees.restore(self._mirror, run, reader, checked_object(tree))

    def tree_of(self, commit: str) -> str:
        """The tree of a commit in the bot's own clone; a tree is its own."""
        name = f"{checked_object(commit)}^{{tree}}"
        return checked_object(self._mirror.git.run("rev-parse", "--verify", name).line)

    def change_set(self, base_sha: str, tree: str) -> ChangeSet:
        """The difference between the base and a frozen tree."""
        return changes.read_change_set(self._mirror, base_sha, tree)

    def seal(self) -> str:
        """A hash over what the host later trusts in the bot's own clone."""
        return self._mirror.seal()

    def commit(self, request: CommitRequest) -> str:
        """Build the commit by plumbing and keep it in the bot's own clone; returns its SHA."""
        return build_commit(self._mirror, request, self._identity)

    def merge_base(self, commit: str, base_sha: str, message: str, at: datetime) -> str | Conflict:
        """The commit that merges the base into a commit, kept in the bot's own clone.

        Or where they conflict; the commit itself when it contains the base already.
        """
        self._require_repository()
        return merge_base(self._mirror, commit, base_sha, message, at, self._identity)

    def recall(self, branch: str, commit: str) -> None:
        """Have a commit of a published branch in the bot's own clone, fetched when it is not.

        With it comes the newest base, for whoever deletes the clone deletes that too.
        """
        if self._copying or self._mirror.knows(checked_object(commit)):
            return
        with reporting(f"read the branch {branch}"):
            self.refresh()
            self._mirror.fetch_branch((self._remote or self._checkout).home(), branch)

    def why_stale(self, commit: str, base: Base) -> str | None:
        """Why a stored commit no longer applies to the base, or None."""
        return why_stale(self._mirror, commit, base)

    def why_ahead(self, base: Base) -> str | None:
        """In what way the operator's checkout holds commits that the base lacks, or None."""
        return None if self._copying else self._checkout.why_ahead(self._mirror.git, base)

    def branch_head(self, branch: str) -> str | None:
        """The commit that a branch names where branches are published, or None."""
        self._require_repository()
        return (self._remote or self._checkout).branch_head(branch)

    def push(self, branch: str, commit: str, expected: str | None) -> str:
        """Bring a commit as a branch where it is absent or `expected`; returns where it is."""
        self._require_repository()
        name = checked_object(commit)
        return (self._remote or self._checkout).receive(self._mirror.git, branch, name, expected)

    def worktrees(self) -> tuple[Worktree, ...]:
        """Every worktree on disk."""
        with reporting(f"list {self._grounds.path}"):
            found = self._grounds.runs()
        return tuple(Worktree(number, run.path.name, run.repo) for number, run in found)

    def size(self, worktree: Worktree) -> int:
        """Bytes on disk."""
        run = self._run(worktree)
        with reporting(f"measure {run.path}"):
            return size_on_disk(run.path)

    def remove(self, worktree: Worktree) -> None:
        """Delete the worktree's folder, whatever the agent left in it, and empty folders above."""
        run = self._run(worktree)
        with reporting(f"delete {run.path}"):
            if not run.path.exists():
                return
            worktrees.clear_away(run)
            for parent in (run.path.parent, self._grounds.path):
                if not any(parent.iterdir()):
                    parent.rmdir()

    def tidy(self, is_over: Callable[[str], bool]) -> None:
        """Let go of the commits that were kept for runs that are over, and pack the clone.

        `is_over` is asked of the run's id, and of a commit that merges a base: of its name.
        """
        self._mirror.tidy(is_over)

    def _source(self) -> Source:
        if self._remote:
            return self._remote.source()
        return self._checkout.source(self._tracker.clone_url)

    @contextmanager
    def _reading(self, run: RunFolder, base_sha: str) -> Iterator[Reader]:
        manifest = run.read_manifest()
        if manifest.base != base_sha:
            raise GitError(
                f"{run.repo} was made from {manifest.base[:12]}, not from {base_sha[:12]}",
                next_step="Start the run in a new worktree: repoagents retry N --fresh.",
            )
        memory = self._memory.about(self._mirror.identity())
        scratch = Scratch(run.path / f"scratch-{self._clock.token(8)}")
        with reporting(f"read {run.repo}"), Folder(run.repo) as tree, scratch:
            yield Reader(self._mirror.git, tree, manifest, scratch, memory)

    def _run(self, worktree: Worktree) -> RunFolder:
        run = self._grounds.run(worktree.issue_number, worktree.run_id)
        if worktree.path != run.repo:
            raise GitError(f"{worktree.path} is not the worktree of run {worktree.run_id}")
        return run

    def _require_repository(self) -> None:
        if self._copying:
            raise GitError(
                f"{self._root} is worked on as a copy: there is no repository to bring a branch to",
                next_step="Apply the run's changes.patch with `git apply` or `patch -p1`.",
            )
