"""The one reader of the safety flags, and the one maker of branch names."""

import re
import unicodedata
from typing import assert_never

from repoagents.domain.effect import (
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
from repoagents.domain.settings import Settings

BRANCH_PREFIX = "repoagents/"
SLUG_LENGTH = 40
_LOOPBACK = re.compile(r"https?://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?(/|\Z)")

_Refusal = tuple[str, str]


def gate(
    effect: Effect,
    settings: Settings,
    *,
    dry_run: bool = False,
    rehearsal: bool = False,
    stricter: Settings | None = None,
) -> Effect | Withheld:
    """The effect, or the flag that withholds it.

    `stricter` are further settings that must allow it too: those that held when the run began.
    `rehearsal` is true when an engine of the run calls no model: what it made never reaches
    GitHub, unless that is one on this machine. A flag is named before the dry run, so that a dry
    run shows which flag would decide.
    """
    refusal = _why_not(effect, settings)
    if refusal is None and stricter is not None and (earlier := _why_not(effect, stricter)):
        flag, reason = earlier
        publish = f"`repoagents approval approve {effect.issue_number}`"
        refusal = flag, f"as the run began: {reason}; {publish} publishes it now"
    if refusal is None and rehearsal and _leaves_the_machine(settings):
        refusal = "llm.mode", "a rehearsal made this, no model was called"
    if refusal is None and dry_run:
        refusal = "--dry-run", "a dry run writes nothing"
    return Withheld(effect, *refusal) if refusal else effect


def app_permissions(settings: Settings) -> dict[str, str]:
    """What a GitHub App's tokens are narrowed to: what the open flags need, and nothing else."""
    needed, flags = {"metadata": "read", "contents": "read", "issues": "read"}, settings.safety
    if flags.allow_write_comments:
        needed["issues"] = "write"
    if (flags.allow_open_pr or flags.allow_merge) and _by_mode(settings.merge_policy.mode) is None:
        needed |= {"contents": "write", "pull_requests": "write"}
        needed |= {"checks": "read", "statuses": "read"}
    return needed


def may_ask_for_deliveries(settings: Settings) -> bool:
    """Whether GitHub may be asked to send a webhook again.

    It changes nothing that anybody sees, but it is a write: not while every flag is off.
    """
    flags = settings.safety
    return flags.allow_write_comments or flags.allow_open_pr or flags.allow_merge


def branch_name(issue_number: int, title: str, run_id: str) -> str:
    """`repoagents/issue-N-<slug>`: the same for the same title, a valid ref for any text.

    A title without a Latin letter or digit is replaced by the beginning of the run's id.
    """
    slug = _slug(title) or _slug(run_id[:8]) or "change"
    return f"{BRANCH_PREFIX}issue-{issue_number}-{slug}"


def _why_not(effect: Effect, settings: Settings) -> _Refusal | None:
    if settings.tracker.mode == "fixture":
        return "tracker.mode", "a fixture refuses every write"
    flags, mode = settings.safety, settings.merge_policy.mode
    match effect:
        case PostComment() | SetLabel() | ReplyToRemark() | React():
            refusal = "safety.allow_write_comments", "comments are off"
            return None if flags.allow_write_comments else refusal
        case PushBranch() | OpenDraftPullRequest():
            refusal = "safety.allow_open_pr", "branches and pull requests are off"
            return _by_mode(mode) or (None if flags.allow_open_pr else refusal)
        case MergePullRequest():
            refusal = "safety.allow_merge", "merges are off: a person merges"
            return _by_mode(mode) or (None if flags.allow_merge else refusal)
        case _:
            assert_never(effect)


def _leaves_the_machine(settings: Settings) -> bool:
    tracker = settings.tracker
    return tracker.kind == "github" and not _LOOPBACK.match(tracker.api_url)


def _by_mode(mode: str) -> _Refusal | None:
    if mode == "human_approval":
        return None
    return "merge_policy.mode", f"{mode} lets no branch or pull request out"


def _slug(text: str) -> str:
    latin = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", latin).strip("-")[:SLUG_LENGTH].rstrip("-")
