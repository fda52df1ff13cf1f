"""The doctor's checks of GitHub, one condition at a time, on a credential otherwise in order."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from repoagents.domain.access import Backlog
from repoagents.domain.check import Check
from repoagents.domain.people import Permission
from repoagents.domain.pulse import Quota
from repoagents.domain.settings import SafetySettings, TrackerSettings
from repoagents.errors import ConfigError, Unavailable
from repoagents.pipeline.checkup import HostFacts, examine
from repoagents.policy.access import EXPIRES_SOON, parse_slug
from repoagents.policy.attention import LEAST_FREE_BYTES
from tests.fakes.inspection import FINE, KnownAccess
from tests.pipeline.conftest import ISSUE, Place

FACTS = HostFacts(free_bytes=LEAST_FREE_BYTES)
TRACKER = TrackerSettings(kind="github", repo="octo/cat", trigger_label="repoagents")
OPEN = SafetySettings(allow_write_comments=True, allow_open_pr=True)


def checks(
    place: Place, known: KnownAccess, facts: HostFacts = FACTS, **settings: Any
) -> dict[str, Check]:
    """The checks that are not in order, and those of GitHub that are, by name."""
    place.tracker.inspection = known
    place.tracker.issues.setdefault(1, ISSUE)
    ours = replace(place.house.settings, **{"tracker": TRACKER, "safety": OPEN, **settings})
    rows = examine(replace(place.house, settings=ours), facts)
    order = ("ok", "warn", "error")
    return {row.name: row for row in sorted(rows, key=lambda row: order.index(row.status))}


def faults(found: dict[str, Check]) -> dict[str, str]:
    return {name: check.status for name, check in found.items() if check.status != "ok"}


def test_what_is_in_order_is_said_too(place: Place) -> None:
    found = checks(place, KnownAccess(), replace(FACTS, origin="git@github.com:Octo/Cat.git"))
    assert faults(found) == {}
    assert found["GitHub"].message == "robot, by a classic token (the variable GITHUB_TOKEN)"
    assert found["who may ask"].message == "the permission of others can be read"
    assert found["repository"].message == "octo/cat, public"
    assert found["origin"].message == "is octo/cat"
    assert found["tracker"].message == "1 open with the label repoagents"
    assert "expiry" not in found


@pytest.mark.parametrize(
    ("change", "name", "status", "said", "fix"),
    [
        ({"role": Permission.TRIAGE}, "permissions", "error", "the role triage", "role Write"),
        ({"role": Permission.NONE}, "permissions", "error", "the role none", "/settings/access"),
        ({"granted": ()}, "permissions", "error", "it has: none", "the scope repo"),
        ({"granted": ("gist",), "kind": "gh"}, "permissions", "error", "gist", "gh auth refresh"),
        (
            {"granted": ("public_repo",), "private": True},
            "permissions",
            "error",
            "lacks the scope repo;",
            "the scope repo",
        ),
        (
            {"granted": ("repo", "admin:org", "delete_repo")},
            "permissions",
            "warn",
            "more than is needed: admin:org, delete_repo",
            "issues: write",
        ),
        ({"kind": "actions"}, "permissions", "warn", "start no CI", "GitHub App"),
        (
            {"kind": "fine_grained", "refused": ("pull_requests",)},
            "permissions",
            "error",
            "may not read pull_requests",
            "pull_requests: write",
        ),
        (
            {"kind": "fine_grained", "refused": ("checks",)},
            "permissions",
            "error",
            "may not read checks",
            "use a GitHub App",
        ),
        (
            {"people_problem": "403 for all", "people_step": "Give it push access."},
            "who may ask",
            "error",
            "403 for all",
            "Give it push access.",
        ),
        ({"archived": True}, "repository", "error", "is archived", "unarchive it"),
        ({"disabled": True}, "repository", "error", "is disabled", "tracker.repo"),
        ({"repo": "octo/dog"}, "repository", "warn", "is called octo/dog now", "octo/dog"),
        ({"clock_ahead": timedelta(seconds=31)}, "clock", "warn", "31 s ahead of", "NTP"),
        ({"clock_ahead": -timedelta(minutes=2)}, "clock", "warn", "120 s behind", "NTP"),
    ],
)
def test_each_fault_alone(
    change: dict[str, Any], name: str, status: str, said: str, fix: str, place: Place
) -> None:
    found = checks(place, KnownAccess(replace(FINE, **change)))
    assert faults(found) == {name: status}, "and nothing else is touched by it"
    assert said in found[name].message
    assert fix in found[name].fix
    assert found[name].why


@pytest.mark.parametrize(
    "change",
    [
        {"granted": ("repo", "read:org", "workflow", "gist"), "kind": "gh"},
        {"granted": ("public_repo",)},
        {"kind": "app", "role": Permission.NONE, "granted": ("administration: write",)},
        {"clock_ahead": timedelta(seconds=-30)},
        {"repo": "Octo/CAT"},
    ],
)
def test_what_is_no_fault(change: dict[str, Any], place: Place) -> None:
    assert faults(checks(place, KnownAccess(replace(FINE, **change)))) == {}


@pytest.mark.parametrize(
    ("left", "status", "said"),
    [
        (EXPIRES_SOON, "ok", "expires in 14 days"),
        (EXPIRES_SOON - timedelta(seconds=1), "warn", "expires in 13 days"),
        (timedelta(days=1, hours=3), "warn", "expires in 1 day,"),
        (timedelta(0), "error", "expired on "),
    ],
)
def test_the_end_of_a_token(left: timedelta, status: str, said: str, place: Place) -> None:
    end = place.house.clock.now() + left
    check = checks(place, KnownAccess(replace(FINE, expires_at=end)))["expiry"]
    assert check.status == status
    assert said in check.message
    assert f"{end:%Y-%m-%d}" in check.message


@pytest.mark.parametrize(("left", "status"), [(500, "ok"), (499, "warn"), (0, "warn")])
def test_how_much_of_the_quota_is_left(left: int, status: str, place: Place) -> None:
    quota = Quota(5000, left, place.house.clock.now())
    check = checks(place, KnownAccess(replace(FINE, quota=quota)))["rate limit"]
    assert check.status == status
    assert f"{left} of 5,000" in check.message


def test_only_what_the_open_flags_need_is_asked_for(place: Place) -> None:
    fine_grained = KnownAccess(replace(FINE, kind="fine_grained"))
    assert "contents: write" in checks(place, fine_grained)["permissions"].message
    closed = checks(place, fine_grained, safety=SafetySettings())["permissions"].message
    assert "contents: read" in closed
    assert "write (" not in closed
    assert ": write" not in closed


@pytest.mark.parametrize(
    "broken",
    [
        Unavailable("no whole answer", next_step="Look at the network."),
        ConfigError("there is no GitHub credential", next_step="Set GITHUB_TOKEN."),
    ],
)
def test_no_answer_is_one_error_and_the_end_of_questions(
    broken: Unavailable | ConfigError, place: Place
) -> None:
    found = checks(place, KnownAccess(broken=broken))
    assert faults(found) == {"GitHub": "error"}
    assert (found["GitHub"].message, found["GitHub"].fix) == (str(broken), broken.next_step)
    assert "tracker" not in found
    assert "worker" in found


def test_issues_that_cannot_be_read(place: Place) -> None:
    place.tracker.down = True
    found = checks(place, KnownAccess())
    assert found["tracker"].status == "error"
    assert found["GitHub"].status == "ok", "what is known is said"


def unlabelled(place: Place, backlog: Backlog, **access: Any) -> dict[str, Check]:
    place.tracker.issues[1] = replace(ISSUE, state=type(ISSUE.state).CLOSED)
    return checks(place, KnownAccess(replace(FINE, **access), backlog))


def test_nothing_labelled_comes_with_the_command_that_labels_one(place: Place) -> None:
    found = unlabelled(place, Backlog(12, 7, more=False, has_label=True))
    assert faults(found) == {}
    assert found["tracker"].message == "12 open, 0 labelled repoagents"
    assert found["tracker"].fix == "gh issue edit 7 --repo octo/cat --add-label repoagents"


def test_a_label_that_is_missing_comes_with_the_command_that_makes_it(place: Place) -> None:
    page = "https://git.example.com/octo/cat"
    found = unlabelled(place, Backlog(100, 7, more=True, has_label=False), page=page)
    assert faults(found) == {"label": "warn"}
    made = "gh label create repoagents --repo https://git.example.com/octo/cat --description "
    assert found["label"].fix.startswith(made)
    assert found["tracker"].message == "100 or more open, 0 labelled repoagents"


def test_a_repository_without_issues_asks_for_nothing(place: Place) -> None:
    found = unlabelled(place, Backlog(0, 0, more=False, has_label=True))
    assert (found["tracker"].message, found["tracker"].fix) == ("0 open, 0 labelled repoagents", "")


def test_without_a_trigger_label_every_issue_counts(place: Place) -> None:
    found = checks(place, KnownAccess(), tracker=replace(TRACKER, trigger_label=None))
    assert "every one is taken" in found["tracker"].message


def test_the_checkout_of_another_repository_is_an_error(place: Place) -> None:
    found = checks(place, KnownAccess(), replace(FACTS, origin="https://github.com/octo/dog"))
    assert faults(found) == {"origin": "error"}
    assert "octo/dog" in found["origin"].message


@pytest.mark.parametrize(
    ("url", "slug"),
    [
        ("https://github.com/octo/cat.git", "octo/cat"),
        ("https://github.com/octo/cat/", "octo/cat"),
        ("https://git.example.com:8443/octo/cat", "octo/cat"),
        ("ssh://git@github.com:22/octo/cat.git", "octo/cat"),
        ("git@github.com:octo/cat.git", "octo/cat"),
        ("work:octo/ca.t", "octo/ca.t"),
        ("/srv/git/octo/cat.git", ""),
        ("../origin.git", ""),
        ("file:///srv/git/octo/cat.git", ""),
        ("", ""),
    ],
)
def test_the_name_in_an_address(url: str, slug: str) -> None:
    assert parse_slug(url) == slug


@pytest.mark.parametrize("granted", [(), ("actions: read",)])
def test_an_app_that_may_not_read_logs_is_told_so(place: Place, granted: tuple[str, ...]) -> None:
    known = KnownAccess(replace(FINE, kind="app", granted=("issues: write", *granted)))
    said = checks(place, known)["permissions"]
    assert said.status == "ok"
    assert ("does not see the logs" in said.message) is not bool(granted)
