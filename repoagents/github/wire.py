"""GitHub's JSON, read one way only: the fields that are needed, the rest left alone."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from repoagents.domain.invisible import storable
from repoagents.domain.issue import Comment, Issue, IssueState, normal_labels
from repoagents.domain.people import Account, AccountKind

Fields = Mapping[str, object]
"""A JSON object; nothing is known of its values until they are asked for."""


@dataclass(frozen=True)
class PostedComment:
    """A comment as GitHub keeps it; `id` is the comment's."""

    id: int
    author: Account
    body: str
    url: str
    created_at: datetime | None
    changed_at: datetime | None = None


@dataclass(frozen=True)
class PullRow:
    """What is needed of a pull request; `from_fork` is true unless its head is in its base."""

    number: int
    is_open: bool
    merged: bool
    head: str
    head_sha: str
    from_fork: bool
    author: Account
    body: str
    url: str


def mapping(value: object) -> Fields:
    """The value when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(fields: Fields, name: str) -> tuple[Fields, ...]:
    """The objects of a list; none when there is no list."""
    value = fields.get(name)
    return tuple(mapping(item) for item in value) if isinstance(value, list) else ()


def text(fields: Fields, name: str) -> str:
    """A text; empty when there is none."""
    value = fields.get(name)
    return storable(value) if isinstance(value, str) else ""


def number(fields: Fields, name: str) -> int:
    """A positive whole number; 0 when there is none."""
    value = fields.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def link(fields: Fields) -> str:
    """The page for people; empty unless it is an http address."""
    url = text(fields, "html_url")
    return url if url.startswith(("https://", "http://")) else ""


def instant(fields: Fields, name: str) -> datetime | None:
    """An aware instant; None when there is none."""
    try:
        at = datetime.fromisoformat(text(fields, name))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def parse_account(value: object, app: object = None) -> Account:
    """Somebody; id 0 for a deleted account (null). What a GitHub App does for a person is its own.

    `app` is the `performed_via_github_app` beside it.
    """
    fields = mapping(value)
    human = text(fields, "type") in ("User", "") and not mapping(app)
    kind = AccountKind.USER if human else AccountKind.BOT
    return Account(text(fields, "login"), number(fields, "id"), kind)


def parse_actor(value: object) -> Account:
    """Somebody as GraphQL tells it, where an App's bot lacks the end of its name."""
    fields = mapping(value)
    login, kind = text(fields, "login"), text(fields, "__typename")
    if kind == "Bot" and not login.endswith("[bot]"):
        login += "[bot]"
    human = kind in ("User", "")
    return Account(
        login, number(fields, "databaseId"), AccountKind.USER if human else AccountKind.BOT
    )


def parse_labels(value: object) -> tuple[str, ...]:
    """Label names in their one form; GitHub gives objects, older payloads plain names."""
    items: Sequence[object] = value if isinstance(value, list) else ()
    names = [text(item if isinstance(item, dict) else {"name": item}, "name") for item in items]
    return normal_labels(names)


def parse_issue(fields: Fields, comments: tuple[Comment, ...] = ()) -> Issue | str:
    """The issue, or what is wrong with the record in a sentence."""
    found = number(fields, "number")
    if not found:
        shown = json.dumps(text(fields, "title")[:80], ensure_ascii=False)
        return f"a record of GitHub's issue listing has no number, title {shown}: left out"
    closed = text(fields, "state").lower() == "closed"
    return Issue(
        number=found,
        title=text(fields, "title"),
        body=text(fields, "body"),
        labels=parse_labels(fields.get("labels")),
        state=IssueState.CLOSED if closed else IssueState.OPEN,
        author=parse_account(fields.get("user")).login,
        comments=comments,
        created_at=instant(fields, "created_at"),
        source=link(fields) or f"issue {found}",
        assignees=_logins(fields.get("assignees")),
        milestone=text(mapping(fields.get("milestone")), "title"),
        locked=fields.get("locked") is True,
        pull_request=bool(fields.get("pull_request")),
    )


def parse_comment(fields: Fields) -> PostedComment:
    """A comment."""
    author = parse_account(fields.get("user"), fields.get("performed_via_github_app"))
    return PostedComment(
        number(fields, "id"),
        author,
        text(fields, "body"),
        link(fields),
        instant(fields, "created_at"),
        instant(fields, "updated_at"),
    )


def parse_pull_request(fields: Fields) -> PullRow:
    """A pull request; a deleted fork has no head repository."""
    head, base = (
        number(mapping(mapping(fields.get(end)).get("repo")), "id") for end in ("head", "base")
    )
    return PullRow(
        number(fields, "number"),
        text(fields, "state").lower() == "open",
        bool(fields.get("merged_at")),
        text(mapping(fields.get("head")), "ref"),
        text(mapping(fields.get("head")), "sha"),
        not head or head != base,
        parse_account(fields.get("user")),
        text(fields, "body"),
        link(fields),
    )


def _logins(value: object) -> tuple[str, ...]:
    logins = (text(mapping(item), "login") for item in (value if isinstance(value, list) else ()))
    return tuple(login for login in logins if login)
