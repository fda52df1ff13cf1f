"""GitHub's own description of its REST API, and what it says of a request that the bot has sent."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.templating.paths.exceptions import PathError
from openapi_core.templating.paths.finders import APICallPathFinder
from werkzeug.datastructures import Headers, ImmutableMultiDict

from repoagents.rehearsal.hub.front import GRAPHQL, Seen

ROOT = Path(__file__).parents[3]
SITE = "https://api.github.com"
HOW_TO_GET_IT = "GitHub's OpenAPI description is not here: `make openapi` gets it, with npm"

DEEP = re.compile(r"(/git/ref/)(.+)")
"""OpenAPI knows no parameter with a slash in it, GitHub's `{ref}` takes them: they are escaped."""

ELSEWHERE = {GRAPHQL: "the description is of the REST API; GraphQL has a schema of its own"}
"""Paths that the description does not cover, each with its reason."""


@dataclass
class Sent:
    """A request as openapi-core wants to have it."""

    method: str
    path: str
    parameters: RequestParameters
    body: bytes | None
    content_type: str
    host_url: str = SITE


@dataclass(frozen=True)
class Finding:
    """What the description calls the request (`GET /repos/{owner}/{repo}`), and what is wrong."""

    operation: str
    faults: tuple[str, ...] = ()


class Description:
    """The description; stricter than GitHub in that every name that is sent must be known to it."""

    def __init__(self, content: bytes) -> None:
        described = json.loads(content)
        described["servers"] = [{"url": SITE}]
        # The description is GitHub's to check: it would take a minute.
        config = Config(spec_validator_cls=None, additional_properties_default_policy="forbid")
        self._openapi = OpenAPI.from_dict(described, config=config)
        self._paths = APICallPathFinder(self._openapi.spec)
        self._known: dict[str, Finding] = {}

    def judge(self, seen: Seen) -> Finding:
        """What it says of a request that has arrived; the same of the same."""
        kind = seen.headers.get("content-type", "")
        key = json.dumps([seen.method, seen.path, dict(seen.query), kind, seen.body])
        if key not in self._known:
            self._known[key] = self._judge(seen)
        return self._known[key]

    def _judge(self, seen: Seen) -> Finding:
        if seen.path in ELSEWHERE:
            return Finding(f"{seen.method} {seen.path}")
        sent = _sent(seen)
        found = self._openapi.unmarshal_request(sent)
        faults = [f"{type(error).__name__}: {error}: {error.__cause__}" for error in found.errors]
        unknown = set(seen.query) - set(found.parameters.query)
        if not faults and unknown:
            faults = [f"unknown in the query: {', '.join(sorted(unknown))}"]
        return Finding(f"{seen.method} {self._pattern(sent)}", tuple(faults))

    def _pattern(self, sent: Sent) -> str:
        try:
            return str(self._paths.find(sent.method, SITE + sent.path).path_result.pattern)
        except PathError:
            return sent.path


def load_description() -> Description:
    """The description that `make openapi` has put down; the test is skipped where it has not."""
    found = sorted((ROOT / ".venv").glob("github-openapi-*.json"))
    if not found:
        pytest.skip(HOW_TO_GET_IT)
    return Description(found[-1].read_bytes())


def _sent(seen: Seen) -> Sent:
    path = DEEP.sub(lambda deep: deep[1] + quote(deep[2], safe=""), seen.path)
    parameters = RequestParameters(
        query=ImmutableMultiDict(seen.query), header=Headers(seen.headers)
    )
    body = None if seen.body is None else json.dumps(seen.body).encode()
    return Sent(
        seen.method.lower(), path, parameters, body, seen.headers.get("content-type", "").lower()
    )
