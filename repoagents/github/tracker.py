"""Issues, comments and pull requests of one repository on GitHub."""

from contextlib import suppress
from urllib.parse import quote

from repoagents.domain.effect import (
    Effect,
    MergePullRequest,
    OpenDraftPullRequest,
    PostComment,
    React,
    ReplyToRemark,
    SetLabel,
    effect_name,
)
from repoagents.domain.invisible import storable
from repoagents.domain.issue import Comment, Issue, canonical, normal_labels
from repoagents.domain.markers import has_marker
from repoagents.domain.people import AccountKind
from repoagents.errors import GitHubError, NotFound, Unavailable
from repoagents.github.comments import (
    is_marked,
    is_untouched,
    known_comments,
    render_comment,
    signed,
)
from repoagents.github.people import GitHubPeople
from repoagents.github.pulls import GitHubPulls
from repoagents.github.repository import GitHubClient
from repoagents.github.wire import (
    Fields,
    PostedComment,
    PullRow,
    link,
    mapping,
    number,
    parse_comment,
    parse_issue,
    parse_labels,
    text,
)
from repoagents.ports import Hooks, Inspection

TITLE_CHARACTERS = 256
ALREADY = "A pull request already exists"
"""How GitHub refuses (422) a second pull request from a branch."""

NO_DRAFTS = "Draft pull requests are not supported"
"""How it refuses one in a private repository of a plan without drafts."""


class GitHubTracker:
    """`ports.Tracker` over one repository; `problems` says what the latest listing left out.

    With a `trigger_label` only issues that carry it are listed; None lists every open one.
    """

    def __init__(
        self, client: GitHubClient, people: GitHubPeople, trigger_label: str | None
    ) -> None:
        self._client = client
        self.people = people
        self._label = trigger_label
        self.pulls = GitHubPulls(client, people)
        self.inspection: Inspection | None = None
        self.hooks: Hooks | None = None
        self.problems: tuple[str, ...] = ()

    def read_issues(self) -> tuple[Issue, ...]:
        """The open issues by number, as they stood at one instant, without their comments."""
        query = {"state": "open", "sort": "updated", "direction": "desc"}
        if self._label:
            query["labels"] = self._label
        found = self._client.listing(f"{self._client.root}/issues", query, newest_first=True)
        read = [parse_issue(fields) for fields in found]
        self.problems = tuple(problem for problem in read if isinstance(problem, str))
        issues = {i.number: i for i in read if isinstance(i, Issue) and not i.pull_request}
        return tuple(issues[number] for number in sorted(issues))

    def read_issue(self, number: int) -> Issue | None:
        """One issue or pull request with its comments, open or closed.

        None when it is not there: never made, deleted, or moved to another repository.
        """
        path = self._path(number)
        try:
            fields, moved = self._client.look(path)
        except NotFound:
            # A credential that lost its access sees no issue either; that must not end any run.
            self._client.get(self._client.root)
            return None
        if moved and not self._is_here(fields, number):
            return None
        comments = self._read_comments(number) if fields.get("comments") else ()
        issue = parse_issue(fields, comments)
        if isinstance(issue, str) or issue.number != number:
            raise Unavailable(f"GET {path}: the answer is not issue {number}")
        return issue

    def find(self, effect: Effect) -> str | None:
        """Where the effect stands with this content, or None.

        A pull request whose text a person has written or edited stands as it is. A reaction is not
        looked for: GitHub keeps the same one once.
        """
        match effect:
            case PostComment():
                found = self._own_comments(effect)
                alone = len(found) == 1 and _says(found[0], effect)
                return found[0].url if alone else None
            case OpenDraftPullRequest():
                standing = self._standing(effect)
                return standing.url if standing and not self._is_old(standing, effect) else None
            case SetLabel():
                return self._find_label(effect)
            case MergePullRequest():
                return self.pulls.find_merge(effect)
            case ReplyToRemark():
                return self.pulls.find_reply(effect)
            case React():
                return None
            case _:
                raise _not_for_trackers(effect)

    def perform(self, effect: Effect) -> str:
        """Do it; a comment of ours is edited, an open pull request adopted, a label set alone."""
        match effect:
            case PostComment():
                return self._put_comment(effect)
            case OpenDraftPullRequest():
                return self._open(effect)
            case SetLabel():
                return self._set_label(effect)
            case MergePullRequest():
                return self.pulls.merge(effect)
            case ReplyToRemark():
                return self.pulls.reply(effect)
            case React():
                return self._react(effect)
            case _:
                raise _not_for_trackers(effect)

    def amend(self, effect: Effect, location: str) -> str | None:
        """Edit our comment, by its listing or where it stood; a reply stands as it was written."""
        if not isinstance(effect, PostComment):
            return self.find(effect)
        own, known = self._own_comments(effect), known_comments(location)
        if not own:
            return self._edit_comment(effect, *known) if known else None
        # With a user's token a person may have begun a comment with a copy of our marker.
        same = [c for c in own[1:] if c.id in known or c.body == own[0].body or _says(c, effect)]
        return self._edit_comment(effect, own[0].id, *(doubled.id for doubled in same))

    # --- comments ---------------------------------------------------------------------------

    def _posted(self, number: int) -> tuple[PostedComment, ...]:
        found = self._client.listing(f"{self._path(number)}/comments")
        return tuple(parse_comment(fields) for fields in found)

    def _read_comments(self, number: int) -> tuple[Comment, ...]:
        return tuple(
            Comment(
                author=posted.author.login,
                body=posted.body,
                ours=self._is_ours(posted),
                id=posted.id,
                author_id=posted.author.id,
                bot=posted.author.kind is AccountKind.BOT,
                created_at=posted.created_at,
                changed_at=posted.changed_at,
            )
            for posted in self._posted(number)
        )

    def _is_ours(self, posted: PostedComment) -> bool:
        return is_marked(posted.body) and posted.author.id == self.people.viewer().id

    def _own_comments(self, effect: PostComment) -> list[PostedComment]:
        """The comments with this marker that the bot itself wrote, oldest first: one, mostly."""
        marked = [c for c in self._posted(effect.issue_number) if has_marker(c.body, effect.marker)]
        return [posted for posted in marked if self._is_ours(posted)]

    def _put_comment(self, effect: PostComment) -> str:
        standing = self.amend(effect, "")
        if standing is not None:
            return standing
        try:
            path = f"{self._path(effect.issue_number)}/comments"
            return self._place(effect, self._client.write("POST", path, _body_of(effect)))
        except Unavailable:
            # It may have been written all the same; only a look can tell.
            standing = self.find(effect)
            if standing is None:
                raise
            return standing

    def _edit_comment(self, effect: PostComment, first: int, *others: int) -> str | None:
        """Edit the first and delete the others, which are the bot's; None when it is gone."""
        place = f"{self._client.root}/issues/comments"
        try:
            written = self._client.write("PATCH", f"{place}/{first}", _body_of(effect))
        except NotFound:
            return None
        for doubled in others:
            with suppress(NotFound):
                self._client.write("DELETE", f"{place}/{doubled}", None)
        return self._place(effect, written)

    def _place(self, effect: PostComment, fields: Fields) -> str:
        return link(fields) or f"{self._client.repo} issue {effect.issue_number}"

    def _react(self, effect: React) -> str:
        path = f"{self._client.root}/issues/comments/{effect.comment_id}/reactions"
        self._client.write("POST", path, {"content": "eyes"})
        return f"{self._client.repo} issue {effect.issue_number}, comment {effect.comment_id}"

    # --- labels -----------------------------------------------------------------------------

    def _find_label(self, effect: SetLabel) -> str | None:
        fields = self._client.get(self._path(effect.issue_number))
        carried = set(normal_labels([effect.label])) <= set(parse_labels(fields.get("labels")))
        return link(fields) or self._path(effect.issue_number) if carried is effect.on else None

    def _set_label(self, effect: SetLabel) -> str:
        """Add or remove the one label; the set as a whole is never written."""
        path = f"{self._path(effect.issue_number)}/labels"
        try:
            if effect.on:
                self._client.write("POST", path, {"labels": [effect.label]})
            else:
                self._client.write("DELETE", f"{path}/{quote(effect.label, safe='')}", None)
        except (Unavailable, NotFound):
            # Done although the answer was lost, or nothing to remove; only a look can tell.
            if self._find_label(effect) is None:
                raise
        return f"label {effect.label} {'on' if effect.on else 'off'} issue {effect.issue_number}"

    # --- pull requests ----------------------------------------------------------------------

    def _standing(self, effect: OpenDraftPullRequest) -> PullRow | None:
        return next((pull for pull in self.pulls.rows(effect.head) if pull.is_open), None)

    def _open(self, effect: OpenDraftPullRequest) -> str:
        standing = self._standing(effect)
        if standing is not None:
            return self._adopt(standing, effect)
        self._respect_a_no(effect)
        body = {
            "title": storable(effect.title)[:TITLE_CHARACTERS],
            "body": signed(effect.body),
            "head": effect.head,
            "base": effect.base,
            "draft": True,
        }
        try:
            written = self._client.write("POST", f"{self._client.root}/pulls", body)
        except GitHubError as error:
            # Written although the answer was lost, or by somebody else in between (422).
            standing = self._standing(effect)
            if standing is not None:
                return standing.url
            if ALREADY in str(error):
                raise Unavailable(f"{error} It is not listed yet.") from error
            error.next_step = error.next_step or _by_hand(str(error), effect)
            raise
        return link(written) or f"{self._client.repo} pull request {number(written, 'number')}"

    def _adopt(self, standing: PullRow, effect: OpenDraftPullRequest) -> str:
        """Take the open pull request for ours; its text is brought up to date, never its title."""
        if self._is_old(standing, effect):
            path = f"{self._client.root}/pulls/{standing.number}"
            try:
                self._client.write("PATCH", path, {"body": signed(effect.body)})
            except Unavailable:
                if self.find(effect) is None:
                    raise
        return standing.url

    def _is_old(self, pull: PullRow, effect: OpenDraftPullRequest) -> bool:
        """Whether a pull request has a text of ours, but not this one."""
        if canonical(pull.body) == canonical(signed(effect.body)) or not is_untouched(pull.body):
            return False
        return pull.author.id == self.people.viewer().id

    def _respect_a_no(self, effect: OpenDraftPullRequest) -> None:
        """Refuse what a person has closed without a merge; another commit is another question."""
        pulls = self.pulls.rows(effect.head)
        closed = [pull for pull in pulls if not pull.merged and not pull.is_open]
        if not closed:
            return
        ref = self._client.get(f"{self._client.root}/git/ref/heads/{quote(effect.head)}")
        head = text(mapping(ref.get("object")), "sha")
        for pull in closed:
            if pull.head_sha == head:
                raise GitHubError(
                    f"pull request {pull.number} with this very content was closed: that is a no",
                    kind="declined",
                    next_step=f"Reopen {pull.url}, or ask for something else:"
                    f" `repoagents retry {effect.issue_number} --note TEXT`.",
                )

    # --- where things are -------------------------------------------------------------------

    def _path(self, number: int) -> str:
        return f"{self._client.root}/issues/{number}"

    def _is_here(self, fields: Fields, wanted: int) -> bool:
        """Whether an issue behind a redirect is still of our repository, which was renamed."""
        here = text(self._client.get(self._client.root), "url").lower()
        there = text(fields, "repository_url").lower()
        return bool(here) and here == there and number(fields, "number") == wanted


def _body_of(effect: PostComment) -> Fields:
    return {"body": render_comment(effect)}


def _by_hand(refusal: str, effect: OpenDraftPullRequest) -> str:
    """What a person can do where GitHub takes no pull request from the bot."""
    if NO_DRAFTS in refusal:
        return f"The plan of the repository has no drafts: open one from {effect.head} by hand."
    return f"Look at the branch {effect.head}, then `repoagents retry {effect.issue_number}`."


def _says(posted: PostedComment, effect: PostComment) -> bool:
    return canonical(posted.body) == canonical(render_comment(effect))


def _not_for_trackers(effect: Effect) -> GitHubError:
    return GitHubError(f"a tracker cannot carry out this effect: {effect_name(effect)}")
