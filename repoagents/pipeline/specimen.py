"""Every role's prompt made for an invented issue, so that a bad one is found before any call."""

from collections.abc import Iterator
from dataclasses import replace

from repoagents.domain.change import ChangeSet
from repoagents.domain.issue import Issue
from repoagents.domain.reports import BuildReport, Plan, Role, Verification
from repoagents.ports import Bench, Brief

_SHA = "0" * 40


def render_all(bench: Bench) -> None:
    """Render the enabled roles' prompts; raises ConfigError about the first that cannot be used."""
    for role in bench.settings.roles.enabled:
        for brief in _briefs(bench, role):
            bench.agents.render(brief)


def _briefs(bench: Bench, role: Role) -> Iterator[Brief]:
    """What the role is told at first and, unless it is the planner, in a fix round."""
    issue = Issue(number=1, title="A title", body="A text")
    first = Brief(role, issue, "specimen", "specimen", _SHA, verify=bench.settings.verify)
    if role is Role.PLANNER:
        yield first
        return
    first = replace(first, plan=Plan("A plan", ("A step",), ("a.py",), ("A criterion",)))
    if role is Role.REVIEWER:
        first = replace(
            first,
            change=ChangeSet(_SHA, _SHA, patch="+ a line"),
            build=BuildReport("A change"),
            verification=Verification(_SHA),
        )
    yield first
    yield replace(first, round=2, contract=("A point",), note="A note")
