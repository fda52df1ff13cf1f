"""What a request meets when something was planned to go wrong with it."""

from dataclasses import replace

from repoagents.rehearsal.hub.admission import signpost
from repoagents.rehearsal.hub.faults import Fault, Faults, Planned
from repoagents.rehearsal.hub.forge import Forge
from repoagents.rehearsal.hub.routing import Reply, Request

DOCUMENTATION = "https://docs.github.com/rest"
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes."
UNICORN = b"<!DOCTYPE html>\n<html><body><h1>Unicorn!</h1></body></html>\n"


def error_reply(status: int, message: str, errors: tuple[dict[str, str], ...] = ()) -> Reply:
    """GitHub's JSON for everything that it refuses."""
    told = {"errors": list(errors)} if errors else {}
    value = {"message": message, **told, "documentation_url": DOCUMENTATION, "status": str(status)}
    return Reply(status, value)


def instead(forge: Forge, request: Request, planned: Planned) -> Reply | None:
    """What is answered without anything being done; None for faults that come later."""
    reset = int(forge.repository.clock.now().timestamp()) + planned.seconds
    spent = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
    waiting = {"Retry-After": str(planned.seconds)}
    missing = error_reply(404, "Not Found") if request.method == "GET" else None
    replies = {
        Fault.BAD_GATEWAY: _page(502),
        Fault.LAG: missing,
        Fault.MOVED: signpost(forge, request),
        Fault.UNAUTHORIZED: error_reply(401, "Bad credentials"),
        Fault.PAGE: _page(200),
        Fault.TOO_MANY: error_reply(429, SECONDARY),
        Fault.SECONDARY: replace(error_reply(403, SECONDARY), headers=waiting),
        Fault.PRIMARY: replace(error_reply(403, "API rate limit exceeded."), headers=spent),
    }
    return replies.get(planned.fault)


def spoil(faults: Faults, reply: Reply, planned: Planned) -> Reply:
    """What becomes of the reply after everything was done."""
    faults.hide(reply.value, max(planned.reads, planned.fault is Fault.LAG))
    if planned.fault is Fault.BAD_GATEWAY_AFTER:
        return _page(502)
    if planned.fault is Fault.RESET_AFTER:
        return replace(reply, severed=True)
    if planned.fault is Fault.TRUNCATED:
        return replace(reply, raw=reply.content[: len(reply.content) // 2])
    return reply


def _page(status: int) -> Reply:
    return Reply(status, raw=UNICORN, headers={"Content-Type": "text/html; charset=utf-8"})
