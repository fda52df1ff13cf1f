"""The accounts behind an issue, and what they may do in the repository."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AccountKind(StrEnum):
    """Whether a person is behind an account."""

    USER = "user"
    BOT = "bot"
    """A GitHub App, or an account that says of itself that it is a machine."""


class Permission(StrEnum):
    """GitHub's roles of a collaborator, from the most to none."""

    ADMIN = "admin"
    MAINTAIN = "maintain"
    WRITE = "write"
    TRIAGE = "triage"
    READ = "read"
    NONE = "none"

    @property
    def writes(self) -> bool:
        """Whether it allows to push, which is what asking the bot for work amounts to."""
        return self in (Permission.ADMIN, Permission.MAINTAIN, Permission.WRITE)


@dataclass(frozen=True)
class Account:
    """An account: `login` may be renamed, `id` never changes."""

    login: str
    id: int
    kind: AccountKind = AccountKind.USER


@dataclass(frozen=True)
class Act:
    """That somebody did something, and when; the login of a deleted account is empty."""

    by: Account
    at: datetime
