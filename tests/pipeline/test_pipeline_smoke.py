"""One look at GitHub: what each section says, and what the whole comes to."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from repoagents.domain.access import Access, Backlog, BranchRules
from repoagents.domain.issue import Issue
from repoagents.domain.people import Permission
from repoagents.domain.rollout import Brake, Phase
from repoagents.domain.run import Run
from repoagents.domain.settings import (
    LlmSettings,
    MergePolicySettings,
    SafetySettings,
    Settings,
    TrackerSettings,
)
from repoagents.domain.smoke import REHEARSAL, Level, Overall, Point, Section, Smoke, worst
from repoagents.errors import Forbidden, StoreError, Unavailable
from repoagents.pipeline.smoke import Surroundings, Wish, look, rehearse
from repoagents.policy.smoke import BLIND, why_not_ready
from repoagents.views.smoke import smoke_row
from tests.fakes.clock import FakeClock
from tests.fakes.inspection import FINE, KnownAccess
from tests.pipeline.conftest import Place

TRACKER = TrackerSettings(kind="github", repo="octo/cat", smoke_fixture_path="ops/smoke.json")
LIVE = replace(TRACKER, smoke_fixture_path="")
OPEN = SafetySettings(allow_write_comments=True, allow_open_pr=True)
ACCESS = replace(FINE, default_branch="main", granted=("repo",))
FIRST = Issue(3, "Old", labels=("repoagents",), locked=True)
SECOND = Issue(7, "New", labels=("repoagents",), source="https://github.com/octo/cat/issues/7")
RULES = BranchRules("main", protected=True, reviews=1, checks=("ci",), rulesets=("careful",))
GOOD = KnownAccess(ACCESS, rules=RULES, issues=(FIRST, SECOND))


def nobody(_number: int) -> Run | None:
    return None


AROUND = Surroundings("git@github.com:octo/cat.git", "main", nobody)


def looked(
    place: Place,
    known: KnownAccess = GOOD,
    wish: Wish = Wish(),  # noqa: B008 - frozen
    around: Surroundings = AROUND,
    **settings: Any,
) -> Smoke:
    ours = replace(place.house.settings, **{"tracker": LIVE, "safety": OPEN, **settings})
    smoke = look(replace(place.house, settings=ours), known, around, wish)
    for name, part in smoke.parts():
        grave = worst(point.level for point in part.warnings)
        assert part.status is grave, f"{name} says how its worst point stands"
    return smoke


def test_a_brake_withholds_what_the_flags_allow(place: Place) -> None:
    brake = Brake(Phase.COMMENT, "a change held a secret", "r", 3, place.clock.now())
    smoke = looked(place, around=replace(AROUND, brake=brake))
    publish, summary = smoke.publish, smoke.summary
    assert (publish.comment_writes_ready, publish.pr_writes_ready) == (True, False)
    assert (summary.write_comments_enabled, summary.open_pr_enabled) == (True, False)
    assert summary.status is Overall.ATTENTION
    (point,) = why_not_ready(smoke)
    assert "stepped back to comment" in point.message
    assert point.fix == "repoagents rollout status"


def told(part: Section) -> list[tuple[str, str]]:
    return [(point.level.value, point.message) for point in part.warnings]


def test_what_is_in_order_is_clean(place: Place) -> None:
    smoke = looked(place)
    summary = smoke.summary
    assert summary.status is Overall.CLEAN
    assert summary.message == "nothing stands in the way; 2 open labelled repoagents"
    assert (summary.open_issue_count, summary.sampled_issue_id) == (2, 7)
    assert summary.comment_writes_ready
    assert summary.pr_writes_ready
    assert (summary.write_comments_enabled, summary.merge_enabled) == (True, False)
    assert smoke.origin.matches_tracker_repo is True
    assert (smoke.branch_policy.required_reviews, smoke.branch_policy.required_checks) == (
        1,
        ("ci",),
    )
    assert (smoke.auth.scopes, smoke.auth.permissions) == (("repo",), None)
    assert smoke.repo_access.permissions == ("push", "triage", "pull")
    assert (smoke.meta.source, smoke.meta.rehearsal) == ("live", "")
    assert why_not_ready(smoke) == ()


@pytest.mark.parametrize(
    ("change", "section", "level", "said", "ready"),
    [
        ({"granted": ("gist",)}, "auth", "issues", "lacks the scope", (False, False)),
        ({"granted": ("repo", "admin:org")}, "auth", "warn", "more than is needed", (True, True)),
        (
            {"kind": "fine_grained", "granted": None, "refused": ("pull_requests",)},
            "auth",
            "issues",
            "may not read pull_requests",
            (True, False),
        ),
        (
            {"kind": "app", "granted": ("issues: write", "contents: read")},
            "publish",
            "issues",
            "lacks contents: write, pull_requests: write",
            (True, False),
        ),
        ({"role": Permission.READ}, "repo_access", "issues", "the role read", (False, False)),
        ({"archived": True}, "repo_access", "issues", "is archived", (False, False)),
        ({"repo": "octo/dog"}, "repo_access", "warn", "called octo/dog now", (True, True)),
        ({"clock_ahead": timedelta(minutes=2)}, "auth", "warn", "clock is 120 s", (True, True)),
    ],
)
def test_what_the_credential_lacks_or_has_too_much_of(
    place: Place,
    change: Mapping[str, Any],
    section: str,
    level: str,
    said: str,
    ready: tuple[bool, bool],
) -> None:
    smoke = looked(place, replace(GOOD, access=replace(ACCESS, **change)))
    part = getattr(smoke, section)
    assert part.status.value == level
    assert any(said in message for _, message in told(part)), told(part)
    assert smoke.summary.status.value == {"warn": "attention", "issues": "issues"}[level]
    assert (smoke.publish.comment_writes_ready, smoke.publish.pr_writes_ready) == ready
    assert bool(why_not_ready(smoke)) is (ready != (True, True))
    assert all(point.fix for point in why_not_ready(smoke))


def test_what_cannot_be_known_of_a_token_is_said_and_not_guessed(place: Place) -> None:
    access = replace(ACCESS, kind="fine_grained", granted=None)
    smoke = looked(place, replace(GOOD, access=access))
    assert told(smoke.publish) == [("ok", BLIND)]
    assert smoke.auth.scopes is None
    assert why_not_ready(smoke) == ()


@pytest.mark.parametrize(
    ("settings", "flag", "line"),
    [
        ({"safety": SafetySettings()}, "safety.allow_write_comments", "allow_write_comments: true"),
        (
            {"safety": replace(OPEN, allow_open_pr=False)},
            "safety.allow_open_pr",
            "safety: {allow_open_pr: true}",
        ),
        (
            {"merge_policy": MergePolicySettings("comment_only")},
            "merge_policy.mode",
            "mode: human_approval",
        ),
        ({"llm": LlmSettings("rehearsal")}, "llm.mode", "llm: {mode: codex}"),
    ],
)
def test_a_closed_flag_is_as_it_should_be_unless_writes_are_required(
    place: Place, settings: Mapping[str, Any], flag: str, line: str
) -> None:
    smoke = looked(place, **settings)
    assert smoke.summary.status is Overall.CLEAN
    missing = why_not_ready(smoke)
    assert any(flag in point.message and line in point.fix for point in missing), missing
    assert not smoke.publish.pr_writes_ready


def test_nothing_around_the_branch_matters_once_pull_requests_are_opened(place: Place) -> None:
    bare = replace(GOOD, rules=BranchRules("main", protected=False))
    assert looked(place, bare).branch_policy.status is Level.WARN
    closed = looked(place, bare, safety=SafetySettings()).branch_policy
    assert (closed.status, closed.protected) == (Level.OK, False)


def test_what_only_admins_may_read_is_unknown(place: Place) -> None:
    unread = replace(RULES, reviews=None, unread=("for admins only",))
    policy = looked(place, replace(GOOD, rules=unread)).branch_policy
    assert (policy.required_reviews, policy.unread) == (None, ("for admins only",))


def test_the_branch_that_changes_start_from_is_looked_at(place: Place) -> None:
    policy = looked(place, tracker=replace(LIVE, base_branch="next")).branch_policy
    assert (policy.base_branch, policy.default_branch, policy.local_branch) == (
        "next",
        "main",
        "main",
    )
    assert told(policy) == [("ok", "the checkout is on main; changes start from next")]


@pytest.mark.parametrize(
    ("origin", "matches", "status"),
    [
        ("https://gitlab.com/octo/cat", False, Level.ISSUES),
        ("git@github.com:octo/dog", False, Level.ISSUES),
        ("work:octo/cat", False, Level.WARN),
        ("/srv/cat", None, Level.OK),
        ("", None, Level.OK),
    ],
)
def test_the_origin(place: Place, origin: str, matches: bool | None, status: Level) -> None:
    found = looked(place, around=replace(AROUND, origin=origin)).origin
    assert (found.matches_tracker_repo, found.status) == (matches, status)


def test_no_password_of_an_origin_is_shown(place: Place) -> None:
    around = replace(AROUND, origin="ssh://git:hunter2@github.com/octo/cat.git")
    found = looked(place, around=around).origin
    assert (found.remote_url, found.matches_tracker_repo) == (
        "ssh://github.com/octo/cat.git",
        True,
    )


def test_the_first_eligible_issue_is_the_sample(place: Place) -> None:
    issues = looked(place).issues
    assert [(row.number, row.eligible) for row in issues.sampled] == [(3, False), (7, True)]
    assert "is locked" in issues.sampled[0].reason
    only = looked(place, replace(GOOD, issues=(FIRST,)))
    assert only.sampled_issue is not None
    assert only.sampled_issue.number == 3


def test_a_named_issue_needs_no_label(place: Place) -> None:
    smoke = looked(place, replace(GOOD, issues=(SECOND, Issue(9, "Bare"))), Wish(9))
    assert smoke.sampled_issue is not None
    assert (smoke.sampled_issue.number, smoke.sampled_issue.eligible) == (9, True)


def test_an_issue_that_is_not_there(place: Place) -> None:
    smoke = looked(place, wish=Wish(99))
    assert (smoke.sampled_issue, smoke.issues.count) == (None, 2)
    assert told(smoke.issues) == [("issues", "there is no issue 99")]


def test_no_more_are_listed_than_asked_for(place: Place) -> None:
    smoke = looked(place, wish=Wish(limit=1))
    assert (smoke.issues.count, smoke.issues.more, smoke.meta.issue_limit) == (1, True, 1)
    assert (
        "1 or more"
        in looked(place, replace(GOOD, issues=(SECOND, FIRST)), Wish(0, 1)).summary.message
    )


def test_where_nothing_is_labelled_the_command_is_named(place: Place) -> None:
    bare = replace(GOOD, issues=(), open=Backlog(12, 4, more=False, has_label=False))
    issues = looked(place, bare).issues
    assert issues.status is Level.WARN
    assert [point.fix.split()[:3] for point in issues.warnings] == [
        ["gh", "label", "create"],
        ["gh", "issue", "edit"],
    ]
    assert "12 open, 0 labelled repoagents" in issues.warnings[1].message


def test_without_an_answer_the_rest_is_said_to_be_unknown(place: Place) -> None:
    broken = KnownAccess(broken=Unavailable("GitHub cannot be reached", next_step="Wait."))
    smoke = looked(place, broken)
    assert smoke.summary.status is Overall.ISSUES
    assert smoke.summary.message.startswith("GitHub cannot be reached")
    assert smoke.auth.warnings == (Point(Level.ISSUES, "GitHub cannot be reached", "Wait."),)
    assert smoke.origin.matches_tracker_repo is True, "that needs no answer"
    assert not smoke.publish.comment_writes_ready
    assert "not looked at" in smoke.issues.warnings[0].message


def test_of_a_named_issue_nothing_is_asked_about_the_others(place: Place) -> None:
    class Spared(KnownAccess):
        """Nobody may ask it what else is open."""

        def backlog(self) -> Backlog:
            raise AssertionError("two requests more than twelve")

    smoke = looked(place, Spared(ACCESS, rules=RULES), Wish(9))
    assert told(smoke.issues) == [("issues", "there is no issue 9")]


class HalfOpen(KnownAccess):
    """A credential that is known and reaches nothing else."""

    def inspect(self) -> Access:
        return self.access


def test_what_is_refused_later_is_an_issue_of_its_section(place: Place) -> None:
    smoke = looked(place, HalfOpen(ACCESS, broken=Forbidden("no contents", next_step="Grant it.")))
    assert smoke.auth.status is Level.OK
    for part in (smoke.branch_policy, smoke.issues):
        assert part.warnings == (Point(Level.ISSUES, "no contents", "Grant it."),)


def test_a_state_that_cannot_be_read_is_said_too(place: Place) -> None:
    def broken(_number: int) -> Run | None:
        raise StoreError("the state is damaged")

    smoke = looked(place, around=replace(AROUND, latest=broken))
    assert told(smoke.issues) == [("issues", "the state is damaged")]


# --- rehearsed ------------------------------------------------------------------------------

SETTINGS = Settings(tracker=TRACKER)


def rehearsed(place: Place, wish: Wish = Wish(), **parts: Any) -> Smoke:  # noqa: B008 - frozen
    fixture = replace(looked(place), **parts)
    return rehearse(fixture, SETTINGS, FakeClock(datetime(2026, 5, 1, tzinfo=UTC)), wish)


def test_a_rehearsal_says_what_it_is(place: Place) -> None:
    smoke = rehearsed(place)
    meta = smoke.meta
    assert (meta.source, meta.fixture_path, meta.rehearsal) == (
        "fixture",
        "ops/smoke.json",
        REHEARSAL,
    )
    assert smoke_row(smoke)["meta"]["rendered_at"].startswith("2026-05-01")  # type: ignore[index]
    assert smoke.auth.account == "robot"
    assert not smoke.summary.write_comments_enabled, "the flags are those of the configuration"


def test_a_rehearsal_shows_nothing_about_writes(place: Place) -> None:
    smoke = rehearsed(place)
    assert smoke.publish.pr_writes_ready
    (point,) = why_not_ready(smoke)
    assert "smoke_fixture_path" in point.fix


def test_the_summary_is_made_from_the_sections(place: Place) -> None:
    grave = replace(looked(place).auth, status=Level.ISSUES)
    smoke = rehearsed(place, auth=grave)
    assert smoke.summary.status is Overall.ISSUES
    assert smoke.summary.message == "look at auth"


def test_a_rehearsal_knows_the_issues_of_its_fixture(place: Place) -> None:
    assert rehearsed(place, Wish(3)).summary.sampled_issue_id == 3
    missing = rehearsed(place, Wish(99))
    assert told(missing.issues) == [("issues", "the fixture has no issue 99")]
    assert len(rehearsed(place, Wish(limit=1)).issues.sampled) == 1


def test_the_row_is_plain_json_with_the_promised_sections(place: Place) -> None:
    row = json.loads(json.dumps(smoke_row(looked(place))))
    assert list(row) == [
        "meta",
        "summary",
        "auth",
        "repo_access",
        "branch_policy",
        "origin",
        "publish",
        "issues",
        "sampled_issue",
    ]
    promised = {
        "meta": "kind rendered_at tracker_repo issue_limit source fixture_path",
        "summary": "status message open_issue_count sampled_issue_id write_comments_enabled"
        " open_pr_enabled",
        "auth": "status source token_kind scopes permissions expires_at",
        "repo_access": "full_name default_branch private permissions",
        "branch_policy": "default_branch local_branch protected required_reviews required_checks"
        " rulesets warnings",
        "origin": "remote_url repo_slug matches_tracker_repo",
        "publish": "comment_writes_ready pr_writes_ready warnings",
        "issues": "count sampled",
    }
    for section, names in promised.items():
        assert set(names.split()) <= set(row[section]), section
