"""Who somebody is on GitHub: ourselves, whoever set a label, and what a person may do."""

import threading
from datetime import UTC, datetime
from urllib.parse import quote

from repoagents.domain.issue import normal_labels
from repoagents.domain.people import Account, AccountKind, Permission
from repoagents.errors import Forbidden, GitHubError, NotFound
from repoagents.github.auth import CredentialSource
from repoagents.github.repository import GitHubClient
from repoagents.github.wire import mapping, number, parse_account, parse_labels, text

WHO_AM_I = "query { viewer { login databaseId } }"


class GitHubPeople:
    """`ports.People`: whatever cannot be read is raised, never taken for a no."""

    def __init__(self, client: GitHubClient, credentials: CredentialSource) -> None:
        self._client = client
        self._credentials = credentials
        self._lock = threading.Lock()
        self._viewer: Account | None = None

    def viewer(self) -> Account:
        """Our own account; asked once, for it does not change while the credential holds."""
        with self._lock:
            if self._viewer is None:
                self._viewer = self._who_am_i()
            return self._viewer

    def labelled_by(self, number: int, label: str) -> Account | None:
        """Who set the label that the issue carries now, by its timeline; None when nobody has."""
        wanted = normal_labels([label])
        who: Account | None = None
        for event in self._client.listing(f"{self._client.root}/issues/{number}/timeline"):
            kind = text(event, "event")
            if kind in ("labeled", "unlabeled") and parse_labels([event.get("label")]) == wanted:
                who = None
                if kind == "labeled":
                    who = parse_account(event.get("actor"), event.get("performed_via_github_app"))
        return who

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
        found = self._client.listing(f"{self._client.root}/issues", query, newest_first=True)
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
