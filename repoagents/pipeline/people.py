"""Who asked for a run, and whether they may: read from the tracker, decided by policy."""

from datetime import datetime

from repoagents.domain.issue import Comment, Issue
from repoagents.domain.people import Account, AccountKind, Act
from repoagents.domain.run import Run
from repoagents.errors import RepoAgentsError
from repoagents.policy import permission
from repoagents.policy.commands import Command, CommandKind
from repoagents.policy.eligibility import trigger_label
from repoagents.ports import Bench, House, People


class AskerUnknown(RepoAgentsError):
    """Who asked for an issue, or what they may do, could not be read: nothing starts."""


def vouch(bench: Bench, issue: Issue) -> tuple[Act | None, str | None]:
    """Who set the trigger label and when, and why nothing follows from it, or None.

    A tracker without accounts tells nobody. Raises `AskerUnknown`.
    """
    people = bench.tracker.people
    if people is None:
        return None, None
    label = trigger_label(bench.settings)
    if not label:
        return None, (
            f"it cannot be made out who asked for issue {issue.number}, because "
            "tracker.trigger_label is null: name a label, or the issue with "
            f"`repoagents trigger {issue.number}`"
        )
    try:
        asked = people.labelled_by(issue.number, label)
        reason = why_not_permitted(bench, people, asked.by if asked else None)
        if reason is None and asked is not None:
            anew = f"take the label '{label}' off and set it again"
            reason = _why_not_as_read(bench, issue, asked.at, anew)
    except RepoAgentsError as error:
        raise AskerUnknown(
            f"it cannot be read who asked for issue {issue.number} and whether they may: {error}",
            next_step=error.next_step,
        ) from error
    return asked, reason


def why_not_as_commanded(bench: Bench, issue: Issue, at: datetime) -> str | None:
    """Why the text is not the one that a command of this instant was given for, or None.

    Raises `AskerUnknown`.
    """
    try:
        return _why_not_as_read(bench, issue, at, "write the command again")
    except RepoAgentsError as error:
        raise AskerUnknown(
            f"it cannot be read who changed issue {issue.number} since: {error}",
            next_step=error.next_step,
        ) from error


def _why_not_as_read(bench: Bench, issue: Issue, at: datetime, anew: str) -> str | None:
    """Why the text may be another than the one read by who asked at this instant, or None.

    What people who may ask have written since is theirs; an author must not get another text
    worked on than the one that was asked for. `anew` says how to ask for this one.
    """
    people = bench.tracker.people
    if people is None:
        return None
    for editor in dict.fromkeys(edit.by for edit in people.edits_since(issue, at)):
        if why_not_permitted(bench, people, editor) is not None:
            return (
                f"the text of issue {issue.number} was changed after it was asked for by "
                f"{editor.login or 'a deleted account'}, who may not ask for work: "
                f"read it, then {anew}, or `repoagents trigger {issue.number}`"
            )
    return None


def why_not_permitted(bench: Bench, people: People, asker: Account | None) -> str | None:
    """Why this account may not ask for work, or None; asks for no more than the decision needs."""
    if asker is not None and not asker.login:
        asker = None
    viewer = people.viewer()
    known = None
    if asker is not None and permission.needs_permission(asker, viewer):
        known = people.permission(asker.login)
    return permission.why_not_permitted(asker, known, viewer, bench.settings)


def why_not_any_more(house: House, run: Run, issue: Issue) -> str | None:
    """Why whoever asked for a run may not ask any more, or None while they may.

    An operator's own request stays. What cannot be read is raised.
    """
    people = house.tracker.people
    if people is None or not run.asked_by:
        return None
    reason = why_not_permitted(house, people, _find(house, people, run, issue))
    if reason is None:
        return None
    return f"{reason}; `repoagents retry {run.issue_number} --fresh` takes it over"


def why_no_command(house: House, comment: Comment, command: Command) -> str | None:
    """Why nothing follows from a command, or None when its author may give it.

    A listed bot may ask for work, but its word is no approval. Raises `AskerUnknown`.
    """
    people = house.tracker.people
    if people is None:
        return "the tracker knows no accounts"
    if comment.edited:
        return "the comment was edited, perhaps by somebody else: write a new one"
    if comment.bot and command.kind is CommandKind.APPROVE:
        return f"{comment.author} is a bot, and no bot can approve"
    try:
        return why_not_permitted(house, people, author_of(comment))
    except RepoAgentsError as error:
        raise AskerUnknown(
            f"it cannot be read whether {comment.author} may give commands: {error}",
            next_step=error.next_step,
        ) from error


def author_of(comment: Comment) -> Account | None:
    """The account that wrote a comment, or None when it was deleted."""
    if not comment.author or not comment.author_id:
        return None
    kind = AccountKind.BOT if comment.bot else AccountKind.USER
    return Account(comment.author, comment.author_id, kind)


def _find(house: House, people: People, run: Run, issue: Issue) -> Account:
    """The account of who asked, by what the issue shows; by the login alone where it does not."""
    label = trigger_label(house.settings)
    if label in issue.labels:
        asked = people.labelled_by(issue.number, label)
        if asked is not None and asked.by.login == run.asked_by:
            return asked.by
    authors = (author_of(comment) for comment in issue.comments)
    written = (author for author in authors if author and author.login == run.asked_by)
    return next(written, Account(run.asked_by, 0))
