"""Answers as models and commands really give them, and the strict reading of them."""

import json
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.agents.output import ANSWER_LIMIT, last_object, parse_answer, schema_for
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
from repoagents.errors import OutputInvalid

PLAN: dict[str, Any] = {
    "summary": "s",
    "plan_steps": ["a", "b"],
    "likely_files": ["x.py"],
    "acceptance_criteria": ["c"],
    "risks": [],
    "risk_level": "low",
    "difficulty": "easy",
    "questions": [],
}
BUILD: dict[str, Any] = {
    "summary": "s",
    "changed_files": ["x.py"],
    "test_actions": [],
    "assumptions": ["none"],
    "questions": [],
}
REVIEW: dict[str, Any] = {
    "decision": "request_changes",
    "risk_level": "medium",
    "criteria": [{"id": 1, "met": True, "evidence": "e"}, {"id": 2, "met": False, "evidence": ""}],
    "findings": [{"severity": "high", "file": "x.py", "line": 3, "message": "m"}],
    "summary": "s",
}
GOOD = {Role.PLANNER: PLAN, Role.BUILDER: BUILD, Role.REVIEWER: REVIEW}


def refusal(role: Role, answer: object, criteria: tuple[int, ...] = (1, 2)) -> str:
    """What is wrong with an answer."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    with pytest.raises(OutputInvalid) as refused:
        parse_answer(role, criteria, text)
    assert refused.value.kind == "contract_invalid"
    return str(refused.value)


def test_each_role_is_read_into_its_report() -> None:
    assert parse_answer(Role.PLANNER, (), json.dumps(PLAN)) == Plan(
        "s", ("a", "b"), ("x.py",), ("c",), (), "low", "easy", ()
    )
    assert parse_answer(Role.BUILDER, (), json.dumps(BUILD)) == BuildReport(
        "s", ("x.py",), (), ("none",), ()
    )
    assert parse_answer(Role.REVIEWER, (1, 2), json.dumps(REVIEW)) == Review(
        Decision.REQUEST_CHANGES,
        (CriterionRow(1, met=True, evidence="e"), CriterionRow(2, met=False, evidence="")),
        (ReviewFinding(Severity.HIGH, "x.py", 3, "m"),),
        "medium",
        "s",
    )


@pytest.mark.parametrize("role", list(Role))
def test_the_schema_suits_structured_outputs(role: Role) -> None:
    schema = schema_for(role, (1, 2))
    jsonschema.Draft202012Validator.check_schema(schema)  # type: ignore[arg-type]
    jsonschema.validate(GOOD[role], schema)  # type: ignore[arg-type]
    objects = 0

    def look(node: object) -> None:
        nonlocal objects
        if isinstance(node, dict):
            if node.get("type") == "object":
                objects += 1
                assert node["additionalProperties"] is False
                assert sorted(node["required"]) == sorted(node["properties"])
            assert "default" not in node
            for value in node.values():
                look(value)
        elif isinstance(node, list):
            for value in node:
                look(value)

    look(schema)
    assert objects == (3 if role is Role.REVIEWER else 1)


def test_the_review_schema_lists_the_asked_ids() -> None:
    asked = schema_for(Role.REVIEWER, (1, 2, 3))
    answer = REVIEW | {"criteria": [{"id": 4, "met": True, "evidence": ""}]}
    with pytest.raises(jsonschema.ValidationError, match=r"4 is not one of \[1, 2, 3\]"):
        jsonschema.validate(answer, asked)  # type: ignore[arg-type]
    unasked = schema_for(Role.REVIEWER)
    jsonschema.Draft202012Validator.check_schema(unasked)  # type: ignore[arg-type]
    jsonschema.validate(answer, unasked)  # type: ignore[arg-type]
    assert "the ids 4 were not asked for, only none" in refusal(Role.REVIEWER, answer, ())


@pytest.mark.parametrize(
    "wrap",
    [
        "{}",
        "  \n{}\n",
        "```json\n{}\n```",
        "Here it is:\n```\n{}\n```\nDone.",
        'First {{"not": "this"}}, then {}',
        "[INFO] started [1, 2]\n{}\n[INFO] done",
        "A brace {{ that is never closed, and\n{}",
        '[{{"a": 1}}]\n{}',
    ],
)
def test_prose_and_fences_around_the_answer_do_not_matter(wrap: str) -> None:
    text = wrap.format(json.dumps(PLAN, indent=1))
    assert isinstance(parse_answer(Role.PLANNER, (), text), Plan)


def test_of_two_answers_the_last_counts() -> None:
    text = json.dumps(PLAN) + "\n" + json.dumps(PLAN | {"summary": "second"})
    report = parse_answer(Role.PLANNER, (), text)
    assert isinstance(report, Plan)
    assert report.summary == "second"


@pytest.mark.parametrize("text", ["", "no json", "[]", "null", "[1, {", '[{"a": 1}]'])
def test_without_an_object_it_is_refused(text: str) -> None:
    assert "no JSON object" in refusal(Role.BUILDER, text)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"risk_level": "enormous"}, "risk_level: Input should be 'low', 'medium' or 'high'"),
        ({"decision": "lgtm"}, "decision: Input should be 'approve'"),
        ({"summary": 3}, "summary: Input should be a valid string"),
        ({"extra": 1}, "extra: Extra inputs are not permitted"),
        ({"criteria": [{"id": "1", "met": True, "evidence": ""}]}, "criteria.0.id"),
        ({"criteria": [{"id": 1, "met": "yes", "evidence": ""}]}, "criteria.0.met"),
        ({"criteria": [{"id": 1, "met": True}]}, "criteria.0.evidence: Field required"),
        ({"criteria": [{"id": 7, "met": True, "evidence": ""}]}, "the ids 7 were not asked for"),
        ({"findings": [{"severity": "bad", "file": "", "line": 0, "message": ""}]}, "severity"),
    ],
)
def test_the_refusal_says_exactly_what_does_not_fit(change: dict[str, Any], words: str) -> None:
    assert words in refusal(Role.REVIEWER, REVIEW | change)


def test_every_problem_is_named_up_to_ten() -> None:
    message = refusal(Role.PLANNER, {str(n): 1 for n in range(20)})
    assert message.count(";") == 10
    assert "and 18 more" in message


def test_a_problem_is_one_short_line_whatever_the_agent_called_its_keys() -> None:
    message = refusal(Role.BUILDER, BUILD | {"\x1b[31mkey\n" * 1_000: 1})
    assert message.startswith("key key key")
    assert len(message) < 200
    ids = [{"id": int("9" * 4_000), "met": True, "evidence": ""}]
    assert len(refusal(Role.REVIEWER, REVIEW | {"criteria": ids})) < 200


@pytest.mark.parametrize("field", ["changed_files", "questions"])
def test_a_list_has_a_length(field: str) -> None:
    assert f"{field}: Value error, 1001 entries" in refusal(
        Role.BUILDER, BUILD | {field: ["x"] * 1_001}
    )


@pytest.mark.parametrize(
    ("line", "read"), [(7, 7), (0, 0), (-5, 0), (int("9" * 4_000), 0), (10_000_000, 0)]
)
def test_a_line_that_no_file_has_is_the_whole_file(line: int, read: int) -> None:
    found = {"severity": "low", "file": "x.py", "line": line, "message": "m"}
    report = parse_answer(Role.REVIEWER, (1, 2), json.dumps(REVIEW | {"findings": [found]}))
    assert isinstance(report, Review)
    assert report.findings[0].line == read


@pytest.mark.parametrize(
    "number", ["9" * 5_000, "-" + "9" * 400_000, "1e999999", "NaN", "Infinity"]
)
def test_no_number_breaks_the_search_or_the_reading(number: str) -> None:
    bomb = f'{{"summary": {number}}}'
    refused = refusal(Role.BUILDER, bomb)
    assert "Invalid JSON" in refused or "summary: Input should be a valid string" in refused
    report = parse_answer(Role.BUILDER, (), f"[{number}] {bomb} {json.dumps(BUILD)}")
    assert isinstance(report, BuildReport)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"a":' * 100_000 + "1" + "}" * 100_000, id="deep objects"),
        pytest.param("[" * 100_000 + "]" * 100_000, id="deep lists"),
        pytest.param(json.dumps(BUILD)[:-1] + ',"x":' + "[" * 900 + "]" * 900 + "}", id="within"),
        pytest.param(json.dumps(BUILD | {"summary": "S"}).replace("S", "\\ud800"), id="surrogate"),
        pytest.param(json.dumps(BUILD | {"summary": "S"}).replace("S", "\ud800"), id="raw one"),
        pytest.param(json.dumps(BUILD).replace("{", "{\0"), id="NUL"),
    ],
)
def test_what_json_cannot_carry_is_refused(text: str) -> None:
    assert refusal(Role.BUILDER, text)


def test_of_doubled_keys_the_last_counts() -> None:
    text = json.dumps(BUILD)[:-1] + ', "summary": "second"}'
    assert parse_answer(Role.BUILDER, (), text).summary == "second"


@pytest.mark.parametrize("secret", ["the-secret", "the-\x1b[0msecret", "the-\x07secret"])
def test_every_text_is_redacted_however_it_is_spelled(secret: str) -> None:
    found = {"severity": "low", "file": secret, "line": 1, "message": secret}
    rows = [{"id": 1, "met": True, "evidence": secret}]
    review = REVIEW | {"summary": secret, "findings": [found], "criteria": rows}
    plan = PLAN | {key: [secret] for key, value in PLAN.items() if isinstance(value, list)}
    build = BUILD | {key: [secret] for key, value in BUILD.items() if isinstance(value, list)}
    for role, answer in (
        (Role.REVIEWER, review),
        (Role.PLANNER, plan | {"summary": secret}),
        (Role.BUILDER, build | {"summary": secret}),
    ):
        # As escapes, which a search in the raw answer would not see through.
        text = json.dumps(answer).replace("e-", "\\u0065-")
        report = parse_answer(role, (1,), text, lambda part: part.replace("the-secret", "***"))
        assert "secret" not in repr(report)
        assert repr(report).count("***") >= 4


def test_a_refusal_repeats_no_secret() -> None:
    with pytest.raises(OutputInvalid) as caught:
        parse_answer(
            Role.BUILDER,
            (),
            json.dumps(BUILD | {"the-secret": 1}),
            lambda text: text.replace("the-secret", "***"),
        )
    assert str(caught.value) == "***: Extra inputs are not permitted"


def test_missing_and_doubled_criteria_are_for_the_verdict() -> None:
    rows = [{"id": 1, "met": True, "evidence": ""}] * 2
    report = parse_answer(Role.REVIEWER, (1, 2, 3), json.dumps(REVIEW | {"criteria": rows}))
    assert isinstance(report, Review)
    assert [row.id for row in report.criteria] == [1, 1]


def test_control_characters_do_not_get_through() -> None:
    answer = json.dumps(BUILD | {"summary": "a\x1b[31mb\x00c\nd", "questions": ["\x07?"]})
    report = parse_answer(Role.BUILDER, (), answer)
    assert isinstance(report, BuildReport)
    assert (report.summary, report.questions) == ("abc\nd", ("?",))


def test_an_answer_has_a_size() -> None:
    huge = json.dumps(BUILD | {"summary": "x" * ANSWER_LIMIT})
    assert "longer than" in refusal(Role.BUILDER, huge)


@pytest.mark.parametrize(
    "text",
    [
        "{" * 1_000_000,
        '{"a":' * 200_000,
        ('{"x":[' + "1," * 1000) * 490,
        '{"' * 500_000,
        "[{" * 500_000,
        '{"a": "' + "{" * 900_000,
    ],
)
def test_a_hostile_answer_is_refused_in_time(text: str) -> None:
    started = time.process_time()
    assert last_object(text) is None
    assert time.process_time() - started < 30


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_any_object_is_found_in_prose(value: object) -> None:
    text = "Result: " + json.dumps({"value": value}) + " (end)"
    found = last_object(text)
    assert found is not None
    assert json.loads(found) == {"value": value}
