"""What the signs of life promise, on SQLite and on a real PostgreSQL."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from repoagents.domain.pulse import Part, Pause, Pulse, Quota
from repoagents.store.database import Database

NOW = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
WORKER = Pulse(
    Part.WORKER,
    NOW,
    NOW + timedelta(seconds=1),
    NOW + timedelta(seconds=2),
    NOW + timedelta(seconds=3),
    "no route ☂",
    Quota(5000, 0, NOW + timedelta(hours=1)),
    Pause(NOW + timedelta(hours=2), "GitHub's rate limit"),
)
BARE = Pulse(Part.RECEIVER, NOW, NOW)


def test_each_part_is_known_by_what_it_told_last(books: Database) -> None:
    assert books.pulses.all() == ()
    assert books.pulses.find(Part.WORKER) is None
    books.pulses.put(WORKER)
    books.pulses.put(BARE)
    assert books.pulses.find(Part.WORKER) == WORKER
    assert books.pulses.all() == (BARE, WORKER)
    assert books.reader.pulses() == books.pulses.all()
    later = replace(BARE, part=Part.WORKER, beat_at=NOW + timedelta(days=1))
    books.pulses.put(later)
    assert books.pulses.all() == (BARE, later), "nothing of the old one is left"


def test_text_that_no_database_takes_is_mended(books: Database) -> None:
    books.pulses.put(replace(WORKER, problem="a \0 b", pause=Pause(NOW, "half \ud83d a pair")))
    found = books.pulses.find(Part.WORKER)
    assert found is not None
    assert found.pause is not None
    assert (found.problem, found.pause.reason) == ("a \ufffd b", "half \ufffd a pair")
