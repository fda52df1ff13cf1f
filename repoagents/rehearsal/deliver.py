"""The one HTTP client of this room: posts a webhook the way GitHub's sender does."""

from collections.abc import Mapping
from dataclasses import dataclass

import requests

PATIENCE_SECONDS = 10.0
"""GitHub gives a receiver so long."""


@dataclass(frozen=True)
class Outcome:
    """What came of it: the receiver's status, or 502 and 504 with the reason in words."""

    status_code: int
    status: str


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
    """Post the bytes as they are, past every proxy, following no redirect."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            reply = session.post(
                url,
                data=body,
                headers=dict(headers),
                timeout=PATIENCE_SECONDS,
                allow_redirects=False,
            )
        except requests.Timeout:
            return Outcome(504, "timed out")
        except requests.RequestException:
            return Outcome(502, "failed to connect to host")
        return Outcome(reply.status_code, reply.reason or "")
