"""Who somebody is on GitHub: ourselves, whoever set a label, and what a person may do."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote

from repoagents.domain.issue import Issue, normal_labels
from repoagents.domain.people import Account, AccountKind, Act, Permission
from repoagents.errors import Forbidden, GitHubError, NotFound, Unavailable
from repoagents.github.auth import CredentialSource
from repoagents.github.repository import GitHubClient
from repoagents.github.wire import (
    Fields,
    instant,
    items,
    mapping,
    number,
    parse_account,
    parse_actor,
    parse_labels,
    text,
)

WHO_AM_I = "query { viewer { login databaseId } }"


EDITS = """query ($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    issue(number: $number) {
      title
      body
      lastEditedAt
      editor { ...who }
      userContentEdits(first: 100) {
        pageInfo { hasNextPage }
        nodes { editedAt editor { ...who } }
      }
      timelineItems(itemTypes: [RENAMED_TITLE_EVENT], first: 100) {
        pageInfo { hasNextPage }
        nodes { ... on RenamedTitleEvent { createdAt actor { ...who } } }
      }
    }
  }
}
fragment who on Actor {
  __typename
  login
  ... on User { databaseId }
  ... on Bot { databaseId }
}"""
"""The REST API tells of changed titles, but not of changed bodies."""


class GitHubPeople:
    """`ports.People`: whatever cannot be read is raised, never taken for a no."""

    def __init__(self, client: GitHubClient, credentials: CredentialSource) -> None:
        self._client = client
        self._credentials = credentials
        self._lock = threading.Lock()
        self._viewer: Account | None = None
        self._edits: dict[int, tuple[str, datetime, tuple[Act, ...]]] = {}

    def viewer(self) -> Account:
        """Our own account; asked once, for it does not change while the credential holds."""
        with self._lock:
            if self._viewer is None:
                self._viewer = self._who_am_i()
            return self._viewer

    def labelled_by(self, number: int, label: str) -> Act | None:
        """Who set the label that the issue carries now, by its timeline; None when nobody has."""
        wanted = normal_labels([label])
        who: Act | None = None
        for event in self._client.listing(f"{self._client.root}/issues/{number}/timeline"):
            kind = text(event, "event")
            if kind in ("labeled", "unlabeled") and parse_labels([event.get("label")]) == wanted:
                by = parse_account(event.get("actor"), event.get("performed_via_github_app"))
                at = instant(event, "created_at")
                who = Act(by, at) if at and kind == "labeled" else None
        return who

    def edits_since(self, issue: Issue, at: datetime) -> tuple[Act, ...]:
        """Who changed title or body; asked once for a text and an instant.

        Raises `Unavailable` for a text that another one has taken the place of: some of GitHub's
        servers know of a change earlier than others.
        """
        known = self._edits.get(issue.number)
        if known is not None and known[:2] == (issue.fingerprint, at):
            return known[2]
        owner, _, name = self._client.repo.partition("/")
        asked = {"owner": owner, "name": name, "number": issue.number}
        told = mapping(mapping(self._client.query(EDITS, asked).get("repository")).get("issue"))
        stands = replace(issue, title=text(told, "title"), body=text(told, "body"))
        if stands.fingerprint != issue.fingerprint:
            raise Unavailable(
                f"issue {issue.number} was changed while it was read",
                next_step="Nothing to do: it is looked at again.",
            )
        acts = tuple(act for act in _edits(told, issue.number) if act.at >= at)
        self._edits[issue.number] = (issue.fingerprint, at, acts)
        return acts

    def permission(self, login: str) -> Permission:
        """What an account may do in the repository; `none` when GitHub knows none by that name.

        Raises `Forbidden` when the credential may not ask.
        """
        path = f"{self._client.root}/collaborators/{quote(login, safe='')}/permission"
        try:
            told = self._client.get(path)
        except NotFound:
            return Permission.NONE
        except Forbidden as error:
            raise Forbidden(
                f"it cannot be read what {login} may do: {error}",
                kind=error.kind,
                next_step="Give the credential push access to the repository, an App"
                " `metadata: read`: without it nobody's request can be accepted.",
            ) from error
        # An organization's own roles have a name of their own beside the role they stand on.
        known = {level.value for level in Permission}
        for name in (text(told, "role_name"), text(told, "permission")):
            if name in known:
                return Permission(name)
        return Permission.NONE

    def commented_since(self, at: datetime) -> tuple[int, ...]:
        """The numbers of issues and pull requests that changed in any way since then."""
        since = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        query = {"state": "all", "since": since, "sort": "updated", "direction": "desc"}
        found = self._client.listing(f"{self._client.root}/issues", query)
        return tuple(filter(None, (number(fields, "number") for fields in found)))

    def _who_am_i(self) -> Account:
        match self._credentials.current().kind:
            case "app":
                # An installation has no /user; the App's account bears its name and is a bot.
                login = f"{text(self._client.as_app('/app'), 'slug')}[bot]"
                me = parse_account(self._client.get(f"/users/{quote(login, safe='')}"))
            case "actions":
                told = mapping(self._client.query(WHO_AM_I).get("viewer"))
                me = Account(text(told, "login"), number(told, "databaseId"), AccountKind.BOT)
            case _:
                me = parse_account(self._client.get("/user"))
        if not me.id:
            raise GitHubError(
                "GitHub does not say whose credential this is",
                next_step="Look at `repoagents doctor`; use a personal token or a GitHub App.",
            )
        return me


def _edits(told: Fields, issue: int) -> Iterator[Act]:
    """Every change of an issue's body and title, those of the body's last one twice."""
    edits, renames = mapping(told.get("userContentEdits")), mapping(told.get("timelineItems"))
    for part in (edits, renames):
        if mapping(part.get("pageInfo")).get("hasNextPage") is True:
            raise GitHubError(
                f"issue {issue} was changed too often to tell by whom",
                next_step=f"Read it, then `repoagents trigger {issue}`.",
            )
    if told.get("lastEditedAt"):
        yield _act(told, "editor", "lastEditedAt")
    for edit in items(edits, "nodes"):
        yield _act(edit, "editor", "editedAt")
    for rename in items(renames, "nodes"):
        yield _act(rename, "actor", "createdAt")


def _act(fields: Fields, who: str, when: str) -> Act:
    at = instant(fields, when)
    if at is None:
        raise Unavailable(f"GitHub does not say when a text was changed: {when}")
    return Act(parse_actor(fields.get(who)), at)
