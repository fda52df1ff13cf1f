"""The addresses at which missed deliveries are found and asked for again."""

import json

from repoagents.rehearsal.hub.hooks import Delivery, Hook
from repoagents.rehearsal.hub.payloads import stamp
from repoagents.rehearsal.hub.records import Json
from repoagents.rehearsal.hub.refusals import Refusal
from repoagents.rehearsal.hub.routing import REPO, Call, Reply, route

LIST = f"{REPO}/hooks/{{number}}/deliveries"
NEEDS_READ, NEEDS_WRITE = "repository_hooks:read", "repository_hooks:write"


@route("GET", f"{REPO}/hooks", NEEDS_READ, role="admin")
def hooks(call: Call) -> Reply:
    """The repository's subscriptions."""
    found = [hook for hook in call.forge.hooks.hooks if not hook.installation]
    return call.page(found, _hook)


@route("GET", LIST, NEEDS_READ, role="admin")
def deliveries(call: Call) -> Reply:
    """What was sent to a hook in the last three days, newest first."""
    return _listed(call, call.forge.hooks.hook(call.number))


@route("POST", f"{LIST}/{{id}}/attempts", NEEDS_WRITE, role="admin")
def attempt(call: Call) -> Reply:
    """Send it again."""
    call.forge.hooks.redeliver(call.forge.hooks.hook(call.number), call.id)
    return Reply(202, {})


@route("GET", "/app/hook/deliveries")
def app_deliveries(call: Call) -> Reply:
    """What was sent to the App's hook in the last three days, newest first."""
    _require_app(call)
    return _listed(call, None)


@route("POST", "/app/hook/deliveries/{id}/attempts")
def app_attempt(call: Call) -> Reply:
    """Send it again to the App's hook."""
    _require_app(call)
    call.forge.hooks.redeliver(None, call.id)
    return Reply(202, {})


def _listed(call: Call, hook: Hook | None) -> Reply:
    return call.scroll(call.forge.hooks.recent(hook), _delivery, lambda delivery: delivery.id)


def _require_app(call: Call) -> None:
    if call.caller.app is None:
        raise Refusal(401, "A JSON web token could not be decoded")


def _hook(hook: Hook) -> Json:
    config = {"url": hook.url, "content_type": "json", "insecure_ssl": "0", "secret": "********"}
    return {
        "type": "Repository",
        "id": hook.id,
        "name": "web",
        "active": True,
        "events": sorted(hook.events),
        "config": config,
    }


def _delivery(delivery: Delivery) -> Json:
    outcome = delivery.outcome
    return {
        "id": delivery.id,
        "guid": delivery.guid,
        "delivered_at": stamp(delivery.at),
        "redelivery": delivery.redelivery,
        "duration": 0.01,
        "status": outcome.status if outcome else "",
        "status_code": outcome.status_code if outcome else 0,
        "event": delivery.event,
        "action": delivery.action or None,
        "installation_id": delivery.hook.installation or None,
        "repository_id": _repository_id(delivery),
        "throttled_at": None,
    }


def _repository_id(delivery: Delivery) -> int | None:
    """What the payload is about; an App hears of every repository that it is installed on."""
    number = json.loads(delivery.body).get("repository", {}).get("id")
    return number if isinstance(number, int) else None
