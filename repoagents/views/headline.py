"""The first line about a run: what happened, and what is asked of the reader."""

from collections.abc import Sequence

from repoagents.domain.reports import Verdict, VerdictKind
from repoagents.domain.run import FailureClass, Run, RunStatus
from repoagents.policy.wording import one_line
from repoagents.views.snapshot import EffectRow

_BLOCKED = {
    FailureClass.REQUEST_CHANGES: (
        "stopped by review, not broken",
        "edit the issue and `repoagents retry {n}`, give a hint with "
        "`repoagents retry {n} --note TEXT`, take `changes.patch`, or `repoagents cancel {n}`",
    ),
    FailureClass.QUESTION: (
        "a question has to be answered first",
        "answer it in the issue's text, or with `repoagents retry {n} --note ANSWER`",
    ),
    FailureClass.POLICY_BLOCK: (
        "a guardrail stopped the change: only a person may decide on it",
        "read the findings; take `changes.patch`, `repoagents retry {n} --note TEXT`, or "
        "`repoagents cancel {n}`",
    ),
    FailureClass.ENVIRONMENT: (
        "the project's checks cannot be run on this machine",
        "fix the environment, then `repoagents retry {n}`",
    ),
    FailureClass.BUDGET: (
        "a limit was reached",
        "raise the limit in the configuration, then `repoagents retry {n}`",
    ),
}
"""Of a blocked run, by what blocked it: what happened, and what is asked of the reader."""

_BY_STATUS = {
    RunStatus.NO_CHANGE: (
        "the builder saw nothing to change",
        "close the issue, or `repoagents retry {n} --note TEXT` with a hint",
    ),
    RunStatus.CANCELLED: (
        "cancelled; the work is kept",
        "nothing, or `repoagents retry {n}` to take it up again",
    ),
    RunStatus.SUPERSEDED: ("a newer run took the place of this one", "nothing"),
    RunStatus.QUEUED: ("waits for its turn", "nothing"),
    RunStatus.IN_PROGRESS: ("is being worked on", "nothing"),
    RunStatus.AWAITING_APPROVAL: (
        "a change is published and waits for your approval",
        "look at it with `repoagents approval show {n}`, then approve or reject",
    ),
}
"""The same by status, where that alone says it."""

_ENDS_AS = {
    VerdictKind.PUBLISH: RunStatus.COMPLETED,
    VerdictKind.NO_CHANGE: RunStatus.NO_CHANGE,
}
"""The status in which a run that is still at work will end, once it has this verdict."""

_RESULT = ("branch", "draft_pull_request")
"""The effects that bring the change itself out."""

_REHEARSED = "look at `changes.patch`: what a rehearsal made is not published"
_NEVER_OUT = {
    "llm.mode": _REHEARSED,
    "tracker.mode": _REHEARSED,
    "workspace.strategy": "review it and take `changes.patch`: a copy has no branches",
}
"""What is asked where a result is withheld for good, by the key that does."""

_WHEN = {
    "merge_policy.mode": "with `merge_policy.mode: human_approval`, ",
    "rollout.step_back": "once `repoagents rollout advance` has let go, ",
}
"""What has to be so before a result that this withholds can be published."""

ASKED = "Asked of you: "
"""What stands before the second half of a headline."""


def headline(run: Run, verdict: Verdict | None, effects: Sequence[EffectRow]) -> str:
    """What happened to the issue and what is asked of the reader, on one line of plain text."""
    happened, asked = _story(run, verdict, effects)
    number = run.issue_number
    return f"Issue #{number}: {happened}. {ASKED}{asked.replace('{n}', str(number))}."


def _story(run: Run, verdict: Verdict | None, effects: Sequence[EffectRow]) -> tuple[str, str]:
    status = run.status
    if status is RunStatus.IN_PROGRESS and verdict is not None:
        status = _ENDS_AS.get(verdict.kind, status)
    match status:
        case RunStatus.COMPLETED:
            return _completed(run, effects)
        case RunStatus.BLOCKED | RunStatus.FAILED | RunStatus.RETRY_PENDING:
            return _stopped(run)
        case RunStatus.AWAITING_APPROVAL if _is_done("draft_pull_request", effects):
            # Most who read this stand below the issue, and have no terminal.
            return _BY_STATUS[status][0], "approve its pull request, or ask there for changes"
        case RunStatus.CANCELLED if run.failure is not None:
            return f"{_plain(run.failure.message)}; the work is kept", _BY_STATUS[status][1]
        case _:
            return _BY_STATUS[status]


def _is_done(wanted: str, effects: Sequence[EffectRow]) -> bool:
    return any(name == wanted and state == "done" for name, state, *_ in effects)


def _completed(run: Run, effects: Sequence[EffectRow]) -> tuple[str, str]:
    what = "a proven change" if run.verified else "a change that no check has proven"
    said = ("comment", "label", "reply")
    states = {name: state for name, state, *_ in effects if name not in said}
    # A merge that a flag holds back leaves nothing unpublished: a person presses the button.
    if states.pop("merge", "") == "done":
        return f"{what} is merged", "nothing"
    if "withheld" not in states.values() and "done" in states.values():
        return f"{what} is published", "review it and merge it"
    if set(states.values()) == {"discarded"}:
        return f"{what} was rejected; it is kept", "nothing, or `repoagents trigger {n} --force`"
    return f"{what} is ready and not published", how_to_publish(effects)


def how_to_publish(effects: Sequence[EffectRow]) -> str:
    """How the result gets out, and what has to be so for that; `{n}` stands for the issue."""
    held = (flag for name, state, flag, *_ in effects if name in _RESULT and state == "withheld")
    flag = next(held, "")
    if flag in _NEVER_OUT:
        return _NEVER_OUT[flag]
    when = f"with `{flag}` on, " if flag.startswith("safety.") else _WHEN.get(flag, "")
    return (
        f"review it; {when}`repoagents approval approve {{n}}` publishes it, or take "
        "`changes.patch`"
    )


def _stopped(run: Run) -> tuple[str, str]:
    failure = run.failure
    if failure is None:
        return f"the run is {run.status.value}", "`repoagents retry {n}`"
    if run.status is RunStatus.BLOCKED and failure.kind in _BLOCKED:
        return _BLOCKED[failure.kind]
    if failure.kind is FailureClass.PULL_REQUEST:
        return _plain(failure.message), _plain(failure.next_step)
    word = {
        RunStatus.BLOCKED: "a person is needed",
        RunStatus.RETRY_PENDING: "waits for its next attempt",
    }.get(run.status, "failed, out of attempts")
    happened = f"{word} ({failure.kind.value}: {_plain(failure.message)})"
    step = _plain(failure.next_step)
    if not step and run.status is RunStatus.RETRY_PENDING:
        return happened, "nothing, or `repoagents retry {n}` to try at once"
    if step and run.status is RunStatus.FAILED and "repoagents retry" not in step:
        step += "; then `repoagents retry {n}`"
    return happened, step or "read the findings, then `repoagents retry {n}`"


def _plain(text: str) -> str:
    return one_line(text, 300).rstrip(".")
