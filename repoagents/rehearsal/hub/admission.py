"""Who may pass: the way to what has moved, and what account and token must reach for an address."""

from collections.abc import Collection

from repoagents.rehearsal.hub.accounts import ROLES
from repoagents.rehearsal.hub.forge import Forge
from repoagents.rehearsal.hub.refusals import Refusal, not_found
from repoagents.rehearsal.hub.routing import Call, Reply, Request, Route

SAFE = {"GET", "HEAD", "OPTIONS"}


def admit(call: Call, route: Route) -> None:
    """Refuse what the account or the token may not do, with GitHub's own reasons."""
    repository, caller, writing = call.forge.repository, call.caller, route.method not in SAFE
    if not route.area:
        return
    if caller.token is None and (writing or caller.app is not None):
        raise Refusal(401, "Requires authentication")
    if repository.private and not caller.has_role("read"):
        raise not_found()
    if not _granted(call, route):
        app = caller.token is not None and caller.token.kind == "installation"
        bearer = "integration" if app else "personal access token"
        raise Refusal(403, f"Resource not accessible by {bearer}")
    if ROLES.index(route.role) > ROLES.index("read") and not caller.has_role(route.role):
        if route.role == "admin":
            raise Refusal(403, "Must have admin rights to Repository.")
        raise not_found()
    if repository.archived and writing:
        raise Refusal(403, "Repository was archived so is read-only.")


def _granted(call: Call, route: Route) -> bool:
    if call.caller.has(route.area, route.level):
        return True
    # What is said below a pull request may be written with either permission.
    about_pull = "number" in call.parameters and route.area == "issues"
    issue = call.forge.repository.issues.get(call.number) if about_pull else None
    return bool(issue and issue.pull and call.caller.has("pull_requests", route.level))


def canonical(forge: Forge, path: str) -> str:
    """An address by the repository's id as the one by its name."""
    prefix = f"/repositories/{forge.repository.id}"
    if path == prefix or path.startswith(f"{prefix}/"):
        return f"/repos/{forge.repository.full_name}{path.removeprefix(prefix)}"
    return path


def elsewhere(forge: Forge, former_names: Collection[str], request: Request) -> Reply | None:
    """The way to a renamed repository, or an issue in the repository it was moved to.

    None for this repository and for addresses outside any; 404 for every other repository.
    """
    parts = request.path.split("/")
    name = "/".join(parts[2:4])
    if parts[1] != "repos" or name.lower() == forge.repository.full_name.lower():
        return None
    if name in former_names:
        return signpost(forge, request)
    for issue in forge.repository.issues.values():
        if request.path == f"/repos/{issue.gone_to}/issues/{issue.number}":
            url = f"{forge.payloads.api}/repos/{issue.gone_to}"
            return Reply(200, {**forge.payloads.issue(issue), "repository_url": url})
    raise not_found()


def signpost(forge: Forge, request: Request) -> Reply:
    """Where the repository is now, by its id: 301 for readers, 307 for writers."""
    rest = "/".join(request.path.split("/")[4:])
    place = f"{forge.payloads.api}/repositories/{forge.repository.id}"
    place += f"/{rest}" if rest else ""
    place += f"?{request.raw_query}" if request.raw_query else ""
    reading = request.method in SAFE
    words = "Moved Permanently" if reading else "Temporary Redirect"
    return Reply(301 if reading else 307, {"message": words, "url": place}, {"Location": place})
