"""The addresses of issues: lists, text, labels, comments, timelines and reactions."""

from datetime import UTC, datetime

from repoagents.rehearsal.hub.payloads import EMOJI
from repoagents.rehearsal.hub.records import Issue
from repoagents.rehearsal.hub.refusals import Refusal, invalid, not_found
from repoagents.rehearsal.hub.routing import REPO, Call, Reply, route

ISSUE = f"{REPO}/issues/{{number}}"
ORDERS = {"created": "created_at", "updated": "updated_at"}


@route("GET", f"{REPO}/issues", "issues:read")
def list_issues(call: Call) -> Reply:
    """Issues and pull requests together, as GitHub has it."""
    query = call.request.query
    found = [i for i in call.forge.repository.issues.values() if _wanted(i, call)]
    order = ORDERS.get(query.get("sort", "created"), "created_at")
    newest_first = query.get("direction", "desc") == "desc"
    found.sort(key=lambda i: (getattr(i, order), i.number), reverse=newest_first)
    return call.page(found, call.forge.payloads.issue)


def _wanted(issue: Issue, call: Call) -> bool:
    query = call.request.query
    labels = {name.lower() for name in query.get("labels", "").split(",") if name}
    state, since = query.get("state", "open"), query.get("since")
    return (
        not issue.gone_to
        and state in (issue.state, "all")
        and labels <= {name.lower() for name in issue.labels}
        and (since is None or issue.updated_at >= _instant(since))
    )


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise invalid("Issue", "since", "invalid") from error


@route("GET", ISSUE, "issues:read")
def read_issue(call: Call) -> Reply:
    """One issue; one that was transferred is a signpost."""
    issue = call.issue
    if issue.gone_to:
        place = f"{call.forge.payloads.api}/repos/{issue.gone_to}/issues/{issue.number}"
        moved = {"message": "Moved Permanently", "url": place}
        return Reply(301, moved, {"Location": place})
    return Reply(200, call.forge.payloads.issue(issue))


@route("GET", f"{ISSUE}/comments", "issues:read")
def list_comments(call: Call) -> Reply:
    """What was said, oldest first."""
    comments = call.forge.repository.comments_of(call.issue.number)
    return call.page(comments, call.forge.payloads.comment)


@route("POST", f"{ISSUE}/comments", "issues:write")
def comment(call: Call) -> Reply:
    """Say something; a locked conversation is for those with write permission."""
    if call.issue.locked and not call.caller.has_role("write"):
        raise Refusal(403, "Unable to create comment because issue is locked.")
    said = call.forge.repository.comment(call.number, call.text("body"), call.by)
    return Reply(201, call.forge.payloads.comment(said))


@route("PATCH", f"{REPO}/issues/comments/{{id}}", "issues:write")
def edit_comment(call: Call) -> Reply:
    """Replace a comment's text: one's own, or with write permission anybody's."""
    _may_change(call)
    said = call.forge.repository.edit_comment(call.id, call.text("body"), call.by)
    return Reply(200, call.forge.payloads.comment(said))


@route("DELETE", f"{REPO}/issues/comments/{{id}}", "issues:write")
def delete_comment(call: Call) -> Reply:
    """Take a comment away."""
    _may_change(call)
    call.forge.repository.delete_comment(call.id, call.by)
    return Reply(204)


def _may_change(call: Call) -> None:
    author = call.forge.repository.comment_numbered(call.id).by
    if author != call.by and not call.caller.has_role("write"):
        raise not_found()


@route("GET", f"{ISSUE}/timeline", "issues:read")
def timeline(call: Call) -> Reply:
    """What happened, what was said and what was committed, in order."""
    issue, payloads = call.issue, call.forge.payloads
    repository = call.forge.repository
    happened = (line for line in repository.happenings if line.number == issue.number)
    lines = [(h.at, h.id, payloads.happening(h)) for h in happened]
    said = repository.comments_of(issue.number)
    lines += [(c.created_at, c.id, payloads.said(c)) for c in said]
    lines.sort(key=lambda line: line[:2])
    return call.page([line[2] for line in lines], lambda line: line)


@route("GET", f"{REPO}/labels/{{label}}", "issues:read")
def read_label(call: Call) -> Reply:
    """One label of the repository."""
    label = call.forge.repository.label_named(call.parameters["label"])
    if label is None:
        raise not_found()
    return Reply(200, call.forge.payloads.label(label))


@route("POST", f"{ISSUE}/labels", "issues:write", role="triage")
def label(call: Call) -> Reply:
    """Add labels; those that it wears stay."""
    names = call.sent.get("labels", call.sent.get(""))  # a bare array is legal too
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refusal(422, 'Invalid request.\n\n"labels" is not a list of texts.')
    call.forge.repository.label(call.issue.number, names, call.by)
    return Reply(200, call.forge.payloads.labels_of(call.issue))


@route("DELETE", f"{ISSUE}/labels/{{label}}", "issues:write", role="triage")
def unlabel(call: Call) -> Reply:
    """Take one label off."""
    call.forge.repository.unlabel(call.issue.number, call.parameters["label"], call.by)
    return Reply(200, call.forge.payloads.labels_of(call.issue))


@route("POST", f"{REPO}/issues/comments/{{id}}/reactions", "issues:write")
def react_to_comment(call: Call) -> Reply:
    """Add an emoji below a comment: 201, or 200 when it was there."""
    content, comment = call.text("content"), call.forge.repository.comment_numbered(call.id)
    if content not in EMOJI:
        raise invalid("Reaction", "content", "invalid")
    reaction, new = call.forge.repository.react(comment.reactions, content, call.by)
    return Reply(201 if new else 200, call.forge.payloads.reaction(reaction))
