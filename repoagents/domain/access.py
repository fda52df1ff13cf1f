"""What a credential can reach in a repository on GitHub, as far as reading alone can tell."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from repoagents.domain.people import Permission
from repoagents.domain.pulse import Quota

CredentialKind = Literal["token", "fine_grained", "gh", "app", "actions"]
"""A classic token, a fine-grained one, what `gh` knows, a GitHub App, or the token of a job."""


@dataclass(frozen=True)
class Access:
    """Who the bot is on GitHub and what it may do there; no secret is in it.

    `source` says where the credential comes from. `granted` are a classic token's scopes or an
    App's `name: level`, None where GitHub tells neither. `repo` and `page` are the repository's
    name and address of today. `refused` are permissions that were tried and refused.
    `people_problem` says why nobody's permission can be read, and `people_step` what to do; both
    are empty when it can. `clock_ahead` is by how much this machine's clock is ahead of GitHub's.
    """

    kind: CredentialKind
    source: str
    account: str
    repo: str
    page: str
    role: Permission
    default_branch: str = ""
    granted: tuple[str, ...] | None = None
    expires_at: datetime | None = None
    private: bool = False
    archived: bool = False
    disabled: bool = False
    refused: tuple[str, ...] = ()
    people_problem: str = ""
    people_step: str = ""
    quota: Quota | None = None
    clock_ahead: timedelta = timedelta()


@dataclass(frozen=True)
class Backlog:
    """The open issues of a repository where none carries the trigger label.

    `count` is exact unless there are `more`; `newest` is the number of one, 0 when there is none.
    `page` is the repository's address, empty when no issue tells it.
    """

    count: int
    newest: int
    more: bool
    has_label: bool
    page: str = ""


@dataclass(frozen=True)
class BranchRules:
    """What a branch asks of a merge, by rulesets and by classic protection together.

    `reviews` is None where it could not be read. `rules` are GitHub's names of what rulesets ask,
    `rulesets` the names of those. `unread` are sentences about what the credential may not see.
    """

    name: str
    protected: bool
    reviews: int | None = 0
    checks: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    rulesets: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
