"""Back to the builder: what checks and people ask for, on the same branch and pull request."""

from collections.abc import Sequence

from repoagents.domain.effect import ReplyToRemark, Withheld
from repoagents.domain.pull_request import PullRequest, Remark
from repoagents.domain.reports import Verdict, VerdictKind
from repoagents.domain.run import Run, Stage
from repoagents.pipeline import merge, notice, publisher
from repoagents.pipeline.roles import input_hash
from repoagents.pipeline.rounds import queue
from repoagents.policy import feedback, merging
from repoagents.ports import Approval, House, StageKey

REVISE = "revise"
"""The decision that sends a published change back; its note is the kind, and what was asked."""

CHECKS, REMARKS = "checks", "remarks"


def send_back(house: House, run: Run, pull: PullRequest, *, approved: bool) -> bool:
    """Queue the next round when something is asked for; whether it was.

    Remarks beside an approval ask for nothing.
    """
    if _cut_off(house, run):
        queue(house, run)
        return True
    words = house.approvals.select(run.id)
    if isinstance(publisher.gate(house, publisher.push_of(run)), Withheld):
        return False
    required = merge.pulls_of(house).required_checks(pull.base)
    checks = feedback.failed_checks(pull, required) if _left(words, CHECKS) else ()
    checks = checks[: feedback.MOST_CHECKS]
    hears = not approved and _left(words, REMARKS)
    remarks = _unanswered(house, pull, words) if hears else ()
    if not checks and not remarks:
        return False
    pulls = merge.pulls_of(house)
    failed = [(check, pulls.check_detail(check)) for check in checks]
    remarks = feedback.that_fit(failed, remarks)
    _keep(house, run, feedback.contract(failed, remarks))
    if checks:
        _note(house, run, " ".join((CHECKS, *(check.name for check in checks))))
    if remarks:
        _note(house, run, " ".join((REMARKS, *(str(remark.id) for remark in remarks))))
    queue(house, run)
    return True


def reply(house: House, run: Run, pull: PullRequest) -> None:
    """Tell each thread of a finished round, once, which commit answers it.

    What cannot be written, where a conversation is locked, say, holds nothing up.
    """
    if _cut_off(house, run):
        return
    words = house.approvals.select(run.id)
    asked = {number: word.head_sha for word in words for number in _numbers(word)}
    rows = (row for row in house.ledger.rows(run.id) if row.name == "reply")
    done = {row.key.split(":")[1] for row in rows if row.state in ("done", "withheld")}
    marker = f"<!-- repoagents:{house.installation}:issue={run.issue_number} -->"
    for remark in pull.remarks:
        if remark.id not in asked or str(remark.id) in done:
            continue
        same = asked[remark.id] == run.head_sha
        text = "stands as it was: nothing was changed for this." if same else "answers this."
        body = f"{marker}\n{run.head_sha} {text}"
        effect = ReplyToRemark(run.id, run.issue_number, pull.number, remark.id, body)
        with notice.unharmed(house, effect):
            publisher.publish(house, run.id, (effect,))


def _cut_off(house: House, run: Run) -> bool:
    """Whether a contract was kept for this round's result, and the worker died before the queue."""
    decided = house.stages.last(run.id, Stage.VERDICT, Verdict, run.round)
    return decided is not None and decided.kind is VerdictKind.REVISE


def _keep(house: House, run: Run, points: tuple[str, ...]) -> None:
    reasons = ("asked for on the pull request",)
    hashed = input_hash(run.head_sha, points)
    key = StageKey(run.id, run.attempt, Stage.VERDICT, run.round, hashed)
    decided = Verdict(VerdictKind.REVISE, reasons, points)
    house.stages.record(key, decided, house.clock.now(), 0.0)


def _note(house: House, run: Run, note: str) -> None:
    now = house.clock.now()
    house.approvals.add(Approval(run.id, REVISE, run.head_sha, run.diff_hash, "", now, note))
    house.journal.note("sent_back", f"asked for: {note}", run=run.id, issue=run.issue_number)


def _unanswered(house: House, pull: PullRequest, words: Sequence[Approval]) -> tuple[Remark, ...]:
    """The remarks of people who may write that no round was begun for."""
    people = house.tracker.people
    known = {number for word in words for number in _numbers(word)}
    return tuple(
        remark
        for remark in pull.remarks
        if people is not None
        and remark.id not in known
        and merging.is_person(remark.author, author_id=0)
        and people.permission(remark.author.login).writes
    )


def _left(words: Sequence[Approval], kind: str) -> bool:
    """Whether a round of this kind is left."""
    begun = [word for word in words if word.decision == REVISE and word.note.split()[0] == kind]
    return len(begun) < feedback.ROUNDS


def _numbers(word: Approval) -> tuple[int, ...]:
    kind, *asked = word.note.split() if word.decision == REVISE else ("",)
    return tuple(int(number) for number in asked) if kind == REMARKS else ()
