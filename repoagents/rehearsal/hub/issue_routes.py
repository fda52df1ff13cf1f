"""The addresses of issues: lists, text, labels, comments, timelines and reactions."""

from datetime import UTC, datetime

from repoagents.rehearsal.hub.payloads import EMOJI
from repoagents.rehearsal.hub.records import Happening, Issue, Reaction
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
        and _matches(query.get("assignee", ""), issue.assignees)
        and _matches(query.get("milestone", ""), [issue.milestone] if issue.milestone else [])
        and query.get("creator", issue.by) == issue.by
    )


def _matches(asked: str, present: list[str]) -> bool:
    return {"": True, "*": bool(present), "none": not present}.get(asked, asked in present)


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise invalid("Issue", "since", "invalid") from error


@route("POST", f"{REPO}/issues", "issues:write")
def open_issue(call: Call) -> Reply:
    """Open an issue."""
    labels = _names(call, "labels") if "labels" in call.sent else []
    issue = call.forge.repository.open_issue(
        call.text("title"), call.optional("body"), labels, call.by
    )
    return Reply(201, call.forge.payloads.issue(issue))


@route("GET", ISSUE, "issues:read")
def read_issue(call: Call) -> Reply:
    """One issue; one that was transferred is a signpost."""
    issue = call.issue
    if issue.gone_to:
        place = f"{call.forge.payloads.api}/repos/{issue.gone_to}/issues/{issue.number}"
        moved = {"message": "Moved Permanently", "url": place}
        return Reply(301, moved, {"Location": place})
    return Reply(200, call.forge.payloads.issue(issue))


@route("PATCH", ISSUE, "issues:write", role="triage")
def edit_issue(call: Call) -> Reply:
    """Change title, body or state."""
    repository, number = call.forge.repository, call.issue.number
    repository.edit(number, call.by, title=call.optional("title"), body=call.optional("body"))
    if call.sent.get("state") == "closed":
        repository.close(number, call.by, call.optional("state_reason") or "completed")
    if call.sent.get("state") == "open":
        repository.reopen(number, call.by)
    return Reply(200, call.forge.payloads.issue(call.issue))


@route("GET", f"{ISSUE}/comments", "issues:read")
def list_comments(call: Call) -> Reply:
    """What was said, oldest first."""
    comments = call.forge.repository.comments_of(call.issue.number)
    since = call.request.query.get("since")
    if since is not None:
        comments = [c for c in comments if c.updated_at >= _instant(since)]
    return call.page(comments, call.forge.payloads.comment)


@route("POST", f"{ISSUE}/comments", "issues:write")
def comment(call: Call) -> Reply:
    """Say something; a locked conversation is for those with write permission."""
    if call.issue.locked and not call.caller.has_role("write"):
        raise Refusal(403, "Unable to create comment because issue is locked.")
    said = call.forge.repository.comment(call.number, call.text("body"), call.by)
    return Reply(201, call.forge.payloads.comment(said))


@route("GET", f"{REPO}/issues/comments/{{id}}", "issues:read")
def read_comment(call: Call) -> Reply:
    """One comment."""
    return Reply(200, call.forge.payloads.comment(call.forge.repository.comment_numbered(call.id)))


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
    lines = [(h.at, h.id, payloads.happening(h)) for h in _happenings(call)]
    said = call.forge.repository.comments_of(issue.number)
    lines += [(c.created_at, c.id, payloads.said(c)) for c in said]
    lines.sort(key=lambda line: line[:2])
    return call.page([line[2] for line in lines], lambda line: line)


@route("GET", f"{ISSUE}/events", "issues:read")
def events(call: Call) -> Reply:
    """What happened, without what was said."""
    return call.page(_happenings(call), call.forge.payloads.happening)


def _happenings(call: Call) -> list[Happening]:
    number = call.issue.number
    return [h for h in call.forge.repository.happenings if h.number == number]


@route("GET", f"{REPO}/issues/events", "issues:read")
def all_events(call: Call) -> Reply:
    """What happened in the repository, newest first."""
    found = call.forge.repository.happenings[::-1]
    return call.page(found, lambda h: call.forge.payloads.happening(h, alone=True))


@route("GET", f"{REPO}/labels", "issues:read")
def list_labels(call: Call) -> Reply:
    """The repository's labels."""
    return call.page(list(call.forge.repository.labels.values()), call.forge.payloads.label)


@route("POST", f"{REPO}/labels", "issues:write", role="write")
def create_label(call: Call) -> Reply:
    """A new label."""
    color, description = call.optional("color") or "ededed", call.optional("description") or ""
    made = call.forge.repository.create_label(call.text("name"), color, description)
    return Reply(201, call.forge.payloads.label(made))


@route("GET", f"{REPO}/labels/{{label}}", "issues:read")
def read_label(call: Call) -> Reply:
    """One label of the repository."""
    label = call.forge.repository.label_named(call.parameters["label"])
    if label is None:
        raise not_found()
    return Reply(200, call.forge.payloads.label(label))


@route("GET", f"{ISSUE}/labels", "issues:read")
def labels_of(call: Call) -> Reply:
    """The labels that an issue wears."""
    return call.page(call.forge.payloads.labels_of(call.issue), lambda label: label)


@route("POST", f"{ISSUE}/labels", "issues:write", role="triage")
def label(call: Call) -> Reply:
    """Add labels; those that it wears stay."""
    call.forge.repository.label(call.issue.number, _names(call, "labels"), call.by)
    return Reply(200, call.forge.payloads.labels_of(call.issue))


@route("DELETE", f"{ISSUE}/labels/{{label}}", "issues:write", role="triage")
def unlabel(call: Call) -> Reply:
    """Take one label off."""
    call.forge.repository.unlabel(call.issue.number, call.parameters["label"], call.by)
    return Reply(200, call.forge.payloads.labels_of(call.issue))


def _names(call: Call, key: str) -> list[str]:
    names = call.sent.get(key, call.sent.get(""))  # a bare array is legal too
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refusal(422, f'Invalid request.\n\n"{key}" is not a list of texts.')
    return names


@route("GET", f"{ISSUE}/reactions", "issues:read")
def reactions(call: Call) -> Reply:
    """The emoji below an issue."""
    return call.page(call.issue.reactions, call.forge.payloads.reaction)


@route("POST", f"{ISSUE}/reactions", "issues:write")
def react(call: Call) -> Reply:
    """Add an emoji below an issue."""
    return react_to(call, call.issue.reactions)


@route("DELETE", f"{ISSUE}/reactions/{{id}}", "issues:write")
def unreact(call: Call) -> Reply:
    """Take one's emoji back."""
    kept = call.issue.reactions
    mine = next((r for r in kept if (r.id, r.by) == (call.id, call.by)), None)
    if mine is None:
        raise not_found()
    kept.remove(mine)
    return Reply(204)


@route("GET", f"{REPO}/issues/comments/{{id}}/reactions", "issues:read")
def comment_reactions(call: Call) -> Reply:
    """The emoji below a comment."""
    comment = call.forge.repository.comment_numbered(call.id)
    return call.page(comment.reactions, call.forge.payloads.reaction)


@route("POST", f"{REPO}/issues/comments/{{id}}/reactions", "issues:write")
def react_to_comment(call: Call) -> Reply:
    """Add an emoji below a comment."""
    return react_to(call, call.forge.repository.comment_numbered(call.id).reactions)


def react_to(call: Call, kept: list[Reaction]) -> Reply:
    """Add the emoji of the body to what is kept: 201, or 200 when it was there."""
    content = call.text("content")
    if content not in EMOJI:
        raise invalid("Reaction", "content", "invalid")
    reaction, new = call.forge.repository.react(kept, content, call.by)
    return Reply(201 if new else 200, call.forge.payloads.reaction(reaction))
