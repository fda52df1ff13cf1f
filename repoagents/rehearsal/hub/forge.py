"""Everything that this GitHub is made of, in one place for its routes."""

from dataclasses import dataclass

from repoagents.rehearsal.hub.accounts import Accounts
from repoagents.rehearsal.hub.bare import BareRepository
from repoagents.rehearsal.hub.checks import Checks
from repoagents.rehearsal.hub.code_payloads import CodePayloads
from repoagents.rehearsal.hub.hooks import Hooks
from repoagents.rehearsal.hub.payloads import Payloads
from repoagents.rehearsal.hub.pulls import Pulls
from repoagents.rehearsal.hub.quota import Quota
from repoagents.rehearsal.hub.repository import Repository


@dataclass(frozen=True)
class Forge:
    """The state, what computes on it, and what renders it."""

    repository: Repository
    accounts: Accounts
    bare: BareRepository
    checks: Checks
    pulls: Pulls
    hooks: Hooks
    quota: Quota
    payloads: Payloads
    code: CodePayloads
