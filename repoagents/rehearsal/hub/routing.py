"""Requests, replies, and the table of addresses that this GitHub answers."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from repoagents.rehearsal.hub.accounts import Caller
from repoagents.rehearsal.hub.forge import Forge
from repoagents.rehearsal.hub.records import Issue, Pull
from repoagents.rehearsal.hub.refusals import Refusal, not_found

PER_PAGE, PER_PAGE_MAXIMUM = 30, 100
REPO = "/repos/{owner}/{name}"
_DEEP = {"ref", "branch", "sha"}
"""Names in an address that may hold slashes."""
_NUMBERS = {"number", "id", "reply"}

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """One request as it came in; `path` is unquoted, header names are lower-case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    raw_query: str = ""


@dataclass(frozen=True)
class Reply:
    """What goes out: `value` as JSON, or `raw` bytes; no body when both are None."""

    status: int = 200
    value: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    severed: bool = False
    """The connection is to be reset instead of answered."""

    @property
    def content(self) -> bytes:
        """The body's bytes."""
        if self.raw is not None:
            return self.raw
        return b"" if self.value is None else json.dumps(self.value).encode()


@dataclass(frozen=True)
class Call:
    """A request that has found its route: who calls, with what in the address and the body."""

    forge: Forge
    caller: Caller
    request: Request
    parameters: Mapping[str, str]
    sent: Mapping[str, object]

    @property
    def by(self) -> str:
        """The acting login."""
        return self.caller.login

    @property
    def number(self) -> int:
        """The number in the address."""
        return int(self.parameters["number"])

    @property
    def id(self) -> int:
        """The id in the address."""
        return int(self.parameters["id"])

    @property
    def issue(self) -> Issue:
        """The issue in the address, or a 404."""
        return self.forge.repository.issue(self.number)

    @property
    def pull(self) -> tuple[Issue, Pull]:
        """The pull request in the address, or a 404."""
        return self.forge.pulls.read(self.number)

    def text(self, name: str) -> str:
        """A text of the body; 422 when it is missing or is none."""
        value = self.sent.get(name)
        if not isinstance(value, str):
            raise Refusal(422, f'Invalid request.\n\n"{name}" wasn\'t supplied.')
        return value

    def optional(self, name: str) -> str | None:
        """A text of the body, or None."""
        value = self.sent.get(name)
        return value if isinstance(value, str) else None

    def page(
        self, items: Sequence[T], render: Callable[[T], object], under: str | None = None
    ) -> Reply:
        """One page of a list with its Link header; `under` wraps it as `{total_count, under}`."""
        per_page = self._per_page
        page = _positive(self.request.query.get("page"), 1)
        shown = [render(item) for item in items[(page - 1) * per_page : page * per_page]]
        last = max(1, -(-len(items) // per_page))
        value: object = shown if under is None else {"total_count": len(items), under: shown}
        link = self._links(page, last)
        return Reply(200, value, {"Link": link} if link else {})

    def scroll(
        self, items: Sequence[T], render: Callable[[T], object], id_of: Callable[[T], int]
    ) -> Reply:
        """One page of a list that is read by cursor: it names where the page begins."""
        cursors = [f"v1_{id_of(item)}" for item in items]
        cursor = self.request.query.get("cursor")
        if cursor is not None and cursor not in cursors:
            raise Refusal(422, "Invalid cursor")
        start = cursors.index(cursor) if cursor else 0
        end = start + self._per_page
        link = f'{self._link("cursor", cursors[end])}; rel="next"' if end < len(items) else ""
        shown = [render(item) for item in items[start:end]]
        return Reply(200, shown, {"Link": link} if link else {})

    @property
    def _per_page(self) -> int:
        return min(_positive(self.request.query.get("per_page"), PER_PAGE), PER_PAGE_MAXIMUM)

    def _links(self, page: int, last: int) -> str:
        near = {"prev": page - 1, "next": page + 1, "first": 1, "last": last}
        wanted = ["prev", "first"] * (page > 1) + ["next", "last"] * (page < last)
        return ", ".join(f'{self._link("page", near[name])}; rel="{name}"' for name in wanted)

    def _link(self, name: str, value: object) -> str:
        """This very request, with another value for one name of its query."""
        # GitHub's own links go by the repository's id, not by its name.
        base = self.forge.payloads.base
        prefix = f"{self.forge.payloads.api}/repositories/{self.forge.repository.id}"
        address = f"{self.forge.payloads.api}{self.request.path}".replace(base, prefix, 1)
        rest = [f"{k}={v}" for k, v in self.request.query.items() if k != name]
        return f"<{address}?{'&'.join([*rest, f'{name}={value}'])}>"


Answer = Callable[[Call], Reply]


@dataclass(frozen=True)
class Route:
    """One address: what the token (`area:level`) and the account (`role`) must reach for it."""

    method: str
    pattern: re.Pattern[str]
    area: str
    level: str
    role: str
    answer: Answer


ROUTES: list[Route] = []


def route(
    method: str, address: str, needs: str = "", role: str = "read"
) -> Callable[[Answer], Answer]:
    """Register what answers an address; `needs` is `area:level` of a granular token."""
    area, _, level = needs.partition(":")
    pattern = re.compile(re.sub(r"\{(\w+)\}", _capture, address))

    def register(answer: Answer) -> Answer:
        ROUTES.append(Route(method, pattern, area, level, role, answer))
        return answer

    return register


def find_route(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The route of a request and what its address says; 404 when there is none."""
    for known in ROUTES:
        found = known.pattern.fullmatch(path) if known.method == method else None
        if found:
            return known, found.groupdict()
    raise not_found()


def _capture(match: re.Match[str]) -> str:
    name = match.group(1)
    kind = r"\d+" if name in _NUMBERS else ".+" if name in _DEEP else "[^/]+"
    return f"(?P<{name}>{kind})"


def _positive(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() and int(text) > 0 else default
