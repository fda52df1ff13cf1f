"""Properties over any history: what is read over HTTP is what was done, in any order, once."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from repoagents.bootstrap import SystemClock
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.loopback import BOT

NAMES = ("bug", "docs", "repoagents")
KEEP = [HealthCheck.function_scoped_fixture]


@settings(max_examples=20, suppress_health_check=KEEP)
@given(count=st.integers(0, 12), per_page=st.integers(1, 5))
def test_pages_hold_everything_once(
    tmp_path_factory: pytest.TempPathFactory, count: int, per_page: int
) -> None:
    folder = tmp_path_factory.mktemp("hub")
    with LoopbackGitHub(folder, SystemClock(), os.environ) as hub:
        for number in range(count):
            hub.open_issue(str(number), by=BOT)
        url = f"{hub.url}/repos/{hub.full_name}/issues?per_page={per_page}"
        seen: list[int] = []
        pages = 0
        while url:
            reply = requests.get(url, timeout=100)
            seen += [issue["number"] for issue in reply.json()]
            pages += 1
            url = reply.links.get("next", {}).get("url", "")
    assert seen == list(range(count, 0, -1))
    assert pages == max(1, -(-count // per_page))


@settings(max_examples=15, suppress_health_check=KEEP)
@given(order=st.permutations(range(5)))
def test_deliveries_come_in_exactly_the_order_that_was_asked_for(
    hub: LoopbackGitHub, receiver: Any, order: list[int]
) -> None:
    if not hub.hooks.hooks:
        hub.subscribe(receiver.url, "", ["issues"])
    assert hub.hooks.drain()
    receiver.got.clear()
    hub.hooks.hold()
    for number in range(5):
        hub.open_issue(str(number), by=BOT)
    hub.hooks.release(order)
    assert hub.hooks.drain()
    assert [int(r.payload["issue"]["title"]) for r in receiver.got] == order


class Conversation(RuleBasedStateMachine):
    """People's hands and the bot's requests on one issue, against a model of three variables."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.hub = LoopbackGitHub(Path(self.folder.name) / "hub", SystemClock(), os.environ)
        self.hub.__enter__()
        self.hub.add_account("maya", "admin")
        self.hub.open_issue("One", by="maya")
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"token {self.hub.token_of(BOT)}"
        self.labels: list[str] = []
        self.said: list[str] = []
        self.state = "open"
        self.happened: list[str] = []

    def ask(self, method: str, path: str, body: Any = None) -> requests.Response:
        url = f"{self.hub.url}/repos/{self.hub.full_name}/issues/1{path}"
        return self.session.request(method, url, json=body, timeout=100)

    @rule(name=st.sampled_from(NAMES), by_hand=st.booleans())
    def label(self, name: str, by_hand: bool) -> None:
        if by_hand:
            self.hub.label(1, name.upper(), by="maya")
        else:
            assert self.ask("POST", "/labels", {"labels": [name]}).status_code == 200
        if name not in self.labels:
            self.labels.append(name)
            self.happened.append("labeled")

    @rule(name=st.sampled_from(NAMES))
    def unlabel(self, name: str) -> None:
        worn = name in self.labels
        reply = self.ask("DELETE", f"/labels/{name}")
        assert reply.status_code == (200 if worn else 404)
        if worn:
            self.labels.remove(name)
            self.happened.append("unlabeled")

    @rule(text=st.text(min_size=1, max_size=20).filter(str.strip), by_hand=st.booleans())
    def comment(self, text: str, by_hand: bool) -> None:
        if by_hand:
            self.hub.comment(1, text, by="maya")
        else:
            assert self.ask("POST", "/comments", {"body": text}).status_code == 201
        self.said.append(text)
        self.happened.append("commented")

    @precondition(lambda self: self.said)
    @rule(text=st.text(min_size=1, max_size=20))
    def edit(self, text: str) -> None:
        self.hub.edit_comment(self.hub.comments(1)[-1], text, by="maya")
        self.said[-1] = text

    @rule(closed=st.booleans())
    def turn(self, closed: bool) -> None:
        state = "closed" if closed else "open"
        (self.hub.close if closed else self.hub.reopen)(1, by="maya")
        if state != self.state:
            self.happened.append("closed" if closed else "reopened")
        self.state = state

    @invariant()
    def what_is_read_is_what_was_done(self) -> None:
        issue = self.ask("GET", "").json()
        assert [label["name"].lower() for label in issue["labels"]] == self.labels
        assert (issue["state"], issue["comments"]) == (self.state, len(self.said))
        comments = self.ask("GET", "/comments?per_page=100").json()
        assert [comment["body"] for comment in comments] == self.said
        timeline = self.ask("GET", "/timeline?per_page=100").json()
        assert [line["event"] for line in timeline] == self.happened
        assert issue == self.ask("GET", "").json()

    def teardown(self) -> None:
        self.session.close()
        self.hub.__exit__(None, None, None)
        self.folder.cleanup()


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=12, stateful_step_count=12, deadline=None)
"""Every step is several requests: a dozen short histories are enough."""
