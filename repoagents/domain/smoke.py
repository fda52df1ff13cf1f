"""What `github smoke` found: one look at GitHub before anything is trusted to it.

The classes are the shape of `github-smoke.json`, and of the fixture that can stand in for it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from annotated_types import Ge, MinLen

from repoagents.domain.host_settings import STRICT
from repoagents.domain.settings import Settings

REHEARSAL = "Rehearsal: made from a fixture, not from a live repository."
"""The first line of everything that is made from a fixture."""

Count = Annotated[int, Ge(0)]
Number = Annotated[int, Ge(1)]


class Level(StrEnum):
    """How a part stands; `issues` has to be fixed before it is relied on."""

    OK = "ok"
    WARN = "warn"
    ISSUES = "issues"


class Overall(StrEnum):
    """How the whole stands."""

    CLEAN = "clean"
    ATTENTION = "attention"
    ISSUES = "issues"


@dataclass(frozen=True)
class Point:
    """One thing that was found; of level `ok` when it is only worth knowing. `fix` is a line."""

    __pydantic_config__ = STRICT

    level: Level
    message: Annotated[str, MinLen(1)]
    fix: str = ""


@dataclass(frozen=True)
class Section:
    """A section: its status is at least that of the worst of its `warnings`."""

    __pydantic_config__ = STRICT

    status: Level
    warnings: tuple[Point, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Auth(Section):
    """The credential: `scopes` are a classic token's, `permissions` an App's; null is unknown."""

    source: str
    token_kind: str
    account: str = ""
    scopes: tuple[str, ...] | None = None
    permissions: tuple[str, ...] | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class RepoAccess(Section):
    """The repository as the credential reaches it; `permissions` are GitHub's own words."""

    full_name: str
    default_branch: str
    private: bool | None = None
    permissions: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BranchPolicy(Section):
    """What stands around the branch that changes start from.

    `base_branch` is that branch, `local_branch` the one that the checkout is on. Of what could not
    be read the value is null, and `unread` says why.
    """

    default_branch: str
    base_branch: str = ""
    local_branch: str = ""
    protected: bool | None = None
    required_reviews: Count | None = None
    required_checks: tuple[str, ...] | None = None
    rules: tuple[str, ...] = ()
    rulesets: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Origin(Section):
    """The checkout's origin; `matches_tracker_repo` is null where there is nothing to compare."""

    remote_url: str
    repo_slug: str = ""
    matches_tracker_repo: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Publish(Section):
    """Which writes would go out, by the flags and by what the credential may do."""

    comment_writes_ready: bool
    pr_writes_ready: bool


@dataclass(frozen=True, kw_only=True)
class IssueRow:
    """One open issue; `reason` says why it is left, empty when it is eligible."""

    __pydantic_config__ = STRICT

    number: Number
    title: str
    url: str = ""
    labels: tuple[str, ...] = ()
    eligible: bool
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Issues(Section):
    """The open issues with the trigger label, in the loop's order; `more` when count is a floor."""

    count: Count
    more: bool = False
    label: str | None = None
    sampled: tuple[IssueRow, ...] = ()


@dataclass(frozen=True)
class Meta:
    """Where a report comes from; the path is empty for a live one."""

    __pydantic_config__ = STRICT

    tracker_repo: str
    rendered_at: datetime | None = None
    issue_limit: Number = 10
    source: Literal["live", "fixture"] = "live"
    fixture_path: str = ""
    kind: Literal["github-smoke"] = "github-smoke"
    rehearsal: str = ""


@dataclass(frozen=True)
class Summary:
    """The whole in a few values, made from the sections."""

    __pydantic_config__ = STRICT

    status: Overall
    message: str
    open_issue_count: Count = 0
    sampled_issue_id: Number | None = None
    write_comments_enabled: bool = False
    open_pr_enabled: bool = False
    merge_enabled: bool = False
    comment_writes_ready: bool = False
    pr_writes_ready: bool = False


@dataclass(frozen=True)
class Smoke:
    """The whole report, a field per section."""

    __pydantic_config__ = STRICT

    meta: Meta
    summary: Summary
    auth: Auth
    repo_access: RepoAccess
    branch_policy: BranchPolicy
    origin: Origin
    publish: Publish
    issues: Issues
    sampled_issue: IssueRow | None

    def parts(self) -> Iterator[tuple[str, Section]]:
        """The sections that have a status, by name, in order."""
        for field in fields(self):
            section = getattr(self, field.name)
            if isinstance(section, Section):
                yield field.name, section


def worst(levels: Iterable[Level]) -> Level:
    """The gravest; `ok` of none."""
    return max(levels, key=list(Level).index, default=Level.OK)


def stands_in(settings: Settings) -> bool:
    """Whether a fixture stands in the place of GitHub, which is not asked for anything then."""
    tracker = settings.tracker
    return tracker.kind == "github" and bool(tracker.smoke_fixture_path)
