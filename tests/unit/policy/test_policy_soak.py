"""Whether a soak passed: every kind of trouble fails it, and growth within bounds does not."""

from dataclasses import replace

import pytest

from repoagents.domain.soak import Reading, Tally
from repoagents.policy.soak import MORE_FILES, MORE_MEMORY, MORE_THREADS, growth, why_failed

TALLY = Tally(issues=4, merged=3, faults=2, kills=1, deliveries=50)
FIRST = Reading(10, 5.0, 80_000_000, 30, 12, 0, 0)
LAST = replace(FIRST, at=600.0)


def test_a_quiet_soak_passes() -> None:
    assert why_failed((FIRST, LAST), TALLY) == ()
    assert why_failed((), TALLY) == ()


@pytest.mark.parametrize("kind", ["stuck", "doubled", "lost", "left", "bugs"])
def test_any_trouble_fails_it_in_its_own_words(kind: str) -> None:
    assert why_failed((FIRST,), replace(TALLY, **{kind: ("so it is",)})) == ("so it is",)


def test_a_soak_without_an_issue_proves_nothing() -> None:
    assert why_failed((FIRST, LAST), Tally()) == ("no issue was worked on",)


@pytest.mark.parametrize(
    ("name", "most", "word"),
    [
        ("memory", MORE_MEMORY, "memory"),
        ("files", MORE_FILES, "files"),
        ("threads", MORE_THREADS, "threads"),
    ],
)
def test_growth_beyond_its_bound_is_a_leak(name: str, most: int, word: str) -> None:
    at_bound = replace(LAST, **{name: getattr(FIRST, name) + most})
    beyond = replace(LAST, **{name: getattr(FIRST, name) + most + 1})
    assert why_failed((FIRST, at_bound), TALLY) == ()
    (problem,) = why_failed((FIRST, beyond), TALLY)
    assert word in problem


def test_what_is_left_at_rest_is_a_leak() -> None:
    problems = why_failed((replace(FIRST, children=2, scratch=3),), TALLY)
    assert [problem.split()[0] for problem in problems] == ["2", "3"]


def test_growth_is_told_of_the_process_that_was_looked_at_most() -> None:
    other = replace(FIRST, process=11, files=1)
    assert growth((other, FIRST, LAST)) == (FIRST, LAST)
    assert growth((other, FIRST)) is None
    assert growth(()) is None
