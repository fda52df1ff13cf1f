"""People's hands: what maintainers, strangers and CI do on GitHub's pages, not through its API."""

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from repoagents.rehearsal.hub.forge import Forge
from repoagents.rehearsal.hub.records import (
    Annotation,
    Check,
    Comment,
    Json,
    Protection,
    Review,
    ReviewComment,
)

P = ParamSpec("P")
T = TypeVar("T")


def undisturbed(
    method: Callable[Concatenate["People", P], T],
) -> Callable[Concatenate["People", P], T]:
    """Let no request come in between, and take up what was pushed before."""

    @wraps(method)
    def alone(self: "People", /, *arguments: P.args, **named: P.kwargs) -> T:
        with self.forge.repository.lock:
            self.forge.pulls.follow()
            return method(self, *arguments, **named)

    return alone


class People:
    """Every method is one act of one person (`by`, a login); subscribers are told of it."""

    def __init__(self, forge: Forge) -> None:
        self.forge = forge

    @undisturbed
    def open_issue(
        self, title: str, body: str | None = "", labels: Iterable[str] = (), *, by: str
    ) -> int:
        """Open an issue; returns its number."""
        return self.forge.repository.open_issue(title, body, labels, by).number

    @undisturbed
    def edit_issue(
        self, number: int, *, by: str, title: str | None = None, body: str | None = None
    ) -> None:
        """Change the text of an issue or a pull request."""
        self.forge.repository.edit(number, by, title=title, body=body)

    @undisturbed
    def create_label(self, name: str) -> None:
        """A label of the repository."""
        self.forge.repository.create_label(name)

    @undisturbed
    def label(self, number: int, name: str, *, by: str) -> None:
        """Put a label on."""
        self.forge.repository.label(number, [name], by)

    @undisturbed
    def unlabel(self, number: int, name: str, *, by: str) -> None:
        """Take a label off."""
        self.forge.repository.unlabel(number, name, by)

    @undisturbed
    def comment(self, number: int, text: str, *, by: str) -> Comment:
        """Say something below an issue or a pull request."""
        return self.forge.repository.comment(number, text, by)

    @undisturbed
    def edit_comment(self, comment: Comment, text: str, *, by: str) -> None:
        """Replace a comment's text."""
        self.forge.repository.edit_comment(comment.id, text, by)

    @undisturbed
    def close(self, number: int, *, by: str) -> None:
        """Close an issue, or a pull request without merging it."""
        self.forge.repository.close(number, by)

    @undisturbed
    def reopen(self, number: int, *, by: str) -> None:
        """Open it again."""
        self.forge.repository.reopen(number, by)

    @undisturbed
    def lock(self, number: int, *, by: str) -> None:
        """Lock the conversation."""
        self.forge.repository.lock_issue(number, by)

    @undisturbed
    def transfer(self, number: int, to: str, *, by: str) -> None:
        """Move an issue into another repository, named `owner/name`."""
        self.forge.repository.transfer(number, to, by)

    @undisturbed
    def seed(self, source: Path) -> None:
        """Take every branch of a repository on the disk."""
        self.forge.bare.seed(source)

    @undisturbed
    def commit_on(
        self,
        branch: str,
        *,
        by: str,
        files: Mapping[str, str | None] | None = None,
        message: str = "Lend a hand",
    ) -> str:
        """Commit files onto a branch (None deletes one); a new branch starts at the default's tip.

        Returns the commit. On an empty repository this is the first commit.
        """
        bare, repository = self.forge.bare, self.forge.repository
        heads = bare.heads()
        tip = heads.get(branch)
        parent = tip or heads.get(repository.default_branch)
        tree = bare.tree_with(parent, files or {"by-hand.txt": f"{message}\n"})
        parents = (parent,) if parent else ()
        commit = bare.write(tree, parents, message, by, repository.now())
        bare.move(branch, commit, tip)
        self.forge.pulls.follow(by)
        return commit

    @undisturbed
    def put_back(self, branch: str, sha: str, *, by: str) -> None:
        """Force a branch to another commit, an earlier one of its own, say."""
        self.forge.bare.move(branch, sha, self.forge.bare.heads()[branch])
        self.forge.pulls.follow(by)

    @undisturbed
    def open_pull(self, title: str, *, head: str, by: str, draft: bool = False) -> int:
        """Open a pull request into the default branch; returns its number."""
        branches = (head, self.forge.repository.default_branch)
        return self.forge.pulls.open(title, "", branches, by, draft=draft).number

    @undisturbed
    def open_pull_from_fork(self, title: str, *, head: str, sha: str, by: str) -> int:
        """Open a pull request from `by`'s fork; the commit must be in the bare repository."""
        return self.forge.pulls.open_from_fork(title, head, sha, by).number

    @undisturbed
    def close_pull(self, number: int, *, by: str) -> None:
        """Say no to a pull request."""
        self.forge.repository.close(self.forge.pulls.read(number)[0].number, by)

    @undisturbed
    def merge_pull(self, number: int, *, by: str) -> str:
        """Press the button; returns the merge commit."""
        return self.forge.pulls.merge(number, by)

    @undisturbed
    def mark_ready(self, number: int, *, by: str) -> None:
        """Take a pull request out of draft."""
        self.forge.pulls.mark_ready(number, by)

    @undisturbed
    def review(
        self, number: int, text: str = "", *, by: str, state: str, sha: str | None = None
    ) -> Review:
        """Review a pull request at a commit (the head): APPROVED, CHANGES_REQUESTED, COMMENTED."""
        issue, pull = self.forge.pulls.read(number)
        return self.forge.checks.review(issue, pull, by, (state, text), sha or pull.head_sha)

    @undisturbed
    def remark(self, number: int, text: str, *, by: str, path: str, line: int = 1) -> ReviewComment:
        """Remark on a line of the change."""
        issue, pull = self.forge.pulls.read(number)
        return self.forge.checks.remark(issue, pull, by, text, (path, line))

    @undisturbed
    def answer(self, remark: ReviewComment, text: str, *, by: str) -> ReviewComment:
        """Say more in the thread that a remark began."""
        issue, pull = self.forge.pulls.read(remark.number)
        return self.forge.checks.reply(issue, pull, by, text, remark.id)

    @undisturbed
    def set_check(
        self,
        sha: str,
        name: str,
        conclusion: str | None,
        *,
        log: str = "",
        annotations: Iterable[Annotation] = (),
    ) -> Check:
        """Let CI say something about a commit; None while it runs."""
        check = self.forge.checks.set_run(sha, name, conclusion, log, tuple(annotations))
        self.forge.pulls.follow()
        return check

    @undisturbed
    def set_status(self, sha: str, context: str, state: str) -> None:
        """A status of the older kind: pending, success, failure or error."""
        self.forge.checks.set_status(sha, context, state)

    @undisturbed
    def protect(self, branch: str, protection: Protection) -> None:
        """Ask something of every merge into a branch."""
        self.forge.checks.protection[branch] = protection

    @undisturbed
    def add_ruleset(self, name: str, rules: Iterable[str | Json]) -> None:
        """A ruleset with rules of these types; one with parameters is given whole."""
        number = self.forge.repository.next_id()
        whole = ({"type": rule} if isinstance(rule, str) else rule for rule in rules)
        listed = [{**rule, "ruleset_id": number} for rule in whole]
        self.forge.checks.rulesets.append(
            {
                "id": number,
                "name": name,
                "target": "branch",
                "enforcement": "active",
                "rules": listed,
            }
        )

    @undisturbed
    def archive(self) -> None:
        """Make the repository read-only."""
        self.forge.repository.archived = True

    @undisturbed
    def make_private(self) -> None:
        """Let only those with a role see it."""
        self.forge.repository.private = True
