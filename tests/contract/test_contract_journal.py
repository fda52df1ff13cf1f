"""What every journal promises, on the JSON-lines file and on the list that tests look into."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repoagents.domain.run import RunStatus, Stage
from repoagents.logs import Redactor, open_journal
from repoagents.ports import Journal
from tests.fakes.clock import START
from tests.fakes.world import ListJournal

Line = tuple[str, str, dict[str, object]]


@dataclass(frozen=True)
class JournalBed:
    """A journal, and how to read what it holds: code, message and fields, oldest first."""

    journal: Journal
    lines: Callable[[], list[Line]]


def list_bed(_folder: Path) -> JournalBed:
    journal = ListJournal()
    return JournalBed(journal, lambda: journal.lines)


def file_bed(folder: Path) -> JournalBed:
    path = folder / "logs" / "repoagents.jsonl"
    journal = open_journal(
        path,
        level="info",
        json=True,
        terminal=True,
        redactor=Redactor(()),
        clock_now=lambda: START,
    )

    def lines() -> list[Line]:
        if not path.exists():
            return []
        # Not splitlines: a line separator inside a text is no end of a JSON line.
        found = [json.loads(text) for text in path.read_text().split("\n") if text]
        own = ("at", "level", "code", "message")
        return [
            (row["code"], row["message"], {k: v for k, v in row.items() if k not in own})
            for row in found
        ]

    return JournalBed(journal, lines)


@pytest.fixture(params=[list_bed, file_bed], ids=["list", "file"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> JournalBed:
    """Each journal in turn, empty."""
    bed: JournalBed = request.param(tmp_path)
    return bed


def test_a_new_journal_holds_nothing(kept: JournalBed) -> None:
    assert kept.lines() == []


def test_a_line_holds_code_sentence_and_fields(kept: JournalBed) -> None:
    kept.journal.note("run_queued", "issue 1 queued", run="r-1", issue=1, attempt=0)
    assert kept.lines() == [
        ("run_queued", "issue 1 queued", {"run": "r-1", "issue": 1, "attempt": 0})
    ]


def test_warnings_and_notes_stand_in_the_order_they_came(kept: JournalBed) -> None:
    kept.journal.warn("tracker_failed", "the tracker is down")
    kept.journal.note("polled", "3 open")
    kept.journal.warn("tracker_failed", "the tracker is down")
    codes = [code for code, _, _ in kept.lines()]
    assert codes == ["tracker_failed", "polled", "tracker_failed"]


def test_what_was_said_is_there_at_once(kept: JournalBed) -> None:
    for number in range(3):
        kept.journal.note("beat", str(number))
        assert len(kept.lines()) == number + 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Path("a/b.txt"), "a/b.txt"),
        (START, "2026-03-04"),
        (ValueError("no such branch"), "no such branch"),
        (RunStatus.BLOCKED, "blocked"),
        (Stage.BASE_CHECK, "base_check"),
        (b"raw", "raw"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_value_may_be_a_field(kept: JournalBed, value: object, words: str) -> None:
    kept.journal.note("seen", "a field of any kind", field=value)
    (line,) = kept.lines()
    assert words in str(line[2]["field"])


@pytest.mark.parametrize("value", [None, True, False, 0, 7, 0.5, ""])
def test_plain_values_stay_what_they_are(kept: JournalBed, value: object) -> None:
    kept.journal.note("seen", "a plain field", field=value)
    (line,) = kept.lines()
    assert line[2] == {"field": value}
    assert type(line[2]["field"]) is type(value)


def test_fields_in_fields_keep_their_shape(kept: JournalBed) -> None:
    kept.journal.note("seen", "nested", counts={"open": 3}, names=["a", "b"])
    assert kept.lines()[0][2] == {"counts": {"open": 3}, "names": ["a", "b"]}


@given(message=st.text(), field=st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_any_text_is_one_line(kept: JournalBed, message: str, field: str) -> None:
    before = len(kept.lines())
    kept.journal.note("said", message, field=field)
    after = kept.lines()
    assert len(after) == before + 1
    assert after[-1] == ("said", message, {"field": field})


def test_half_a_character_does_not_stop_the_work(kept: JournalBed) -> None:
    kept.journal.note("said", "half \ud800 a character", field="\udfff")
    kept.journal.warn("said", "and on")
    assert [code for code, _, _ in kept.lines()] == ["said", "said"]
