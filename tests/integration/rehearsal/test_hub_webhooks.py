"""Webhooks: signed, in order or out of it, once or twice, and sent again on request."""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from gidgethub.sansio import Event
from github.Repository import Repository

from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.hooks import Hook, Hooks
from tests.fakes.clock import FakeClock

Ask = Callable[..., requests.Response]
SECRET = "a webhook secret"
REPO = "/repos/example/python-lib"


@pytest.fixture
def hook(hub: LoopbackGitHub, receiver: Any) -> Hook:
    hook = hub.subscribe(receiver.url, SECRET)
    assert hub.hooks.drain()
    assert receiver.names == ["ping"]
    receiver.got.clear()
    return hook


def test_a_delivery_is_signed_over_its_bytes(
    hub: LoopbackGitHub, hook: Hook, receiver: Any
) -> None:
    number = hub.open_issue("Ünïcode", by="maya")
    hub.label(number, "repoagents", by="tom")
    assert hub.hooks.drain()
    got = receiver.got[-1]
    expected = hmac.new(SECRET.encode(), got.body, hashlib.sha256).hexdigest()
    assert got.headers["X-Hub-Signature-256"] == f"sha256={expected}"
    assert got.headers["X-GitHub-Hook-ID"] == str(hook.id)
    assert got.headers["User-Agent"].startswith("GitHub-Hookshot/")
    event = Event.from_http({k.lower(): v for k, v in got.headers.items()}, got.body, secret=SECRET)
    assert event.event == "issues"
    assert event.data["label"]["name"] == "repoagents"
    assert event.data["sender"]["login"] == "tom"
    assert event.data["issue"]["number"] == number
    assert event.data["repository"]["full_name"] == "example/python-lib"


def test_everything_that_happens_is_told_in_order(
    hub: LoopbackGitHub, hook: Hook, receiver: Any, repo: Repository
) -> None:
    hub.open_issue("One", "", ["bug"], by="maya")
    said = hub.comment(1, "a", by="tom")
    hub.edit_comment(said, "b", by="tom")
    hub.edit_issue(1, by="maya", title="Uno")
    hub.unlabel(1, "bug", by="maya")
    hub.lock(1, by="maya")
    head = hub.commit_on("side", by="wren")
    hub.open_pull("Two", head="side", by="wren", draft=True)
    hub.comment(2, "well", by="maya")
    hub.mark_ready(2, by="wren")
    hub.commit_on("side", by="maya", message="More")
    hub.review(2, by="maya", state="APPROVED")
    hub.remark(2, "hm", by="maya", path="README.md")
    hub.set_check(head, "ci", None)
    hub.set_check(head, "ci", "success")
    hub.close_pull(2, by="maya")
    hub.transfer(1, "example/elsewhere", by="maya")
    assert hub.hooks.drain()
    assert receiver.names == [
        "issues.opened",
        "issues.labeled",
        "issue_comment.created",
        "issue_comment.edited",
        "issues.edited",
        "issues.unlabeled",
        "issues.locked",
        "pull_request.opened",
        "issue_comment.created",
        "pull_request.ready_for_review",
        "pull_request.synchronize",
        "pull_request_review.submitted",
        "pull_request_review.submitted",
        "pull_request_review_comment.created",
        "check_run.created",
        "check_run.completed",
        "check_suite.completed",
        "pull_request.closed",
        "issues.transferred",
    ]
    told = {received.name: received.payload for received in receiver.got}
    assert told["issue_comment.edited"]["changes"] == {"body": {"from": "a"}}
    assert told["pull_request.synchronize"]["sender"]["login"] == "maya"
    assert told["pull_request.synchronize"]["before"] == head
    assert told["pull_request_review.submitted"]["pull_request"]["number"] == 2
    assert told["check_suite.completed"]["check_suite"]["conclusion"] == "success"
    assert told["issue_comment.created"]["issue"]["pull_request"]["url"].endswith("/pulls/2")
    assert told["pull_request.closed"]["pull_request"]["merged"] is False


def test_only_what_was_subscribed_to_is_sent(hub: LoopbackGitHub, receiver: Any) -> None:
    hub.subscribe(receiver.url, SECRET, ["issue_comment"])
    hub.open_issue("One", by="maya")
    hub.comment(1, "a", by="tom")
    assert hub.hooks.drain()
    assert receiver.names == ["ping", "issue_comment.created"]


def test_a_payload_is_of_its_moment(hub: LoopbackGitHub, hook: Hook, receiver: Any) -> None:
    hub.hooks.hold()
    hub.open_issue("Before", by="maya")
    hub.edit_issue(1, by="maya", title="After")
    hub.hooks.release()
    assert hub.hooks.drain()
    assert [r.payload["issue"]["title"] for r in receiver.got] == ["Before", "After"]


def test_held_back_they_come_out_of_order_twice_or_never(
    hub: LoopbackGitHub, hook: Hook, receiver: Any
) -> None:
    hub.hooks.hold()
    for title in ("0", "1", "2"):
        hub.open_issue(title, by="maya")
    assert not hub.hooks.drain(0.05)
    assert receiver.got == []
    assert len(hub.hooks.waiting) == 3
    hub.hooks.release([2, 0, 0])
    assert hub.hooks.drain()
    assert [r.payload["issue"]["title"] for r in receiver.got] == ["2", "0", "0"]
    guids = [r.headers["X-GitHub-Delivery"] for r in receiver.got]
    assert guids[1] == guids[2] != guids[0]


def test_every_delivery_can_come_twice(hub: LoopbackGitHub, hook: Hook, receiver: Any) -> None:
    hub.hooks.duplicating = True
    hub.open_issue("One", by="maya")
    assert hub.hooks.drain()
    assert len(receiver.got) == 2
    assert len({r.headers["X-GitHub-Delivery"] for r in receiver.got}) == 1


def test_a_failed_delivery_is_found_and_sent_again_with_the_same_guid(
    hub: LoopbackGitHub, hook: Hook, receiver: Any, ask: Ask, repo: Repository
) -> None:
    receiver.status = 503
    hub.open_issue("One", by="maya")
    assert hub.hooks.drain()
    receiver.status = 202
    maya = hub.token_of("maya")
    path = f"{REPO}/hooks/{hook.id}/deliveries"
    newest = ask("GET", path, maya).json()[0]
    assert (newest["event"], newest["status_code"], newest["redelivery"]) == ("issues", 503, False)
    assert ask("POST", f"{path}/{newest['id']}/attempts", maya).status_code == 202
    assert hub.hooks.drain()
    again = ask("GET", path, maya).json()[0]
    assert (again["guid"], again["status_code"], again["redelivery"]) == (newest["guid"], 202, True)
    assert again["id"] != newest["id"]
    assert receiver.got[0].body == receiver.got[1].body
    assert ask("GET", path).status_code == 403
    assert ask("GET", f"{REPO}/hooks", maya).json()[0]["config"]["secret"] == "********"
    assert ask("POST", f"{path}/1/attempts", maya).status_code == 404


def test_deliveries_are_paged_by_cursor(
    hub: LoopbackGitHub, hook: Hook, receiver: Any, ask: Ask
) -> None:
    for number in range(4):
        hub.open_issue(f"Issue {number}", by="maya")
    assert hub.hooks.drain()
    maya, path, found = hub.token_of("maya"), f"{REPO}/hooks/{hook.id}/deliveries", []
    url: str | None = f"{hub.url}{path}?per_page=2"
    while url is not None:
        page = ask("GET", url.removeprefix(hub.url), maya)
        found += page.json()
        url = page.links.get("next", {}).get("url")
        assert url is None or "cursor=v1_" in url
    assert [record["id"] for record in found] == [d.id for d in hub.hooks.recent(hook)]
    assert {record["repository_id"] for record in found} == {hub.forge.repository.id, None}
    assert [record["event"] for record in found if record["repository_id"] is None] == ["ping"]
    assert ask("GET", f"{path}?cursor=nowhere", maya).status_code == 422


def test_a_receiver_that_is_not_there_is_written_down(hub: LoopbackGitHub) -> None:
    hub.subscribe("http://127.0.0.1:9/", SECRET)
    assert hub.hooks.drain()
    outcome = hub.hooks.delivered[0].outcome
    assert outcome is not None
    assert (outcome.status_code, outcome.status) == (502, "failed to connect to host")


def test_an_app_s_hook_names_its_installation(
    hub: LoopbackGitHub, receiver: Any, tmp_path: Path
) -> None:
    app = hub.install_app("busy-bee", "no key is needed here", {})
    hub.subscribe(receiver.url, "", ["issues"], app=app)
    hub.open_issue("One", by="maya")
    assert hub.hooks.drain()
    got = receiver.got[-1]
    assert got.payload["installation"]["id"] == app.installation
    assert got.headers["X-GitHub-Hook-Installation-Target-Type"] == "integration"
    assert "X-Hub-Signature-256" not in got.headers
    assert [d.event for d in hub.hooks.recent(None)] == ["issues", "ping"]


@pytest.fixture
def old_hooks() -> Iterator[tuple[Hooks, FakeClock]]:
    clock, ids = FakeClock(), iter(range(1, 100))
    hooks = Hooks(clock, lambda: next(ids))
    yield hooks, clock
    hooks.close()


def test_deliveries_are_kept_three_days(old_hooks: tuple[Hooks, FakeClock], receiver: Any) -> None:
    hooks, clock = old_hooks
    hook = hooks.subscribe(receiver.url, "", ["issues"])
    assert hooks.drain()
    clock.advance(3 * 86_400)
    assert [d.event for d in hooks.recent(hook)] == ["ping"]
    clock.advance(1)
    assert hooks.recent(hook) == []
