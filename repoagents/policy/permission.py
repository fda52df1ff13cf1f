"""Who may ask the bot for work: people who may push, and bots that the operator listed by id."""

from repoagents.domain.people import Account, AccountKind, Permission
from repoagents.domain.settings import Settings


def why_not_permitted(
    asker: Account | None, permission: Permission | None, viewer: Account, settings: Settings
) -> str | None:
    """Why this account may not ask for work, or None when it may.

    `permission` is what the account may do in the repository, None when that is not known;
    `viewer` is the account that the bot writes as. Whatever is not known is refused.
    """
    if asker is None:
        return "it is not known who asked for it: remove the label and set it again"
    if asker.kind is AccountKind.BOT:
        return _why_not_bot(asker, viewer, settings)
    if _same(asker, viewer) and viewer.kind is AccountKind.USER:
        return None
    if permission is None:
        return f"it is not known what {asker.login} may do in the repository"
    if not permission.writes:
        return (
            f"{asker.login} may not ask for work: it takes the permission to write, "
            f"theirs is '{permission}'"
        )
    return None


def needs_permission(asker: Account | None, viewer: Account) -> bool:
    """Whether the decision hangs on what the account may do, which costs a request to learn."""
    return asker is not None and asker.kind is AccountKind.USER and not _same(asker, viewer)


def _why_not_bot(asker: Account, viewer: Account, settings: Settings) -> str | None:
    if _same(asker, viewer):
        return f"{asker.login} is this bot itself, which never asks itself for work"
    if asker.id in settings.tracker.allowed_bots:
        return None
    return (
        f"{asker.login} is a bot, and bots may not ask for work unless tracker.allowed_bots "
        f"lists their id ({asker.id})"
    )


def _same(one: Account, other: Account) -> bool:
    """Whether both are one account: by id alone, for logins change hands; 0 is nobody's."""
    return one.id == other.id != 0
