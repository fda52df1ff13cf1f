"""Addresses: which is that of a GitHub API, and whether two are on the same host."""

import re
from urllib.parse import urlsplit

from repoagents.errors import ConfigError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
PORTS = {"https": 443, "http": 80}

_ODD = re.compile(r"[\s\\]")

Origin = tuple[str, str, int]
"""Scheme, host and port, in the one form that can be compared."""


def origin_of(url: str) -> Origin | None:
    """Where an address leads; None for what is no http address, or holds credentials."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    odd = _ODD.search(parts.netloc) or "@" in parts.netloc
    if odd or parts.scheme not in PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port or PORTS[parts.scheme]


def is_private(origin: Origin) -> bool:
    """Whether nobody on the way can read along: https, or this machine."""
    scheme, host, _ = origin
    return scheme == "https" or host in LOOPBACK


def parse_api_url(text: str) -> str:
    """The API's address, without a slash at its end; `ConfigError`, without what may be secret."""
    url, origin = text.rstrip("/"), origin_of(text)
    if origin is None or _ODD.search(url) or "?" in url or "#" in url:
        raise ConfigError(
            "tracker.api_url is not an https:// address without credentials",
            next_step="Write https://api.github.com, or https://HOST/api/v3.",
        )
    if not is_private(origin):
        raise ConfigError(
            f"tracker.api_url: {url!r} would send the token in the clear",
            next_step="Write https:// instead of http://.",
        )
    return url
