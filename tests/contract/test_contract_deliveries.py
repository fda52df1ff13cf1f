"""What the inbox of deliveries promises, on SQLite and on a real PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repoagents.domain.delivery import Delivery
from repoagents.store import deliveries as stored
from repoagents.store.database import Database

NOW = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
CHANGED = datetime(2026, 3, 4, 5, 6, 5, tzinfo=UTC)

FULL = Delivery(
    id="guid-1",
    event="issues",
    received_at=NOW,
    action="labeled",
    repo="octo/cat",
    issue_number=2**63 - 1,
    object_key="issue/42/bug",
    updated_at=CHANGED,
    installation=2**63 - 1,
    sender="ann",
    label='ein "Käfer" \N{BUG}',
    comment_id=9,
    head_sha="9" * 40,
)
BARE = Delivery("guid-2", "check_suite", NOW)


def again(number: int, **changes: object) -> Delivery:
    """The same change under another id, or something a little different."""
    return replace(FULL, id=f"other-{number}", **changes)  # type: ignore[arg-type]


def test_what_was_put_is_pending_as_it_was_until_it_is_taken(books: Database) -> None:
    inbox = books.deliveries
    assert inbox.put_all((FULL, BARE)) == (True, True)
    assert inbox.pending() == (FULL, BARE)
    inbox.take("guid-1", "looked", NOW)
    inbox.take("guid-1", "another word", NOW)
    inbox.take("unknown", "looked", NOW)
    assert inbox.pending() == (BARE,)
    assert not inbox.put(FULL)


def test_what_is_kept_is_known_by_its_id(books: Database) -> None:
    inbox = books.deliveries
    many = [replace(BARE, id=f"many-{number}") for number in range(2_500)]
    inbox.put_all((FULL, BARE))
    for start in range(0, len(many), 500):
        inbox.put_all(many[start : start + 500])
    assert not inbox.put(again(1)), "it tells what is known"
    inbox.take(FULL.id, "looked", NOW)
    ids = [f"many-{number}" for number in range(0, 5_000, 2)]
    found = inbox.knows(["unknown", FULL.id, *ids, BARE.id, BARE.id, "other-1"])
    assert found == {FULL.id, BARE.id, *ids[:1250]}
    assert inbox.knows([]) == frozenset()


def test_an_id_is_known_whatever_comes_with_it(books: Database) -> None:
    assert books.deliveries.put(FULL)
    assert not books.deliveries.put(replace(BARE, id=FULL.id))


def test_in_one_batch_too_each_is_kept_once(books: Database) -> None:
    batch = (FULL, BARE, FULL, again(1), again(2, action="unlabeled"), BARE, again(3))
    assert books.deliveries.put_all(batch) == (True, True, False, False, True, False, False)
    assert len(books.deliveries.pending()) == 3
    assert books.deliveries.put_all(()) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"event": "issue_comment"},
        {"action": "unlabeled"},
        {"object_key": "issue/42/other"},
        {"updated_at": CHANGED + timedelta(seconds=1)},
        {"updated_at": None},
        {"object_key": ""},
    ],
)
def test_another_change_is_another_delivery(books: Database, changes: dict[str, object]) -> None:
    assert books.deliveries.put(FULL)
    assert books.deliveries.put(again(1, **changes))


@pytest.mark.parametrize(
    ("looked_after", "kept"),
    [(timedelta(0), True), (timedelta(seconds=60), True), (timedelta(seconds=61), False)],
)
def test_a_look_in_the_same_moment_may_have_missed_it(
    books: Database, looked_after: timedelta, kept: bool
) -> None:
    """GitHub's times are whole seconds: two changes of one second look like one."""
    books.deliveries.put(FULL)
    books.deliveries.take(FULL.id, "looked", CHANGED + looked_after)
    assert books.deliveries.put(again(1)) is kept


def test_what_is_pending_is_never_forgotten(books: Database) -> None:
    inbox = books.deliveries
    old = replace(BARE, id="old", received_at=NOW - timedelta(days=8))
    waiting = replace(old, id="waiting")
    inbox.put_all((old, waiting, FULL))
    for taken in ("old", "guid-1"):
        inbox.take(taken, "looked", NOW)
    inbox.forget_before(NOW - timedelta(days=7))
    assert inbox.pending() == (waiting,)
    assert inbox.put_all((old, FULL)) == (True, False)


def test_what_is_old_is_forgotten_in_portions_by_however_many(
    books: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "AT_ONCE", 10)
    old = [replace(BARE, id=f"old-{number}") for number in range(35)]
    books.deliveries.put_all((*old, FULL))
    for delivery in old:
        books.deliveries.take(delivery.id, "looked", NOW)
    after = NOW + timedelta(days=8)
    assert books.deliveries.forget_before(after)
    assert len(books.deliveries.knows([delivery.id for delivery in old])) == 25

    def forget_all(_worker: int) -> int:
        portions = 0
        while books.deliveries.forget_before(after):
            portions += 1
        return portions

    with ThreadPoolExecutor(2) as both:
        assert sum(both.map(forget_all, range(2))) <= 3
    assert books.deliveries.knows([delivery.id for delivery in old]) == set()
    assert books.deliveries.pending() == (FULL,)


def test_a_probe_leaves_everything_as_it_is(books: Database) -> None:
    books.deliveries.put(FULL)
    books.deliveries.probe()
    assert books.deliveries.pending() == (FULL,)


deliveries = st.builds(
    Delivery,
    id=st.sampled_from([f"id-{n}" for n in range(6)]),
    event=st.sampled_from(["issues", "issue_comment"]),
    received_at=st.just(NOW),
    object_key=st.sampled_from(["", "issue/1", "issue/2"]),
    updated_at=st.sampled_from([None, CHANGED, CHANGED + timedelta(seconds=1)]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.lists(st.lists(deliveries, max_size=8), max_size=5))
def test_however_they_are_put_together_each_change_is_kept(
    books: Database, batches: list[list[Delivery]]
) -> None:
    """Whatever was refused is told by something that is pending, and no id is kept twice."""
    for known in books.deliveries.pending():
        books.deliveries.take(known.id, "before", NOW + timedelta(days=1))
    books.deliveries.forget_before(NOW + timedelta(days=1))
    came = [delivery for batch in batches for delivery in batch]
    kept = [new for batch in batches for new in books.deliveries.put_all(batch)]
    pending = books.deliveries.pending()
    assert list(pending) == [one for one, new in zip(came, kept, strict=True) if new]
    assert len({one.id for one in pending}) == len(pending)
    for one in came:
        assert any(one.id == other.id or told(one) == told(other) for other in pending)


def told(delivery: Delivery) -> object:
    """What makes two deliveries the same change; a delivery without it is like no other."""
    if delivery.updated_at is None or not delivery.object_key:
        return delivery.id
    return delivery.event, delivery.action, delivery.object_key, delivery.updated_at
