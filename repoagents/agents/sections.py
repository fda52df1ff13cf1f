"""A brief as the blocks of text that prompt templates put together."""

from collections.abc import Iterable
from dataclasses import dataclass

from repoagents.agents.fencing import Cleaned, clean, cut, defuse, fence, numbered, plain, reveal
from repoagents.domain.change import ChangeSet
from repoagents.domain.issue import Issue
from repoagents.domain.reports import BuildReport, CheckResult, Plan, Verification
from repoagents.domain.settings import VerifySettings
from repoagents.ports import Brief

TITLE_LIMIT = 300
BODY_LIMIT = 32_000
COMMENT_LIMIT = 4_000
COMMENTS_LIMIT = 20
PATCH_LIMIT = 200_000
TAIL_LIMIT = 4_000
REPORT_LIMIT = 20_000
CONTRACT_LIMIT = 60_000

UNVERIFIED = "Checks: none configured"
PASSED = "Checks: passed"
FAILED = "Checks: failed"
"""How the verification block begins."""


@dataclass(frozen=True)
class IssueBlock:
    """An issue in a prompt: the number, and its text only as fenced blocks.

    `text` holds title, body and comments in one block; `removed` says what was taken out.
    """

    number: int
    title: str
    body: str
    comments: str
    text: str
    removed: str


@dataclass(frozen=True)
class ChangeBlock:
    """A change in a prompt: a line per path, and the patch, both as fenced blocks."""

    files: str
    patch: str


def issue_block(issue: Issue, nonce: str) -> IssueBlock:
    """The issue's text, cleaned, bounded and fenced."""
    title = clean(" ".join(issue.title.split()), TITLE_LIMIT)
    body = clean(issue.body, BODY_LIMIT)
    others = [comment for comment in issue.comments if not comment.ours]
    left_out = max(0, len(others) - COMMENTS_LIMIT)
    newest = [
        clean(f"{c.author or 'somebody'}: {c.body}", COMMENT_LIMIT) for c in others[left_out:]
    ]
    notice = [f"[{left_out} older comments are left out]"] if left_out else []
    comments = "\n\n".join([*notice, *(comment.text for comment in newest)])
    whole = f"Title: {title.text}\n\n{body.text}"
    if comments:
        whole += f"\n\nComments, oldest first:\n\n{comments}"
    return IssueBlock(
        number=issue.number,
        title=fence("ISSUE-TEXT", nonce, title.text),
        body=fence("ISSUE-TEXT", nonce, body.text),
        comments=fence("ISSUE-TEXT", nonce, comments),
        text=fence("ISSUE-TEXT", nonce, whole),
        removed=_removed([title, body, *newest]),
    )


def plan_block(plan: Plan | None, nonce: str) -> str:
    """The plan, without its criteria; empty when there is none."""
    if plan is None:
        return ""
    parts = [
        plan.summary,
        f"Steps:\n{numbered(plan.plan_steps)}",
        f"Likely files:\n{_bullets(plan.likely_files)}",
    ]
    if plan.risks:
        parts.append(f"Risks ({plan.risk_level}):\n{_bullets(plan.risks)}")
    return _own("\n\n".join(parts), nonce)


def criteria_block(plan: Plan | None, nonce: str) -> str:
    """The plan's acceptance criteria, numbered from 1 as a review refers to them."""
    return _own(numbered(map(_flat, plan.acceptance_criteria)), nonce) if plan else ""


def contract_block(contract: tuple[str, ...], nonce: str) -> str:
    """What the next build must put right, numbered; below its first line a point quotes others."""
    points = [_point(point, nonce) for point in contract]
    shown = len(points)
    while sum(map(len, points[:shown])) > CONTRACT_LIMIT:
        shown -= 1
    more = [f"[{len(points) - shown} more points are left out]"] if shown < len(points) else []
    return numbered((*points[:shown], *more))


def change_block(change: ChangeSet | None, nonce: str) -> ChangeBlock:
    """What really changed, as git tells it."""
    if change is None:
        return ChangeBlock("", "")
    # A path is the agent's own words too, and may hold newlines.
    lines = [f"{entry.kind.value}: {_flat(reveal(entry.path, 500))}" for entry in change.files]
    patch = reveal(change.patch, PATCH_LIMIT)
    if change.patch_cut:
        patch = f"{patch}\n[the patch is longer than what is shown]"
    files = cut(_bullets(lines), REPORT_LIMIT)
    return ChangeBlock(fence("PATHS-TEXT", nonce, files), fence("DIFF-TEXT", nonce, patch))


def build_block(build: BuildReport | None, nonce: str) -> str:
    """The builder's own words: claims, so they are fenced like anything from outside."""
    if build is None:
        return ""
    parts = [build.summary]
    for heading, lines in (
        ("Tests it says it ran", build.test_actions),
        ("Assumptions", build.assumptions),
        ("Questions", build.questions),
    ):
        if lines:
            parts.append(f"{heading}:\n{_bullets(lines)}")
    return fence("REPORT-TEXT", nonce, reveal("\n\n".join(parts), REPORT_LIMIT))


def verification_block(verification: Verification | None, nonce: str) -> str:
    """Our own check results; the first line says how they came out in all."""
    if verification is None:
        return ""
    if not any(result.required for result in verification.results):
        first = UNVERIFIED
    else:
        first = PASSED if verification.verified else FAILED
    return "\n".join([first, *(_check(result, nonce) for result in verification.results)])


def verify_block(checks: tuple[VerifySettings, ...]) -> str:
    """The commands that will be run over the change."""
    return _bullets(f"{check.name}: {command_text(check.run)}" for check in checks)


def command_text(run: str | tuple[str, ...]) -> str:
    """A command as a person reads it."""
    return run if isinstance(run, str) else " ".join(run)


def variables(brief: Brief) -> dict[str, object]:
    """Everything that a template may name; what a role is not told is empty, never missing."""
    return {
        "issue": issue_block(brief.issue, brief.nonce),
        "plan": plan_block(brief.plan, brief.nonce),
        "criteria": criteria_block(brief.plan, brief.nonce),
        "contract": contract_block(brief.contract, brief.nonce),
        "change": change_block(brief.change, brief.nonce),
        "build": build_block(brief.build, brief.nonce),
        "verification": verification_block(brief.verification, brief.nonce),
        "verify": verify_block(brief.verify),
        "note": plain(brief.note),
        "round": brief.round,
        "base_sha": brief.base_sha,
        "run_id": brief.run_id,
        "nonce": brief.nonce,
    }


def _check(result: CheckResult, nonce: str) -> str:
    needed = "required" if result.required else "optional"
    code = "none" if result.exit_code is None else str(result.exit_code)
    line = f"- {result.name} ({result.kind}, {needed}): {result.outcome.value}, exit code {code}"
    tail = fence("OUTPUT-TEXT", nonce, reveal(result.tail, TAIL_LIMIT))
    return f"{line}\n{tail}" if tail else line


def _point(point: str, nonce: str) -> str:
    ours, _, theirs = point.partition("\n")
    quoted = fence("QUOTED-TEXT", nonce, reveal(theirs, REPORT_LIMIT))
    return "\n".join(filter(None, (_own(ours, nonce), quoted)))


def _own(text: str, nonce: str) -> str:
    """What one of our agents wrote for the next: cleaned and bounded, but not a quotation."""
    return defuse(reveal(text, REPORT_LIMIT), nonce)


def _flat(text: str) -> str:
    """On one line, so that no entry of a list can pose as another."""
    return " ".join(text.split())


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _removed(parts: list[Cleaned]) -> str:
    comments = sum(part.comments for part in parts)
    invisible = sum(part.invisible for part in parts)
    found = [f"{comments} HTML comments"] if comments else []
    found += [f"{invisible} invisible characters"] if invisible else []
    return f"Taken out of the issue's text: {', '.join(found)}." if found else ""
