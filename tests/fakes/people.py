"""Accounts in memory: `ports.People` over a few dicts, with faults on demand."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from repoagents.domain.issue import Issue
from repoagents.domain.people import Account, AccountKind, Act, Permission
from repoagents.errors import RepoAgentsError

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
BOT_ITSELF = Account("the-bot[bot]", 1, AccountKind.BOT)
MAINTAINER = Account("mona", 11)
OTHER_MAINTAINER = Account("max", 12)
TRIAGER = Account("tri", 13)
STRANGER = Account("stranger", 14)
MACHINE = Account("machine[bot]", 15, AccountKind.BOT)
EVERYBODY = (BOT_ITSELF, MAINTAINER, OTHER_MAINTAINER, TRIAGER, STRANGER, MACHINE)


@dataclass
class MemoryPeople:
    """`labelled` says who set the label of an issue; `fault` is raised by what a request answers.

    Labels were set at `EPOCH` unless `labelled_at` says otherwise. `edits` are an issue's changes
    of its text. `asked` keeps each request in words; our own account costs none.
    """

    us: Account = BOT_ITSELF
    permissions: dict[str, Permission] = field(
        default_factory=lambda: {
            MAINTAINER.login: Permission.WRITE,
            OTHER_MAINTAINER.login: Permission.ADMIN,
            TRIAGER.login: Permission.TRIAGE,
            STRANGER.login: Permission.READ,
        }
    )
    labelled: dict[int, Account | None] = field(default_factory=dict)
    labelled_at: dict[int, datetime] = field(default_factory=dict)
    edits: dict[int, list[Act]] = field(default_factory=dict)
    faults: dict[str, RepoAgentsError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    commented: set[int] = field(default_factory=set)

    def viewer(self) -> Account:
        """Our own account."""
        return self.us

    def labelled_by(self, number: int, label: str) -> Act | None:
        """Who set the label; the maintainer unless the test says otherwise."""
        self._ask(f"labelled_by {number}")
        who = self.labelled.get(number, MAINTAINER)
        return who and Act(who, self.labelled_at.get(number, EPOCH))

    def edits_since(self, issue: Issue, at: datetime) -> tuple[Act, ...]:
        """The changes of the text at that instant or later."""
        self._ask(f"edits_since {issue.number}")
        return tuple(edit for edit in self.edits.get(issue.number, ()) if edit.at >= at)

    def permission(self, login: str) -> Permission:
        """What the account may do."""
        self._ask(f"permission {login}")
        return self.permissions.get(login, Permission.NONE)

    def commented_since(self, at: datetime) -> tuple[int, ...]:
        """Every issue that has a comment, whenever it was written."""
        self._ask(f"commented_since {at:%H:%M}")
        return tuple(sorted(self.commented))

    def _ask(self, request: str) -> None:
        self.asked.append(request)
        for beginning, fault in self.faults.items():
            if request.startswith(beginning):
                raise fault
