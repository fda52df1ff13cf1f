"""A credential as a test has it."""

from dataclasses import dataclass, replace

from repoagents.domain.access import Access, Backlog, BranchRules
from repoagents.domain.issue import Issue
from repoagents.domain.people import Permission
from repoagents.domain.pulse import Pause, Quota
from repoagents.errors import RepoAgentsError

FINE = Access(
    kind="token",
    source="the variable GITHUB_TOKEN",
    account="robot",
    repo="octo/cat",
    page="https://github.com/octo/cat",
    role=Permission.WRITE,
)


@dataclass
class KnownAccess:
    """`ports.Inspection` that says what it was given; `broken` is raised instead."""

    access: Access = FINE
    open: Backlog = Backlog(0, 0, more=False, has_label=True)  # noqa: RUF009 - frozen
    rules: BranchRules = BranchRules("main", protected=True)  # noqa: RUF009 - frozen
    issues: tuple[Issue, ...] = ()
    broken: RepoAgentsError | None = None
    quota: Quota | None = None
    pause: Pause | None = None

    def inspect(self) -> Access:
        """The access."""
        if self.broken:
            raise self.broken
        return self.access

    def backlog(self) -> Backlog:
        """What is open."""
        if self.broken:
            raise self.broken
        return self.open

    def branch(self, name: str) -> BranchRules:
        """What stands around it."""
        if self.broken:
            raise self.broken
        return replace(self.rules, name=name)

    def sample(self, most: int) -> tuple[tuple[Issue, ...], bool]:
        """The first issues."""
        if self.broken:
            raise self.broken
        return self.issues[:most], len(self.issues) > most

    def issue(self, number: int) -> Issue | None:
        """One of the issues."""
        if self.broken:
            raise self.broken
        return next((issue for issue in self.issues if issue.number == number), None)
