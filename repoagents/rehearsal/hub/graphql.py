"""The few GraphQL mutations that have no REST address: leaving draft, and merging when ready."""

import re

from repoagents.rehearsal.hub.accounts import Caller
from repoagents.rehearsal.hub.forge import Forge
from repoagents.rehearsal.hub.records import Issue, Json
from repoagents.rehearsal.hub.refusals import Refusal
from repoagents.rehearsal.hub.routing import Reply

_MUTATION = re.compile(r"\b(\w+)\s*\(\s*input\s*:")


def answer_graphql(forge: Forge, caller: Caller, sent: Json) -> Reply:
    """Carry out one mutation; GraphQL answers 200 also when it refuses."""
    if caller.token is None:
        raise Refusal(401, "This endpoint requires you to be authenticated.")
    found = _MUTATION.search(str(sent.get("query", "")))
    name = found.group(1) if found else ""
    variables = sent.get("variables")
    given = list(variables.values()) if isinstance(variables, dict) else []
    asked = next((value for value in given if isinstance(value, dict)), {})
    try:
        pull = _mutate(forge, caller, name, str(asked.get("pullRequestId", "")))
    except Refusal as refusal:
        kind = {404: "NOT_FOUND", 403: "FORBIDDEN"}.get(refusal.status, "UNPROCESSABLE")
        error = {"type": kind, "path": [name], "message": refusal.message}
        return Reply(200, {"data": {name: None}, "errors": [error]})
    answer = {"clientMutationId": asked.get("clientMutationId"), "pullRequest": pull}
    return Reply(200, {"data": {name: answer}})


def _mutate(forge: Forge, caller: Caller, name: str, node: str) -> Json:
    issue = next((i for i in forge.repository.issues.values() if _node(i) == node), None)
    if issue is None:
        raise Refusal(404, f"Could not resolve to a node with the global id of '{node}'")
    if not (caller.has_role("write") and caller.has("pull_requests", "write")):
        raise Refusal(403, "Resource not accessible by integration")
    match name:
        case "markPullRequestReadyForReview":
            forge.pulls.set_draft(issue.number, caller.login, draft=False)
        case "convertPullRequestToDraft":
            forge.pulls.set_draft(issue.number, caller.login, draft=True)
        case "enablePullRequestAutoMerge":
            forge.pulls.enable_auto_merge(issue.number, caller.login)
        case _:
            raise Refusal(422, f"Field '{name}' doesn't exist on type 'Mutation'")
    draft = issue.pull is not None and issue.pull.draft
    return {"id": node, "number": issue.number, "isDraft": draft}


def _node(issue: Issue) -> str:
    return f"PR_{issue.pull.id}" if issue.pull else ""
