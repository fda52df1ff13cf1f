"""The report of `github smoke` as people and scripts read it."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from repoagents.domain.settings import SafetySettings, Settings, TrackerSettings
from repoagents.domain.smoke import (
    REHEARSAL,
    Auth,
    BranchPolicy,
    IssueRow,
    Issues,
    Level,
    Meta,
    Origin,
    Point,
    Publish,
    RepoAccess,
    Smoke,
)
from repoagents.policy.smoke import conclude, unconcluded
from repoagents.views.layout import columns
from repoagents.views.smoke import render_smoke, render_smoke_text, smoke_row
from tests.unit.views.stories import HOSTILE

SETTINGS = Settings(
    tracker=TrackerSettings(repo="octo/tool"), safety=SafetySettings(allow_write_comments=True)
)
META = Meta("octo/tool", datetime(2026, 3, 4, 9, 0, tzinfo=UTC))


def a_smoke(word: str = "main", meta: Meta = META) -> Smoke:
    """A repository with one thing to fix and one to know; `word` comes from outside."""
    row = IssueRow(number=7, title=word, url="https://x.test/7", labels=(word,), eligible=True)
    left = IssueRow(number=3, title="Old", eligible=False, reason=f"it carries {word}")
    smoke = Smoke(
        meta=meta,
        summary=unconcluded(meta),
        auth=Auth(
            status=Level.WARN,
            warnings=(Point(Level.WARN, f"the token can do too much: {word}", "make `another`"),),
            source="the variable GITHUB_TOKEN",
            token_kind="a classic token",
            account=word,
            scopes=("repo", word),
            expires_at=datetime(2026, 4, 1, tzinfo=UTC),
        ),
        repo_access=RepoAccess(
            status=Level.OK,
            full_name="octo/tool",
            default_branch=word,
            private=True,
            permissions=("push", "pull"),
        ),
        branch_policy=BranchPolicy(
            status=Level.OK,
            default_branch=word,
            base_branch=word,
            local_branch="topic",
            protected=True,
            required_checks=("tests", word),
            rules=("deletion",),
            rulesets=(word,),
            unread=("reviews are told to admins only",),
        ),
        origin=Origin(
            status=Level.ISSUES,
            warnings=(Point(Level.ISSUES, "origin is octo/dog", "git remote set-url origin"),),
            remote_url="git@github.com:octo/dog.git",
            repo_slug="octo/dog",
            matches_tracker_repo=False,
        ),
        publish=Publish(
            status=Level.OK,
            warnings=(Point(Level.OK, "pull requests are withheld", "allow_open_pr: true"),),
            comment_writes_ready=True,
            pr_writes_ready=False,
        ),
        issues=Issues(status=Level.OK, count=2, label="repoagents", sampled=(left, row)),
        sampled_issue=row,
    )
    return conclude(smoke, SETTINGS)


@pytest.mark.parametrize("word", ["main", HOSTILE], ids=["plain", "hostile"])
def test_reports_golden(
    word: str, golden: Callable[[str, str], None], request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id
    smoke = a_smoke(word)
    golden(f"github-smoke-{name}.md", render_smoke(smoke))
    golden(f"github-smoke-{name}.json", json.dumps(smoke_row(smoke), indent=2))


def test_the_gravest_is_the_headline() -> None:
    summary = a_smoke().summary
    assert (summary.status, summary.message) == ("issues", "origin is octo/dog (1 more)")


def test_a_rehearsal_is_named_on_the_first_line() -> None:
    meta = replace(META, source="fixture", fixture_path="ops/smoke.json", rehearsal=REHEARSAL)
    text = render_smoke(a_smoke(meta=meta))
    assert text.startswith(f"**{REHEARSAL}**\n")
    assert "from the fixture `ops/smoke.json`." in text
    assert REHEARSAL not in render_smoke(a_smoke())


def test_what_is_unknown_is_not_told_as_none() -> None:
    smoke = a_smoke()
    assert "- required reviews: not told" in render_smoke(smoke)
    dark = replace(smoke.branch_policy, protected=None, required_checks=None)
    text = render_smoke(replace(smoke, branch_policy=dark, sampled_issue=None))
    assert "required reviews" not in text
    assert "required checks" not in text
    bare = replace(smoke.branch_policy, required_reviews=0, required_checks=())
    text = render_smoke(replace(smoke, branch_policy=bare))
    assert "- required reviews: 0" in text
    assert "- required checks: none" in text


def test_without_an_issue_there_is_none() -> None:
    text = render_smoke(replace(a_smoke(), sampled_issue=None))
    assert "## Sampled issue\n\nNone." in text


def test_on_a_terminal_each_part_and_its_fix_stand_in_lines_that_fit() -> None:
    shown = render_smoke_text(a_smoke(HOSTILE), 60)
    lines = shown.split("\n")
    assert lines[0] == "issues     GitHub is not as the bot needs it."
    assert "warn       Credential" in lines
    assert "           fix: make `another`" in lines
    assert max(map(columns, lines)) <= 80, "but for words that have no blank"
    assert not re.search(r"[\x1b\u202e]", shown)
    fixture = replace(META, rehearsal=REHEARSAL)
    assert render_smoke_text(a_smoke(meta=fixture), 60).startswith(REHEARSAL)
