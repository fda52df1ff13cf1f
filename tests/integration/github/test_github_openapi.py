"""Every request that the bot sends is one that GitHub's own description of its API allows."""

import inspect
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from repoagents.domain.delivery import WEBHOOKS
from repoagents.domain.effect import MergePullRequest, React, ReplyToRemark
from repoagents.errors import GitHubError
from repoagents.github.connection import GitHub
from repoagents.github.repository import GitHubClient
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.front import Seen
from repoagents.rehearsal.hub.loopback import BOT
from repoagents.rehearsal.hub.records import Protection
from tests.integration.github import loopback as story
from tests.integration.github.openapi import Description, load_description

pytestmark = pytest.mark.openapi

ROOM = "repoagents.github."
YESTERDAY = datetime(2026, 3, 3, tzinfo=UTC)


def look_around(hub: LoopbackGitHub, github: GitHub) -> None:
    tracker, people = github.tracker, github.people
    assert len(tracker.read_issues()) == 1
    issue = tracker.read_issue(1)
    assert issue is not None
    assert people.edits_since(issue, YESTERDAY) == ()
    assert tracker.read_issue(99) is None
    people.viewer()
    people.labelled_by(1, story.TRIGGER)
    people.permission("maya")
    people.commented_since(YESTERDAY)


def say_something(hub: LoopbackGitHub, github: GitHub) -> None:
    said = (story.STATUS, story.LATER, story.LABEL_ON, story.LABEL_OFF, story.PULL, story.REWORDED)
    for effect in said:
        github.tracker.find(effect)
        github.tracker.perform(effect)
    (comment, *_) = hub.comments(1)
    github.tracker.perform(React("", 1, comment.id))
    ours = next(said for said in hub.comments(1) if said.body.startswith(story.MARKER))
    hub.comment(1, ours.body, by=github.people.viewer().login)
    assert github.tracker.amend(story.STATUS, "")


def take_a_no(hub: LoopbackGitHub, github: GitHub) -> None:
    (pull,) = hub.pulls
    hub.close_pull(pull.number, by="maya")
    with pytest.raises(GitHubError, match="that is a no"):
        github.tracker.perform(story.PULL)
    hub.reopen(pull.number, by="maya")


def answer(hub: LoopbackGitHub, github: GitHub) -> None:
    (pull,) = hub.pulls
    remark = hub.remark(pull.number, "Why?", by="maya", path="adding.py", line=1)
    effect = ReplyToRemark("run-1", 1, pull.number, remark.id, "Because.")
    assert github.tracker.find(effect) is None
    github.tracker.perform(effect)


def explain(hub: LoopbackGitHub, github: GitHub) -> None:
    hub.set_check(hub.heads[story.BRANCH], "ci", "failure", log="1 != 2\n")
    pull = github.tracker.pulls.pull_request(story.BRANCH)
    assert pull is not None
    (failed,) = pull.checks
    assert github.tracker.pulls.check_detail(failed).log == "1 != 2\n"
    hub.set_check(hub.heads[story.BRANCH], "ci", "success")


def merge(hub: LoopbackGitHub, github: GitHub) -> None:
    (pull,) = hub.pulls
    pulls = github.tracker.pulls
    effect = MergePullRequest("run-1", 1, story.BRANCH, hub.heads[story.BRANCH])
    hub.review(pull.number, by="maya", state="APPROVED")
    assert pulls.pull_request(story.BRANCH)
    assert pulls.required_checks("main") == ()
    pulls.mark_ready(pull.number)
    assert github.tracker.find(effect) is None
    github.tracker.perform(effect)


def inspect_access(hub: LoopbackGitHub, github: GitHub) -> None:
    inspection = github.tracker.inspection
    assert inspection is not None
    assert inspection.inspect().default_branch == "main"
    assert inspection.backlog().has_label
    assert [issue.number for issue in inspection.sample(5)[0]] == [1]
    assert inspection.issue(2) is not None
    hub.protect("main", Protection(reviews=1))
    hub.add_ruleset("careful", ["deletion"])
    assert inspection.branch("main").rulesets == ("careful",)


def ask_again(hub: LoopbackGitHub, github: GitHub) -> None:
    app = hub.forge.accounts.apps.get(github.settings.app.id or 0)
    hub.add_account(BOT, "admin")
    hub.subscribe(f"http://127.0.0.1:9{WEBHOOKS}", "", ["issues"], app=app)
    hub.open_issue("Missed", "", by="maya")
    assert hub.hooks.drain()
    hooks = github.tracker.hooks
    assert hooks is not None
    hooks.resend(hooks.sendings(YESTERDAY)[0])


DRIVES = (look_around, say_something, take_a_no, answer, explain, merge, inspect_access, ask_again)
"""A way through every method that asks GitHub, in this order."""

REPO = "/repos/{owner}/{repo}"
PULL = f"{REPO}/pulls/{{pull_number}}"
ISSUE = f"{REPO}/issues/{{issue_number}}"
WORDS = {
    f"GET {REPO}",
    f"GET {REPO}/issues",
    f"GET {ISSUE}",
    f"GET {ISSUE}/comments",
    f"GET {ISSUE}/timeline",
    f"GET {REPO}/labels/{{name}}",
    f"GET {REPO}/collaborators/{{username}}/permission",
    f"GET {REPO}/git/ref/{{ref}}",
    f"GET {REPO}/compare/{{basehead}}",
    f"GET {REPO}/commits/{{ref}}/check-runs",
    f"GET {REPO}/commits/{{ref}}/status",
    f"GET {REPO}/check-runs/{{check_run_id}}/annotations",
    f"GET {REPO}/actions/jobs/{{job_id}}/logs",
    f"GET {REPO}/branches/{{branch}}",
    f"GET {REPO}/rules/branches/{{branch}}",
    f"GET {REPO}/rulesets",
    f"GET {REPO}/pulls",
    f"GET {PULL}",
    f"GET {PULL}/comments",
    f"GET {PULL}/reviews",
    f"POST {ISSUE}/comments",
    f"PATCH {REPO}/issues/comments/{{comment_id}}",
    f"DELETE {REPO}/issues/comments/{{comment_id}}",
    f"POST {REPO}/issues/comments/{{comment_id}}/reactions",
    f"POST {ISSUE}/labels",
    f"DELETE {ISSUE}/labels/{{name}}",
    f"POST {REPO}/pulls",
    f"PATCH {PULL}",
    f"PUT {PULL}/merge",
    f"POST {PULL}/comments/{{comment_id}}/replies",
    "POST /api/graphql",
}
"""Everything that the bot says to GitHub, in GitHub's own terms."""

MINT = "POST /app/installations/{installation_id}/access_tokens"
HOOKS, OF_THE_APP = f"{REPO}/hooks", "/app/hook/deliveries"
SENT = f"{HOOKS}/{{hook_id}}/deliveries"
OWN_WORDS = {
    "token": {
        "GET /user",
        f"GET {REPO}/branches/{{branch}}/protection",
        f"GET {HOOKS}",
        f"GET {SENT}",
        f"POST {SENT}/{{delivery_id}}/attempts",
    },
    "app": {
        MINT,
        "GET /app",
        "GET /users/{username}",
        f"GET {OF_THE_APP}",
        f"POST {OF_THE_APP}/{{delivery_id}}/attempts",
    },
}
"""What is said only with one kind of credential."""


@pytest.fixture(scope="module")
def description() -> Description:
    return load_description()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LoopbackGitHub]:
    with story.open_hub(tmp_path) as made:
        yield made


def connected(kind: str, hub: LoopbackGitHub, folder: Path) -> GitHub:
    """The bot with this kind of credential."""
    if kind == "app":
        return story.connect_as_app(hub.url, folder, story.install(hub))
    return story.connect_by_token(hub.url, folder, hub.token_of(BOT))


@pytest.mark.parametrize("kind", ["token", "app"])
def test_what_is_sent_is_what_github_describes(
    hub: LoopbackGitHub,
    tmp_path: Path,
    description: Description,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    github = connected(kind, hub, tmp_path)
    left = watch(monkeypatch, github)
    for drive in DRIVES:
        drive(hub, github)
    assert left == set(), "drive them, too"
    found = [description.judge(seen) for seen in hub.requests]
    assert [finding for finding in found if finding.faults] == []
    assert {finding.operation for finding in found} == WORDS | OWN_WORDS[kind]


def watch(monkeypatch: pytest.MonkeyPatch, github: GitHub) -> set[str]:
    """The names of the adapters' public methods; each goes when it is called."""
    parts = [github.tracker, *vars(github.tracker).values()]
    adapters = {type(part) for part in parts if type(part).__module__.startswith(ROOM)}
    left: set[str] = set()
    for adapter in adapters - {GitHubClient}:
        for name, method in list(vars(adapter).items()):
            if inspect.isfunction(method) and not name.startswith("_"):
                left.add(method.__qualname__)
                monkeypatch.setattr(adapter, name, noting(method, left))
    return left


def noting(method: Callable[..., object], left: set[str]) -> Callable[..., object]:
    def note(*arguments: object, **named: object) -> object:
        left.discard(method.__qualname__)
        return method(*arguments, **named)

    return note


def seen(method: str, path: str, body: object = None, **query: str) -> Seen:
    """A request as the loopback GitHub remembers it."""
    headers = {"content-type": "application/json"} if body is not None else {}
    return Seen(method, path, query, headers, body, 200, YESTERDAY, by=BOT)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (seen("GET", "/repos/a/b/isues"), "PathNotFound"),
        (seen("DELETE", "/repos/a/b/issues"), "OperationNotFound"),
        (seen("GET", "/repos/a/b/issues/one"), "issue_number"),
        (seen("GET", "/repos/a/b/issues", state="opened"), "state"),
        (seen("GET", "/repos/a/b/issues", label="bug"), "unknown in the query: label"),
        (seen("POST", "/repos/a/b/issues/1/comments", {"text": "x"}), "InvalidRequestBody"),
        (seen("POST", "/repos/a/b/issues/1/comments", {"body": 7}), "InvalidRequestBody"),
        (seen("POST", "/repos/a/b/issues/1/comments"), "MissingRequiredRequestBody"),
    ],
    ids=lambda value: f"{value.method} {value.path}" if isinstance(value, Seen) else "",
)
def test_what_github_does_not_describe_is_found(
    description: Description, wrong: Seen, told: str
) -> None:
    (fault,) = description.judge(wrong).faults
    assert told in fault
