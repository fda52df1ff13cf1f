"""Whether a pull request may be merged now, and whose word lets it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from repoagents.domain.people import Account, AccountKind
from repoagents.domain.pull_request import (
    CheckRun,
    PeerReview,
    PullRequest,
    PullState,
    RequiredCheck,
    ReviewState,
)
from repoagents.domain.settings import ApprovalSettings
from repoagents.policy.wording import one_line

BEGINS = timedelta(minutes=15)
"""After how long a check that has not even begun will not begin by itself."""


@dataclass(frozen=True)
class Terms:
    """What a merge depends on besides the pull request itself.

    `approved` is the commit that an approval stands for, empty when there is none. `base` is the
    branch that the change was proven on, `required` its required checks. `objecting` are the logins
    of permitted people who ask for changes. `pushed` is how long ago the commit was pushed.
    """

    approved: str
    base: str
    required: tuple[RequiredCheck, ...] = ()
    objecting: tuple[str, ...] = ()
    pushed: timedelta = timedelta(0)


def why_not_this(pull: PullRequest | None, head_sha: str) -> str | None:
    """Why an approval of this commit cannot be meant for the pull request, or None."""
    if pull is None:
        return "its pull request cannot be found"
    if pull.state is not PullState.OPEN:
        return f"pull request {pull.number} is {pull.state} already"
    if pull.head_sha != head_sha:
        return (
            f"pull request {pull.number} stands at {pull.head_sha[:12]}, which is not the "
            f"approved commit {head_sha[:12]}"
        )
    return None


def why_no_merge(pull: PullRequest, terms: Terms) -> str | None:
    """Why the pull request must not be merged now, or None when it may."""
    return (
        _why_not_approved(pull, terms)
        or why_not_green(pull.checks, terms.required, terms.pushed)
        or _why_not_mergeable(pull)
    )


def _why_not_approved(pull: PullRequest, terms: Terms) -> str | None:
    if not terms.approved:
        return f"nobody has approved {pull.head_sha[:12]} yet"
    if pull.state is not PullState.OPEN or terms.approved != pull.head_sha:
        return why_not_this(pull, terms.approved)
    if pull.base != terms.base:
        return f"it was proven on {terms.base} and goes into {pull.base} now: a person merges it"
    if terms.objecting:
        return f"{' and '.join(terms.objecting)} asked for changes"
    return f"{pull.base} has moved on" if pull.behind else None


def why_not_green(
    checks: Sequence[CheckRun], required: Sequence[RequiredCheck], pushed: timedelta = timedelta(0)
) -> str | None:
    """Which check stands in the way of a merge, or None.

    Where nothing is required every check that has reported counts: nobody said which may fail.
    """
    reported = (RequiredCheck(check.name) for check in checks)
    wanted = tuple(required) or tuple(dict.fromkeys(reported))
    found = {asked: [check for check in checks if asked.counts(check)] for asked in wanted}
    for asked, runs in found.items():
        if any(not check.green and check.conclusion is not None for check in runs):
            return f"the check {_named(asked)} has failed"
    reason = why_not_begun(checks, required, pushed)
    if reason is not None:
        return reason
    for asked, runs in found.items():
        if not runs or not all(check.green for check in runs):
            return f"the check {_named(asked)} has not ended yet"
    return None


def why_not_begun(
    checks: Sequence[CheckRun], required: Sequence[RequiredCheck], pushed: timedelta
) -> str | None:
    """Which required check will not begin unless somebody sees to it, and what to look at, or None.

    `pushed` is how long ago the commit was pushed.
    """
    if pushed < BEGINS:
        return None
    for asked in required:
        if all(check.queued for check in checks if asked.counts(check)):
            late = f"has not begun {BEGINS.seconds // 60} minutes after the push"
            return f"the check {_named(asked)} {late}: {_to_look_at(asked, checks)}"
    return None


def _to_look_at(asked: RequiredCheck, checks: Sequence[CheckRun]) -> str:
    """The likely causes of a check that does not begin."""
    if any(asked.counts(check) for check in checks):
        return "see whether a runner is there for it, and whether somebody has to let it run"
    if any(check.name == asked.name for check in checks):
        return "one of its name is there, but of another App; a person can merge it"
    return (
        "approve its workflow where the pull request asks for that, and see whether it leaves out "
        "drafts or these paths; pushes with an Actions token start no check"
    )


def latest_words(pull: PullRequest) -> tuple[PeerReview, ...]:
    """The newest approval, objection or dismissal of each account: a mere comment undoes none."""
    words = {
        review.author.id: review
        for review in pull.reviews
        if review.state is not ReviewState.COMMENTED
    }
    return tuple(words.values())


def is_person(account: Account, author_id: int) -> bool:
    """Whether an account's word can count: no bot's does, nor that of the pull request's author.

    That an operator lists a bot among those who may ask does not let it approve.
    """
    bot = account.kind is AccountKind.BOT or is_bot(account.login)
    return not bot and account.id not in (0, author_id)


def is_bot(login: str) -> bool:
    """Whether a login is an App's: GitHub ends those so, and no person can have such a one."""
    return login.endswith("[bot]")


def why_same_person(
    names: Collection[str], asked_by: str, settings: ApprovalSettings
) -> str | None:
    """Why the one who asked for the change must not approve it, or None.

    `names` are the logins of the one who approves, the empty one among them for the operator;
    `asked_by` is the asker's. Logins are compared without case.
    """
    same = asked_by.casefold() in {name.casefold() for name in names}
    if not settings.other_person or not same:
        return None
    asker = asked_by or "the operator"
    return f"{asker} asked for the change, and another person has to approve it"


def _named(check: RequiredCheck) -> str:
    return one_line(str(check))


def _why_not_mergeable(pull: PullRequest) -> str | None:
    if pull.mergeable is None:
        return "GitHub has not computed yet whether it can be merged"
    return None if pull.mergeable else f"it conflicts with {pull.base}"
