"""Pull requests as people and checks left them, and the two things that are done to them."""

from urllib.parse import quote

from repoagents.domain.effect import MergePullRequest, ReplyToRemark
from repoagents.domain.invisible import storable
from repoagents.domain.markers import has_marker
from repoagents.domain.pull_request import (
    CheckDetail,
    CheckRun,
    PeerReview,
    PullRequest,
    PullState,
    Remark,
    RequiredCheck,
    ReviewState,
    Thread,
)
from repoagents.errors import NotFound, Unavailable
from repoagents.github.checks import GitHubChecks
from repoagents.github.comments import is_marked, shortened
from repoagents.github.people import GitHubPeople
from repoagents.github.repository import GitHubClient
from repoagents.github.wire import (
    Fields,
    PullRow,
    link,
    mapping,
    number,
    parse_account,
    parse_pull_request,
    text,
)

READY = """mutation ($input: MarkPullRequestReadyForReviewInput!) {
  markPullRequestReadyForReview(input: $input) { pullRequest { isDraft } }
}"""
METHODS = {
    "merge": "allow_merge_commit",
    "squash": "allow_squash_merge",
    "rebase": "allow_rebase_merge",
}
"""GitHub's ways to merge, in our order, and the repository's setting that allows each."""


class GitHubPulls:
    """`ports.PullRequests`, with the merge and the replies, over one repository."""

    def __init__(self, client: GitHubClient, people: GitHubPeople) -> None:
        self._client = client
        self._people = people
        self._checks = GitHubChecks(client)

    def rows(self, head_branch: str) -> tuple[PullRow, ...]:
        """Every pull request whose head is this branch of this repository, newest first."""
        owner = self._client.repo.partition("/")[0]
        query = {"head": f"{owner}:{head_branch}", "state": "all"}
        found = self._client.listing(self._path(), query)
        parsed = (parse_pull_request(fields) for fields in found)
        ours = (pull for pull in parsed if not pull.from_fork and pull.head == head_branch)
        return tuple(sorted(ours, key=lambda pull: -pull.number))

    def pull_request(self, head_branch: str) -> PullRequest | None:
        """The newest pull request from the branch, with reviews, checks and remarks."""
        row = next(iter(self.rows(head_branch)), None)
        if row is None:
            return None
        # Not by its ETag, which may stay the same when GitHub has computed what can be merged.
        fields, _ = self._client.look(self._path(row.number))
        head_sha = text(mapping(fields.get("head")), "sha")
        base = text(mapping(fields.get("base")), "ref")
        state = _state(fields)
        behind, base_sha = (
            self._distance(base, head_sha) if state is PullState.OPEN else (False, "")
        )
        mergeable = fields.get("mergeable")
        return PullRequest(
            number=row.number,
            url=row.url,
            state=state,
            draft=fields.get("draft") is True,
            head_sha=head_sha,
            base=base,
            base_sha=base_sha,
            behind=behind,
            mergeable=mergeable if isinstance(mergeable, bool) else None,
            author_id=parse_account(fields.get("user")).id,
            reviews=self._reviews(row.number),
            checks=self._checks.of(head_sha),
            threads=self._threads(row.number),
        )

    def required_checks(self, base: str) -> tuple[RequiredCheck, ...]:
        """The checks that rulesets and the branch's protection require, each named once."""
        return self._checks.required(base)

    def check_detail(self, check: CheckRun) -> CheckDetail:
        """What an ended check left on lines and in its log."""
        return self._checks.detail(check)

    def mark_ready(self, number: int) -> None:
        """End the draft; nothing when it is none."""
        fields, _ = self._client.look(self._path(number))
        if fields.get("draft") is True:
            self._client.mutate(READY, {"input": {"pullRequestId": text(fields, "node_id")}})

    def find_merge(self, effect: MergePullRequest) -> str | None:
        """Where the merge of exactly this commit stands, or None."""
        row = self._row(effect)
        return row.url if row and row.merged and row.head_sha == effect.head_sha else None

    def merge(self, effect: MergePullRequest) -> str:
        """Merge where the head is still the expected commit; GitHub itself compares."""
        row = self._row(effect)
        if row is None:
            raise NotFound(f"there is no pull request from {effect.head}")
        body = {"sha": effect.head_sha, "merge_method": self._method()}
        try:
            self._client.write("PUT", f"{self._path(row.number)}/merge", body)
        except Unavailable:
            # It may have been merged all the same; only a look can tell.
            standing = self.find_merge(effect)
            if standing is None:
                raise
        return row.url

    def find_reply(self, effect: ReplyToRemark) -> str | None:
        """Where our reply with this marker stands, whatever else it says, or None."""
        us, marker = self._people.viewer().id, effect.body.partition("\n")[0]
        for fields in self._client.listing(self._beside(effect)):
            there = number(fields, "in_reply_to_id") == effect.remark_id
            ours = parse_account(fields.get("user")).id == us
            if there and ours and has_marker(text(fields, "body"), marker):
                return link(fields) or self._path(effect.pull_number)
        return None

    def reply(self, effect: ReplyToRemark) -> str:
        """Answer in the thread, or in the conversation where there is none."""
        path = self._beside(effect)
        if effect.remark_id:
            path += f"/{effect.remark_id}/replies"
        try:
            written = self._client.write("POST", path, {"body": _reply_text(effect)})
        except Unavailable:
            # It may have been written all the same; only a look can tell.
            standing = self.find_reply(effect)
            if standing is None:
                raise
            return standing
        return link(written) or self._path(effect.pull_number)

    def _row(self, effect: MergePullRequest) -> PullRow | None:
        return next(iter(self.rows(effect.head)), None)

    def _method(self) -> str:
        """The first way to merge that the repository allows; what it does not tell is allowed."""
        settings = self._client.get(self._client.root)
        allowed = (way for way, setting in METHODS.items() if settings.get(setting) is not False)
        return next(allowed, "merge")

    def _distance(self, base: str, head_sha: str) -> tuple[bool, str]:
        """Whether the base has commits that the head lacks, and where the base stands now."""
        pair = f"{quote(base, safe='')}...{head_sha}"
        fields = self._client.get(f"{self._client.root}/compare/{pair}")
        behind = number(fields, "behind_by") > 0
        return behind, text(mapping(fields.get("base_commit")), "sha")

    def _reviews(self, pull: int) -> tuple[PeerReview, ...]:
        found = self._client.listing(f"{self._path(pull)}/reviews")
        known = {state.value for state in ReviewState}
        return tuple(
            PeerReview(
                parse_account(fields.get("user")),
                ReviewState(text(fields, "state").lower()),
                text(fields, "commit_id"),
                number(fields, "id"),
                text(fields, "body"),
            )
            for fields in found
            if text(fields, "state").lower() in known
        )

    def _threads(self, pull: int) -> tuple[Thread, ...]:
        """The remarks on lines by thread; one whose first remark was deleted goes on."""
        threads: dict[int, list[Fields]] = {}
        for fields in self._client.listing(f"{self._path(pull)}/comments"):
            first = number(fields, "in_reply_to_id") or number(fields, "id")
            threads.setdefault(first, []).append(fields)
        return tuple(
            Thread(
                first,
                text(said[0], "path"),
                number(said[0], "line") or number(said[0], "original_line"),
                tuple(self._remark(fields) for fields in said),
            )
            for first, said in threads.items()
        )

    def _remark(self, fields: Fields) -> Remark:
        author = parse_account(fields.get("user"), fields.get("performed_via_github_app"))
        body = text(fields, "body")
        ours = is_marked(body) and author.id == self._people.viewer().id
        return Remark(number(fields, "id"), author, body, ours)

    def _beside(self, effect: ReplyToRemark) -> str:
        """Where replies of the effect's kind are listed."""
        if effect.remark_id:
            return f"{self._path(effect.pull_number)}/comments"
        return f"{self._client.root}/issues/{effect.pull_number}/comments"

    def _path(self, pull: int | None = None) -> str:
        return f"{self._client.root}/pulls" + (f"/{pull}" if pull else "")


def _reply_text(effect: ReplyToRemark) -> str:
    return shortened(storable(effect.body).replace("\r\n", "\n"))


def _state(fields: Fields) -> PullState:
    if fields.get("merged") is True or fields.get("merged_at"):
        return PullState.MERGED
    return PullState.OPEN if text(fields, "state").lower() == "open" else PullState.CLOSED
