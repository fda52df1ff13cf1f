"""A credential as a test has it."""

from dataclasses import dataclass

from repoagents.domain.access import Access, Backlog
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
