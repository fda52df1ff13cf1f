"""What is said about commits: check runs, statuses, reviews, and what a branch asks of them."""

from collections.abc import Iterable
from dataclasses import replace

from repoagents.rehearsal.hub.accounts import Accounts
from repoagents.rehearsal.hub.records import (
    Annotation,
    Check,
    CommitStatus,
    Issue,
    Notice,
    Protection,
    Pull,
    Review,
    ReviewComment,
)
from repoagents.rehearsal.hub.refusals import Refusal, invalid, not_found
from repoagents.rehearsal.hub.repository import Repository, check_body

GREEN = {"success", "neutral", "skipped"}


class Checks:
    """Check runs, statuses and reviews, and the protection of branches.

    `log_host` is where the logs of jobs lie: on another host than the API, as with GitHub.
    """

    def __init__(self, repository: Repository, accounts: Accounts, log_host: str) -> None:
        self._repository = repository
        self._accounts = accounts
        self.runs: list[Check] = []
        self.statuses: list[CommitStatus] = []
        self.protection: dict[str, Protection] = {}
        self.rulesets: list[dict[str, object]] = []
        self.log_host = log_host

    def set_run(
        self,
        sha: str,
        name: str,
        conclusion: str | None,
        log: str = "",
        annotations: tuple[Annotation, ...] = (),
    ) -> Check:
        """A check run; the same name again replaces one that still runs, else it is a rerun."""
        ids = self._repository.next_id
        going = next((c for c in self.of(sha) if c.name == name and c.conclusion is None), None)
        suite = next((c.suite for c in self.of(sha)), None) or ids()
        number = going.id if going else ids()
        at = self._repository.now()
        check = Check(number, suite, sha, name, conclusion, at, log, annotations)
        self.runs = [run for run in self.runs if run is not going] + [check]
        action = "created" if conclusion is None else "completed"
        self._repository.tell(Notice("check_run", action, "github-actions[bot]", check=check))
        if all(run.conclusion is not None for run in self.latest(sha)):
            done = Notice("check_suite", "completed", "github-actions[bot]", check=check)
            self._repository.tell(done)
        return check

    def of(self, sha: str) -> list[Check]:
        """Every run on a commit, reruns included, oldest first."""
        return [run for run in self.runs if run.sha == sha]

    def latest(self, sha: str) -> list[Check]:
        """The newest run of every name."""
        return list({run.name: run for run in self.of(sha)}.values())

    def suite_conclusion(self, sha: str) -> str | None:
        """What the runs of a commit come to; None while one is still going."""
        said = [run.conclusion for run in self.latest(sha)]
        if None in said:
            return None
        return "success" if all(word in GREEN for word in said) else "failure"

    def set_status(self, sha: str, context: str, state: str) -> CommitStatus:
        """A status of the older kind."""
        status = CommitStatus(
            self._repository.next_id(), sha, context, state, self._repository.now()
        )
        self.statuses.append(status)
        return status

    def latest_statuses(self, sha: str) -> list[CommitStatus]:
        """The newest status of every context."""
        return list({s.context: s for s in self.statuses if s.sha == sha}.values())

    def missing(self, sha: str, names: Iterable[str]) -> list[str]:
        """Required names that are not green on the commit."""
        green = {run.name for run in self.latest(sha) if run.conclusion in GREEN}
        green |= {s.context for s in self.latest_statuses(sha) if s.state == "success"}
        return [name for name in names if name not in green]

    def all_green(self, sha: str) -> bool:
        """Whether nothing on the commit failed or is still going."""
        states = [status.state == "success" for status in self.latest_statuses(sha)]
        return all(states) and all(run.conclusion in GREEN for run in self.latest(sha))

    def review(self, issue: Issue, pull: Pull, by: str, said: tuple[str, str], sha: str) -> Review:
        """A person's review of one commit: its state and its text.

        Nobody approves a change of their own.
        """
        state, body = said
        if by == issue.by and state != "COMMENTED":
            raise Refusal(422, "Unprocessable Entity: Can not approve your own pull request")
        at = self._repository.now()
        review = Review(self._repository.next_id(), issue.number, by, state, body, sha, at)
        pull.reviews.append(review)
        self._repository.happen(issue, "reviewed", by, state=state.lower(), commit_id=sha)
        self._repository.tell(Notice("pull_request_review", "submitted", by, issue, review=review))
        return review

    def approvals(self, pull: Pull) -> int:
        """How many people with write permission have approved last."""
        last = {r.by: r.state for r in pull.reviews if r.state != "COMMENTED"}
        accounts = [self._accounts.find(by) for by, state in last.items() if state == "APPROVED"]
        return sum(a is not None and a.role in ("write", "maintain", "admin") for a in accounts)

    def remark(
        self, issue: Issue, pull: Pull, by: str, body: str, place: tuple[str, int]
    ) -> ReviewComment:
        """A remark on a line of the change; it comes with a review of its own, as on GitHub."""
        check_body("PullRequestReviewComment", body)
        review = self.review(issue, pull, by, ("COMMENTED", ""), pull.head_sha)
        at, (path, line) = self._repository.now(), place
        number = self._repository.next_id()
        return self._remark(
            issue,
            ReviewComment(
                number, issue.number, review.id, by, body, path, line, pull.head_sha, at, at
            ),
        )

    def reply(self, issue: Issue, pull: Pull, by: str, body: str, to: int) -> ReviewComment:
        """A reply in a thread, in a review of its own; 404 for an unknown remark.

        422 for a reply to a reply.
        """
        check_body("PullRequestReviewComment", body)
        first = next((remark for remark in pull.remarks if remark.id == to), None)
        if first is None:
            raise not_found()
        if first.reply_to is not None:
            raise invalid("PullRequestReviewComment", "in_reply_to", "invalid")
        review = self.review(issue, pull, by, ("COMMENTED", ""), pull.head_sha)
        at, number = self._repository.now(), self._repository.next_id()
        said = replace(
            first, id=number, review=review.id, by=by, body=body, reply_to=to, reactions=[]
        )
        return self._remark(issue, replace(said, created_at=at, updated_at=at))

    def _remark(self, issue: Issue, remark: ReviewComment) -> ReviewComment:
        if issue.pull is not None:
            issue.pull.remarks.append(remark)
        issue.updated_at = remark.created_at
        self._repository.tell(
            Notice("pull_request_review_comment", "created", remark.by, issue, remark=remark)
        )
        return remark
