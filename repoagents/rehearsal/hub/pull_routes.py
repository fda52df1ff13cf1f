"""The addresses of pull requests, their reviews and the remarks on their lines."""

from repoagents.rehearsal.hub.issue_routes import react_to
from repoagents.rehearsal.hub.records import Issue, Pull, ReviewComment
from repoagents.rehearsal.hub.refusals import Refusal, not_found
from repoagents.rehearsal.hub.routing import REPO, Call, Reply, route

PULL = f"{REPO}/pulls/{{number}}"
NEEDS_READ, NEEDS_WRITE = "pull_requests:read", "pull_requests:write"


@route("GET", f"{REPO}/pulls", NEEDS_READ)
def list_pulls(call: Call) -> Reply:
    """Pull requests by state, base, and head as `owner:branch`."""
    issues = sorted(call.forge.repository.issues.values(), key=lambda i: -i.number)
    found = [(i, i.pull) for i in issues if i.pull and _wanted(i, i.pull, call)]
    return call.page(found, lambda pair: call.forge.code.pull(*pair))


def _wanted(issue: Issue, pull: Pull, call: Call) -> bool:
    query = call.request.query
    owner = (pull.fork or call.forge.repository.full_name).partition("/")[0]
    head = query.get("head", "")
    return (
        query.get("state", "open") in (issue.state, "all")
        and query.get("base", pull.base) == pull.base
        # GitHub ignores a head that does not name its owner.
        and (":" not in head or head == f"{owner}:{pull.head}")
    )


@route("POST", f"{REPO}/pulls", NEEDS_WRITE)
def open_pull(call: Call) -> Reply:
    """Open a pull request, as a draft when asked so."""
    issue = call.forge.pulls.open(
        call.text("title"),
        call.optional("body"),
        (call.text("head"), call.text("base")),
        call.by,
        draft=call.sent.get("draft") is True,
    )
    return Reply(201, _whole(call, issue.number))


def _whole(call: Call, number: int) -> dict[str, object]:
    return call.forge.code.whole_pull(*call.forge.pulls.read(number))


@route("GET", PULL, NEEDS_READ)
def read_pull(call: Call) -> Reply:
    """One pull request with its figures."""
    return Reply(200, _whole(call, call.number))


@route("PATCH", PULL, NEEDS_WRITE, role="triage")
def edit_pull(call: Call) -> Reply:
    """Change title, body or state."""
    repository, (issue, pull) = call.forge.repository, call.pull
    repository.edit(issue.number, call.by, title=call.optional("title"), body=call.optional("body"))
    if call.sent.get("state") == "closed":
        repository.close(issue.number, call.by)
    if call.sent.get("state") == "open":
        if pull.merged_at is not None:
            raise Refusal(422, "Validation Failed")
        repository.reopen(issue.number, call.by)
    return Reply(200, _whole(call, issue.number))


@route("GET", f"{PULL}/merge", NEEDS_READ)
def merged(call: Call) -> Reply:
    """204 when it is merged, 404 when not."""
    return Reply(204) if call.pull[1].merged_at else Reply(404, {"message": "Not Found"})


@route("PUT", f"{PULL}/merge", "contents:write", role="write")
def merge(call: Call) -> Reply:
    """Merge it, when the head is the one that the caller means."""
    title, message = call.optional("commit_title"), call.optional("commit_message")
    words = "\n\n".join(part for part in (title, message) if part)
    method = call.optional("merge_method") or "merge"
    sha = call.forge.pulls.merge(
        call.number, call.by, sha=call.optional("sha"), method=method, message=words
    )
    return Reply(200, {"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


@route("PUT", f"{PULL}/update-branch", NEEDS_WRITE, role="write")
def update_branch(call: Call) -> Reply:
    """Merge the base into the head."""
    call.forge.pulls.update_branch(call.number, call.by, call.optional("expected_head_sha"))
    url = f"{call.forge.payloads.base}/pulls/{call.number}"
    return Reply(202, {"message": "Updating pull request branch.", "url": url})


@route("GET", f"{PULL}/commits", NEEDS_READ)
def commits(call: Call) -> Reply:
    """Its commits, oldest first."""
    _, pull = call.pull
    return call.page(call.forge.bare.log(pull.base_sha, pull.head_sha), call.forge.code.commit)


@route("GET", f"{PULL}/files", NEEDS_READ)
def files(call: Call) -> Reply:
    """The files that it changes."""
    _, pull = call.pull
    bare, head = call.forge.bare, pull.head_sha
    base = bare.merge_base(pull.base_sha, head) or pull.base_sha
    return call.page(bare.difference(base, head), lambda file: call.forge.code.file(file, head))


@route("GET", f"{PULL}/reviews", NEEDS_READ)
def reviews(call: Call) -> Reply:
    """Its reviews, oldest first."""
    return call.page(call.pull[1].reviews, call.forge.code.review)


@route("GET", f"{PULL}/comments", NEEDS_READ)
def remarks(call: Call) -> Reply:
    """The remarks on its lines."""
    return call.page(call.pull[1].remarks, call.forge.code.remark)


@route("POST", f"{PULL}/comments/{{reply}}/replies", NEEDS_WRITE)
def reply(call: Call) -> Reply:
    """Answer a remark in its thread."""
    to = int(call.parameters["reply"])
    said = call.forge.checks.reply(*call.pull, call.by, call.text("body"), to)
    return Reply(201, call.forge.code.remark(said))


@route("POST", f"{PULL}/comments", NEEDS_WRITE)
def remark(call: Call) -> Reply:
    """Remark on a line, or answer a remark by `in_reply_to`."""
    to, line = call.sent.get("in_reply_to"), call.sent.get("line")
    if isinstance(to, int):
        said = call.forge.checks.reply(*call.pull, call.by, call.text("body"), to)
    else:
        place = (call.text("path"), line if isinstance(line, int) else 1)
        said = call.forge.checks.remark(*call.pull, call.by, call.text("body"), place)
    return Reply(201, call.forge.code.remark(said))


@route("GET", f"{REPO}/pulls/comments/{{id}}", NEEDS_READ)
def read_remark(call: Call) -> Reply:
    """One remark."""
    return Reply(200, call.forge.code.remark(_remark(call)))


@route("POST", f"{REPO}/pulls/comments/{{id}}/reactions", NEEDS_WRITE)
def react_to_remark(call: Call) -> Reply:
    """Add an emoji below a remark."""
    return react_to(call, _remark(call).reactions)


def _remark(call: Call) -> ReviewComment:
    issues = call.forge.repository.issues.values()
    for remark in (remark for i in issues if i.pull for remark in i.pull.remarks):
        if remark.id == call.id:
            return remark
    raise not_found()
