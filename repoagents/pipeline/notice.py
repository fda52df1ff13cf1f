"""What an issue shows of its run: the status comment, a label, the eyes below a command."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from repoagents.domain.effect import (
    Effect,
    PostComment,
    React,
    SetLabel,
    Withheld,
    effect_name,
)
from repoagents.domain.markers import make_marker
from repoagents.domain.reports import Plan
from repoagents.domain.run import Run, RunStatus, Stage
from repoagents.errors import RepoAgentsError, StateUnreadable
from repoagents.pipeline import publisher
from repoagents.policy import notice
from repoagents.ports import House, LedgerRow
from repoagents.views import handoff
from repoagents.views.dossier import Handoff
from repoagents.views.preview import role_engines

_WRITING = threading.Lock()
"""A command and a stage must not both find no comment, and both write one."""

SHOWS_ITSELF = ("comment", "label")
"""The effects that the comment does not tell of: its text stays the same when they are done."""


def begin(house: House, run: Run) -> None:
    """Show that an attempt has begun: the comment, and the label for what is being worked on."""
    if run.status is not RunStatus.IN_PROGRESS:
        return
    planned = house.stages.last(run.id, Stage.PLAN, Plan) is not None
    tell(house, run, Stage.BUILD if planned else Stage.PLAN, run.round)
    _dress(house, run)


def tell(house: House, run: Run, stage: Stage, round_: int) -> None:
    """Bring the status comment to this stage, unless it was written a moment ago.

    Only where a tracker knows accounts: nobody waits for news in the files of a local one. What a
    flag withholds leaves no trace.
    """
    if house.tracker.people is None or run.status is not RunStatus.IN_PROGRESS:
        return
    told = Handoff(
        replace(run, round=round_),
        house.runs.issue(run.id),
        engines=role_engines(house.settings),
    )
    marker = _marker(house, run)
    body = handoff.render_progress(told, stage, marker)
    comment = PostComment(run.id, run.issue_number, marker, body)
    rows = _written(house, run)
    last = max((row.at for row in rows), default=None)
    if _is_withheld(house, comment) or notice.is_too_soon(last, house.clock.now()):
        return
    # What a person has deleted since comes back with the last word, not with the news.
    anew = not any(row.run_id == run.id and row.location for row in rows)
    with unharmed(house, comment):
        publisher.publish(house, run.id, (comment,), anew=anew)


def close(house: House, told: Handoff) -> None:
    """The last word on a run that has stopped or waits, however short ago the one before was.

    What cannot be written now never changes the run's outcome: the intent stays in the ledger, and
    the polls to come make up for it (`outcome.make_up`).
    """
    run = told.run
    latest = house.runs.latest(run.issue_number)
    if latest is None or latest.id != run.id:
        return
    effects = tuple(row for row in told.effects if row[0] not in SHOWS_ITSELF)
    marker = _marker(house, run)
    body = handoff.render_comment(replace(told, effects=effects), marker)
    comment = PostComment(run.id, run.issue_number, marker, body)
    anew = not notice.only_edits(run.status)
    with unharmed(house, comment):
        if anew or _is_there(house, run):
            publisher.publish(house, run.id, (comment,), anew=anew)
    _dress(house, run)


def acknowledge(house: House, issue_number: int, comment_id: int) -> None:
    """Let the author of a command see that it is kept, if comments are on."""
    effect = React("", issue_number, comment_id)
    if _is_withheld(house, effect):
        return
    with unharmed(house, effect):
        location = house.tracker.perform(effect)
        house.journal.note("effect_done", f"reaction: {location}", issue=issue_number)


def _marker(house: House, run: Run) -> str:
    return make_marker(house.installation, f"issue={run.issue_number}")


def _written(house: House, run: Run) -> tuple[LedgerRow, ...]:
    """The issue's comment by each of its runs; what was intended may stand there, too."""
    runs = house.runs.of_issue(run.issue_number)
    rows = (row for each in runs for row in house.ledger.rows(each.id) if row.name == "comment")
    return tuple(row for row in rows if row.state in ("intended", "done"))


def _is_there(house: House, run: Run) -> bool:
    """Whether the issue has a comment of ours, which would go on telling what is outdated.

    An issue that was deleted or moved took its comments along: those are not ours to edit.
    """
    return bool(_written(house, run)) and house.tracker.read_issue(run.issue_number) is not None


def _dress(house: House, run: Run) -> None:
    """Put the label for the run's status on, and take off what the bot put on for another."""
    if house.tracker.people is None:
        return
    tracker = house.settings.tracker
    wanted = notice.label_of(run.status, tracker)
    labels = [label for label in (tracker.working_label, tracker.waiting_label) if label]
    for label in sorted(labels, key=lambda label: label == wanted):
        effect = SetLabel(run.id, run.issue_number, label, on=label == wanted)
        if _is_withheld(house, effect):
            continue
        with unharmed(house, effect):
            if _is_wanting(house, effect):
                publisher.publish(house, run.id, (effect,))


def _is_wanting(house: House, effect: SetLabel) -> bool:
    """Whether the label has to be set or taken off; one that a person has set stays theirs."""
    ours, certain = _worn(house, effect)
    if ours == effect.on and certain:
        return False
    issue = house.tracker.read_issue(effect.issue_number)
    if issue is None:
        return False
    return ours or not issue.carries(effect.label)


def _worn(house: House, effect: SetLabel) -> tuple[bool, bool]:
    """Whether the bot has put this label on, and whether that is certain: not only intended."""
    for run in house.runs.of_issue(effect.issue_number):
        on = replace(effect, run_id=run.id, on=True)
        for row in house.ledger.rows(run.id):
            if row.key == on.key:
                certain = row.state == "done"
                return not certain or house.ledger.receipt(on) is not None, certain
    return False, True


def _is_withheld(house: House, effect: PostComment | SetLabel | React) -> bool:
    return isinstance(publisher.gate(house, effect), Withheld)


@contextmanager
def unharmed(house: House, effect: Effect) -> Iterator[None]:
    """Log what goes wrong with the effect and do not raise it: the run goes on as it would have."""
    try:
        with _WRITING:
            yield
    except StateUnreadable:
        raise
    except RepoAgentsError as error:
        house.journal.warn(
            "effect_failed",
            f"the {effect_name(effect)} could not be written: {error}",
            run=effect.run_id,
            issue=effect.issue_number,
        )
