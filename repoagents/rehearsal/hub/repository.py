"""The repository's conversations: issues, labels, comments, reactions and what happened to them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from threading import RLock

from repoagents.ports import Clock
from repoagents.rehearsal.hub.records import (
    MAXIMUM_BODY,
    MAXIMUM_TITLE,
    Comment,
    Edit,
    Happening,
    Issue,
    Label,
    Listener,
    Notice,
    Reaction,
)
from repoagents.rehearsal.hub.refusals import Refusal, invalid, not_found

FIRST_ID = 1_000_001
"""Far from any issue's number, so that mixing up id and number is seen."""


class Repository:
    """One repository's issues and pull requests; every change names who made it.

    Everything is done under `lock`, by whoever calls from outside this package's rooms.
    """

    def __init__(self, full_name: str, clock: Clock) -> None:
        self.full_name = full_name
        self.clock = clock
        self.lock = RLock()
        self.private = False
        self.archived = False
        self.default_branch = "main"
        self.labels: dict[str, Label] = {}
        self.issues: dict[int, Issue] = {}
        self.comments: dict[int, Comment] = {}
        self.happenings: list[Happening] = []
        self.listeners: list[Listener] = []
        self._last_id = FIRST_ID - 1
        self.id = self.next_id()
        self.created_at = self.now()

    def next_id(self) -> int:
        """An id that no object has yet."""
        self._last_id += 1
        return self._last_id

    def now(self) -> datetime:
        """The instant as GitHub gives it: whole seconds."""
        return self.clock.now().replace(microsecond=0)

    def tell(self, notice: Notice) -> None:
        """Tell every listener."""
        for listener in self.listeners:
            listener(notice)

    def happen(self, issue: Issue, name: str, by: str, **detail: object) -> None:
        """Write a line into the issue's timeline and touch the issue."""
        at = self.now()
        self.happenings.append(Happening(self.next_id(), issue.number, name, by, at, detail))
        issue.updated_at = at

    def issue(self, number: int) -> Issue:
        """The issue or pull request, or a 404."""
        if number not in self.issues:
            raise not_found()
        return self.issues[number]

    def open_issue(self, title: str, body: str | None, labels: Iterable[str], by: str) -> Issue:
        """Open an issue; its labels are told of one by one, as GitHub does."""
        issue = self.add(title, body, by)
        for name in labels:
            self._put_on(issue, name)
        self.tell(Notice("issues", "opened", by, issue))
        for name in issue.labels:
            self._labelled(issue, "labeled", name, by)
        return issue

    def add(self, title: str, body: str | None, by: str) -> Issue:
        """A new number with a checked title and body; nobody is told yet."""
        check_title(title)
        check_body("Issue", body)
        at, number = self.now(), len(self.issues) + 1
        self.issues[number] = Issue(self.next_id(), number, title, body, by, at, at)
        return self.issues[number]

    def edit(
        self, number: int, by: str, *, title: str | None = None, body: str | None = None
    ) -> None:
        """Change the text."""
        issue = self.issue(number)
        check_title(issue.title if title is None else title)
        check_body("Issue", body)
        changes: dict[str, object] = {}
        if title is not None and title != issue.title:
            changes["title"] = {"from": issue.title}
            self.happen(issue, "renamed", by, rename={"from": issue.title, "to": title})
            issue.title = title
        if body is not None and body != issue.body:
            changes["body"] = {"from": issue.body or ""}
            issue.edits = issue.edits or [Edit(issue.by, issue.created_at)]
            issue.edits.append(Edit(by, self.now()))
            issue.body = body
        if changes:
            issue.updated_at = self.now()
            self.tell(Notice(issue.kind, "edited", by, issue, detail={"changes": changes}))

    def close(self, number: int, by: str) -> None:
        """Close it; a merge closes its pull request by this door too."""
        issue = self.issue(number)
        if issue.state == "closed":
            return
        reason = None if issue.pull else "completed"
        self.happen(issue, "closed", by, state_reason=reason)
        issue.state, issue.closed_at, issue.closed_by = "closed", issue.updated_at, by
        issue.state_reason = reason
        self.tell(Notice(issue.kind, "closed", by, issue))

    def reopen(self, number: int, by: str) -> None:
        """Open it again."""
        issue = self.issue(number)
        if issue.state == "open":
            return
        issue.state, issue.closed_at, issue.closed_by = "open", None, ""
        issue.state_reason = None if issue.pull else "reopened"
        self.happen(issue, "reopened", by)
        self.tell(Notice(issue.kind, "reopened", by, issue))

    def lock_issue(self, number: int, by: str) -> None:
        """Lock the conversation."""
        issue = self.issue(number)
        if not issue.locked:
            issue.locked = True
            self.happen(issue, "locked", by, lock_reason=None)
            self.tell(Notice(issue.kind, "locked", by, issue))

    def transfer(self, number: int, to: str, by: str) -> None:
        """Move the issue into another repository; nothing but a signpost stays."""
        issue = self.issue(number)
        self.happen(issue, "transferred", by)
        self.tell(Notice("issues", "transferred", by, issue))
        issue.gone_to = to

    def label_named(self, name: str) -> Label | None:
        """The label, whatever the case."""
        return self.labels.get(name.lower())

    def create_label(self, name: str) -> Label:
        """A new label; 422 when the name is taken, in any case, or is too long."""
        if self.label_named(name):
            raise invalid("Label", "name", "already_exists")
        if not 1 <= len(name) <= 50:
            raise invalid("Label", "name", "invalid", "name is too long (maximum is 50 characters)")
        label = Label(self.next_id(), name)
        self.labels[name.lower()] = label
        return label

    def label(self, number: int, names: Iterable[str], by: str) -> None:
        """Add labels; one that the repository lacks is created."""
        issue = self.issue(number)
        for name in names:
            if self._put_on(issue, name):
                self._labelled(issue, "labeled", name, by)

    def unlabel(self, number: int, name: str, by: str) -> None:
        """Take one label off; 404 when it is not there."""
        issue, label = self.issue(number), self.label_named(name)
        if label is None or label.name not in issue.labels:
            raise Refusal(404, "Label does not exist")
        issue.labels.remove(label.name)
        self._labelled(issue, "unlabeled", label.name, by)

    def _put_on(self, issue: Issue, name: str) -> bool:
        label = self.label_named(name) or self.create_label(name)
        if label.name in issue.labels:
            return False
        issue.labels.append(label.name)
        return True

    def _labelled(self, issue: Issue, action: str, name: str, by: str) -> None:
        label = self.label_named(name)
        if label is not None:
            shown = {"name": label.name, "color": label.color}
            self.happen(issue, action, by, label=shown)
            self.tell(Notice(issue.kind, action, by, issue, label=label.name))

    def comment(self, number: int, body: str, by: str) -> Comment:
        """Say something below an issue or a pull request."""
        issue = self.issue(number)
        check_body("IssueComment", body)
        if not body.strip():
            raise invalid("IssueComment", "body", "missing_field", "Body can't be blank")
        at = self.now()
        comment = Comment(self.next_id(), number, by, body, at, at)
        self.comments[comment.id] = comment
        issue.updated_at = at
        self.tell(Notice("issue_comment", "created", by, issue, comment=comment))
        return comment

    def edit_comment(self, number: int, body: str, by: str) -> Comment:
        """Replace a comment's text; `number` is the comment's id."""
        comment = self.comment_numbered(number)
        check_body("IssueComment", body)
        before, comment.body, comment.updated_at = comment.body, body, self.now()
        issue = self.issue(comment.number)
        issue.updated_at = comment.updated_at
        detail: Mapping[str, object] = {"changes": {"body": {"from": before}}}
        self.tell(Notice("issue_comment", "edited", by, issue, comment=comment, detail=detail))
        return comment

    def delete_comment(self, number: int, by: str) -> None:
        """Take a comment away; `number` is the comment's id."""
        comment = self.comments.pop(self.comment_numbered(number).id)
        issue = self.issue(comment.number)
        self.tell(Notice("issue_comment", "deleted", by, issue, comment=comment))

    def comment_numbered(self, number: int) -> Comment:
        """The comment of that id, or a 404."""
        if number not in self.comments:
            raise not_found()
        return self.comments[number]

    def comments_of(self, number: int) -> list[Comment]:
        """Everything said below an issue, oldest first."""
        said = list(self.comments.values())  # at once: a request may add one meanwhile
        return [comment for comment in said if comment.number == number]

    def react(self, reactions: list[Reaction], content: str, by: str) -> tuple[Reaction, bool]:
        """Add an emoji; the same one of the same person is kept once."""
        for reaction in reactions:
            if (reaction.content, reaction.by) == (content, by):
                return reaction, False
        reactions.append(Reaction(self.next_id(), content, by, self.now()))
        return reactions[-1], True


def check_title(title: str) -> None:
    """Refuse a title that is empty or longer than GitHub stores."""
    if not title.strip():
        raise invalid("Issue", "title", "missing_field")
    if len(title) > MAXIMUM_TITLE:
        message = f"title is too long (maximum is {MAXIMUM_TITLE} characters)"
        raise invalid("Issue", "title", "custom", message)


def check_body(resource: str, body: str | None) -> None:
    """Refuse what is longer than GitHub stores."""
    if body is not None and len(body) > MAXIMUM_BODY:
        message = f"body is too long (maximum is {MAXIMUM_BODY} characters)"
        raise invalid(resource, "body", "custom", message)
