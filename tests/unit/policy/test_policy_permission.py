"""Who may ask the bot for work; whatever is not known is refused."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.people import Account, AccountKind, Permission
from repoagents.domain.settings import Settings, TrackerSettings
from repoagents.policy.permission import needs_permission, why_not_permitted
from tests.fakes.people import BOT_ITSELF, MACHINE, MAINTAINER, STRANGER

SETTINGS = Settings()
LISTED = Settings(tracker=TrackerSettings(allowed_bots=(MACHINE.id, BOT_ITSELF.id)))


@pytest.mark.parametrize("permission", Permission)
def test_a_person_needs_the_permission_to_write(permission: Permission) -> None:
    reason = why_not_permitted(MAINTAINER, permission, BOT_ITSELF, SETTINGS)
    writes = permission in (Permission.ADMIN, Permission.MAINTAIN, Permission.WRITE)
    assert (reason is None) is writes
    if reason is not None:
        assert "mona" in reason
        assert f"'{permission}'" in reason


def test_who_is_not_known_is_refused_with_what_to_do() -> None:
    reason = why_not_permitted(None, Permission.ADMIN, BOT_ITSELF, LISTED)
    assert reason is not None
    assert "remove the label and set it again" in reason


def test_a_permission_that_is_not_known_is_none() -> None:
    assert why_not_permitted(MAINTAINER, None, BOT_ITSELF, SETTINGS) is not None


def test_an_account_that_is_a_bot_to_us_is_no_person_where_it_is_called_one() -> None:
    told = replace(BOT_ITSELF, kind=AccountKind.USER)
    assert why_not_permitted(told, None, BOT_ITSELF, LISTED) is not None


def test_a_bot_is_refused_whatever_it_may_do_unless_its_id_is_listed() -> None:
    reason = why_not_permitted(MACHINE, Permission.ADMIN, BOT_ITSELF, SETTINGS)
    assert reason is not None
    assert "tracker.allowed_bots" in reason
    assert str(MACHINE.id) in reason
    assert why_not_permitted(MACHINE, None, BOT_ITSELF, LISTED) is None
    renamed = replace(MACHINE, id=99)
    assert why_not_permitted(renamed, Permission.ADMIN, BOT_ITSELF, LISTED) is not None


def test_a_listed_id_lets_no_person_in() -> None:
    person = Account("machine", MACHINE.id)
    assert why_not_permitted(person, Permission.READ, BOT_ITSELF, LISTED) is not None


def test_the_bot_never_asks_itself_though_it_were_listed() -> None:
    reason = why_not_permitted(BOT_ITSELF, Permission.ADMIN, BOT_ITSELF, LISTED)
    assert reason is not None
    assert "itself" in reason


def test_with_a_user_token_the_maintainers_own_account_stays_permitted() -> None:
    assert why_not_permitted(MAINTAINER, None, MAINTAINER, SETTINGS) is None
    namesake = replace(STRANGER, login=MAINTAINER.login)
    assert why_not_permitted(namesake, Permission.READ, MAINTAINER, SETTINGS) is not None


def test_an_account_without_an_id_is_nobodys_own() -> None:
    nobody = Account("", 0)
    assert why_not_permitted(nobody, Permission.NONE, nobody, SETTINGS) is not None
    assert needs_permission(nobody, nobody)


ACCOUNTS = st.builds(
    Account, st.sampled_from(["ann", "bob[bot]"]), st.integers(0, 3), st.sampled_from(AccountKind)
)


@given(ACCOUNTS, st.none() | st.sampled_from(Permission), ACCOUNTS, st.sets(st.integers(1, 3)))
def test_nobody_passes_without_a_ground(
    asker: Account, permission: Permission | None, viewer: Account, bots: set[int]
) -> None:
    settings = Settings(tracker=TrackerSettings(allowed_bots=tuple(bots)))
    grounds = (
        asker.kind is AccountKind.USER and permission is not None and permission.writes,
        asker.kind is AccountKind.BOT and asker.id in bots and asker.id != viewer.id,
        asker.kind is viewer.kind is AccountKind.USER and asker.id == viewer.id != 0,
    )
    assert (why_not_permitted(asker, permission, viewer, settings) is None) is any(grounds)
    if not needs_permission(asker, viewer):
        known = why_not_permitted(asker, permission, viewer, settings)
        assert known == why_not_permitted(asker, None, viewer, settings)
