"""What has no REST address: leaving draft, and who has edited an issue."""

import re

from repoagents.rehearsal.hub.accounts import Caller
from repoagents.rehearsal.hub.forge import Forge
from repoagents.rehearsal.hub.payloads import stamp
from repoagents.rehearsal.hub.records import Issue, Json
from repoagents.rehearsal.hub.refusals import Refusal
from repoagents.rehearsal.hub.routing import Reply

PAGE = 100
_MUTATION = re.compile(r"\b(\w+)\s*\(\s*input\s*:")


def answer_graphql(forge: Forge, caller: Caller, sent: Json) -> Reply:
    """Carry out one mutation, or tell an issue's edits; it answers 200 also when it refuses."""
    if caller.token is None:
        raise Refusal(401, "This endpoint requires you to be authenticated.")
    query, variables = str(sent.get("query", "")), sent.get("variables")
    given = variables if isinstance(variables, dict) else {}
    name = "repository"
    try:
        if "userContentEdits" in query:
            return Reply(200, {"data": {name: _history(forge, caller, given.get("number"))}})
        found = _MUTATION.search(query)
        name = found.group(1) if found else ""
        asked = next((value for value in given.values() if isinstance(value, dict)), {})
        pull = _mutate(forge, caller, name, str(asked.get("pullRequestId", "")))
    except Refusal as refusal:
        kind = {404: "NOT_FOUND", 403: "FORBIDDEN"}.get(refusal.status, "UNPROCESSABLE")
        error = {"type": kind, "path": [name], "message": refusal.message}
        return Reply(200, {"data": {name: None}, "errors": [error]})
    answer = {"clientMutationId": asked.get("clientMutationId"), "pullRequest": pull}
    return Reply(200, {"data": {name: answer}})


def _history(forge: Forge, caller: Caller, number: object) -> Json:
    """An issue's text, and who has edited it: bodies newest first, titles oldest first."""
    issue = forge.repository.issues.get(number) if isinstance(number, int) else None
    hidden = forge.repository.private and not caller.has_role("read")
    if issue is None or issue.pull or issue.gone_to or hidden:
        raise Refusal(404, f"Could not resolve to an Issue with the number of {number}.")
    if not caller.has("issues", "read"):
        raise Refusal(403, "Resource not accessible by integration")
    renamed: list[Json] = [
        {"createdAt": stamp(line.at), "actor": _actor(forge, line.by)}
        for line in forge.repository.happenings
        if (line.number, line.name) == (issue.number, "renamed")
    ]
    edited: list[Json] = [
        {"editedAt": stamp(edit.at), "editor": _actor(forge, edit.by)}
        for edit in reversed(issue.edits)
    ]
    last = edited[0] if edited else {"editedAt": None, "editor": None}
    told = {
        "title": issue.title,
        "body": issue.body or "",
        "lastEditedAt": last["editedAt"],
        "editor": last["editor"],
        "userContentEdits": _first(edited),
        "timelineItems": _first(renamed),
    }
    return {"issue": told}


def _first(nodes: list[Json]) -> Json:
    """The first page of a connection, as GraphQL calls a list."""
    return {"pageInfo": {"hasNextPage": len(nodes) > PAGE}, "nodes": nodes[:PAGE]}


def _actor(forge: Forge, login: str) -> Json | None:
    """An account as GraphQL tells it: an App's bot without the end of its name."""
    account = forge.accounts.find(login)
    if account is None:
        return None
    name = account.login.removesuffix("[bot]")
    return {"__typename": account.kind, "login": name, "databaseId": account.id}


def _mutate(forge: Forge, caller: Caller, name: str, node: str) -> Json:
    issue = next((i for i in forge.repository.issues.values() if _node(i) == node), None)
    if issue is None:
        raise Refusal(404, f"Could not resolve to a node with the global id of '{node}'")
    if not (caller.has_role("write") and caller.has("pull_requests", "write")):
        raise Refusal(403, "Resource not accessible by integration")
    if name != "markPullRequestReadyForReview":
        raise Refusal(422, f"Field '{name}' doesn't exist on type 'Mutation'")
    forge.pulls.mark_ready(issue.number, caller.login)
    return {"id": node, "number": issue.number, "isDraft": False}


def _node(issue: Issue) -> str:
    return f"PR_{issue.pull.id}" if issue.pull else ""
