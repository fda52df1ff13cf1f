"""A role's report as an artifact: the promised fields, and nothing that a reader's tool acts on."""

import json
import re
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.reports import (
    BuildReport,
    CriterionRow,
    Decision,
    Plan,
    Review,
    ReviewFinding,
    Role,
    Severity,
)
from repoagents.views.roles import render_report, report_json
from tests.unit.policy.builders import a_plan, a_review

FINDING = ReviewFinding(Severity.HIGH, "src/totals.py", 4, "off by one")


def reports(text: str) -> list[tuple[Role, Plan | BuildReport | Review]]:
    """A report of each role with this text wherever an agent may write."""
    many = (text, text)
    return [
        (Role.PLANNER, Plan(text, many, many, many, many, "low", "easy", many)),
        (Role.BUILDER, BuildReport(text, many, many, many, many)),
        (
            Role.REVIEWER,
            Review(
                Decision.REQUEST_INFO,
                (CriterionRow(1, False, text),),
                (ReviewFinding(Severity.LOW, text, 3, text),),
                "low",
                text,
            ),
        ),
    ]


def test_a_section_per_field_that_says_something() -> None:
    shown = render_report(Role.REVIEWER, a_review(findings=(FINDING,)))
    assert shown.startswith("# reviewer\n\n## decision\n\napprove\n\n## criteria\n\n- 1 · True · ")
    assert "- high · src/totals.py · 4 · off by one\n" in shown
    assert "## risks" not in render_report(Role.PLANNER, a_plan(risks=()))


@pytest.mark.parametrize(
    ("report", "names"),
    [
        (
            a_plan(),
            "summary plan_steps likely_files acceptance_criteria risks risk_level difficulty"
            " questions",
        ),
        (BuildReport("s"), "summary changed_files test_actions assumptions questions"),
        (a_review(findings=(FINDING,)), "decision criteria findings risk_level summary"),
    ],
)
def test_json_has_the_promised_fields(report: Plan | BuildReport | Review, names: str) -> None:
    assert list(json.loads(report_json(report))) == [field.name for field in fields(report)]
    assert set(json.loads(report_json(report))) == set(names.split())


def test_json_of_a_review_is_values() -> None:
    read = json.loads(report_json(a_review(findings=(FINDING,))))
    assert read["decision"] == "approve"
    assert read["criteria"][0] == {"id": 1, "met": True, "evidence": "totals.py:4"}
    assert read["findings"][0]["severity"] == "high"


def test_what_is_no_report_is_refused() -> None:
    with pytest.raises(TypeError, match="str is not a report"):
        report_json("text")


HOSTILE = (
    "x\n# Decision\n- **approve** <img src=http://t onerror=x> ![a](http://t/p.png) @octocat "
    "Fixes #1 [go](javascript:x) <!-- hidden --> \x1b[2J\u202e|"
)


@pytest.mark.parametrize(("role", "report"), reports(HOSTILE))
def test_hostile_text_stays_text(role: Role, report: Plan | BuildReport | Review) -> None:
    shown = render_report(role, report)
    assert not re.search(r"<img|<!--|\]\(|@octocat|Fixes #1|[\x1b\u202e]", shown)
    headings = [line for line in shown.split("\n") if line.startswith("#")]
    assert len(headings) == len(set(headings))


@given(st.text())
def test_any_text_adds_no_line(text: str) -> None:
    for role, report in reports(text):
        plain = render_report(role, next(r for known, r in reports("x") if known is role))
        shown = render_report(role, report)
        assert len(shown.split("\n")) <= len(plain.split("\n"))
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]", shown)
