"""Pull requests: opened, followed as their branches move, brought up to date and merged."""

import re

from repoagents.rehearsal.hub.bare import BareRepository
from repoagents.rehearsal.hub.checks import Checks
from repoagents.rehearsal.hub.records import Issue, Notice, Protection, Pull
from repoagents.rehearsal.hub.refusals import Refusal, invalid, not_found
from repoagents.rehearsal.hub.repository import Repository

_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_CLOSES = re.compile(r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+#(\d+)", re.IGNORECASE)


class Pulls:
    """The pull requests of one repository, computed from the bare repository behind it."""

    def __init__(self, repository: Repository, bare: BareRepository, checks: Checks) -> None:
        self._repository = repository
        self._bare = bare
        self._checks = checks
        self.lazy = True
        """Whether the first reading of a pull request says "mergeable: unknown", as GitHub does."""
        self._followed: dict[str, str] = {}

    def read(self, number: int) -> tuple[Issue, Pull]:
        """The pull request, or a 404 for a plain issue too."""
        issue = self._repository.issue(number)
        if issue.pull is None:
            raise not_found()
        return issue, issue.pull

    def open(
        self, title: str, body: str | None, branches: tuple[str, str], by: str, *, draft: bool
    ) -> Issue:
        """Open a pull request; `branches` are head (`owner:branch` or `branch`) and base."""
        head, base = branches
        owner = self._repository.full_name.partition("/")[0]
        head = head.removeprefix(f"{owner}:")
        head_sha, base_sha = self._bare.heads().get(head), self._bare.heads().get(base)
        if base_sha is None:
            raise invalid("PullRequest", "base", "invalid")
        if head_sha is None:
            raise invalid("PullRequest", "head", "invalid")
        if any((p.head, p.base, p.fork) == (head, base, "") for p in self._open_pulls()):
            taken = f"A pull request already exists for {owner}:{head}."
            raise invalid("PullRequest", "head", "custom", taken)
        if not self._bare.log(base_sha, head_sha):
            empty = f"No commits between {base} and {head}"
            raise invalid("PullRequest", "head", "custom", empty)
        issue = self._repository.add(title, body, by)
        issue.pull = Pull(self._repository.next_id(), head, base, head_sha, base_sha, draft)
        self._repository.tell(Notice("pull_request", "opened", by, issue))
        return issue

    def open_from_fork(self, title: str, head: str, sha: str, by: str) -> Issue:
        """A pull request whose head lies in `by`'s fork; its branch may be named like ours."""
        base = self._repository.default_branch
        name = self._repository.full_name.partition("/")[2]
        issue = self._repository.add(title, "", by)
        base_sha = self._bare.heads()[base]
        number = self._repository.next_id()
        issue.pull = Pull(number, head, base, sha, base_sha, draft=False, fork=f"{by}/{name}")
        self._repository.tell(Notice("pull_request", "opened", by, issue))
        return issue

    def _open_pulls(self) -> list[Pull]:
        return [i.pull for i in self._repository.issues.values() if i.pull and i.state == "open"]

    def follow(self, pusher: str = "") -> None:
        """Take up what was pushed since; without a known pusher it was the request's author."""
        heads = self._bare.heads()
        if heads == self._followed:
            return
        self._followed = heads
        for issue in list(self._repository.issues.values()):
            pull = issue.pull
            if pull is None or issue.state == "closed":
                continue
            by = pusher or issue.by
            head = pull.head_sha if pull.fork else heads.get(pull.head)
            if head is None:
                self._repository.close(issue.number, by)
                continue
            base = heads.get(pull.base, pull.base_sha)
            if head != pull.head_sha:
                self._moved(issue, pull, (head, base), by)
            if self._bare.merge_base(base, head) == head:
                self._mark_merged(issue, pull, base, by)

    def _moved(self, issue: Issue, pull: Pull, commits: tuple[str, str], by: str) -> None:
        before, (head, base) = pull.head_sha, commits
        if self._bare.merge_base(before, head) != before:
            self._repository.happen(issue, "head_ref_force_pushed", by, commit_id=head)
        pull.head_sha, pull.base_sha = head, base
        issue.updated_at = self._repository.now()
        detail = {"before": before, "after": head}
        self._repository.tell(Notice("pull_request", "synchronize", by, issue, detail=detail))

    def base_tip(self, pull: Pull) -> str:
        """The base branch as it is now."""
        return self._bare.heads().get(pull.base, pull.base_sha)

    def mergeable(self, pull: Pull) -> bool | None:
        """Whether it merges cleanly; None on the first reading after a branch has moved."""
        pair = (self.base_tip(pull), pull.head_sha)
        if self.lazy and pull.known_mergeable != pair:
            pull.known_mergeable = pair
            return None
        return self._bare.merged_tree(*pair) is not None

    def mergeable_state(self, issue: Issue, pull: Pull, *, mergeable: bool | None) -> str:
        """GitHub's one word for whether the button would work."""
        if mergeable is None or issue.state == "closed":
            return "unknown"
        if not mergeable:
            return "dirty"
        if pull.draft:
            return "draft"
        asked = self._checks.protection.get(pull.base)
        if asked and asked.up_to_date and self._behind(pull):
            return "behind"
        if self.why_blocked(issue, pull):
            return "blocked"
        return "clean" if self._checks.all_green(pull.head_sha) else "unstable"

    def _behind(self, pull: Pull) -> bool:
        tip = self.base_tip(pull)
        return self._bare.merge_base(tip, pull.head_sha) != tip

    def why_blocked(self, issue: Issue, pull: Pull) -> str | None:
        """Why GitHub would not merge it, in GitHub's words, or None."""
        if issue.state == "closed":
            return "Pull Request is not mergeable"
        if pull.draft:
            return "Pull Request is still a draft"
        if self._bare.merged_tree(self.base_tip(pull), pull.head_sha) is None:
            return "Pull Request is not mergeable"
        return self._why_protected(pull)

    def _why_protected(self, pull: Pull) -> str | None:
        asked = self._checks.protection.get(pull.base, Protection())
        missing = self._checks.missing(pull.head_sha, asked.checks)
        if missing:
            return f'Required status check "{missing[0]}" is expected.'
        if self._checks.approvals(pull) < asked.reviews:
            count = f"At least {asked.reviews} approving review"
            return f"{count} is required by reviewers with write access."
        if asked.up_to_date and self._behind(pull):
            return "Head branch is out of date. Review and try the merge again."
        return None

    def merge(
        self,
        number: int,
        by: str,
        *,
        sha: str | None = None,
        method: str = "merge",
        message: str = "",
    ) -> str:
        """Merge into the base branch; returns the merge commit."""
        issue, pull = self.read(number)
        if method == "rebase":
            raise Refusal(405, "Rebase merges are not allowed on this repository.")
        if sha is not None and sha != pull.head_sha and issue.state == "open":
            raise Refusal(409, "Head branch was modified. Review and try the merge again.")
        reason = self.why_blocked(issue, pull)
        tip = self.base_tip(pull)
        tree = self._bare.merged_tree(tip, pull.head_sha)
        if reason or tree is None:
            raise Refusal(405, reason or "Pull Request is not mergeable")
        owner = (pull.fork or self._repository.full_name).partition("/")[0]
        words = f"Merge pull request #{number} from {owner}/{pull.head}\n\n{issue.title}"
        parents: tuple[str, ...] = (tip, pull.head_sha)
        if method == "squash":
            words, parents = f"{issue.title} (#{number})", (tip,)
        commit = self._bare.write(tree, parents, message or words, by, self._repository.now())
        self._bare.move(pull.base, commit, tip)
        self._mark_merged(issue, pull, commit, by)
        return commit

    def _mark_merged(self, issue: Issue, pull: Pull, commit: str, by: str) -> None:
        pull.merged_at, pull.merged_by, pull.merge_commit = self._repository.now(), by, commit
        self._repository.happen(issue, "merged", by, commit_id=commit)
        self._repository.close(issue.number, by)
        if pull.base == self._repository.default_branch:
            commits = self._bare.log(pull.base_sha, pull.head_sha)
            texts = [issue.body or "", *(one.message for one in commits)]
            for number in _CLOSES.findall(_CODE.sub("", "\n".join(texts))):
                if int(number) in self._repository.issues:
                    self._repository.close(int(number), by)

    def mark_ready(self, number: int, by: str) -> None:
        """Make it ready for review."""
        issue, pull = self.read(number)
        if issue.state == "closed":
            raise Refusal(422, "Pull request is closed")
        if pull.draft:
            pull.draft = False
            self._repository.happen(issue, "ready_for_review", by)
            self._repository.tell(Notice("pull_request", "ready_for_review", by, issue))
