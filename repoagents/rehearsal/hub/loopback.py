"""The loopback GitHub as demos and tests hold it: its life, its accounts, its record."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from repoagents.ports import Clock
from repoagents.rehearsal.hub.accounts import Account, Accounts, App
from repoagents.rehearsal.hub.bare import BareRepository
from repoagents.rehearsal.hub.checks import Checks
from repoagents.rehearsal.hub.code_payloads import CodePayloads
from repoagents.rehearsal.hub.faults import Faults
from repoagents.rehearsal.hub.forge import Forge
from repoagents.rehearsal.hub.front import API, Front, Seen
from repoagents.rehearsal.hub.hooks import Hook, Hooks
from repoagents.rehearsal.hub.http_server import HOST, Server
from repoagents.rehearsal.hub.notices import payload_of
from repoagents.rehearsal.hub.pages import page_at
from repoagents.rehearsal.hub.payloads import Payloads
from repoagents.rehearsal.hub.people import People
from repoagents.rehearsal.hub.pulls import Pulls
from repoagents.rehearsal.hub.quota import Quota
from repoagents.rehearsal.hub.records import Comment, Issue, Notice
from repoagents.rehearsal.hub.repository import Repository
from repoagents.rehearsal.hub.routing import Request

BOT = "repoagents-bot"
"""The account that the bot works by, unless it is a GitHub App."""


class LoopbackGitHub(People):
    """A GitHub with one repository, up from `__enter__` to `__exit__`.

    `url` is the REST API's, as for GitHub Enterprise Server; `clone_url` is the path of the bare
    repository below `folder`. There is one account at first, the bot's own with write permission.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        environment: Mapping[str, str],
        repo: str = "example/python-lib",
    ) -> None:
        self._server = Server(lambda request: self._front.answer(request))
        self._elsewhere = Server(lambda request: self._front.answer_elsewhere(request))
        self.site = f"http://{HOST}:{self._server.server_address[1]}"
        self.url = f"{self.site}{API}"
        repository = Repository(repo, clock)
        accounts = Accounts(repository)
        bare = BareRepository(folder / f"{repo}.git", environment, repository.default_branch)
        log_host = f"http://{HOST}:{self._elsewhere.server_address[1]}"
        checks = Checks(repository, accounts, log_host)
        pulls = Pulls(repository, bare, checks)
        payloads = Payloads(repository, accounts, self.url, self.site)
        code = CodePayloads(payloads, pulls, bare, checks)
        hooks = Hooks(clock, repository.next_id)
        quota = Quota(clock)
        super().__init__(
            Forge(repository, accounts, bare, checks, pulls, hooks, quota, payloads, code)
        )
        self.faults = Faults()
        self.hooks = hooks
        self._front = Front(self.forge, self.faults)
        repository.listeners.append(self._publish)
        self.add_account(BOT, "write")

    def __enter__(self) -> "LoopbackGitHub":
        self._server.start()
        self._elsewhere.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop()
        self._elsewhere.stop()
        self.hooks.close()
        crashes = [*self._server.crashes, *self._elsewhere.crashes]
        if crashes and error is None:
            raise crashes[0]

    def _publish(self, notice: Notice) -> None:
        payload = payload_of(notice, self.forge.payloads, self.forge.code)
        self.hooks.publish(notice.event, notice.action, payload)

    @property
    def full_name(self) -> str:
        """`owner/name`, as it is now."""
        return self.forge.repository.full_name

    @property
    def clone_url(self) -> str:
        """Where git fetches from and pushes to: the bare repository's path."""
        return str(self.forge.bare.folder)

    def add_account(self, login: str, permission: str, kind: str = "User") -> Account:
        """A new account, or another permission for a known one; `kind` is `User` or `Bot`."""
        with self.forge.repository.lock:
            account = self.forge.accounts.add(login, permission, kind)
            self.token_of(login)
            return account

    def token_of(self, login: str) -> str:
        """The account's classic token."""
        accounts = self.forge.accounts
        with self.forge.repository.lock:
            for token in accounts.tokens.values():
                if (token.login, token.kind) == (login, "classic"):
                    return token.value
            return accounts.issue_token(login).value

    def fine_grained_token(self, login: str, permissions: Mapping[str, str]) -> str:
        """A token of an account that reaches only so far, such as `{"issues": "write"}`."""
        with self.forge.repository.lock:
            return self.forge.accounts.issue_token(login, dict(permissions)).value

    def revoke(self, token: str) -> None:
        """Let a token be unknown from now on."""
        with self.forge.repository.lock:
            self.forge.accounts.tokens.pop(token, None)

    def install_app(self, slug: str, public_key: str, permissions: Mapping[str, str]) -> App:
        """A GitHub App with this public key (PEM), installed on the repository."""
        with self.forge.repository.lock:
            return self.forge.accounts.install(slug, public_key, permissions)

    def subscribe(
        self, url: str, secret: str, events: Iterable[str] = ("*",), *, app: App | None = None
    ) -> Hook:
        """A webhook of the repository, or of an App; the receiver gets a ping first."""
        installation = app.installation if app else 0
        return self.hooks.subscribe(url, secret, events, installation=installation)

    def rename(self, full_name: str) -> None:
        """Rename the repository: the old addresses redirect, readers by 301, writers by 307."""
        with self.forge.repository.lock:
            self._front.former_names.add(self.full_name)
            self.forge.repository.full_name = full_name

    @property
    def issues(self) -> tuple[Issue, ...]:
        """Every issue and pull request, oldest first."""
        return tuple(self.forge.repository.issues.values())

    @property
    def pulls(self) -> tuple[Issue, ...]:
        """Every pull request, oldest first, up to date with what was pushed."""
        with self.forge.repository.lock:
            self.forge.pulls.follow()
            return tuple(issue for issue in self.issues if issue.pull)

    def issue(self, number: int) -> Issue:
        """One issue or pull request."""
        return self.forge.repository.issues[number]

    def comments(self, number: int) -> tuple[Comment, ...]:
        """What was said below it, oldest first."""
        return tuple(self.forge.repository.comments_of(number))

    def labels(self, number: int) -> tuple[str, ...]:
        """The labels that it wears."""
        return tuple(self.issue(number).labels)

    @property
    def requests(self) -> tuple[Seen, ...]:
        """Every request to the API, in order."""
        return tuple(self._front.seen)

    @property
    def fetched(self) -> tuple[Request, ...]:
        """What was asked of the other host, where logs lie: credentials have no business there."""
        return tuple(self._front.fetched)

    @property
    def writes(self) -> tuple[Seen, ...]:
        """The requests that were to change something."""
        return tuple(seen for seen in self.requests if seen.writing)

    def page(self, place: str) -> bytes:
        """The page that a browser gets at `issues/1` or `pull/2`; raises LookupError for none."""
        with self.forge.repository.lock:
            found = page_at(self.forge, f"/{self.full_name}/{place}")
        if found is None or found.raw is None:
            raise LookupError(place)
        return found.raw

    @property
    def heads(self) -> dict[str, str]:
        """Every branch and its commit."""
        return self.forge.bare.heads()
