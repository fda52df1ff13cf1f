"""What is only to look, only reads: seen where the requests arrive, with every flag open."""

import json

from repoagents.domain.run import RunStatus
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.front import GRAPHQL
from tests.e2e.test_github_live import LABEL, Live, hub, live
from tests.integration.github import loopback as story

__all__ = ["hub", "live"]
"""The fixtures of the main job."""

DRY = (
    ("doctor",),
    ("status",),
    ("trigger", "1", "--dry-run"),
    ("run", "--once", "--dry-run"),
)
FIXTURE = {
    "REPOAGENTS_TRACKER__MODE": "fixture",
    "REPOAGENTS_TRACKER__FIXTURES_PATH": ".ai-repoagents/cache/github.json",
}


def assert_only_read(there: LoopbackGitHub, *posted: str) -> None:
    """That every request was a GET, but for these paths; and that no branch has come up."""
    assert there.writes == ()
    assert {seen.path for seen in there.requests if seen.method != "GET"} == set(posted)
    assert set(there.heads) == {"main"}


def test_looking_only_reads(live: Live, hub: LoopbackGitHub) -> None:
    for command in DRY:
        before = len(hub.requests)
        live.run(*command)
        asked = len(hub.requests) - before
        assert command == ("status",) or asked, f"{command} has not met GitHub"
    assert_only_read(hub, GRAPHQL)


def test_what_nobody_has_labelled_is_counted(live: Live, hub: LoopbackGitHub) -> None:
    hub.unlabel(1, LABEL, by="mia")
    told = live.run("run", "--once", "--dry-run").stdout
    assert "none: 1 open, 0 labelled repoagents; `gh issue edit 1 --repo " in told
    nothing = live.run("run", "--once").stdout
    assert "`repoagents run --dry-run --no-agent` says why" in nothing
    assert_only_read(hub)


def test_an_app_posts_for_its_token_alone(live: Live, hub: LoopbackGitHub) -> None:
    app, installation = story.install(hub)
    key = live.root.parent / "app.pem"
    key.write_bytes(story.PRIVATE)
    key.chmod(0o600)
    told = live.run(
        *("run", "--once", "--dry-run", "--no-agent"),
        REPOAGENTS_TRACKER__APP__ID=str(app),
        REPOAGENTS_TRACKER__APP__INSTALLATION_ID=str(installation),
        REPOAGENTS_TRACKER__APP__PRIVATE_KEY_PATH=str(key),
    )
    assert "add() subtracts" in told.stdout
    assert_only_read(hub, f"/app/installations/{installation}/access_tokens", GRAPHQL)


def test_work_on_a_fixture_asks_nothing(live: Live, hub: LoopbackGitHub) -> None:
    issue = {
        "number": 1,
        "title": "add() subtracts",
        "body": "add(2, 2) gives 0, not 4.",
        "state": "open",
        "labels": [{"name": LABEL}],
        "user": {"login": "mia"},
    }
    place = live.root / FIXTURE["REPOAGENTS_TRACKER__FIXTURES_PATH"]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps([issue]))
    live.run("run", "--until-idle", **FIXTURE)
    run = live.latest()
    assert run is not None
    assert (run.status, run.verified) == (RunStatus.COMPLETED, True)
    assert hub.requests == ()
    assert_only_read(hub)
