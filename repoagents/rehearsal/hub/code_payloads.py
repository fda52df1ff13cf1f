"""The JSON that GitHub makes of pull requests, reviews, commits, checks and branches."""

from repoagents.rehearsal.hub.bare import BareRepository, Commit, FileChange, Person
from repoagents.rehearsal.hub.checks import Checks
from repoagents.rehearsal.hub.payloads import Payloads, stamp
from repoagents.rehearsal.hub.pulls import Pulls
from repoagents.rehearsal.hub.records import (
    Check,
    CommitStatus,
    Issue,
    Json,
    Pull,
    Review,
    ReviewComment,
)


class CodePayloads:
    """Renders what has to do with commits; figures are computed from the bare repository."""

    def __init__(
        self, common: Payloads, pulls: Pulls, bare: BareRepository, checks: Checks
    ) -> None:
        self._common = common
        self._pulls = pulls
        self._bare = bare
        self._checks = checks

    def pull(self, issue: Issue, pull: Pull) -> Json:
        """A pull request as lists give it."""
        common = self._common
        url = f"{common.base}/pulls/{issue.number}"
        page = f"{common.page}/pull/{issue.number}"
        return {
            "id": pull.id,
            "node_id": f"PR_{pull.id}",
            "url": url,
            "issue_url": f"{common.base}/issues/{issue.number}",
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "commits_url": f"{url}/commits",
            "comments_url": f"{common.base}/issues/{issue.number}/comments",
            "review_comments_url": f"{url}/comments",
            "statuses_url": f"{common.base}/statuses/{pull.head_sha}",
            **common.shared(issue),
            "draft": pull.draft,
            "head": self._end(pull.fork, pull.head, pull.head_sha),
            "base": self._end("", pull.base, pull.base_sha),
            "merged_at": stamp(pull.merged_at),
            "merge_commit_sha": pull.merge_commit,
            "auto_merge": None,
            "requested_reviewers": [],
            "requested_teams": [],
        }

    def _end(self, fork: str, branch: str, sha: str) -> Json:
        repo = self._common.fork(fork) if fork else self._common.repo()
        owner = repo["owner"]
        login = (fork or self._common.repository.full_name).partition("/")[0]
        return {
            "label": f"{login}:{branch}",
            "ref": branch,
            "sha": sha,
            "user": owner,
            "repo": repo,
        }

    def whole_pull(self, issue: Issue, pull: Pull) -> Json:
        """A pull request as its own address gives it: with mergeability and figures."""
        base = self._bare.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
        files = self._bare.difference(base, pull.head_sha)
        mergeable = self._pulls.mergeable(pull) if issue.state == "open" else None
        return {
            **self.pull(issue, pull),
            "merged": pull.merged_at is not None,
            "merged_by": self._common.account(pull.merged_by) if pull.merged_by else None,
            "mergeable": mergeable,
            "rebaseable": mergeable,
            "mergeable_state": self._pulls.mergeable_state(issue, pull, mergeable=mergeable),
            "comments": len(self._common.repository.comments_of(issue.number)),
            "review_comments": len(pull.remarks),
            "maintainer_can_modify": False,
            "commits": len(self._bare.log(pull.base_sha, pull.head_sha)),
            "additions": sum(file.additions for file in files),
            "deletions": sum(file.deletions for file in files),
            "changed_files": len(files),
        }

    def review(self, review: Review) -> Json:
        """A review."""
        page = f"{self._common.page}/pull/{review.number}"
        return {
            "id": review.id,
            "node_id": f"PRR_{review.id}",
            "user": self._common.account(review.by),
            "body": review.body,
            "state": review.state,
            "html_url": f"{page}#pullrequestreview-{review.id}",
            "pull_request_url": f"{self._common.base}/pulls/{review.number}",
            "submitted_at": stamp(review.at),
            "commit_id": review.commit,
            "author_association": self._common.association(review.by),
        }

    def remark(self, remark: ReviewComment) -> Json:
        """A remark on a line."""
        url = f"{self._common.base}/pulls/comments/{remark.id}"
        payload: Json = {
            "id": remark.id,
            "node_id": f"PRRC_{remark.id}",
            "pull_request_review_id": remark.review,
            "url": url,
            "html_url": f"{self._common.page}/pull/{remark.number}#discussion_r{remark.id}",
            "pull_request_url": f"{self._common.base}/pulls/{remark.number}",
            "diff_hunk": "",
            "path": remark.path,
            "line": remark.line,
            "side": "RIGHT",
            "commit_id": remark.commit,
            "original_commit_id": remark.commit,
            "user": self._common.account(remark.by),
            "body": remark.body,
            "created_at": stamp(remark.created_at),
            "updated_at": stamp(remark.updated_at),
            "author_association": self._common.association(remark.by),
            "reactions": self._common.reactions(url, remark.reactions),
        }
        return payload | ({"in_reply_to_id": remark.reply_to} if remark.reply_to else {})

    def commit(self, commit: Commit) -> Json:
        """A commit."""
        url = f"{self._common.base}/commits/{commit.sha}"
        return {
            "sha": commit.sha,
            "node_id": f"C_{commit.sha}",
            "url": url,
            "html_url": f"{self._common.page}/commit/{commit.sha}",
            "commit": self.git_commit(commit),
            "author": self._common.account(commit.author.name),
            "committer": self._common.account(commit.committer.name),
            "parents": [
                {"sha": sha, "url": f"{self._common.base}/commits/{sha}"} for sha in commit.parents
            ],
        }

    def git_commit(self, commit: Commit) -> Json:
        """The commit as git knows it."""
        return {
            "author": _person(commit.author),
            "committer": _person(commit.committer),
            "message": commit.message,
            "tree": {
                "sha": commit.tree,
                "url": f"{self._common.base}/git/trees/{commit.tree}",
            },
            "url": f"{self._common.base}/git/commits/{commit.sha}",
            "comment_count": 0,
            "verification": {
                "verified": False,
                "reason": "unsigned",
                "signature": None,
                "payload": None,
                "verified_at": None,
            },
        }

    def file(self, file: FileChange, sha: str) -> Json:
        """One changed file."""
        return {
            "sha": sha,
            "filename": file.path,
            "status": file.state,
            "additions": file.additions,
            "deletions": file.deletions,
            "changes": file.additions + file.deletions,
            "blob_url": f"{self._common.page}/blob/{sha}/{file.path}",
            "patch": file.patch,
        }

    def ref(self, name: str, sha: str) -> Json:
        """A branch as a reference."""
        base = self._common.base
        return {
            "ref": f"refs/heads/{name}",
            "node_id": f"REF_{name}",
            "url": f"{base}/git/refs/heads/{name}",
            "object": {"type": "commit", "sha": sha, "url": f"{base}/git/commits/{sha}"},
        }

    def branch(self, name: str, sha: str) -> Json:
        """A branch."""
        url = f"{self._common.base}/branches/{name}"
        asked = self._checks.protection.get(name)
        required = list(asked.checks) if asked else []
        return {
            "name": name,
            "commit": self.commit(self._bare.commit(sha)),
            "protected": asked is not None,
            "protection": {
                "enabled": asked is not None,
                "required_status_checks": {
                    "enforcement_level": "non_admins" if required else "off",
                    "contexts": required,
                    "checks": [{"context": check, "app_id": None} for check in required],
                },
            },
            "protection_url": f"{url}/protection",
            "_links": {"self": url, "html": f"{self._common.page}/tree/{name}"},
        }

    def check(self, check: Check) -> Json:
        """A check run."""
        url = f"{self._common.base}/check-runs/{check.id}"
        page = f"{self._common.page}/actions/runs/{check.suite}/job/{check.id}"
        done = check.conclusion is not None
        return {
            "id": check.id,
            "node_id": f"CR_{check.id}",
            "name": check.name,
            "head_sha": check.sha,
            "external_id": "",
            "url": url,
            "html_url": page,
            "details_url": page,
            "status": "completed" if done else "in_progress",
            "conclusion": check.conclusion,
            "started_at": stamp(check.at),
            "completed_at": stamp(check.at) if done else None,
            "output": {
                "title": None,
                "summary": None,
                "text": None,
                "annotations_count": len(check.annotations),
                "annotations_url": f"{url}/annotations",
            },
            "check_suite": {"id": check.suite},
            "app": {"id": 15368, "slug": check.by, "name": "GitHub Actions"},
            "pull_requests": self._pulls_at(check.sha),
        }

    def suite(self, sha: str, check: Check) -> Json:
        """The check suite of a commit."""
        conclusion = self._checks.suite_conclusion(sha)
        heads = [name for name, head in self._bare.heads().items() if head == sha]
        return {
            "id": check.suite,
            "node_id": f"CS_{check.suite}",
            "head_branch": heads[0] if heads else None,
            "head_sha": sha,
            "status": "in_progress" if conclusion is None else "completed",
            "conclusion": conclusion,
            "url": f"{self._common.base}/check-suites/{check.suite}",
            "app": {"id": 15368, "slug": check.by, "name": "GitHub Actions"},
            "pull_requests": self._pulls_at(sha),
            "latest_check_runs_count": len(self._checks.latest(sha)),
            "created_at": stamp(check.at),
            "updated_at": stamp(check.at),
        }

    def _pulls_at(self, sha: str) -> list[Json]:
        issues = self._common.repository.issues.values()
        found = [(i, i.pull) for i in issues if i.pull and i.pull.head_sha == sha]
        return [
            {
                "id": pull.id,
                "number": issue.number,
                "url": f"{self._common.base}/pulls/{issue.number}",
                "head": {"ref": pull.head, "sha": pull.head_sha},
                "base": {"ref": pull.base, "sha": pull.base_sha},
            }
            for issue, pull in found
            if not pull.fork
        ]

    def status(self, status: CommitStatus) -> Json:
        """A status of the older kind."""
        return {
            "id": status.id,
            "node_id": f"SC_{status.id}",
            "url": f"{self._common.base}/statuses/{status.sha}",
            "state": status.state,
            "context": status.context,
            "description": None,
            "target_url": None,
            "created_at": stamp(status.at),
            "updated_at": stamp(status.at),
        }


def _person(person: Person) -> Json:
    date = person.date.replace("+00:00", "Z")
    return {"name": person.name, "email": person.email, "date": date}
