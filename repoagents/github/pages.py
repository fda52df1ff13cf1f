"""What GitHub said before, so that asking again costs nothing of the quota; and whole listings."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from urllib.parse import parse_qsl, urlsplit

from repoagents.errors import GitHubError, Unavailable
from repoagents.github.answers import Answer, Ask
from repoagents.github.wire import Fields, mapping
from repoagents.ports import Clock

PER_PAGE = 100
MOST_PAGES = 1_000
ROUNDS = 3
"""How often a listing that changes while it is read is read anew."""

WHOLE_CHECK_SECONDS = 900.0
"""How long the first page speaks for a listing that is sorted by its last change.

Every change brings an issue to the first page, except one that takes it out of the listing.
"""

MOST_BYTES = 64 * 1024 * 1024
Query = Mapping[str, str | int]


@dataclass(frozen=True)
class Page:
    """One answer, and whether it differs from the one before."""

    ask: Ask
    answer: Answer
    changed: bool

    @cached_property
    def items(self) -> tuple[Fields, ...]:
        """The objects of the listing; `Unavailable` when it is none."""
        items = self.answer.parse(self.ask)
        if not isinstance(items, list):
            raise Unavailable(f"{self.ask}: the answer is not a list")
        return tuple(mapping(item) for item in items)


class Memory:
    """Answers by URL, the least recently used dropped when they grow too large together."""

    def __init__(self, limit: int = MOST_BYTES) -> None:
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._size = 0
        self._limit = limit

    def recall(self, ask: Ask) -> Answer | None:
        """What was answered to the same request."""
        with self._lock:
            key = _key(ask)
            if key in self._answers:
                self._answers.move_to_end(key)
            return self._answers.get(key)

    def keep(self, ask: Ask, answer: Answer) -> None:
        """Remember an answer in the place of an earlier one."""
        with self._lock:
            old = self._answers.pop(_key(ask), None)
            self._answers[_key(ask)] = answer
            self._size += len(answer.body) - (len(old.body) if old else 0)
            while self._size > self._limit:
                _, dropped = self._answers.popitem(last=False)
                self._size -= len(dropped.body)


class Pages:
    """Conditional requests: `fetch` carries one and raises for any answer but 200 and 304."""

    def __init__(self, fetch: Callable[[Ask], Answer], clock: Clock, memory: Memory) -> None:
        self._fetch = fetch
        self._clock = clock
        self._memory = memory
        self._whole: dict[str, float] = {}

    def page(self, ask: Ask) -> Page:
        """One page of a listing as it is now."""
        page = self._again(ask, self._memory.recall(ask))
        # First read, then remembered: whatever was cut on the way bears the ETag of the whole.
        _ = page.items
        self._memory.keep(ask, page.answer)
        return page

    def fields(self, ask: Ask) -> Fields:
        """One object as it is now."""
        answer = self._again(ask, self._memory.recall(ask)).answer
        fields = answer.fields(ask)
        self._memory.keep(ask, answer)
        return fields

    def listing(self, path: str, query: Query, *, newest_first: bool = False) -> tuple[Fields, ...]:
        """Every object of a listing as it stood at one instant; all or an error.

        `newest_first` is for listings sorted by the last change: while the first page stands
        unchanged, so does the listing, and that is one request.
        """
        first = Ask("GET", path, {**query, "per_page": PER_PAGE})
        for _ in range(ROUNDS):
            pages = self._walk(first, newest_first=newest_first)
            if pages is not None:
                return tuple(item for page in pages for item in page.items)
        raise Unavailable(
            f"{first}: the listing changed each of the {ROUNDS} times that it was read",
            next_step="Nothing to do: it is read again at the next poll.",
        )

    def _walk(self, ask: Ask, *, newest_first: bool) -> list[Page] | None:
        """The pages of one instant, or None when they changed on the way."""
        first = self.page(ask)
        if newest_first and not first.changed and not self._whole_check_due(ask):
            known = self._remembered(first)
            if known is not None:
                return known
        pages, seen = [first], {_key(ask)}
        while following := self._following(pages[-1], probe=not newest_first):
            if _key(following) in seen or len(pages) >= MOST_PAGES:
                raise GitHubError(f"{ask}: the pages of the listing do not end")
            seen.add(_key(following))
            pages.append(self.page(following))
        # When each page stands unchanged from its reading to a second look, then at the end of
        # the first round all of them did: that is the instant.
        moving = len(pages) > 1 and any(page.changed for page in pages)
        if moving and any(self._again(page.ask, page.answer).changed for page in pages):
            return None
        if newest_first:
            self._whole[_key(ask)] = self._clock.monotonic()
        return pages

    def _again(self, ask: Ask, known: Answer | None) -> Page:
        answer = self._fetch(replace(ask, etag=known.headers.get("etag", "") if known else ""))
        if known is not None and answer.status == 304:
            links = {name: value for name, value in answer.headers.items() if name == "link"}
            return Page(ask, replace(known, headers={**known.headers, **links}), changed=False)
        return Page(ask, answer, changed=known is None or answer.body != known.body)

    def _following(self, page: Page, *, probe: bool) -> Ask | None:
        """The next page; an unchanged last page that is full may have got one since."""
        if page.answer.next_page:
            return Ask("GET", page.answer.next_page)
        if not probe or page.changed or len(page.items) < PER_PAGE:
            return None
        target = urlsplit(page.ask.path)
        query = {**dict(parse_qsl(target.query)), **page.ask.query}
        numbered = str(query.get("page", "" if target.query else "1"))
        if not numbered.isdecimal():
            return None  # pages by cursor: their last one has room
        return Ask("GET", target.path, {**query, "page": int(numbered) + 1})

    def _remembered(self, first: Page) -> list[Page] | None:
        """The pages after an unchanged first one, as they were; None when one was dropped."""
        pages = [first]
        while pages[-1].answer.next_page:
            ask = Ask("GET", pages[-1].answer.next_page)
            known = self._memory.recall(ask)
            if known is None or len(pages) >= MOST_PAGES:
                return None
            pages.append(Page(ask, known, changed=False))
        return pages

    def _whole_check_due(self, ask: Ask) -> bool:
        now = self._clock.monotonic()
        return now - self._whole.get(_key(ask), now - WHOLE_CHECK_SECONDS) >= WHOLE_CHECK_SECONDS


def _key(ask: Ask) -> str:
    query = "&".join(f"{name}={value}" for name, value in sorted(ask.query.items()))
    return f"{ask.path}?{query}"
