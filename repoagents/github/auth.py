"""Whom the bot is to GitHub: a token, what `gh` knows, or a GitHub App's installation."""

import base64
import json
import re
import stat
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from repoagents.domain.access import CredentialKind
from repoagents.domain.host_settings import AppSettings
from repoagents.domain.settings import TrackerSettings
from repoagents.errors import ConfigError, GitHubError, Unavailable
from repoagents.github.answers import Answer, Ask, refusal
from repoagents.github.wire import Fields, instant, mapping, text
from repoagents.ports import Clock

RENEWED_BEFORE = timedelta(minutes=5)
JWT_BACKDATED = timedelta(seconds=60)
JWT_LIVES = timedelta(minutes=9)
"""GitHub takes ten minutes at most; the tenth is for a clock that is ahead."""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")


@dataclass(frozen=True)
class Credential:
    """What is sent to GitHub, and what may be told of it.

    `source` says where it came from, `scopes` what it may do as far as that is known. `issued_at`
    is set for tokens that we asked for ourselves.
    """

    kind: CredentialKind
    source: str
    token: str = field(repr=False)
    expires_at: datetime | None = None
    scopes: tuple[str, ...] = ()
    issued_at: datetime | None = None

    @property
    def authorization(self) -> str:
        """The header's value; a secret."""
        return f"Bearer {self.token}"


class CredentialSource(Protocol):
    """Where credentials come from; any number of threads may ask at once."""

    def current(self) -> Credential:
        """One that holds for the next minutes."""

    def renew(self, stale: Credential) -> bool:
        """GitHub refused this one: whether `current` now gives another."""

    def jwt(self) -> str:
        """The App's own signature, for what no installation may ask; empty when this is none."""


class GivenToken:
    """A token from a variable: nobody can renew it but the operator."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    def current(self) -> Credential:
        """The token."""
        return self._credential

    def renew(self, stale: Credential) -> bool:
        """No."""
        return False

    def jwt(self) -> str:
        """None: this is no App."""
        return ""


class AskedToken:
    """What `gh auth token` says; asked again when GitHub refuses it, for `gh` may renew it."""

    def __init__(self, first: str, ask: Callable[[], str]) -> None:
        self._lock = threading.Lock()
        self._ask = ask
        self._credential = Credential("gh", "gh auth token", first)

    def current(self) -> Credential:
        """The token as it was last told."""
        return self._credential

    def renew(self, stale: Credential) -> bool:
        """Whether `gh` knows another one by now."""
        with self._lock:
            token = self._ask()
            if self._credential == stale and token:
                self._credential = Credential("gh", "gh auth token", checked(token, "gh"))
            return self._credential != stale

    def jwt(self) -> str:
        """None: this is no App."""
        return ""


class Mints(Protocol):
    """Carries a request that is signed by the App itself, not by an installation."""

    def send(self, ask: Ask, authorization: str) -> Answer:
        """The answer, whatever its status."""


BESIDE_CHECKS: Mapping[str, str] = {"actions": "read"}
"""What reads the log of a failed check, a help to the builder and no more."""


class AppInstallation:
    """Installation tokens of a GitHub App: an hour each, renewed five minutes before the end.

    `permissions` is what every token is narrowed to, besides the one repository. Where they hold
    `checks`, `BESIDE_CHECKS` is asked for too, and done without when its owner has not granted it.
    """

    def __init__(
        self,
        key: "AppKey",
        installation_id: int,
        repo: str,
        permissions: Mapping[str, str],
        door: Mints,
    ) -> None:
        self._key = key
        self._installation = installation_id
        self._repo = repo
        self._permissions = dict(permissions)
        self._beside = BESIDE_CHECKS if "checks" in permissions else {}
        self._door = door
        self._lock = threading.Lock()
        self._credential: Credential | None = None

    def current(self) -> Credential:
        """A token that lives for five more minutes; one thread renews, the others wait for it."""
        with self._lock:
            known, now = self._credential, self._key.clock.now()
            if known is None or known.expires_at is None or known.expires_at - now < RENEWED_BEFORE:
                known = self._credential = self._mint()
            return known

    def renew(self, stale: Credential) -> bool:
        """Drop the refused token, unless another thread has done so."""
        with self._lock:
            if self._credential == stale:
                self._credential = None
        return True

    def jwt(self) -> str:
        """A signature for the next nine minutes."""
        return self._key.sign()

    def _mint(self) -> Credential:
        ask, answer = self._request({**self._permissions, **self._beside})
        if answer.status == 422 and self._beside:
            self._beside = {}
            ask, answer = self._request(self._permissions)
        if answer.status != 201:
            raise self._refused(refusal(ask, answer))
        told = answer.fields(ask)
        now = self._key.clock.now()
        return Credential(
            "app",
            f"GitHub App {self._key.app_id}, installation {self._installation}",
            checked(text(told, "token"), "the App's installation"),
            instant(told, "expires_at") or now + timedelta(hours=1),
            _granted(told, self._permissions),
            now,
        )

    def _refused(self, error: GitHubError) -> GitHubError:
        """What is wrong with the App; a GitHub that is out of order says nothing of it."""
        if not isinstance(error, Unavailable):
            error.next_step = (
                "Look at tracker.app.id, installation_id and the key, at this machine's clock, and "
                "whether the App is installed on the repository with the permissions "
                + ", ".join(f"{name}: {level}" for name, level in self._permissions.items())
            )
        return error

    def _request(self, permissions: Mapping[str, str]) -> tuple[Ask, Answer]:
        path = f"/app/installations/{self._installation}/access_tokens"
        name = self._repo.partition("/")[2]
        ask = Ask("POST", path, body={"permissions": permissions, "repositories": [name]})
        return ask, self._door.send(ask, f"Bearer {self._key.sign()}")


@dataclass(frozen=True)
class AppKey:
    """A GitHub App's private key, read from its file each time that something is signed."""

    app_id: int
    path: Path
    clock: Clock

    def sign(self) -> str:
        """A JWT for the next nine minutes; `ConfigError` when the key cannot be used."""
        now = self.clock.now()
        claims = {
            "iat": int((now - JWT_BACKDATED).timestamp()),
            "exp": int((now + JWT_LIVES).timestamp()),
            "iss": str(self.app_id),
        }
        signed = f"{_encode({'alg': 'RS256', 'typ': 'JWT'})}.{_encode(claims)}"
        signature = self._read().sign(signed.encode(), PKCS1v15(), SHA256())
        return f"{signed}.{_base64(signature)}"

    def _read(self) -> RSAPrivateKey:
        try:
            mode = self.path.stat().st_mode
            content = self.path.read_bytes() if stat.S_ISREG(mode) else b""
        except OSError as error:
            raise ConfigError(
                f"tracker.app.private_key_path: {self.path} cannot be read: {error.strerror}",
                next_step="Put the App's private key there, or correct the path.",
            ) from error
        if mode & 0o077:
            raise ConfigError(
                f"tracker.app.private_key_path: others can read {self.path}",
                next_step=f"chmod 600 {self.path}",
            )
        try:
            key = load_pem_private_key(content, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None  # the error may quote the key
        if not isinstance(key, RSAPrivateKey):
            raise ConfigError(
                f"tracker.app.private_key_path: {self.path} holds no RSA private key without a "
                "passphrase",
                next_step="Make a new private key on the App's settings page.",
            )
        return key


@dataclass(frozen=True)
class Surroundings:
    """What the machine offers: variables, the repository's root, and `gh` (empty: not known).

    `learned` is told every secret that the bot logs in with: nothing written may hold one.
    """

    environment: Mapping[str, str] = field(repr=False)
    root: Path
    ask_gh: Callable[[], str]
    learned: Callable[[str], None] = lambda _secret: None


def choose_source(
    tracker: TrackerSettings,
    around: Surroundings,
    permissions: Mapping[str, str],
    door: Mints,
    clock: Clock,
) -> CredentialSource:
    """The credential of a configuration: its App, else the token's variable, else `gh`.

    `ConfigError` when there is none, or when it cannot be used. Every request needs one, so there
    is none while a fixture stands in the place of GitHub.
    """
    if tracker.smoke_fixture_path:
        raise ConfigError(
            "GitHub is not asked for anything while tracker.smoke_fixture_path is set",
            next_step="Delete smoke_fixture_path from the tracker section to go live.",
        )
    if tracker.app != AppSettings():
        return _installation(tracker, around, permissions, door, clock)
    token = around.environment.get(tracker.token_env, "").strip()
    if token:
        place = f"the variable {tracker.token_env}"
        return GivenToken(Credential(kind_of(token), place, checked(token, place)))
    token = around.ask_gh()
    if token:
        return AskedToken(checked(token, "gh auth token"), around.ask_gh)
    raise ConfigError(
        f"there is no GitHub credential: {tracker.token_env} is not set, and `gh auth token` knows"
        " none",
        next_step=f"Set {tracker.token_env}, or run `gh auth login`, or set tracker.app.",
    )


def kind_of(token: str) -> CredentialKind:
    """The kind that a token's prefix tells."""
    if token.startswith("github_pat_"):
        return "fine_grained"
    return "actions" if token.startswith("ghs_") else "token"


def checked(token: str, place: str) -> str:
    """The token; `ConfigError`, without its value, when it cannot stand in a header."""
    if not _TOKEN.fullmatch(token):
        raise ConfigError(
            f"the credential from {place} is no token: it holds blanks, quotes or odd characters",
            next_step="Set it again, on one line and without quotes.",
        )
    return token


def _installation(
    tracker: TrackerSettings,
    around: Surroundings,
    permissions: Mapping[str, str],
    door: Mints,
    clock: Clock,
) -> AppInstallation:
    app = tracker.app
    if app.id is None or app.installation_id is None or not app.private_key_path:
        raise ConfigError(
            "tracker.app is not whole: it needs id, private_key_path and installation_id",
            next_step="Add what is missing, or remove the section to use a token.",
        )
    home = around.environment.get("HOME", "~")
    written = app.private_key_path
    path = Path(home, written[2:]) if written.startswith("~/") else around.root / written
    key = AppKey(app.id, path, clock)
    key.sign()  # says at once what is wrong with the key
    return AppInstallation(key, app.installation_id, tracker.repo, permissions, door)


def _granted(told: Fields, asked: Mapping[str, str]) -> tuple[str, ...]:
    """The permissions of a new token, as GitHub names them or as we asked."""
    granted = mapping(told.get("permissions")) or asked
    return tuple(f"{name}: {level}" for name, level in sorted(granted.items()))


def _encode(fields: Mapping[str, object]) -> str:
    return _base64(json.dumps(fields, separators=(",", ":")).encode())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
