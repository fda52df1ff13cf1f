"""The rollout and the soak as people and scripts read them."""

from dataclasses import replace
from datetime import UTC, datetime

from repoagents.domain.rollout import Brake, Phase, Soak
from repoagents.domain.soak import Reading, Tally
from repoagents.policy.rollout import Assessment, Row, State
from repoagents.views.rollout import (
    assessment_row,
    render_assessment,
    render_assessment_report,
    render_diff,
    render_status,
)
from repoagents.views.soak import render_soak, soak_row
from repoagents.views.text import render_brake

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
BRAKE = Brake(Phase.COMMENT, "a change\x1b[31m held\na secret", "r", 7, NOW)
MET = Row("finished runs", State.MET, "3", "at least 3")
MISSING = Row("soak", State.MISSING, "none | yet <b>", "passed", "repoagents rollout soak")
PERSON = Row("flags fit", State.PERSON, "no write allowed", "meant so", "repoagents config show")
FOUND = Assessment(Phase.OBSERVE, (MET, MISSING), (PERSON,))
GOOD = Assessment(Phase.OBSERVE, (MET,), (PERSON,))


def test_the_phase_in_force_is_marked() -> None:
    lines = render_status(Phase.COMMENT, Phase.COMMENT, None).split("\n")
    assert [line[:12].rstrip() for line in lines[:4]] == [
        "   observe",
        "-> comment",
        "   draft-pr",
        "   merge",
    ]
    assert "custom" not in "\n".join(lines)


def test_a_mixture_and_a_brake_are_told_with_what_to_type() -> None:
    text = render_status(None, Phase.OBSERVE, BRAKE)
    assert "`repoagents rollout back --to observe`" in text
    assert "held to comment: a change held a secret (issue #7, 2026-03-04 05:06 UTC)" in text
    assert "`repoagents rollout advance`" in text
    assert "\x1b" not in text


def test_the_brake_fits_the_columns() -> None:
    lines = render_brake(BRAKE, 50).split("\n")
    assert len(lines) > 1
    assert max(map(len, lines)) <= 50
    assert "`repoagents rollout status`" in " ".join(lines)


def test_what_is_missing_is_said_first_and_how_to_get_there() -> None:
    text = render_assessment(FOUND)
    assert text.startswith("From observe to comment: not justified yet: soak.\n")
    assert "  ok      finished runs: 3\n" in text
    assert (
        "  missing soak: none | yet <b>; wanted: passed\n          repoagents rollout soak" in text
    )
    assert "  you     flags fit: no write allowed; wanted: meant so" in text
    assert render_assessment(GOOD).startswith("From observe to comment: justified.")


def test_the_ends_of_the_way_are_told() -> None:
    assert render_assessment(replace(GOOD, phase=Phase.MERGE)).startswith("In force is merge, the")
    assert render_assessment(replace(GOOD, phase=None)).startswith("The flags are those of no")


def test_the_report_is_markdown_that_nothing_breaks_out_of() -> None:
    text = render_assessment_report(FOUND)
    assert "| missing | soak | none \\| yet &lt;b> | passed | `repoagents rollout soak` |" in text


def test_the_same_as_json() -> None:
    row = assessment_row(FOUND)
    assert (row["phase"], row["next"], row["justified"]) == ("observe", "comment", False)
    assert row["missing"] == ["soak"]
    assert row["checklist"] == [
        {
            "key": "flags fit",
            "state": "for a person",
            "found": "no write allowed",
            "wanted": "meant so",
            "next_command": "repoagents config show",
        }
    ]
    assert assessment_row(replace(FOUND, phase=None))["phase"] == "custom"


def test_a_diff_names_the_file() -> None:
    text = render_diff("a: 1\nb: 2\n", "a: 1\nb: 3\n", "x.yaml")
    assert text.split("\n")[:2] == ["--- a/x.yaml", "+++ b/x.yaml"]
    assert text.endswith("-b: 2\n+b: 3")
    assert render_diff("a", "a", "x") == ""


def test_a_soak_says_first_that_it_is_a_rehearsal_and_why_it_failed() -> None:
    soak = Soak(NOW, "1.0", 61.5, ("issue #3 has 2 comments with one marker",))
    tally = Tally(issues=3, merged=2, doubled=("issue #3 has 2 comments with one marker",))
    first = Reading(10, 5.0, 80_000_000, 30, 12, 0, 0)
    text = render_soak(soak, tally, (first,))
    assert text.startswith("**Rehearsal: no model was called")
    assert "# Soak failed" in text
    assert "- issue #3 has 2 comments with one marker" in text
    assert "| doubled effects | 1 |" in text
    assert "too short to tell what grows" in text
    row = soak_row(soak, tally, (first,))
    assert (row["rehearsal"], row["passed"], row["doubled"], row["seconds"]) == (
        True,
        False,
        1,
        61.5,
    )
    last = replace(first, at=60.0, memory=90_000_000)
    passed = render_soak(replace(soak, problems=()), tally, (first, last))
    assert "# Soak passed" in passed
    assert "| memory | 80 MB | 90 MB |" in passed
