"""Who there is, what they may do, and how a request proves who it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import jwt
from jwt.types import Options

from repoagents.rehearsal.hub.refusals import Refusal, not_found
from repoagents.rehearsal.hub.repository import Repository

ROLES = ("none", "read", "triage", "write", "maintain", "admin")
LEVELS = ("none", "read", "write", "admin")
TOKEN_LIFE = timedelta(hours=1)
JWT_LIFE = 600


@dataclass
class Account:
    """A person, an App's bot, or somebody who pretends; `role` is what the repository grants."""

    id: int
    login: str
    role: str
    kind: str


@dataclass
class App:
    """A GitHub App and its one installation; `permissions` are what the owner granted."""

    id: int
    slug: str
    public_key: str
    installation: int
    permissions: dict[str, str]


@dataclass(frozen=True)
class Token:
    """What a token says about its bearer.

    `permissions` is None for a classic token, which may do whatever its account may.
    """

    value: str
    login: str
    kind: str
    permissions: Mapping[str, str] | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Caller:
    """Whoever sent a request: with a token, as an App (`app`), or anonymous (neither)."""

    account: Account | None = None
    token: Token | None = None
    app: App | None = None

    @property
    def login(self) -> str:
        """The acting account's login; empty for nobody."""
        return self.account.login if self.account else ""

    @property
    def role(self) -> str:
        """The acting account's role in the repository."""
        return self.account.role if self.account else "none"

    def has_role(self, role: str) -> bool:
        """Whether the account's role reaches this one; an App goes by its permissions alone."""
        if self.token is not None and self.token.kind == "installation":
            return True
        return ROLES.index(self.role) >= ROLES.index(role)

    def has(self, area: str, level: str) -> bool:
        """Whether the token reaches this level in this area; metadata is always readable."""
        if self.token is None or self.token.permissions is None or area == "metadata":
            return True
        held = self.token.permissions.get(area, "none")
        return LEVELS.index(held) >= LEVELS.index(level)


class Accounts:
    """Every account, token and App that this GitHub knows."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.accounts: dict[str, Account] = {}
        self.tokens: dict[str, Token] = {}
        self.apps: dict[int, App] = {}

    def add(self, login: str, role: str, kind: str = "User") -> Account:
        """A new account, or another role for one that exists."""
        known = self.find(login)
        if known is not None:
            known.role, known.kind = role, kind
            return known
        account = Account(self._repository.next_id(), login, role, kind)
        self.accounts[login.lower()] = account
        return account

    def find(self, login: str) -> Account | None:
        """The account, whatever the case; None for one that was deleted."""
        return self.accounts.get(login.lower())

    def issue_token(
        self,
        login: str,
        permissions: Mapping[str, str] | None = None,
        expires_at: datetime | None = None,
        kind: str = "",
    ) -> Token:
        """A token for an account: classic, or fine-grained when permissions are named."""
        kind = kind or ("classic" if permissions is None else "fine-grained")
        prefix = {"classic": "ghp_", "fine-grained": "github_pat_", "installation": "ghs_"}[kind]
        value = prefix + self._repository.clock.token(36)
        self.tokens[value] = Token(value, login, kind, permissions, expires_at)
        return self.tokens[value]

    def install(self, slug: str, public_key: str, permissions: Mapping[str, str]) -> App:
        """An App with one installation, on this repository."""
        ids = self._repository.next_id
        app = App(ids(), slug, public_key, ids(), {"metadata": "read", **permissions})
        self.apps[app.id] = app
        self.add(f"{slug}[bot]", "none", "Bot")
        return app

    def installation_token(self, app: App, asked: Mapping[str, str]) -> Token:
        """A token of one hour, with the permissions that were asked for, or with all."""
        for area, level in asked.items():
            granted = app.permissions.get(area, "none")
            if level not in LEVELS or LEVELS.index(granted) < LEVELS.index(level):
                raise Refusal(
                    422, "The permissions requested are not granted to this installation."
                )
        permissions = {**asked, "metadata": "read"} if asked else dict(app.permissions)
        expires_at = self._repository.now() + TOKEN_LIFE
        return self.issue_token(f"{app.slug}[bot]", permissions, expires_at, "installation")

    def caller(self, authorization: str | None) -> Caller:
        """Who the header stands for; 401 for a credential that is not known or has expired."""
        if not authorization:
            return Caller()
        _, _, value = authorization.partition(" ")
        if value.count(".") == 2:
            return Caller(app=self._app(value))
        token = self.tokens.get(value)
        account = self.find(token.login) if token else None
        if token is None or account is None or self._expired(token):
            raise Refusal(401, "Bad credentials")
        return Caller(account, token)

    def _expired(self, token: Token) -> bool:
        return token.expires_at is not None and token.expires_at <= self._repository.clock.now()

    def _app(self, assertion: str) -> App:
        """The App whose key signed the JWT; time is checked by the clock of this GitHub."""
        try:
            claims = jwt.decode(assertion, options={"verify_signature": False})
            app = self.apps.get(int(claims["iss"]))
            if app is None:
                raise Refusal(404, "Integration not found")
            lenient: Options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
            jwt.decode(assertion, app.public_key, algorithms=["RS256"], options=lenient)
            issued, expires = int(claims["iat"]), int(claims["exp"])
        except (jwt.InvalidTokenError, KeyError, ValueError) as error:
            raise Refusal(401, "A JSON web token could not be decoded") from error
        now = self._repository.clock.now().timestamp()
        if expires <= now:
            raise Refusal(401, "'Expiration time' claim ('exp') must be in the future")
        if expires - now > JWT_LIFE or issued > now + 1:
            raise Refusal(401, "'Expiration time' claim ('exp') is too far in the future")
        return app

    def app_installed(self, installation: int, caller: Caller) -> App:
        """The calling App, when the installation is its own; else a 404."""
        if caller.app is None or caller.app.installation != installation:
            raise not_found()
        return caller.app
