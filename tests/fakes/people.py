"""Accounts in memory: `ports.People` over a few dicts, with faults on demand."""

from dataclasses import dataclass, field
from datetime import datetime

from repoagents.domain.people import Account, AccountKind, Permission
from repoagents.errors import RepoAgentsError

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

    `asked` keeps each request in words; our own account costs none.
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
    faults: dict[str, RepoAgentsError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    commented: set[int] = field(default_factory=set)

    def viewer(self) -> Account:
        """Our own account."""
        return self.us

    def labelled_by(self, number: int, label: str) -> Account | None:
        """Who set the label; the maintainer unless the test says otherwise."""
        self._ask(f"labelled_by {number}")
        return self.labelled.get(number, MAINTAINER)

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
