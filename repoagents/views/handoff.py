"""What a person gets who was not there: the handoff, the draft pull request, the comment."""

import re
from collections.abc import Iterator, Sequence

from repoagents.domain.run import Stage
from repoagents.policy.wording import one_line, tail
from repoagents.views.dossier import Handoff, Proof, Share
from repoagents.views.headline import headline
from repoagents.views.markdown import (
    bounded,
    bullets,
    code,
    document,
    fenced,
    inline,
    neutral,
    quiet,
    section,
    strong,
    table,
)
from repoagents.views.snapshot import EffectRow
from repoagents.views.words import cost_of, spoken

HANDOFF_LIMIT = 60_000
"""Code points of a handoff: as a comment, it leaves room for what somebody writes around it."""

SUBJECT_LIMIT = 72
TITLE_LIMIT = 200
_TAIL_LIMIT = 3_000
_PATCH_LIMIT = 20_000
_FILES_SHOWN = 100
_AT_WORK = {
    Stage.PLAN: "Planning the change.",
    Stage.BUILD: "Building the change.",
    Stage.REVIEW: "Reviewing the change.",
}
_FIELD = re.compile(r"\{(title|number|summary|run_id)\}")


def render_handoff(handoff: Handoff) -> str:
    """The whole story as Markdown that fits a comment; the page has what had to be cut.

    The first line says what happened and what is asked.
    """
    body = document(
        _first_line(handoff),
        inline(handoff.gap),
        f"The issue: {inline(handoff.issue.title, TITLE_LIMIT)}",
        section("Next step", *_next_step(handoff)),
        section("Decision", _decision(handoff)),
        section("Change", _statistics(handoff), _files(handoff)),
        section("Acceptance criteria", _criteria(handoff)),
        section("Verification", *_verification(handoff), *_tails(handoff)),
        section("Findings", _findings(handoff)),
        section("Assumptions", _assumptions(handoff)),
        section("Open questions", _questions(handoff)),
        section("Plan", *_plan(handoff)),
        section("Effects", _effects(handoff.effects)),
        section("Cost and time", *_cost(handoff)),
        _footer(handoff),
        section("Patch", *_patch(handoff)),
    )
    return bounded(body, HANDOFF_LIMIT, "the whole story is in `handoff.html`")


def render_pull_request(
    handoff: Handoff, later: Sequence[EffectRow] = (), *, merges: bool = False
) -> tuple[str, str]:
    """Title and body of the draft pull request.

    `later` are other effects that a flag withholds; `merges` is true where the bot merges what was
    approved.
    """
    title = _outside(handoff.issue.title, TITLE_LIMIT)
    build = handoff.build
    body = document(
        f"Closes #{handoff.issue.number}.",
        strong(handoff.rehearsal),
        inline(handoff.gap),
        inline(build.summary, 4_000) if build else "",
        _statistics(handoff),
        section("How to approve", _how_to_approve(handoff, merges=merges)),
        section("Acceptance criteria", _criteria(handoff)),
        section("Verification", *_verification(handoff)),
        section("Findings", _findings(handoff)),
        section("Assumptions", _assumptions(handoff)),
        section("Decision", _decision(handoff)),
        section("Plan", *_plan(handoff)),
        section("Withheld", _effects(later)),
        section("Cost and time", *_cost(handoff)),
        _footer(handoff),
    )
    return title or f"Issue {handoff.issue.number}", bounded(body)


def render_progress(handoff: Handoff, stage: Stage, marker: str) -> str:
    """The status comment while the run is at work on a stage; the hidden marker comes first."""
    now = f"{_AT_WORK[stage]} Closing the issue stops it."
    body = document(_first_line(handoff), now, _footer(handoff))
    return f"{marker}\n{body}"


def render_comment(handoff: Handoff, marker: str) -> str:
    """The status comment; the hidden marker that finds it again comes first."""
    hidden = marker if marker.startswith("<!--") else f"<!-- {marker} -->"
    body = document(
        _first_line(handoff),
        handoff.when,
        _statistics(handoff),
        section("Open questions", _questions(handoff)),
        section("Decision", _decision(handoff)),
        section("Verification", *_verification(handoff)),
        section("Effects", _effects(handoff.effects)),
        _footer(handoff),
    )
    return bounded(f"{hidden}\n{body}")


def render_commit_message(
    template: str, *, title: str, number: int, summary: str, run_id: str
) -> str:
    """The operator's template with its fields filled in, each once and on one line.

    What comes from outside cannot close an issue, call a person, skip CI or forge a trailer.
    """
    values = {
        "title": _outside(title, SUBJECT_LIMIT),
        "number": str(number),
        "summary": _outside(summary, 2_000),
        "run_id": one_line(run_id),
    }
    return _FIELD.sub(lambda match: values[match[1]], template).strip() + "\n"


def _outside(text: str, limit: int) -> str:
    return quiet(one_line(text, limit))


# --- the parts ----------------------------------------------------------------------------------


def _first_line(handoff: Handoff) -> str:
    line = neutral(headline(handoff.run, handoff.verdict, handoff.effects))
    return f"{strong(handoff.rehearsal)} {line}".lstrip()


def _next_step(handoff: Handoff) -> Iterator[str]:
    failure = handoff.run.failure
    if failure and failure.next_step:
        yield inline(failure.next_step)
    yield handoff.when
    if handoff.taking:
        yield f"To take the change as it is: {code(handoff.taking, 500)}"


def _decision(handoff: Handoff) -> str:
    verdict = handoff.verdict
    if verdict is None:
        failure = handoff.run.failure
        return f"{failure.kind.value}: {inline(failure.message)}" if failure else ""
    word = spoken(verdict.kind)
    reasons = bullets([f"**{word}**", *(inline(reason) for reason in verdict.reasons)])
    points = enumerate(handoff.contract, 1)
    contract = "\n".join(f"{number}. {inline(point)}" for number, point in points)
    # Not "To fix:", which GitHub may read as an order to close the issue that is named next.
    return f"{reasons}\n\nTo mend:\n\n{contract}" if contract else reasons


def _statistics(handoff: Handoff) -> str:
    change, told = handoff.change, handoff.statistics
    if change is None or change.empty:
        return told
    proof = "verified" if handoff.proven else "**unverified**"
    return f"{told} on {code(change.base_sha[:12])}, {proof}."


def _files(handoff: Handoff) -> str:
    files = handoff.change.files if handoff.change else ()
    if not files:
        return ""
    rows = [
        (code(file.path), file.kind.value, _count(file.added), _count(file.deleted))
        for file in files[:_FILES_SHOWN]
    ]
    if len(files) > _FILES_SHOWN:
        rows.append((f"and {len(files) - _FILES_SHOWN} more", "", "", ""))
    return table(("file", "change", "added", "deleted"), rows)


def _count(lines: int | None) -> str:
    return "binary" if lines is None else str(lines)


def _criteria(handoff: Handoff) -> str:
    words = {True: "met", False: "**not met**", None: "not answered"}
    rows = [
        (str(row.number), inline(row.text, 500), words[row.met], inline(row.evidence, 500))
        for row in handoff.criteria()
    ]
    return table(("no.", "criterion", "reviewer", "evidence"), rows) if rows else ""


def _verification(handoff: Handoff) -> Iterator[str]:
    verification = handoff.verification
    if handoff.change is None or handoff.change.empty:
        return
    if verification is None or not verification.results:
        yield "**Unverified: no check was run.**"
        return
    yield table(
        ("check", "command", "on the change", "on the base", "exit", "seconds", "output sha256"),
        [_evidence(proof) for proof in handoff.proofs()],
    )
    if verification.changed_by_checks:
        paths = ", ".join(code(path) for path in verification.changed_by_checks[:_FILES_SHOWN])
        yield f"The checks changed files, which were put back: {paths}"


def _evidence(proof: Proof) -> tuple[str, ...]:
    result = proof.result
    ended = proof.ended if proof.passed else f"**{proof.ended}**"
    return (
        inline(result.name, 60),
        code(result.command),
        ended + proof.remark,
        proof.on_base,
        "" if result.exit_code is None else str(result.exit_code),
        f"{result.seconds:.1f}",
        code(result.output_sha256[:12]),
    )


def _tails(handoff: Handoff) -> Iterator[str]:
    for proof in handoff.proofs():
        if not proof.passed and proof.result.tail.strip():
            yield f"The end of {inline(proof.result.name, 60)}:"
            yield fenced(tail(proof.result.tail, _TAIL_LIMIT))


def _findings(handoff: Handoff) -> str:
    return bullets(
        f"{row.severity.value} · {row.source} · "
        f"{f'{code(row.place)}: ' if row.place else ''}{inline(row.message)}"
        for row in handoff.found()
    )


def _assumptions(handoff: Handoff) -> str:
    lines = handoff.build.assumptions if handoff.build else ()
    return bullets(inline(line) for line in lines)


def _questions(handoff: Handoff) -> str:
    return bullets(inline(line) for line in handoff.questions)


def _plan(handoff: Handoff) -> Iterator[str]:
    plan = handoff.plan
    if plan is None:
        return
    yield inline(plan.summary, 4_000)
    yield bullets(inline(step) for step in plan.plan_steps)
    if plan.likely_files:
        yield "Likely files: " + ", ".join(code(path) for path in plan.likely_files[:_FILES_SHOWN])
    yield f"Risk {inline(plan.risk_level, 20)}, difficulty {inline(plan.difficulty, 20)}."
    yield bullets(f"Risk: {inline(risk)}" for risk in plan.risks)


def _how_to_approve(handoff: Handoff, *, merges: bool) -> str:
    """What a person does with the draft; the first line of a no is always the same."""
    number = handoff.run.issue_number
    no = "To say no, close the pull request: nothing more happens until somebody asks anew."
    if not merges:
        return bullets(("Read it, end its draft state and merge it: the bot does not merge.", no))
    approve = (
        "Approve this commit with a review, as a person who may write here, or with "
        f"{code(f'repoagents approval approve {number}')}. The bot merges it once the required "
        "checks have passed and the base is merged in and verified."
    )
    void = "Any other commit on the branch voids the approval, and the bot leaves the branch alone."
    return bullets((approve, void, no))


def _effects(effects: Sequence[EffectRow]) -> str:
    if not effects:
        return ""
    rows = [
        (spoken(name), state, code(flag) if flag else "", inline(location or reason))
        for name, state, flag, reason, location in effects
    ]
    return table(("effect", "state", "withheld by", "where or why"), rows)


def _cost(handoff: Handoff) -> Iterator[str]:
    usage = handoff.usage
    cost = "not reported by the engine" if usage.cost is None else f"{usage.cost:.2f}"
    calls = "1 agent call" if usage.calls == 1 else f"{usage.calls} agent calls"
    yield f"{calls}, {usage.tokens:,} tokens, cost {cost}."
    rows = [_share(share) for share in handoff.shares()]
    if rows:
        yield table(("stage", "rounds", "seconds", "calls", "tokens", "cost"), rows)


def _share(share: Share) -> tuple[str, ...]:
    usage, rounds = share.usage, len(share.seconds)
    time = (str(rounds), f"{sum(share.seconds):.1f}") if rounds else ("", "")
    stage = spoken(share.stage)
    if not usage.calls:
        return (stage, *time, "", "", "")
    return (stage, *time, str(usage.calls), f"{usage.tokens:,}", cost_of(usage))


def _patch(handoff: Handoff) -> Iterator[str]:
    """The patch, up to a line; what is longer is in its file."""
    patch = handoff.patch
    kept = patch[:_PATCH_LIMIT]
    if len(kept) < len(patch):
        yield f"Its beginning; the whole is in {code(handoff.patch_path, 500)}."
        kept = kept[: kept.rfind("\n") + 1]
    if kept.strip():
        yield fenced(kept, "diff")


def _footer(handoff: Handoff) -> str:
    engines = "; ".join(f"{each.role.value}: {inline(each.label, 100)}" for each in handoff.engines)
    run = handoff.run
    made = f"Made by repoagents, run {code(run.id)}, attempt {run.attempt}, round {run.round}."
    return f"{made} {engines}".rstrip()
