"""What of a value may be shown: no password in a URL, no value of a secret variable."""

import re
from collections.abc import Mapping

from repoagents.config.document import Plain

HIDDEN = "***"
SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|PRIVATE_?KEY", re.IGNORECASE)
URL_PASSWORD = re.compile(r"(://[^/\s:@]*):[^/\s]*@")
PARAMETER = re.compile(
    r"([?&\s]|--)((?:[\w-]*(?:password|token|secret|api[-_]?key)))=[^&\s]+", re.IGNORECASE
)
SHORTEST = 8
"""Shorter values are not searched for: hiding every `on` or `1` would hide everything."""


def mask(value: Plain, environment: Mapping[str, str] | None = None) -> Plain:
    """A value as it may be shown; the environment says which secrets to look for in it."""
    secrets = [
        text
        for name, text in (environment or {}).items()
        if len(text) >= SHORTEST and SECRET_NAME.search(name)
    ]
    return _mask(value, secrets)


def _mask(value: Plain, secrets: list[str]) -> Plain:
    if isinstance(value, list):
        return [_mask(item, secrets) for item in value]
    if isinstance(value, dict):
        return {name: _mask(item, secrets) for name, item in value.items()}
    if not isinstance(value, str):
        return value
    for secret in secrets:
        value = value.replace(secret, HIDDEN)
    value = URL_PASSWORD.sub(rf"\1:{HIDDEN}@", value)
    return PARAMETER.sub(rf"\1\2={HIDDEN}", value)
