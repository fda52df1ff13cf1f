"""What of a value may be shown: what the log's redactor leaves, and no secret parameter."""

import re
from collections.abc import Mapping

from repoagents.config.document import Plain
from repoagents.logs import HIDDEN, Redactor, secret_values

PARAMETER = re.compile(
    r"([?&]|--)([\w-]*(?:password|token|secret|api[-_]?key))=[^&\s]+", re.IGNORECASE
)
"""A secret handed over by name, in a URL or an argument: `?password=x`, `--api-key=x`."""


def mask(value: Plain, environment: Mapping[str, str] | None = None) -> Plain:
    """A value as it may be shown; the environment says which secrets to look for in it."""
    return _mask(value, Redactor(secret_values(environment or {})))


def _mask(value: Plain, redactor: Redactor) -> Plain:
    if isinstance(value, list):
        return [_mask(item, redactor) for item in value]
    if isinstance(value, dict):
        return {name: _mask(item, redactor) for name, item in value.items()}
    if not isinstance(value, str):
        return value
    return PARAMETER.sub(rf"\1\2={HIDDEN}", redactor.redact(value))
