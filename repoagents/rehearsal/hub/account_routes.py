"""The addresses of who calls: user, rate limit, permissions, and the GitHub App's own."""

from repoagents.rehearsal.hub.payloads import permissions, stamp
from repoagents.rehearsal.hub.refusals import Refusal, not_found
from repoagents.rehearsal.hub.routing import REPO, Call, Reply, route

API_PERMISSION = {"triage": "read", "maintain": "write"}
"""Roles that the permission's older field does not know."""


@route("GET", "/user")
def user(call: Call) -> Reply:
    """The account behind the token; an installation token stands for none."""
    if call.caller.token is None:
        raise Refusal(401, "Requires authentication")
    if call.caller.token.kind == "installation":
        raise Refusal(403, "Resource not accessible by integration")
    return Reply(200, call.forge.payloads.account(call.by))


@route("GET", "/users/{login}")
def somebody(call: Call) -> Reply:
    """Any account."""
    known = call.forge.payloads.account(call.parameters["login"])
    if known is None:
        raise not_found()
    return Reply(200, known)


@route("GET", REPO, "metadata:read")
def repository(call: Call) -> Reply:
    """The repository, with what the caller may do in it."""
    token = call.caller.token
    role = call.caller.role
    if token is not None and token.kind == "installation":
        role = "write" if call.caller.has("contents", "write") else "read"
    return Reply(200, call.forge.payloads.repo(role))


@route("GET", f"{REPO}/collaborators/{{login}}/permission", "metadata:read")
def permission(call: Call) -> Reply:
    """What somebody may do here; a bot is not a user, and only those who may push may ask."""
    if not call.caller.has_role("write"):
        raise Refusal(403, "Must have push access to view collaborator permission.")
    login = call.parameters["login"]
    account = call.forge.accounts.find(login)
    if account is None or login.endswith("[bot]"):
        raise Refusal(404, f"{login} is not a user")
    role = account.role
    if role == "none" and not call.forge.repository.private:
        role = "read"
    user = {**(call.forge.payloads.account(login) or {}), "role_name": role}
    user["permissions"] = permissions(role)
    level = API_PERMISSION.get(role, role)
    return Reply(200, {"permission": level, "role_name": role, "user": user})


@route("GET", "/app")
def app(call: Call) -> Reply:
    """The App that signed the request."""
    if call.caller.app is None:
        raise Refusal(401, "A JSON web token could not be decoded")
    return Reply(200, call.forge.payloads.app(call.caller.app))


@route("POST", "/app/installations/{id}/access_tokens")
def access_token(call: Call) -> Reply:
    """An installation token; permissions are the granted ones, or fewer when asked so."""
    app = call.forge.accounts.app_installed(call.id, call.caller)
    asked = call.sent.get("permissions") or {}
    if not isinstance(asked, dict):
        raise Refusal(422, 'Invalid request.\n\n"permissions" is not an object.')
    token = call.forge.accounts.installation_token(app, {k: str(v) for k, v in asked.items()})
    return Reply(
        201,
        {
            "token": token.value,
            "expires_at": stamp(token.expires_at),
            "permissions": token.permissions,
            "repository_selection": "selected",
        },
    )
