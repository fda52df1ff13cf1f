"""Back to the builder: what checks and people ask for, on the same branch and pull request."""

from collections.abc import Collection, Sequence

from repoagents.domain.effect import ReplyToRemark, Withheld
from repoagents.domain.markers import make_marker
from repoagents.domain.pull_request import PullRequest, Remark, RequiredCheck, Thread
from repoagents.domain.reports import Verdict, VerdictKind
from repoagents.domain.run import Run, Stage
from repoagents.pipeline import notice, publisher
from repoagents.pipeline.pulls import pulls_of
from repoagents.pipeline.roles import input_hash
from repoagents.pipeline.rounds import queue
from repoagents.policy import feedback, merging
from repoagents.policy.wording import one_line
from repoagents.ports import Approval, House, StageKey

REVISE = "revise"
"""The decision that sends a published change back; its note is the kind, and what was asked."""

CHECKS, REMARKS = "checks", "remarks"

Required = Sequence[RequiredCheck]


def send_back(
    house: House, run: Run, pull: PullRequest, required: Required, *, approved: bool
) -> bool:
    """Queue the next round when something is asked for; whether it was.

    Remarks that come with an approval ask for nothing.
    """
    if _cut_off(house, run):
        queue(house, run)
        return True
    words = house.approvals.select(run.id)
    if isinstance(publisher.gate(house, publisher.push_of(run)), Withheld):
        return False
    checks = feedback.failed_checks(pull, required) if _left(words, CHECKS) else ()
    checks = checks[: feedback.MOST_CHECKS]
    asked = () if approved else _unanswered(house, pull, words)
    if asked and not _left(words, REMARKS):
        _remember(house, run, "", _note_of(asked))
        asked = ()
    if not checks and not asked:
        return False
    pulls = pulls_of(house)
    failed = [(check, pulls.check_detail(check)) for check in checks]
    asked = feedback.that_fit(failed, asked)
    _keep(house, run, feedback.contract(failed, asked))
    if checks:
        _begin(house, run, " ".join((CHECKS, *(check.name for check in checks))))
    if asked:
        _begin(house, run, _note_of(asked))
    queue(house, run)
    return True


def why_stalled(house: House, run: Run, pull: PullRequest, required: Required) -> str | None:
    """Why nothing will go on by itself at a pull request that waits for people, or None."""
    words = house.approvals.select(run.id)
    by_hand = "a person goes on, on the branch, or closes the pull request"
    failed = feedback.failed_checks(pull, required)
    if failed and not _left(words, CHECKS):
        name = one_line(failed[0].name)
        return f"the check {name} fails after {feedback.ROUNDS} rounds: {by_hand}"
    late = _rounds(words, REMARKS)[feedback.ROUNDS :]
    if late and late[-1].head_sha == run.head_sha:
        return f"more is asked for after {feedback.ROUNDS} rounds: {by_hand}"
    return merging.why_not_begun(pull.checks, required, publisher.pushed_ago(house, run))


def reply(house: House, run: Run, pull: PullRequest) -> None:
    """Tell each thread of a finished round, once, which commit answers it.

    What cannot be written, where a conversation is locked, say, holds nothing up.
    """
    if _cut_off(house, run):
        return
    # Of what comes after the last round only the first is told so: two bots would never end.
    words = _rounds(house.approvals.select(run.id), REMARKS)[: feedback.ROUNDS + 1]
    rounds = {name: number for number, word in enumerate(words) for name in _names(word)}
    rows = [row for row in house.ledger.rows(run.id) if row.name == "reply"]
    since = max((run.updated_at, *(word.at for word in words)))
    left = publisher.left_alone(house, run, ("reply",), since)
    told = [row.key for row in rows if row.state in ("done", "withheld") or row.key in left]
    for thread in feedback.threads(pull):
        known = [r for r in thread.remarks if feedback.name_of(thread, r) in rounds]
        if not known or _is_told(thread, known[-1], told):
            continue
        number = rounds[feedback.name_of(thread, known[-1])]
        answer = feedback.answer(thread, run.head_sha, words[number].head_sha, number)
        marker = make_marker(house.installation, f"answers={known[-1].id}")
        place = (run.id, run.issue_number, pull.number, thread.id)
        effect = ReplyToRemark(*place, f"{marker}\n{answer}", known[-1].id)
        with notice.unharmed(house, effect):
            publisher.publish(house, run.id, (effect,))


def _is_told(thread: Thread, newest: Remark, told: Sequence[str]) -> bool:
    """Whether an answer to this remark, or to a later one that is deleted by now, has been told."""
    places = (key.split(":")[1:] for key in told)
    # Where an earlier version answered the beginning of a thread, there is a hash in its place.
    answered = [
        int(answers if answers.isdecimal() else place)
        for place, answers in places
        if int(place) == thread.id
    ]
    later = thread.id > 0 and max(answered, default=0) > newest.id
    return later or newest.id in answered


def _cut_off(house: House, run: Run) -> bool:
    """Whether the worker died after it kept this round's contract, before it queued the next."""
    decided = house.stages.last(run.id, Stage.VERDICT, Verdict, run.round)
    return decided is not None and decided.kind is VerdictKind.REVISE


def _keep(house: House, run: Run, points: tuple[str, ...]) -> None:
    reasons = ("asked for on the pull request",)
    hashed = input_hash(run.head_sha, points)
    key = StageKey(run.id, run.attempt, Stage.VERDICT, run.round, hashed)
    decided = Verdict(VerdictKind.REVISE, reasons, points)
    house.stages.record(key, decided, house.clock.now(), 0.0)


def _begin(house: House, run: Run, note: str) -> None:
    _remember(house, run, run.diff_hash, note)
    house.journal.note("sent_back", f"asked for: {note}", **run.tags)


def _remember(house: House, run: Run, diff_hash: str, note: str) -> None:
    """Record what was asked for; with an empty `diff_hash`, an approval of the content stands."""
    now = house.clock.now()
    house.approvals.add(Approval(run.id, REVISE, run.head_sha, diff_hash, "", now, note))


def _unanswered(house: House, pull: PullRequest, words: Sequence[Approval]) -> tuple[Thread, ...]:
    """The threads with a remark that no round was begun for, by people who may write alone."""
    people = house.tracker.people
    if people is None:
        return ()
    known = {name for word in words for name in _names(word)}
    open_ = [thread for thread in feedback.threads(pull) if _is_open(thread, known)]
    logins = dict.fromkeys(remark.author.login for thread in open_ for remark in thread.remarks)
    may = {login for login in logins if people.permission(login).writes}
    heard = (feedback.only(thread, lambda remark: remark.author.login in may) for thread in open_)
    return tuple(thread for thread in heard if _is_open(thread, known))


def _is_open(thread: Thread, known: Collection[str]) -> bool:
    return any(feedback.name_of(thread, remark) not in known for remark in thread.remarks)


def _rounds(words: Sequence[Approval], kind: str) -> list[Approval]:
    """The rounds of a kind that were begun, and what was asked for after the last one."""
    return [word for word in words if word.decision == REVISE and word.note.split()[0] == kind]


def _left(words: Sequence[Approval], kind: str) -> bool:
    """Whether a round of this kind is left."""
    return len(_rounds(words, kind)) < feedback.ROUNDS


def _note_of(asked: Sequence[Thread]) -> str:
    names = (feedback.name_of(thread, said) for thread in asked for said in thread.remarks)
    return " ".join((REMARKS, *names))


def _names(word: Approval) -> Sequence[str]:
    kind, *asked = word.note.split() if word.decision == REVISE else ("",)
    return asked if kind == REMARKS else ()
