"""One table: who may do what, by the role of the account and by the reach of the token."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.records import Protection

Ask = Callable[..., requests.Response]
REPO = "/repos/example/python-lib"
ROLES = ("none", "read", "triage", "write", "maintain", "admin")


@dataclass(frozen=True)
class Act:
    """One request, the lowest role that may send it and what a granular token needs for it."""

    method: str
    path: str
    role: str
    needs: Mapping[str, str]
    body: Any = None
    refused: int = 404

    @property
    def id(self) -> str:
        return f"{self.method} {self.path}"


ACTS = (
    Act("GET", "", "none", {}),
    Act("GET", "/issues", "none", {"issues": "read"}),
    Act("GET", "/issues/1", "none", {"issues": "read"}),
    Act("GET", "/issues/1/comments", "none", {"issues": "read"}),
    Act("POST", "/issues/1/comments", "none", {"issues": "write"}, {"body": "x"}),
    Act("GET", "/issues/1/timeline", "none", {"issues": "read"}),
    Act("POST", "/issues/1/labels", "triage", {"issues": "write"}, {"labels": ["x"]}),
    Act("DELETE", "/issues/1/labels/bug", "triage", {"issues": "write"}),
    Act("GET", "/labels/bug", "none", {"issues": "read"}),
    Act("GET", "/collaborators/maya/permission", "write", {}, refused=403),
    Act("GET", "/branches/main", "none", {"contents": "read"}),
    Act("GET", "/branches/main/protection", "admin", {"administration": "read"}, refused=403),
    Act("GET", "/rulesets", "none", {}),
    Act("GET", "/rules/branches/main", "none", {}),
    Act("GET", "/git/ref/heads/main", "none", {"contents": "read"}),
    Act("GET", "/commits/main/check-runs", "none", {"checks": "read"}),
    Act("GET", "/commits/main/status", "none", {"statuses": "read"}),
    Act("GET", "/compare/main...side", "none", {"contents": "read"}),
    Act("GET", "/pulls", "none", {"pull_requests": "read"}),
    Act("GET", "/pulls/2", "none", {"pull_requests": "read"}),
    Act("PATCH", "/pulls/2", "triage", {"pull_requests": "write"}, {"title": "y"}),
    Act("GET", "/pulls/2/reviews", "none", {"pull_requests": "read"}),
    Act("GET", "/pulls/2/comments", "none", {"pull_requests": "read"}),
    Act("PUT", "/pulls/2/merge", "write", {"contents": "write"}),
    Act("GET", "/hooks", "admin", {"repository_hooks": "read"}, refused=403),
)


@pytest.fixture
def scene(hub: LoopbackGitHub) -> LoopbackGitHub:
    """An issue with a label, a pull request that lacks a commit of its base."""
    hub.open_issue("One", "", ["bug"], by="maya")
    hub.commit_on("side", by="wren")
    hub.open_pull("Two", head="side", by="wren")
    hub.commit_on("main", by="maya", files={"later.txt": "later\n"})
    hub.protect("main", Protection())
    return hub


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.id)
def test_the_role_decides(scene: LoopbackGitHub, ask: Ask, act: Act) -> None:
    """Refused at every role below the lowest that may; carried out at that one."""
    lowest = ROLES.index(act.role)
    for role in ROLES[:lowest]:
        scene.add_account("eve", role)
        reply = ask(act.method, REPO + act.path, scene.token_of("eve"), json=act.body)
        assert reply.status_code == act.refused, role
    scene.add_account("eve", act.role)
    reply = ask(act.method, REPO + act.path, scene.token_of("eve"), json=act.body)
    assert reply.status_code < 300, reply.text


@pytest.mark.parametrize("act", [a for a in ACTS if a.needs], ids=lambda act: act.id)
def test_the_token_s_reach_decides(scene: LoopbackGitHub, ask: Ask, act: Act) -> None:
    """Everything but what is needed is not enough; what is needed is, whoever holds it."""
    (area, level), *_ = act.needs.items()
    every = {area: "write" for one in ACTS for area in one.needs}
    lacking = {k: v for k, v in every.items() if k != area}
    if area == "issues" and "issues/2" not in act.path:
        lacking["pull_requests"] = "write"
    if level == "write":
        lacking[area] = "read"
    poor = scene.fine_grained_token("maya", lacking)
    refused = ask(act.method, REPO + act.path, poor, json=act.body)
    assert (refused.status_code, refused.json()["message"]) == (
        403,
        "Resource not accessible by personal access token",
    )
    enough = scene.fine_grained_token("maya", act.needs)
    reply = ask(act.method, REPO + act.path, enough, json=act.body)
    assert reply.status_code < 300, reply.text


def test_nobody_writes_without_a_token(scene: LoopbackGitHub, ask: Ask) -> None:
    before = (scene.issues, scene.comments(1), scene.labels(1), scene.heads)
    for act in ACTS:
        if act.method != "GET":
            reply = ask(act.method, REPO + act.path, None, json=act.body)
            assert reply.status_code == 401, act.id
    assert (scene.issues, scene.comments(1), scene.labels(1), scene.heads) == before


def test_a_private_repository_hides_everything(scene: LoopbackGitHub, ask: Ask) -> None:
    scene.make_private()
    eve = scene.token_of("stranger")
    codes = {a.id: ask(a.method, REPO + a.path, eve, json=a.body).status_code for a in ACTS}
    assert codes == dict.fromkeys(codes, 404)
