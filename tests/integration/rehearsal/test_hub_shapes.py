"""The keys that GitHub promises for every kind of payload, and their types."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import requests

from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.records import Annotation

Ask = Callable[..., requests.Response]
REPO = "/repos/example/python-lib"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

USER = {
    "login": str,
    "id": int,
    "node_id": str,
    "avatar_url": str,
    "url": str,
    "html_url": str,
    "type": str,
    "site_admin": bool,
}
LABEL = {"id": int, "node_id": str, "url": str, "name": str, "color": str, "default": bool}
CONVERSATION = {
    "id": int,
    "node_id": str,
    "url": str,
    "html_url": str,
    "number": int,
    "title": str,
    "state": str,
    "locked": bool,
    "labels": list,
    "assignees": list,
    "comments_url": str,
    "author_association": str,
    "created_at": TIME,
    "updated_at": TIME,
    "user": USER,
}
ISSUE = CONVERSATION | {
    "repository_url": str,
    "labels_url": str,
    "events_url": str,
    "timeline_url": str,
    "comments": int,
    "reactions": {"url": str, "total_count": int, "+1": int, "eyes": int},
}
COMMENT = {
    "id": int,
    "node_id": str,
    "url": str,
    "issue_url": str,
    "html_url": str,
    "body": str,
    "user": USER,
    "created_at": TIME,
    "updated_at": TIME,
    "author_association": str,
}
REPOSITORY = {
    "id": int,
    "node_id": str,
    "name": str,
    "full_name": str,
    "private": bool,
    "owner": {"login": str, "id": int, "type": str},
    "html_url": str,
    "url": str,
    "fork": bool,
    "archived": bool,
    "disabled": bool,
    "default_branch": str,
    "clone_url": str,
}
END = {"label": str, "ref": str, "sha": re.compile("[0-9a-f]{40}"), "repo": REPOSITORY}
PULL = CONVERSATION | {
    "issue_url": str,
    "diff_url": str,
    "patch_url": str,
    "commits_url": str,
    "review_comments_url": str,
    "statuses_url": str,
    "draft": bool,
    "head": END,
    "base": END,
}
WHOLE_PULL = PULL | {
    "merged": bool,
    "mergeable_state": str,
    "comments": int,
    "review_comments": int,
    "commits": int,
    "additions": int,
    "deletions": int,
    "changed_files": int,
    "maintainer_can_modify": bool,
}
EVENT = {
    "id": int,
    "node_id": str,
    "url": str,
    "actor": USER,
    "event": str,
    "created_at": TIME,
    "label": {"name": str, "color": str},
}
REVIEW = {
    "id": int,
    "node_id": str,
    "user": USER,
    "body": str,
    "state": str,
    "html_url": str,
    "pull_request_url": str,
    "submitted_at": TIME,
    "commit_id": str,
    "author_association": str,
}
REMARK = {
    "id": int,
    "node_id": str,
    "pull_request_review_id": int,
    "diff_hunk": str,
    "path": str,
    "line": int,
    "commit_id": str,
    "original_commit_id": str,
    "user": USER,
    "body": str,
    "created_at": TIME,
    "updated_at": TIME,
    "html_url": str,
    "pull_request_url": str,
}
PERSON = {"name": str, "email": str, "date": TIME}
COMMIT = {
    "sha": str,
    "node_id": str,
    "url": str,
    "html_url": str,
    "parents": list,
    "commit": {
        "author": PERSON,
        "committer": PERSON,
        "message": str,
        "tree": {"sha": str, "url": str},
        "url": str,
        "comment_count": int,
        "verification": {"verified": bool, "reason": str},
    },
}
CHECK = {
    "id": int,
    "node_id": str,
    "name": str,
    "head_sha": str,
    "external_id": str,
    "url": str,
    "html_url": str,
    "details_url": str,
    "status": str,
    "conclusion": str,
    "started_at": TIME,
    "completed_at": TIME,
    "output": {"annotations_count": int, "annotations_url": str},
    "check_suite": {"id": int},
    "app": {"id": int, "slug": str},
    "pull_requests": list,
}
ANNOTATION = {
    "path": str,
    "start_line": int,
    "end_line": int,
    "annotation_level": str,
    "message": str,
}
STATUS = {"id": int, "state": str, "context": str, "created_at": TIME, "updated_at": TIME}
REF = {"ref": str, "node_id": str, "url": str, "object": {"type": str, "sha": str, "url": str}}
BRANCH = {"name": str, "commit": COMMIT, "protected": bool, "protection_url": str}
COMPARISON = {
    "status": str,
    "ahead_by": int,
    "behind_by": int,
    "base_commit": COMMIT,
    "commits": list,
    "files": list,
}
REACTION = {"id": int, "node_id": str, "user": USER, "content": str, "created_at": TIME}


def misfits(value: Any, shape: Any, place: str = "") -> list[str]:
    """Where a payload lacks a promised key or has another type there."""
    if isinstance(shape, Mapping):
        if not isinstance(value, dict):
            return [f"{place}: no object"]
        return [
            misfit
            for key, part in shape.items()
            for misfit in (
                misfits(value[key], part, f"{place}.{key}")
                if key in value
                else [f"{place}.{key}: missing"]
            )
        ]
    if isinstance(shape, re.Pattern):
        fits = isinstance(value, str) and shape.fullmatch(value)
        return [] if fits else [f"{place}: {value!r}"]
    return [] if type(value) is shape else [f"{place}: {value!r} is no {shape.__name__}"]


@pytest.fixture
def scene(hub: LoopbackGitHub) -> LoopbackGitHub:
    """One of everything."""
    hub.open_issue("One", "text", ["bug"], by="tom")
    hub.comment(1, "words", by="wren")
    head = hub.commit_on("side", by="wren", files={"README.md": "# Other\n"})
    hub.open_pull("Two", head="side", by="wren")
    hub.review(2, by="maya", state="APPROVED")
    hub.remark(2, "hm", by="maya", path="README.md")
    hub.set_check(head, "ci", "failure", annotations=[Annotation("README.md", 1, "bad")])
    hub.set_status(head, "old", "success")
    return hub


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("", REPOSITORY | {"permissions": {"admin": bool, "push": bool, "pull": bool}}),
        ("/issues/1", ISSUE),
        ("/issues", [ISSUE]),
        ("/issues/2", ISSUE | {"draft": bool, "pull_request": {"url": str, "html_url": str}}),
        ("/issues/1/comments", [COMMENT]),
        ("/labels/bug", LABEL),
        ("/issues/1/timeline", [EVENT]),
        ("/compare/main...side", COMPARISON),
        ("/pulls", [PULL]),
        ("/pulls/2", WHOLE_PULL),
        ("/pulls/2/reviews", [REVIEW]),
        ("/pulls/2/comments", [REMARK]),
        ("/commits/side/status", {"state": str, "sha": str, "total_count": int, "statuses": list}),
        ("/git/ref/heads/side", REF),
        ("/branches/side", BRANCH),
        ("/collaborators/wren/permission", {"permission": str, "role_name": str, "user": USER}),
    ],
)
def test_a_reply_has_what_is_promised(
    scene: LoopbackGitHub, ask: Ask, path: str, shape: Any
) -> None:
    value = ask("GET", REPO + path).json()
    if isinstance(shape, list):
        assert value
        value, shape = value[0], shape[0]
    assert misfits(value, shape) == []


def test_a_counted_list_has_what_is_promised(scene: LoopbackGitHub, ask: Ask) -> None:
    value = ask("GET", f"{REPO}/commits/side/check-runs").json()
    assert value["total_count"] == len(value["check_runs"]) == 1
    assert misfits(value["check_runs"][0], CHECK) == []


def test_annotations_statuses_and_reactions(scene: LoopbackGitHub, ask: Ask) -> None:
    run = scene.forge.checks.runs[0].id
    listed = ask("GET", f"{REPO}/check-runs/{run}/annotations").json()
    assert misfits(listed[0], ANNOTATION) == []
    statuses = ask("GET", f"{REPO}/commits/side/status").json()["statuses"]
    assert misfits(statuses[0], STATUS) == []
    comment = scene.comments(1)[0].id
    path = f"{REPO}/issues/comments/{comment}/reactions"
    assert misfits(ask("POST", path, json={"content": "heart"}).json(), REACTION) == []


def test_every_address_in_a_payload_leads_back(scene: LoopbackGitHub, ask: Ask) -> None:
    for path in ("", "/issues/1", "/pulls/2", "/labels/bug", "/branches/side"):
        value = ask("GET", REPO + path).json()
        url = value.get("url") or value["_links"]["self"]
        again = ask("GET", url.removeprefix(scene.url)).json()
        assert (
            again["node_id" if "node_id" in value else "name"]
            == (value["node_id" if "node_id" in value else "name"])
        )


@pytest.mark.parametrize(
    ("value", "shape", "said"),
    [
        ({}, {"a": int}, [".a: missing"]),
        ({"a": True}, {"a": int}, [".a: True is no int"]),
        ({"a": {"b": "x"}}, {"a": {"b": TIME}}, [".a.b: 'x'"]),
        ([], {"a": int}, [": no object"]),
    ],
)
def test_the_comparison_sees_what_does_not_fit(value: Any, shape: Any, said: list[str]) -> None:
    assert misfits(value, shape) == said
