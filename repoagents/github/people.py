"""Who somebody is on GitHub: ourselves, whoever set a label, and what a person may do."""

import threading
from typing import Literal
from urllib.parse import quote

from repoagents.domain.issue import normal_labels
from repoagents.errors import Forbidden, GitHubError, NotFound
from repoagents.github.auth import CredentialSource
from repoagents.github.repository import GitHubClient
from repoagents.github.wire import Actor, mapping, number, parse_actor, parse_labels, text

Permission = Literal["admin", "maintain", "write", "triage", "read", "none"]
_LEVELS: dict[str, Permission] = {
    "admin": "admin",
    "maintain": "maintain",
    "write": "write",
    "triage": "triage",
    "read": "read",
}

WHO_AM_I = "query { viewer { login databaseId } }"


class People:
    """Reads accounts and permissions; whatever cannot be read is raised, never taken for a no."""

    def __init__(self, client: GitHubClient, credentials: CredentialSource) -> None:
        self._client = client
        self._credentials = credentials
        self._lock = threading.Lock()
        self._viewer: Actor | None = None

    def viewer(self) -> Actor:
        """Our own account; asked once, for it does not change while the credential holds."""
        with self._lock:
            if self._viewer is None:
                self._viewer = self._who_am_i()
            return self._viewer

    def labelled_by(self, issue_number: int, label: str) -> Actor | None:
        """Who set a label that an issue carries, by its timeline; None when it carries it not."""
        (wanted,) = normal_labels([label]) or ("",)
        who: Actor | None = None
        path = f"{self._client.root}/issues/{issue_number}/timeline"
        for event in self._client.listing(path):
            kind = text(event, "event")
            if kind in ("labeled", "unlabeled") and parse_labels([event.get("label")]) == (wanted,):
                who = None
                if kind == "labeled":
                    who = parse_actor(event.get("actor"), event.get("performed_via_github_app"))
        return who

    def permission(self, login: str, account_id: int = 0) -> Permission:
        """What somebody may do in the repository; `none` for accounts that GitHub does not know.

        With an `account_id`, a login that meanwhile belongs to somebody else is `none`. Raises
        `Forbidden` when the credential may not ask.
        """
        path = f"{self._client.root}/collaborators/{quote(login, safe='')}/permission"
        try:
            told = self._client.get(path)
        except NotFound:
            return "none"
        except Forbidden as error:
            raise Forbidden(
                f"it cannot be read what {login} may do: {error}",
                kind=error.kind,
                next_step="Give the credential push access to the repository, an App"
                " `metadata: read`: without it nobody's request can be accepted.",
            ) from error
        if account_id and number(mapping(told.get("user")), "id") != account_id:
            return "none"
        role = text(told, "role_name")
        return _LEVELS.get(role) or _LEVELS.get(text(told, "permission")) or "none"

    def _who_am_i(self) -> Actor:
        kind = self._credentials.current().kind
        if kind in ("app", "actions"):
            # An installation has no /user; GraphQL knows its bot.
            told = mapping(self._client.query(WHO_AM_I).get("viewer"))
            me = Actor(text(told, "login"), number(told, "databaseId"), "Bot")
        else:
            me = parse_actor(self._client.get("/user"))
        if not me.id:
            raise GitHubError(
                "GitHub does not say whose credential this is",
                next_step="Look at `repoagents doctor`; use a personal token or a GitHub App.",
            )
        return me
