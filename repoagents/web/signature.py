"""Whether a delivery was signed with one of our secrets.

The library also takes SHA-1, falls over non-ASCII text and lets a missing signature pass where no
secret is given; what it gets to see here is a SHA-256 signature and a secret, or nothing.
"""

import ipaddress
import re
from collections.abc import Mapping

from gidgethub import ValidationFailure
from gidgethub.sansio import validate_event

from repoagents.errors import ConfigError

SECRETS = 2
"""At once: the new one and the one that it replaces."""
SHORTEST_SECRET = 16

_SHAPE = re.compile(r"sha256=[0-9a-f]{64}", re.ASCII)


def parse_secrets(text: str, variable: str) -> tuple[str, ...]:
    """The secrets that a variable holds, separated by spaces or commas; none when it is empty.

    Raises `ConfigError` for more than two, and for one that could be guessed.
    """
    secrets = tuple(dict.fromkeys(re.split(r"[\s,]+", text.strip(", \t\r\n"))))
    if secrets == ("",):
        return ()
    if len(secrets) > SECRETS:
        raise ConfigError(
            f"{variable} holds {len(secrets)} secrets; at most {SECRETS} count at once",
            next_step="Keep the new one and the one it replaces; a secret has no space or comma.",
        )
    if not _is_utf8(text):
        raise ConfigError(
            f"{variable} holds bytes that are not UTF-8, so nothing can be signed with it",
            next_step="Make one with `openssl rand -hex 32`, here and in the webhook's settings.",
        )
    if any(len(secret) < SHORTEST_SECRET for secret in secrets):
        raise ConfigError(
            f"{variable} holds a secret of fewer than {SHORTEST_SECRET} characters",
            next_step="Make one with `openssl rand -hex 32`, here and in the webhook's settings.",
        )
    return secrets


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_secrets(
    environment: Mapping[str, str], variable: str, host: str, *, allow_unsigned: bool
) -> tuple[str, ...]:
    """The secrets to check signatures with; none only where unsigned deliveries are allowed.

    Raises `ConfigError` when there is no secret, unless `allow_unsigned` on a loopback address.
    """
    secrets = parse_secrets(environment.get(variable, ""), variable)
    if secrets or (allow_unsigned and _is_loopback(host)):
        return secrets
    if allow_unsigned:
        raise ConfigError(
            f"--allow-unsigned needs a loopback address, and {host} is not one",
            next_step=f"Listen on 127.0.0.1, or set {variable}.",
        )
    raise ConfigError(
        f"{variable} is not set: without a secret nobody knows who sent a delivery",
        next_step="Make one with `openssl rand -hex 32`, or with "
        '`python3 -c "import secrets; print(secrets.token_hex(32))"`; put it into '
        ".ai-repoagents/repoagents.env and into the webhook's settings on GitHub.",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def genuine(signature: str | None, body: bytes, secrets: tuple[str, ...]) -> bool:
    """Whether `X-Hub-Signature-256` signs these very bytes; False when there is no secret.

    Every secret is tried, in constant time, so that the time taken does not tell which one it was.
    """
    if signature is None or not _SHAPE.fullmatch(signature):
        return False
    return sum(_signs(signature, body, secret) for secret in secrets) > 0


def _signs(signature: str, body: bytes, secret: str) -> bool:
    try:
        validate_event(body, signature=signature, secret=secret)
    except ValidationFailure:
        return False
    return True
