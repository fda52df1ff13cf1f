"""What a role must answer: the JSON Schema that it is given, and the strict reading of it."""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Annotated, Literal, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    ValidationInfo,
)

from repoagents.agents.fencing import plain, short_line
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
from repoagents.ports import RoleReport

ANSWER_LIMIT = 1_000_000
"""Characters of an answer that are looked at."""

_SEARCH_BUDGET = 1_000 * ANSWER_LIMIT
_PARSE_COST = 20
_OPENING = re.compile(r"""\{\s*["}]|\[\s*["\[{\]tfn0-9-]""")
_PROBLEMS = 10
_ENTRIES = 1_000
_LAST_LINE = 10_000_000
# Numbers are not read in the search: one of many digits would raise.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)

_ASKED_IDS: JsonValue = ["the ids of the criteria"]
"""Stands in the schema for what is known only per run."""


Entry = TypeVar("Entry")


def _shown(text: str, info: ValidationInfo) -> str:
    """Cleaned first: a secret must not hide behind a colour in its middle."""
    redact = cast(Callable[[str], str], info.context)
    return redact(plain(text))


def _bounded(entries: list[Entry]) -> list[Entry]:
    if len(entries) > _ENTRIES:
        raise ValueError(f"{len(entries)} entries are more than anybody reads")
    return entries


def _line(number: int) -> int:
    return number if 0 < number < _LAST_LINE else 0


Text = Annotated[str, AfterValidator(_shown)]
Texts = Annotated[list[Text], AfterValidator(_bounded)]
Level = Literal["low", "medium", "high"]


class _Answer(BaseModel):
    """Strict and without defaults, so that the schema suits structured outputs."""

    model_config = ConfigDict(extra="forbid", strict=True)


class _PlanAnswer(_Answer):
    summary: Text
    plan_steps: Texts
    likely_files: Texts
    acceptance_criteria: Texts
    risks: Texts
    risk_level: Level
    difficulty: Literal["easy", "medium", "hard"]
    questions: Texts

    def report(self) -> Plan:
        return Plan(
            summary=self.summary,
            plan_steps=tuple(self.plan_steps),
            likely_files=tuple(self.likely_files),
            acceptance_criteria=tuple(self.acceptance_criteria),
            risks=tuple(self.risks),
            risk_level=self.risk_level,
            difficulty=self.difficulty,
            questions=tuple(self.questions),
        )


class _BuildAnswer(_Answer):
    summary: Text
    changed_files: Texts
    test_actions: Texts
    assumptions: Texts
    questions: Texts

    def report(self) -> BuildReport:
        return BuildReport(
            summary=self.summary,
            changed_files=tuple(self.changed_files),
            test_actions=tuple(self.test_actions),
            assumptions=tuple(self.assumptions),
            questions=tuple(self.questions),
        )


class _CriterionAnswer(_Answer):
    id: Annotated[int, Field(json_schema_extra={"enum": _ASKED_IDS})]
    met: bool
    evidence: Text


class _FindingAnswer(_Answer):
    severity: Severity
    file: Text
    line: Annotated[int, AfterValidator(_line)]
    message: Text


class _ReviewAnswer(_Answer):
    decision: Decision
    risk_level: Level
    criteria: Annotated[list[_CriterionAnswer], AfterValidator(_bounded)]
    findings: Annotated[list[_FindingAnswer], AfterValidator(_bounded)]
    summary: Text

    def report(self) -> Review:
        return Review(
            decision=self.decision,
            criteria=tuple(CriterionRow(row.id, row.met, row.evidence) for row in self.criteria),
            findings=tuple(
                ReviewFinding(found.severity, found.file, found.line, found.message)
                for found in self.findings
            ),
            risk_level=self.risk_level,
            summary=self.summary,
        )


_ANSWERS: dict[Role, type[_PlanAnswer] | type[_BuildAnswer] | type[_ReviewAnswer]] = {
    Role.PLANNER: _PlanAnswer,
    Role.BUILDER: _BuildAnswer,
    Role.REVIEWER: _ReviewAnswer,
}


def schema_for(role: Role, criteria: tuple[int, ...] = ()) -> JsonValue:
    """The JSON Schema of a role's answer; a review's names the ids of the criteria to cover."""
    return _bare(_whole_schema(role), criteria)


@cache
def _whole_schema(role: Role) -> JsonValue:
    return _ANSWERS[role].model_json_schema()


def parse_answer(
    role: Role, criteria: tuple[int, ...], answer: str, redact: Callable[[str], str] = str
) -> RoleReport:
    """The typed answer; raises OutputInvalid with everything that does not fit.

    Every text in it has passed `redact`: it goes into comments, pull requests and commits.
    A missing or doubled criterion is left to the verdict; one that was never asked for is refused.
    """
    if len(answer) > ANSWER_LIMIT:
        raise OutputInvalid(f"the answer is longer than {ANSWER_LIMIT} characters")
    text = last_object(answer)
    if text is None:
        raise OutputInvalid("the answer holds no JSON object")
    try:
        report = _ANSWERS[role].model_validate_json(text, context=redact).report()
    except ValidationError as error:
        raise OutputInvalid(redact(_problems(error))) from None
    if isinstance(report, Review):
        unknown = sorted({row.id for row in report.criteria} - set(criteria))
        if unknown:
            asked = ", ".join(map(str, criteria)) or "none"
            ids = short_line(", ".join(map(str, unknown)), 100)
            raise OutputInvalid(f"criteria: the ids {ids} were not asked for, only {asked}")
    return report


def last_object(text: str) -> str | None:
    """The last outermost JSON object in a text, as it stands there; None when there is none.

    Prose and code fences around it do not matter. The search is bounded, in units of a character
    looked at: a hostile text cannot make it slow.
    """
    text = text[-ANSWER_LIMIT:]
    found: str | None = None
    place, budget = 0, _SEARCH_BUDGET
    while budget > 0 and (opening := _OPENING.search(text, place)):
        start = opening.start()
        try:
            value, place = _DECODER.raw_decode(text, start)
        except json.JSONDecodeError as error:
            # To give a line number, the exception counts newlines from the very beginning.
            budget -= error.pos + _PARSE_COST * (error.pos - start)
            place = start + 1
        except RecursionError:
            budget -= _PARSE_COST * (len(text) - start)
            place = start + 1
        else:
            budget -= _PARSE_COST * (place - start)
            found = text[start:place] if isinstance(value, dict) else found
    return found


def _bare(schema: JsonValue, criteria: tuple[int, ...]) -> JsonValue:
    """Without the titles and descriptions made from our class names, and with the asked ids."""
    if isinstance(schema, list):
        return [_bare(value, criteria) for value in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, JsonValue] = {}
    for key, value in schema.items():
        if key in ("title", "description") and isinstance(value, str):
            continue
        if value != _ASKED_IDS:
            kept[key] = _bare(value, criteria)
        elif criteria:  # an empty enum is not a legal schema; the reading refuses every id
            kept[key] = list(criteria)
    return kept


def _problems(error: ValidationError) -> str:
    problems = []
    for problem in error.errors(include_url=False)[:_PROBLEMS]:
        place = short_line(".".join(map(str, problem["loc"])), 100) or "the answer"
        problems.append(f"{place}: {short_line(problem['msg'])}")
    left = error.error_count() - len(problems)
    return "; ".join([*problems, *([f"and {left} more"] if left else [])])
