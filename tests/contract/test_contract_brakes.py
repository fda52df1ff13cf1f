"""What the brake promises, on SQLite and on a real PostgreSQL."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from repoagents.domain.rollout import Brake, Phase
from repoagents.store.database import Database

NOW = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
BRAKE = Brake(Phase.DRAFT_PR, "a change held a secret ☂", "run-1", 7, NOW)


def test_one_brake_holds_until_it_is_released(books: Database) -> None:
    assert books.brakes.find() is None
    books.brakes.release()
    books.brakes.pull(BRAKE)
    assert books.brakes.find() == BRAKE
    assert books.reader.brake() == BRAKE
    later = replace(BRAKE, phase=Phase.OBSERVE, run_id="", at=NOW + timedelta(days=1))
    books.brakes.pull(later)
    assert books.brakes.find() == later
    books.brakes.release()
    assert books.brakes.find() is None


def test_text_that_no_database_takes_is_mended(books: Database) -> None:
    books.brakes.pull(replace(BRAKE, reason="a \0 and half \ud83d a pair"))
    found = books.brakes.find()
    assert found is not None
    assert found.reason == "a \ufffd and half \ufffd a pair"
