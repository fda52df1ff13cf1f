"""The one reader of the safety flags, and the one maker of branch names."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from repoagents.domain.effect import (
    BRANCH_PREFIX,
    Effect,
    MergePullRequest,
    OpenDraftPullRequest,
    PostComment,
    PushBranch,
    React,
    ReplyToRemark,
    SetLabel,
    Withheld,
)
from repoagents.domain.rollout import Brake, Phase
from repoagents.domain.settings import Settings

SLUG_LENGTH = 40
_LOOPBACK = re.compile(r"https?://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?(/|\Z)")

COMMENTS, PULLS, MERGES = (
    f"safety.{name}" for name in ("allow_write_comments", "allow_open_pr", "allow_merge")
)
MODE, STRATEGY, STEP_BACK = "merge_policy.mode", "workspace.strategy", "rollout.step_back"

_Refusal = tuple[str, str]


def gate(
    effect: Effect,
    settings: Settings,
    *,
    dry_run: bool = False,
    rehearsal: bool = False,
    brake: Brake | None = None,
) -> Effect | Withheld:
    """The effect, or the flag that withholds it.

    `brake` is the phase that the bot or a person has stepped back to, which must allow it too.
    `rehearsal` is true when an engine of the run calls no model: what it made never reaches
    GitHub, unless that is one on this machine. A flag is named before the dry run, so that a dry
    run shows which flag would decide.
    """
    refusal = _why_not(effect, settings)
    if refusal is None and brake is not None and (held := _why_not(effect, _held(settings, brake))):
        reason = f"stepped back to {brake.phase}: {held[1]}; see `repoagents rollout status`"
        # What a person closed is that flag in the file, which a live worker has not read yet.
        refusal = held[0] if brake.by_person else STEP_BACK, reason
    if refusal is None and rehearsal and _leaves_the_machine(settings):
        refusal = "llm.mode", "a rehearsal made this, no model was called"
    if refusal is None and dry_run:
        refusal = "--dry-run", "a dry run writes nothing"
    return Withheld(effect, *refusal) if refusal else effect


def app_permissions(settings: Settings) -> dict[str, str]:
    """What a GitHub App's tokens are narrowed to: only what the flags that are on need."""
    needed, flags = {"metadata": "read", "contents": "read", "issues": "read"}, settings.safety
    if flags.allow_write_comments:
        needed["issues"] = "write"
    if (flags.allow_open_pr or flags.allow_merge) and _why_no_branch(settings) is None:
        needed |= {"contents": "write", "pull_requests": "write"}
        needed |= {"checks": "read", "statuses": "read"}
    return needed


def may_ask_for_deliveries(settings: Settings, brake: Brake | None) -> bool:
    """Whether GitHub may be asked to send a webhook again.

    It changes nothing that anybody sees, but it is a write: not while every flag is off, or held.
    """
    flags = _held(settings, brake).safety if brake else settings.safety
    return flags.allow_write_comments or flags.allow_open_pr or flags.allow_merge


def flags_of(phase: Phase) -> Mapping[str, bool | str]:
    """What the configuration says in a phase, by key."""
    pulls = phase.level >= Phase.DRAFT_PR.level
    flags: dict[str, bool | str] = {
        COMMENTS: phase.level >= Phase.COMMENT.level,
        PULLS: pulls,
        MERGES: phase is Phase.MERGE,
    }
    return flags | {MODE: "human_approval"} if pulls else flags


def phase_of(settings: Settings) -> Phase | None:
    """The phase whose flags are set; None for a mixture that is none of them."""
    set_ = _flags(settings)
    fits = (
        phase
        for phase in Phase
        if all(set_[key] == value for key, value in flags_of(phase).items())
    )
    return next(fits, None)


def phase_within(settings: Settings, brake: Brake | None = None) -> Phase:
    """The furthest phase that allows nothing which the flags, or the brake, do not."""
    set_ = _flags(settings)
    within = [
        phase
        for phase in Phase
        if all(set_[key] == value for key, value in flags_of(phase).items() if value)
        and (brake is None or phase.level <= brake.phase.level)
    ]
    return within[-1]


def holding(settings: Settings, brake: Brake | None) -> Brake | None:
    """The brake where it refuses something that the flags allow; else None."""
    return brake if brake and _held(settings, brake) != settings else None


def branch_name(issue_number: int, title: str, run_id: str) -> str:
    """`repoagents/issue-N-<slug>`: the same for the same title, a valid ref for any text.

    A title without a Latin letter or digit is replaced by the beginning of the run's id.
    """
    slug = _slug(title) or _slug(run_id[:8]) or "change"
    return f"{BRANCH_PREFIX}issue-{issue_number}-{slug}"


def _flags(settings: Settings) -> dict[str, bool | str]:
    flags = settings.safety
    return {
        COMMENTS: flags.allow_write_comments,
        PULLS: flags.allow_open_pr,
        MERGES: flags.allow_merge,
        MODE: settings.merge_policy.mode,
    }


def _held(settings: Settings, brake: Brake) -> Settings:
    """The settings with every flag off that the brake's phase has off."""
    flags, allowed = settings.safety, flags_of(brake.phase)
    safety = replace(
        flags,
        allow_write_comments=flags.allow_write_comments and bool(allowed[COMMENTS]),
        allow_open_pr=flags.allow_open_pr and bool(allowed[PULLS]),
        allow_merge=flags.allow_merge and bool(allowed[MERGES]),
    )
    return replace(settings, safety=safety)


def _why_not(effect: Effect, settings: Settings) -> _Refusal | None:
    if settings.tracker.mode == "fixture":
        return "tracker.mode", "a fixture refuses every write"
    flags = settings.safety
    match effect:
        case PostComment() | SetLabel() | ReplyToRemark() | React():
            refusal = COMMENTS, "comments are off"
            return None if flags.allow_write_comments else refusal
        case PushBranch() | OpenDraftPullRequest():
            refusal = PULLS, "branches and pull requests are off"
            return _why_no_branch(settings) or (None if flags.allow_open_pr else refusal)
        case MergePullRequest():
            refusal = MERGES, "merges are off: a person merges"
            return _why_no_branch(settings) or (None if flags.allow_merge else refusal)
        case _:
            assert_never(effect)


def _leaves_the_machine(settings: Settings) -> bool:
    tracker = settings.tracker
    return tracker.kind == "github" and not _LOOPBACK.match(tracker.api_url)


def _why_no_branch(settings: Settings) -> _Refusal | None:
    """What lets no change out, whichever flags are on."""
    if settings.workspace.strategy == "copy":
        return STRATEGY, "a copy has no repository to bring a branch to"
    mode = settings.merge_policy.mode
    if mode == "human_approval":
        return None
    return MODE, f"{mode} lets no branch or pull request out"


def _slug(text: str) -> str:
    latin = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", latin).strip("-")[:SLUG_LENGTH].rstrip("-")
