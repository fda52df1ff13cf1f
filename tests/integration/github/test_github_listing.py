"""Polling: an unchanged repository costs one conditional request; listings are all or nothing."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from repoagents.errors import GitHubError, Unavailable
from repoagents.github.pages import WHOLE_CHECK_SECONDS, Memory
from tests.integration.github.stub import ROOT, Bed, Reply, Seen, Stub, issue

LIST = f"{ROOT}/issues"


@dataclass
class Repository:
    """Open issues, newest change first, in pages with ETags; `between` acts before each answer."""

    stub: Stub
    issues: list[dict[str, Any]]
    between: list[Any] = field(default_factory=list)
    etags: bool = True
    free: int = 0

    def __call__(self, seen: Seen) -> Reply:
        if self.between:
            act = self.between.pop(0)
            if act:
                act()
        page, size = int(seen.query.get("page", 1)), int(seen.query["per_page"])
        part = self.issues[(page - 1) * size : page * size]
        headers = {"Link": self.link(page)} if page * size < len(self.issues) else {}
        etag = f'W/"{hashlib.sha256(json.dumps(part).encode()).hexdigest()}"'
        if self.etags:
            headers["ETag"] = etag
            if seen.headers.get("if-none-match") == etag:
                self.free += 1
                return Reply(status=304, headers=headers)
        return Reply(part, headers=headers)

    def link(self, page: int) -> str:
        here = f"{self.stub.url}{LIST}?per_page=100&page="
        return f'<{here}1>; rel="first", <{here}{page + 1}>; rel="next", <{here}9>; rel="last"'

    def touch(self, number: int) -> None:
        """Somebody changes an issue."""
        self.issues.sort(key=lambda found: found["number"] != number)

    def take_away(self, number: int) -> None:
        """Somebody closes an issue."""
        self.issues[:] = [found for found in self.issues if found["number"] != number]


def repository(bed: Bed, count: int) -> Repository:
    made = Repository(bed.stub, [issue(number) for number in range(count, 0, -1)])
    bed.stub.get(LIST, made)
    return made


def numbers(bed: Bed) -> list[int]:
    return [found.number for found in bed.tracker.read_issues()]


def test_a_thousand_unchanged_issues_cost_one_conditional_request(bed: Bed) -> None:
    made = repository(bed, 1000)
    assert numbers(bed) == list(range(1, 1001))
    bed.stub.seen.clear()
    made.free = 0
    assert numbers(bed) == list(range(1, 1001))
    (only,) = bed.stub.seen
    assert only.headers["if-none-match"].startswith('W/"')
    assert made.free == 1


def test_a_change_is_seen_at_once(bed: Bed) -> None:
    made = repository(bed, 250)
    numbers(bed)
    made.touch(7)
    made.issues[0]["title"] = "Another"
    assert next(i for i in bed.tracker.read_issues() if i.number == 7).title == "Another"
    made.issues.insert(0, issue(251))
    assert numbers(bed) == list(range(1, 252))


def test_what_leaves_a_later_page_is_seen_within_a_quarter_of_an_hour(bed: Bed) -> None:
    made = repository(bed, 250)
    numbers(bed)
    made.take_away(3)
    assert 3 in numbers(bed), "the first page stands as it was"
    bed.clock.advance(WHOLE_CHECK_SECONDS)
    assert numbers(bed) == [n for n in range(1, 251) if n != 3]
    bed.stub.seen.clear()
    assert 3 not in numbers(bed)
    assert len(bed.stub.seen) == 1


def test_what_leaves_the_only_page_is_seen_at_once(bed: Bed) -> None:
    made = repository(bed, 3)
    numbers(bed)
    made.take_away(2)
    assert numbers(bed) == [1, 3]


def test_an_issue_that_slips_over_a_page_is_not_lost(bed: Bed) -> None:
    """Issue 250 is closed after the first page was read: 150 slips from the second to the first."""
    made = repository(bed, 250)
    made.between = [None, lambda: made.take_away(250)]
    assert numbers(bed) == list(range(1, 250))


def test_an_issue_that_moves_to_the_front_is_neither_doubled_nor_lost(bed: Bed) -> None:
    made = repository(bed, 250)
    made.between = [None, lambda: made.touch(10), lambda: made.touch(11)]
    assert numbers(bed) == list(range(1, 251))


def test_a_listing_that_never_stands_still_is_an_error(bed: Bed) -> None:
    made = repository(bed, 250)
    made.between = [lambda n=n: made.touch(n) for n in range(1, 60)]
    with pytest.raises(Unavailable, match="changed each of the 3 times"):
        numbers(bed)


def test_an_error_on_a_later_page_is_an_error_of_the_whole(bed: Bed) -> None:
    headers = {"Link": f'<{bed.stub.url}/page2>; rel="next"'}
    bed.stub.get(LIST, Reply([issue(1)], headers=headers))
    bed.stub.get("/page2", Reply({"message": "No server is currently available"}, 503))
    with pytest.raises(Unavailable, match="503"):
        numbers(bed)


def test_a_server_without_etags_is_read_whole(bed: Bed) -> None:
    made = repository(bed, 250)
    made.etags = False
    assert numbers(bed) == numbers(bed) == list(range(1, 251))
    made.touch(9)
    made.between = [None, lambda: made.take_away(250)]
    assert numbers(bed) == list(range(1, 250))


def test_pages_in_a_circle_end(bed: Bed) -> None:
    bed.stub.get(LIST, Reply([issue(1)], headers={"Link": f'<{bed.stub.url}/two>; rel="next"'}))
    bed.stub.get("/two", Reply([issue(2)], headers={"Link": f'<{bed.stub.url}/two>; rel="next"'}))
    with pytest.raises(GitHubError, match="do not end"):
        numbers(bed)


def test_a_next_page_elsewhere_is_refused(bed: Bed, elsewhere: Stub) -> None:
    link = f'<{elsewhere.url}{LIST}?page=2>; rel="next"'
    bed.stub.get(LIST, Reply([issue(1)], headers={"Link": link}))
    with pytest.raises(GitHubError, match="no credential of ours"):
        numbers(bed)
    assert elsewhere.seen == []
    assert len(bed.stub.seen) == 1


def test_a_full_last_page_may_have_got_another(bed: Bed) -> None:
    """Comments come oldest first: the hundred-and-first changes no page that was read before."""
    comments = [{"id": n, "body": "x", "user": None} for n in range(1, 101)]
    path = f"{LIST}/1/comments"

    def answer(seen: Seen) -> Reply:
        page = int(seen.query.get("page", 1))
        return Reply(comments[(page - 1) * 100 : page * 100], etag=True)

    bed.stub.get(path, answer)
    assert len(bed.client.listing(path)) == 100
    comments.append({"id": 101, "body": "y", "user": None})
    assert len(bed.client.listing(path)) == 101


def test_another_label_is_another_listing(bed: Bed) -> None:
    bed.stub.get(LIST, lambda seen: Reply([issue(len(seen.query["labels"]))], etag=True))
    assert bed.client.listing(LIST, {"labels": "a"})[0]["number"] == 1
    assert bed.client.listing(LIST, {"labels": "bb"})[0]["number"] == 2


def test_memory_is_bounded(bed: Bed) -> None:
    from repoagents.github.answers import Answer, Ask

    memory = Memory(limit=100)
    asks = [Ask("GET", f"/{n}") for n in range(5)]
    for ask in asks:
        memory.keep(ask, Answer(200, {}, b"x" * 40))
        memory.recall(asks[0])
    assert [memory.recall(ask) is not None for ask in asks] == [True, False, False, False, True]
    memory.keep(asks[0], Answer(200, {}, b"x" * 101))
    assert all(memory.recall(ask) is None for ask in asks)


def test_a_forgotten_page_is_read_again(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(bed, 250)
    monkeypatch.setattr(bed.client._pages._memory, "_limit", 90_000)
    assert numbers(bed) == numbers(bed) == list(range(1, 251))


def test_records_without_a_number_are_told(bed: Bed) -> None:
    bed.stub.get(LIST, Reply([issue(1), {"title": "Odd"}, None, 7, {**issue(2), "number": "3"}]))
    assert numbers(bed) == [1]
    assert len(bed.tracker.problems) == 4
    assert '"Odd"' in bed.tracker.problems[0]
    bed.stub.get(LIST, Reply([issue(1)]))
    numbers(bed)
    assert bed.tracker.problems == ()
