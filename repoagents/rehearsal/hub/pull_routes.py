"""The addresses of pull requests, their reviews and the remarks on their lines."""

from repoagents.rehearsal.hub.records import Issue, Pull
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
    """Change title or body."""
    title, body = call.optional("title"), call.optional("body")
    call.forge.repository.edit(call.pull[0].number, call.by, title=title, body=body)
    return Reply(200, _whole(call, call.number))


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
