"""What a poll found, in words; and how to ask for work where nobody has."""

from repoagents.domain.issue import Issue
from repoagents.pipeline.checkup import labelled
from repoagents.pipeline.checkup_github import count_unlabelled
from repoagents.policy.eligibility import trigger_label
from repoagents.ports import Bench, House, Inspection


def is_bare(house: House, issues: tuple[Issue, ...]) -> bool:
    """Whether a trigger label is wanted and none of the issues carries it."""
    label = trigger_label(house.settings)
    return bool(label) and not any(label in issue.labels for issue in issues)


def count(bench: Bench, issues: tuple[Issue, ...], *, help_out: bool) -> str:
    """How many issues are open and labelled.

    With `help_out`, the commands that label one, for which GitHub is asked what else is open: it
    lists only what is labelled.
    """
    tracker, inspection = bench.settings.tracker, bench.tracker.inspection
    label = tracker.trigger_label
    if inspection is None or not label:
        check = labelled(issues, bench.settings)
        return f"{check.message}; {check.fix}" if help_out and check.fix else check.message
    if not help_out:
        return f"{len(issues)} labelled {label}"
    told, steps = count_open(inspection, tracker.repo, label)
    return "; ".join((told, *(f"`{step}`" for step in steps)))


def count_open(inspection: Inspection, repo: str, label: str) -> tuple[str, tuple[str, ...]]:
    """How many issues are open while none carries the label, and the commands that change that."""
    backlog = inspection.backlog()
    checks = count_unlabelled(backlog, repo, backlog.page, label)
    told = next(check.message for check in checks if check.name == "tracker")
    return told, tuple(check.fix for check in checks if check.fix)
