"""The rollout as people and scripts read it: the phase in force, and what the next one asks for."""

import difflib
from collections.abc import Sequence

from repoagents.domain.rollout import Brake, Phase
from repoagents.policy.rollout import Assessment, Row, State
from repoagents.views.markdown import code, document, inline, section, table
from repoagents.views.text import brake_line

ALLOWS = {
    Phase.OBSERVE: "nothing is written; results stay on this machine",
    Phase.COMMENT: "comments and labels on issues",
    Phase.DRAFT_PR: "comments, branches and draft pull requests",
    Phase.MERGE: "the merge of what a person has approved, too",
}
MARKS = {State.MET: "ok", State.MISSING: "missing", State.PERSON: "you"}


def render_status(phase: Phase | None, within: Phase, brake: Brake | None) -> str:
    """The phase that the flags name, and what it allows; `within` is the one that counts."""
    lines = [f"{'->' if one is within else '  '} {one:<9} {ALLOWS[one]}" for one in Phase]
    if phase is None:
        lines += ["", f"custom: the flags are those of no phase; all that {within} allows is open"]
        lines.append(f"  `repoagents rollout back --to {within}` makes them a phase again")
    if brake is not None:
        lines += ["", f"held to {brake.phase}: {brake_line(brake)}"]
        look = "" if brake.by_person else "look at it, then "
        lines.append(f"  {look}`repoagents rollout advance` lets go by one phase")
    lines += ["", "`repoagents rollout check` says whether the next phase is justified"]
    return "\n".join(lines)


def render_assessment(found: Assessment) -> str:
    """Every row on a line of its own, with what to type below those that are not met."""
    lines = [_verdict(found), "", "from what is recorded"]
    lines += [line for row in found.criteria for line in _row(row)]
    lines += ["", "checklist"]
    lines += [line for row in found.checklist for line in _row(row)]
    return "\n".join(lines)


def render_assessment_report(found: Assessment) -> str:
    """The same as Markdown."""
    return document(
        "# Rollout",
        _verdict(found),
        section("From what is recorded", _table(found.criteria)),
        section("Checklist", _table(found.checklist)),
    )


def assessment_row(found: Assessment) -> dict[str, object]:
    """The same as JSON."""
    return {
        "phase": found.phase.value if found.phase else "custom",
        "next": found.next.value if found.next else None,
        "justified": found.justified,
        "missing": [row.key for row in found.missing],
        "criteria": [_json(row) for row in found.criteria],
        "checklist": [_json(row) for row in found.checklist],
    }


def render_diff(before: str, after: str, name: str) -> str:
    """The change of a file, unified; empty without one."""
    rows = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"a/{name}", f"b/{name}", lineterm=""
    )
    return "\n".join(rows)


def _verdict(found: Assessment) -> str:
    if found.phase is None:
        return "The flags are those of no phase: there is no next one to judge."
    if found.next is None:
        return f"In force is {found.phase}, the last phase."
    if found.justified:
        return f"From {found.phase} to {found.next}: justified. Advancing is a person's act."
    names = ", ".join(row.key for row in found.missing)
    return f"From {found.phase} to {found.next}: not justified yet: {names}."


def _row(row: Row) -> list[str]:
    wanted = "" if row.state is State.MET else f"; wanted: {row.wanted}"
    lines = [f"  {MARKS[row.state]:<8}{row.key}: {row.found}{wanted}"]
    return [*lines, f"          {row.command}"] if row.command else lines


def _table(rows: Sequence[Row]) -> str:
    cells = [
        (row.state.value, row.key, inline(row.found), row.wanted, code(row.command))
        if row.command
        else (row.state.value, row.key, inline(row.found), row.wanted, "")
        for row in rows
    ]
    return table(("state", "criterion", "found", "wanted", "next"), cells)


def _json(row: Row) -> dict[str, str]:
    return {
        "key": row.key,
        "state": row.state.value,
        "found": row.found,
        "wanted": row.wanted,
        "next_command": row.command,
    }
