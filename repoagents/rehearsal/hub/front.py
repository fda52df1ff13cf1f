"""The front door: a request's way through everything that GitHub does with one."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from repoagents.rehearsal.hub import (
    account_routes,
    code_routes,
    hook_routes,
    issue_routes,
    pull_routes,
)
from repoagents.rehearsal.hub.accounts import Caller
from repoagents.rehearsal.hub.admission import SAFE, admit, canonical, elsewhere
from repoagents.rehearsal.hub.faults import Faults, Planned
from repoagents.rehearsal.hub.forge import Forge
from repoagents.rehearsal.hub.graphql import answer_graphql
from repoagents.rehearsal.hub.mishaps import error_reply, instead, spoil
from repoagents.rehearsal.hub.pages import page_at
from repoagents.rehearsal.hub.refusals import Refusal
from repoagents.rehearsal.hub.routing import Call, Reply, Request, find_route

TABLES = (account_routes, code_routes, hook_routes, issue_routes, pull_routes)
"""Imported for the routes that they register."""

API, GRAPHQL = "/api/v3", "/api/graphql"
API_VERSIONS = {"2022-11-28", "2026-03-10"}


@dataclass(frozen=True)
class Seen:
    """A request as it is remembered: no credential, the body parsed when it is JSON."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: object
    status: int
    at: datetime
    by: str

    @property
    def writing(self) -> bool:
        """Whether it was to change something.

        Token requests and GraphQL queries are sent by POST and change nothing.
        """
        if self.path == GRAPHQL:
            query = self.body.get("query", "") if isinstance(self.body, dict) else ""
            return str(query).lstrip().startswith("mutation")
        return self.method not in SAFE and not self.path.endswith("/access_tokens")


class Front:
    """Answers requests, one at a time, and remembers them in `seen`."""

    def __init__(self, forge: Forge, faults: Faults) -> None:
        self._forge = forge
        self._faults = faults
        self.former_names: set[str] = set()
        self.seen: list[Seen] = []
        self.fetched: list[Request] = []

    def answer(self, request: Request) -> Reply:
        """The reply, with whatever was planned to go wrong."""
        if request.path != GRAPHQL and not request.path.startswith(f"{API}/"):
            with self._forge.repository.lock:
                self._forge.pulls.follow()
                page = page_at(self._forge, request.path) if request.method == "GET" else None
            return page or error_reply(404, "Not Found")
        request = replace(request, path=canonical(self._forge, request.path.removeprefix(API)))
        planned = self._faults.take(request.method, request.path)
        with self._forge.repository.lock:
            caller, reply = self._answer(request, planned)
            reply = self._finish(request, reply)
            self._remember(request, reply, caller)
        return reply

    def _answer(self, request: Request, planned: Planned | None) -> tuple[Caller, Reply]:
        caller = Caller()
        reply = instead(self._forge, request, planned) if planned else None
        if reply is None:
            try:
                caller = self._forge.accounts.caller(request.headers.get("authorization"))
                self._forge.pulls.follow()
                reply = self._carry_out(request, caller)
            except Refusal as refusal:
                reply = error_reply(refusal.status, refusal.message, refusal.errors)
            if planned is not None:
                reply = spoil(self._faults, reply, planned)
        return caller, reply

    def _carry_out(self, request: Request, caller: Caller) -> Reply:
        if not self._forge.quota.spend():
            who = caller.login or "this address"
            raise Refusal(403, f"API rate limit exceeded for {who}.")
        version = request.headers.get("x-github-api-version", "2022-11-28")
        if version not in API_VERSIONS:
            raise Refusal(400, f'The API version "{version}" is not supported.')
        sent = _parsed(request.body)
        if request.path == GRAPHQL:
            return answer_graphql(self._forge, caller, sent)
        moved = elsewhere(self._forge, self.former_names, request)
        if moved is not None:
            return moved
        method = "GET" if request.method == "HEAD" else request.method
        route, parameters = find_route(method, request.path)
        call = Call(self._forge, caller, request, parameters, sent)
        admit(call, route)
        return route.answer(call)

    def _finish(self, request: Request, reply: Reply) -> Reply:
        """The ETag and the headers that every reply of GitHub carries."""
        tag = {}
        if request.method in SAFE and reply.status == 200 and reply.raw is None:
            value = self._faults.veil(reply.value)
            reply = error_reply(404, "Not Found") if value is None else replace(reply, value=value)
        if request.method in SAFE and reply.status == 200:
            etag = f'W/"{hashlib.sha256(reply.content).hexdigest()}"'
            tag = {"ETag": etag, "Cache-Control": "private, max-age=60, s-maxage=60"}
            if request.headers.get("if-none-match") == etag:
                self._forge.quota.refund()
                reply = Reply(304)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-GitHub-Request-Id": self._forge.repository.clock.token(16).upper(),
            **self._forge.quota.headers,
            **tag,
            **reply.headers,
        }
        return replace(reply, headers=headers)

    def _remember(self, request: Request, reply: Reply, caller: Caller) -> None:
        headers = dict(request.headers)
        if "authorization" in headers:
            headers["authorization"] = headers["authorization"].partition(" ")[0]
        body: object = None
        with suppress(ValueError, RecursionError):
            body = json.loads(request.body)
        at = self._forge.repository.clock.now()
        seen = (request.method, request.path, request.query, headers, body, reply.status, at)
        self.seen.append(Seen(*seen, by=caller.login))

    def answer_elsewhere(self, request: Request) -> Reply:
        """A job's log as text, on another host: the address alone opens it, as on GitHub."""
        self.fetched.append(request)
        if "authorization" in request.headers:
            return Reply(400, raw=b"InvalidAuthenticationInfo")
        for run in self._forge.checks.runs:
            if request.path == f"/logs/{run.id}" and request.query.get("sig") == run.sha:
                headers = {"Content-Type": "text/plain; charset=utf-8"}
                return Reply(200, raw=run.log.encode(), headers=headers)
        return error_reply(404, "Not Found")


def _parsed(body: bytes) -> dict[str, object]:
    if not body:
        return {}
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "Problems parsing JSON") from error
    if isinstance(sent, list):
        return {"": sent}
    if not isinstance(sent, dict):
        raise Refusal(400, "Body should be a JSON object")
    return sent
