"""What GitHub sent to our webhooks, and sends again on request, over real HTTP."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from repoagents.bootstrap import open_premises
from repoagents.domain.delivery import WEBHOOKS, Sending
from repoagents.domain.settings import TrackerSettings
from repoagents.errors import Forbidden, NotFound, RateLimited, Unavailable
from repoagents.github.auth import Surroundings
from repoagents.github.connection import GitHub, connect
from repoagents.ports import Hooks
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.hooks import Hook
from repoagents.rehearsal.hub.loopback import BOT
from tests.fakes.clock import FakeClock
from tests.fakes.world import ListJournal
from tests.integration.github import loopback as story
from tests.integration.github.stub import Reply, Stub

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
SECRET = "s3cret-of-the-hook-s3cret"
NOBODY = f"http://127.0.0.1:9{WEBHOOKS}"
"""Nothing listens there."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LoopbackGitHub]:
    with story.open_hub(tmp_path) as made:
        made.add_account(BOT, "admin")
        yield made


@pytest.fixture
def receiver(elsewhere: Stub) -> Stub:
    """Takes whatever comes to the right place."""
    elsewhere.on("POST", WEBHOOKS, Reply(None, 202))
    return elsewhere


def by_token(hub: LoopbackGitHub, folder: Path, token: str = "") -> GitHub:
    return story.connect_by_token(hub.url, folder, token or hub.token_of(BOT))


def by_app(hub: LoopbackGitHub, folder: Path, url: str) -> GitHub:
    """The bot as an App whose webhook leads there."""
    ids = story.install(hub)
    hub.subscribe(url, SECRET, ["issues"], app=hub.forge.accounts.apps[ids[0]])
    return story.connect_as_app(hub.url, folder, ids)


def hooks_of(github: GitHub) -> Hooks:
    assert github.tracker.hooks is not None
    return github.tracker.hooks


def issues(sendings: tuple[Sending, ...]) -> list[Sending]:
    return [sending for sending in sendings if sending.event == "issues"]


def test_a_missed_delivery_is_listed_and_sent_again(
    hub: LoopbackGitHub, receiver: Stub, tmp_path: Path
) -> None:
    receiver.on("POST", WEBHOOKS, Reply(None, 200), Reply(None, 503), Reply(None, 202))
    hook = hub.subscribe(f"{receiver.url}{WEBHOOKS}", SECRET, ["issues"])
    hub.open_issue("Three", "", by="maya")
    assert hub.hooks.drain()
    hooks = hooks_of(by_token(hub, tmp_path))
    missed, ping = hooks.sendings(LONG_AGO)
    assert (missed.event, missed.status, missed.again) == ("issues", 503, False)
    assert (ping.event, ping.status, ping.hook) == ("ping", 200, hook.id)
    hooks.resend(missed)
    assert hub.hooks.drain()
    again, first, _ = hooks.sendings(LONG_AGO)
    assert first == missed
    assert (again.delivery_id, again.status, again.again) == (missed.delivery_id, 202, True)
    assert again.id != missed.id
    guids = [seen.headers["x-github-delivery"] for seen in receiver.seen]
    assert guids[1:] == [missed.delivery_id] * 2
    assert [(seen.method, seen.path) for seen in hub.writes] == [
        ("POST", f"/repos/{story.REPO}/hooks/{hook.id}/deliveries/{missed.id}/attempts")
    ]


def test_a_receiver_that_is_not_there_gave_no_answer(hub: LoopbackGitHub, tmp_path: Path) -> None:
    hub.subscribe(NOBODY, SECRET, ["issues"])
    assert hub.hooks.drain()
    (ping,) = hooks_of(by_token(hub, tmp_path)).sendings(LONG_AGO)
    assert ping.status == 502


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/",
        "http://127.0.0.1:9/ci/webhooks/github",
        "http://127.0.0.1:9/webhooks/github/other",
        "http://127.0.0.1:9/hook?to=/webhooks/github",
    ],
)
def test_a_webhook_of_somebody_else_is_left_alone(
    hub: LoopbackGitHub, tmp_path: Path, url: str
) -> None:
    hub.subscribe(url, SECRET, ["issues"])
    ours = hub.subscribe(NOBODY, SECRET, ["issues"])
    assert hub.hooks.drain()
    assert {s.hook for s in hooks_of(by_token(hub, tmp_path)).sendings(LONG_AGO)} == {ours.id}


def test_every_page_is_read_as_far_back_as_is_asked_for(
    hub: LoopbackGitHub, tmp_path: Path
) -> None:
    hub.subscribe(NOBODY, SECRET, ["issues"])
    clock = hub.forge.repository.clock
    assert isinstance(clock, FakeClock)
    for number in range(240):
        clock.advance(60)
        hub.open_issue(f"Issue {number}", "", by="maya")
    assert hub.hooks.drain()
    hooks = hooks_of(by_token(hub, tmp_path))
    found = hooks.sendings(LONG_AGO)
    assert len(found) == len({sending.id for sending in found}) == 241
    assert [sending.at for sending in found] == sorted((s.at for s in found), reverse=True)
    asked = len(hub.requests)
    some = hooks.sendings(clock.now() - timedelta(minutes=50))
    assert some == found[:51]
    deliveries = [seen for seen in hub.requests[asked:] if seen.path.endswith("/deliveries")]
    assert len(deliveries) == 1, "no page is read for nothing"


def test_an_app_sees_its_own_webhook(hub: LoopbackGitHub, receiver: Stub, tmp_path: Path) -> None:
    receiver.on("POST", WEBHOOKS, Reply(None, 200), Reply(None, 500), Reply(None, 202))
    github = by_app(hub, tmp_path, f"{receiver.url}{WEBHOOKS}")
    hub.open_issue("Three", "", by="maya")
    assert hub.hooks.drain()
    hooks = hooks_of(github)
    (missed,) = hooks.sendings(LONG_AGO)
    assert (missed.event, missed.status, missed.hook) == ("issues", 500, None)
    hooks.resend(missed)
    assert hub.hooks.drain()
    assert [s.status for s in hooks.sendings(LONG_AGO)] == [202, 500]
    assert hub.writes[-1].path == f"/app/hook/deliveries/{missed.id}/attempts"


@pytest.mark.parametrize("other", ["repository", "installation"])
def test_what_an_app_hears_of_others_is_left_alone(
    hub: LoopbackGitHub, tmp_path: Path, other: str
) -> None:
    github = by_app(hub, tmp_path, NOBODY)
    hub.open_issue("Ours", "", by="maya")
    if other == "repository":
        told = {"id": 5, "full_name": "example/elsewhere"}
        hub.hooks.publish("issues", "opened", {"repository": told})
    else:
        hub.hooks.hooks = [Hook(h.id, h.url, h.secret, h.events, 99) for h in hub.hooks.hooks]
        hub.open_issue("Of another installation", "", by="maya")
    assert hub.hooks.drain()
    (ours,) = issues(hooks_of(github).sendings(LONG_AGO))
    assert len(hub.hooks.recent(None)) == 3
    assert ours.id == hub.hooks.recent(None)[1].id


@pytest.mark.parametrize("permissions", [{}, {"repository_hooks": "read"}], ids=["none", "read"])
def test_a_missing_permission_is_named(
    hub: LoopbackGitHub, tmp_path: Path, permissions: dict[str, str]
) -> None:
    hub.subscribe(NOBODY, SECRET)
    assert hub.hooks.drain()
    (sending,) = hooks_of(by_token(hub, tmp_path)).sendings(LONG_AGO)
    hooks = hooks_of(by_token(hub, tmp_path, hub.fine_grained_token(BOT, permissions)))
    with pytest.raises(Forbidden) as refused:
        _ = hooks.sendings(LONG_AGO) and hooks.resend(sending)
    assert refused.value.kind == "forbidden"
    assert "Resource not accessible by personal access token" in str(refused.value)
    assert "`Webhooks: read and write`" in refused.value.next_step
    assert "`write:repo_hook`" in refused.value.next_step
    assert "role Admin" in refused.value.next_step
    assert "polling" in refused.value.next_step
    assert len(hub.hooks.delivered) == 1


def test_an_account_that_is_no_admin_is_told_so(hub: LoopbackGitHub, tmp_path: Path) -> None:
    hub.add_account(BOT, "write")
    with pytest.raises(Forbidden, match="Must have admin rights") as refused:
        hooks_of(by_token(hub, tmp_path)).sendings(LONG_AGO)
    assert refused.value.kind == "forbidden"


def test_hooks_that_are_hidden_are_a_missing_permission(
    stub: Stub, clock: FakeClock, tmp_path: Path
) -> None:
    """GitHub answers 404 to an account that may not even know of them."""
    with pytest.raises(Forbidden, match="404") as refused:
        hooks_of(story.connect_by_token(stub.url, tmp_path, "ghp_1")).sendings(LONG_AGO)
    assert refused.value.kind == "forbidden"


def test_an_app_without_a_webhook_is_told_where_it_is_made(stub: Stub, tmp_path: Path) -> None:
    token = {"token": "ghs_1", "expires_at": "2099-01-01T00:00:00Z", "permissions": {}}
    stub.on("POST", "/app/installations/2/access_tokens", Reply(token, 201))
    stub.get(f"/repos/{story.REPO}", Reply({"id": 5}))
    with pytest.raises(Forbidden) as refused:
        hooks_of(story.connect_as_app(stub.url, tmp_path, (1, 2))).sendings(LONG_AGO)
    assert "App's page" in refused.value.next_step


def refuse(status: int, **headers: str) -> Reply:
    return Reply({"message": "No."}, status, headers)


@pytest.mark.parametrize(
    ("reply", "kind", "error"),
    [
        (refuse(401), "auth", Forbidden),
        (refuse(502), "unreachable", Unavailable),
        (refuse(429, **{"Retry-After": "600"}), "rate_limited", RateLimited),
    ],
    ids=["401", "502", "429"],
)
def test_what_passes_is_no_missing_permission(
    stub: Stub, tmp_path: Path, reply: Reply, kind: str, error: type[Forbidden]
) -> None:
    stub.get(f"/repos/{story.REPO}/hooks", reply)
    with pytest.raises(error) as refused:
        hooks_of(story.connect_by_token(stub.url, tmp_path, "ghp_1")).sendings(LONG_AGO)
    assert refused.value.kind == kind


def test_an_app_that_is_refused_is_not_asked_twice(stub: Stub, tmp_path: Path) -> None:
    """Another installation token would not help: it is the App's own signature that counts."""
    token = {"token": "ghs_1", "expires_at": "2099-01-01T00:00:00Z", "permissions": {}}
    stub.on("POST", "/app/installations/2/access_tokens", Reply(token, 201))
    stub.get(f"/repos/{story.REPO}", Reply({"id": 5}))
    stub.get("/app/hook/deliveries", refuse(401))
    with pytest.raises(Forbidden) as refused:
        hooks_of(story.connect_as_app(stub.url, tmp_path, (1, 2))).sendings(LONG_AGO)
    assert refused.value.kind == "auth"
    assert stub.count("GET", "/app/hook/deliveries") == 1
    assert stub.count("POST") == 1


def test_they_are_asked_for_at_the_pace_of_writes(
    hub: LoopbackGitHub, clock: FakeClock, tmp_path: Path
) -> None:
    hub.subscribe(NOBODY, SECRET)
    assert hub.hooks.drain()
    around = Surroundings({"GITHUB_TOKEN": hub.token_of(BOT)}, tmp_path, lambda: "")
    settings = TrackerSettings(repo=story.REPO, api_url=hub.url)
    hooks = hooks_of(connect(settings, around, {}, clock, ListJournal(), receives=True))
    (ping,) = hooks.sendings(LONG_AGO)
    start = clock.monotonic()
    for _ in range(4):
        hooks.resend(ping)
    assert clock.monotonic() - start >= 3


def test_what_is_gone_cannot_be_sent_again(hub: LoopbackGitHub, tmp_path: Path) -> None:
    hook = hub.subscribe(NOBODY, SECRET)
    gone = Sending("guid", 1, hook.id, "issues", LONG_AGO, 502)
    with pytest.raises(NotFound):
        hooks_of(by_token(hub, tmp_path)).resend(gone)


def test_a_listing_without_an_end_is_left_some_time(stub: Stub, tmp_path: Path) -> None:
    config = {"url": NOBODY}
    stub.get(f"/repos/{story.REPO}/hooks", Reply([{"id": 7, "active": True, "config": config}]))
    path = f"/repos/{story.REPO}/hooks/7/deliveries"
    link = {"Link": f'<{stub.url}{path}?cursor=v1_1>; rel="next"'}
    record = {"id": 1, "guid": "g", "delivered_at": "2026-01-01T00:00:00Z", "event": "issues"}
    odd = [{}, {**record, "delivered_at": None}, {**record, "delivered_at": "soon"}]
    stub.get(path, Reply([record, *odd], headers=link))
    found = hooks_of(story.connect_by_token(stub.url, tmp_path, "ghp_1")).sendings(LONG_AGO)
    assert set(found) == {Sending("g", 1, 7, "issues", datetime(2026, 1, 1, tzinfo=UTC), 0)}
    assert len(found) == stub.count("GET", path) == 50


@pytest.mark.parametrize("active", [False, None])
def test_a_webhook_that_is_off_is_left_off(stub: Stub, tmp_path: Path, active: bool | None) -> None:
    hook = {"id": 7, "active": active, "config": {"url": NOBODY}}
    stub.get(f"/repos/{story.REPO}/hooks", Reply([hook, {"id": 8}, {"config": None}]))
    assert hooks_of(story.connect_by_token(stub.url, tmp_path, "ghp_1")).sendings(LONG_AGO) == ()


CONFIGS = {
    "github": "tracker: {kind: github, repo: octo/cat}",
    "another variable": "{tracker: {kind: github, repo: octo/cat}, webhook: {secret_env: MINE}}",
    "a fixture": "tracker: {kind: github, repo: octo/cat, mode: fixture, fixtures_path: f.json}",
    "local": "tracker: {kind: local_markdown}",
}


@pytest.mark.parametrize(
    ("config", "variable", "looked_for"),
    [
        ("github", "REPOAGENTS_WEBHOOK_SECRET", True),
        ("github", "MINE", False),
        ("another variable", "MINE", True),
        ("a fixture", "REPOAGENTS_WEBHOOK_SECRET", False),
        ("local", "REPOAGENTS_WEBHOOK_SECRET", False),
    ],
)
def test_missed_deliveries_are_looked_for_where_webhooks_are_received(
    git_repository: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    config: str,
    variable: str,
    looked_for: bool,
) -> None:
    root = git_repository({".ai-repoagents/repoagents.yaml": CONFIGS[config]})
    monkeypatch.setenv(variable, SECRET)
    hooks = open_premises(root).bench().tracker.hooks
    assert (hooks is not None) is looked_for
