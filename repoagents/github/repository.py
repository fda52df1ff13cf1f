"""One repository on GitHub: every request to it, with its credential, its limits and its errors."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from repoagents.domain.pulse import Pause, Quota
from repoagents.errors import GitHubError, RateLimited, Unavailable
from repoagents.github.answers import Answer, Ask, limit_in, refusal
from repoagents.github.auth import Credential, CredentialSource
from repoagents.github.budget import Pace
from repoagents.github.client import GRAPHQL, Sends
from repoagents.github.pages import PER_PAGE, Memory, Page, Pages, Query
from repoagents.github.wire import Fields, instant, mapping
from repoagents.ports import Clock, Journal

FRESH = timedelta(seconds=30)
"""How long a new installation token may be unknown to some of GitHub's servers."""

LAGS = (1.0, 2.0)
"""Seconds between looks at what a server may not know yet."""

CATCHES_UP = 60.0
"""Seconds for which what one server told is held against another that tells of an earlier time."""

MOST_REMEMBERED = 1000
"""How many objects are remembered so; then it begins anew."""

LIMITS = 2
"""How many short rate limits one request waits for."""

MOST_SCROLLED = 50
"""Pages that `scroll` reads at most."""

TOKEN_EXPIRY = "github-authentication-token-expiration"  # noqa: S105 - a header's name


class GitHubClient:
    """Requests below `/repos/OWNER/REPO`; raises `GitHubError` for whatever is no success.

    Rate limits are waited for while that is short, and told as `RateLimited` otherwise.
    """

    def __init__(
        self,
        door: Sends,
        repo: str,
        credentials: CredentialSource,
        clock: Clock,
        journal: Journal,
        pace: Pace,
    ) -> None:
        """`repo` is OWNER/REPO; `pace` is shared by all that use the credential."""
        self.repo = repo
        self.root = f"/repos/{repo}"
        self._door = door
        self._credentials = credentials
        self._clock = clock
        self._journal = journal
        self._pace = pace
        self._pages = Pages(lambda ask: self._checked(ask), clock, Memory())
        self._told: Mapping[str, str] = {}
        self._moved = False
        self._newest: dict[str, tuple[datetime | None, float]] = {}

    @property
    def quota(self) -> Quota | None:
        """What is left of the hourly quota; None before the first answer."""
        return self._pace.quota

    @property
    def pause(self) -> Pause | None:
        """Until when nothing is asked; None when requests go through."""
        return self._pace.pause

    def header(self, name: str) -> str | None:
        """A header of the latest success; `name` is lower-case."""
        return self._told.get(name)

    def credential(self) -> Credential:
        """The credential in use, with the scopes and the end that GitHub's answers told of it."""
        known = self._credentials.current()
        scopes = tuple(s.strip() for s in self._told.get("x-oauth-scopes", "").split(",") if s)
        return replace(
            known,
            scopes=known.scopes or scopes,
            expires_at=known.expires_at or _expiry(self._told.get(TOKEN_EXPIRY, "")),
        )

    def get(self, path: str, *, query: Query | None = None) -> Fields:
        """One object; asked with its ETag when it was read before."""
        return self._pages.fields(Ask("GET", path, query or {}))

    def look(self, path: str) -> tuple[Fields, bool]:
        """One object, and whether GitHub redirected to it: it was moved or renamed.

        One that is not found, or older than it was seen a moment ago, is looked for again within a
        few seconds: some of GitHub's servers lag behind a webhook, and behind each other.
        """
        ask = Ask("GET", path)
        for pause in (*LAGS, 0.0):
            answer = self._checked(ask, lagging=True)
            fields = answer.fields(ask)
            if not self._has_been_newer(path, fields):
                return fields, answer.moved
            self._pace.sleep(pause)
        raise Unavailable(
            f"{ask}: GitHub answered with what was there before", next_step="It is tried again."
        )

    def _has_been_newer(self, path: str, fields: Fields) -> bool:
        """Whether another server has told of a later change; what was told long ago is forgotten.

        Else the label that somebody has just set would seem to be taken off.
        """
        changed, now = instant(fields, "updated_at"), self._clock.monotonic()
        newest, told_at = self._newest.get(path, (changed, now))
        if changed and newest and changed < newest and now - told_at < CATCHES_UP:
            return True
        if len(self._newest) >= MOST_REMEMBERED:  # a loop runs for months
            self._newest = {}
        self._newest[path] = changed, now
        return False

    def listing(
        self, path: str, query: Query | None = None, *, newest_first: bool = False
    ) -> tuple[Fields, ...]:
        """Every object of a listing, as it stood at one instant; see `Pages.listing`."""
        return self._pages.listing(path, query or {}, newest_first=newest_first)

    def first_page(self, path: str, query: Query) -> tuple[tuple[Fields, ...], bool]:
        """The first objects of a listing, and whether there are more."""
        page = self._pages.page(Ask("GET", path, {"per_page": PER_PAGE, **query}))
        return page.items, bool(page.answer.next_page)

    def scroll(self, path: str, *, as_app: bool = False) -> Iterator[tuple[Fields, ...]]:
        """The pages of a listing one by one, for whoever need not read it to its end.

        It may change meanwhile: an object may be missing, or come twice.
        """
        ask = Ask("GET", path, {"per_page": PER_PAGE}, as_app=as_app)
        for _ in range(MOST_SCROLLED):
            page = Page(ask, self._checked(ask), changed=True)
            yield page.items
            if not page.answer.next_page:
                return
            ask = Ask("GET", page.answer.next_page, as_app=as_app)

    def tail(self, path: str, most: int) -> bytes:
        """The end of a text that GitHub keeps elsewhere and names the address of."""
        ask = Ask("GET", path, handed_on=True)
        answer = self._answer(ask)
        if answer.status == 302:
            return self._door.tail(answer.headers.get("location", ""), most)
        if 200 <= answer.status < 300:
            return answer.body[-most:]
        raise refusal(ask, answer)

    def write(self, verb: str, path: str, body: object, *, as_app: bool = False) -> Fields:
        """Change something, once: it is never sent again unless it was certainly not done.

        After `Unavailable` it may have been done: look before anything else.
        """
        ask = Ask(verb, path, body=body, as_app=as_app)
        with self._pace.write():
            return mapping(self._checked(ask).parse(ask))

    def query(self, question: str, variables: Mapping[str, object] | None = None) -> Fields:
        """The `data` of a GraphQL query; a mutation goes through `mutate`."""
        ask = Ask("POST", GRAPHQL, body={"query": question, "variables": variables or {}})
        answer = self._checked(ask)
        told = answer.fields(ask)
        if told.get("errors"):
            self._respect_points(ask, answer, str(told["errors"]))
            raise GitHubError(f"{ask}: GitHub answered {str(told['errors'])[:300]}")
        return mapping(told.get("data"))

    def _respect_points(self, ask: Ask, answer: Answer, errors: str) -> None:
        """Raise `RateLimited` where the errors tell of it: a query's limit comes as a success."""
        now = self._clock.now()
        wait = limit_in(replace(answer, status=429), now, 0)
        if "'RATE_LIMITED'" in errors and wait is not None:
            raise RateLimited(
                f"{ask}: GitHub's rate limit for queries",
                retry_at=now + wait,
                next_step="Nothing to do: it goes on by itself.",
            )

    def mutate(self, question: str, variables: Mapping[str, object]) -> Fields:
        """Carry out a GraphQL mutation, once and at the pace of writes; returns its `data`."""
        with self._pace.write():
            return self.query(question, variables)

    def as_app(self, path: str) -> Fields:
        """One object that is told to the App itself, to none of its installations."""
        ask = Ask("GET", path, as_app=True)
        return self._checked(ask).fields(ask)

    def _checked(self, ask: Ask, *, lagging: bool = False) -> Answer:
        answer = self._answer(ask, lagging=lagging)
        if answer.moved and not self._moved:
            self._moved = True
            self._journal.warn(
                "github_moved", f"{ask} was redirected: look whether {self.repo} was renamed"
            )
        if 200 <= answer.status < 300 or (answer.status == 304 and ask.etag):
            return answer
        raise refusal(ask, answer)

    def _answer(self, ask: Ask, *, lagging: bool = False) -> Answer:
        """The answer, after the short waits and the one new credential that it may take."""
        lags, limits, renewable = iter(LAGS), iter(range(LIMITS)), True
        while True:
            self._pace.admit()
            credential = self._bearer(ask)
            answer = self._door.send(ask, credential.authorization)
            if answer.status < 400:
                self._told = answer.headers
            limited = self._pace.learn(ask, answer)
            if limited is not None:
                if next(limits, None) is None:
                    raise limited
                continue
            if answer.status == 401 and renewable and not ask.as_app:
                renewable = False
                if self._credentials.renew(credential):
                    continue
            fresh = (lagging and answer.status == 404) or self._is_new(credential, answer)
            pause = next(lags, None) if fresh and not ask.is_write else None
            if pause is None:
                return answer
            self._pace.sleep(pause)

    def _bearer(self, ask: Ask) -> Credential:
        if ask.as_app:
            return Credential("app", "tracker.app", self._credentials.jwt())
        return self._credentials.current()

    def _is_new(self, credential: Credential, answer: Answer) -> bool:
        """Whether the refusal may come from a server that does not know the token yet."""
        issued = credential.issued_at
        if issued is None or answer.status not in (401, 403, 404):
            return False
        return timedelta() <= self._clock.now() - issued <= FRESH


def _expiry(value: str) -> datetime | None:
    """`2026-01-02 03:04:05 UTC` or with an offset, as the header of a token's end has it."""
    try:
        at = datetime.fromisoformat(value.replace(" UTC", " +0000"))
        return at.astimezone(UTC) if at.tzinfo else None
    except (ValueError, OverflowError):
        return None
