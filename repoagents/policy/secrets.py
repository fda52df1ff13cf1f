"""Secrets in added lines: known values, known shapes, and guesses.

The detectors of detect-secrets are asked one by one. Its own scanner would pass over lock files,
swagger files and lines with an allowlist pragma without a word, and keeps its settings in a
global that two runs at once would share.
"""

import base64
import re
from collections.abc import Iterator, Sequence
from posixpath import basename

from detect_secrets.filters import heuristic
from detect_secrets.plugins.artifactory import ArtifactoryDetector
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.base import BasePlugin
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.high_entropy_strings import (
    Base64HighEntropyString,
    HexHighEntropyString,
)
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.keyword import DENYLIST, KeywordDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.private_key import PrivateKeyDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector

from repoagents.domain.reports import Finding, Severity
from repoagents.policy.patch import FilePatch, PatchLine
from repoagents.policy.paths import is_lock_file, is_test

_OWN_SHAPES = {
    "a GitHub token": re.compile(r"gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22}"),
    "an Anthropic key": re.compile(r"\bsk-ant-[A-Za-z0-9_-]{20}"),
    "an OpenAI key": re.compile(
        r"\bsk-(?:(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20}|[A-Za-z0-9]{32})"
    ),
    "an AWS key": re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    "a Slack token": re.compile(r"\bxox[a-z]-[A-Za-z0-9-]{10}|\bxapp-\d-[A-Za-z0-9-]{10}"),
    "a Google key": re.compile(r"\bAIza[A-Za-z0-9_-]{35}"),
    "an npm token": re.compile(r"\bnpm_[A-Za-z0-9]{36}"),
    "a JSON web token": re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8}"),
    "a private key": re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
}
_SHAPES: tuple[BasePlugin, ...] = (
    AWSKeyDetector(),
    AzureStorageKeyDetector(),
    DiscordBotTokenDetector(),
    GitHubTokenDetector(),
    GitLabTokenDetector(),
    JwtTokenDetector(),
    MailchimpDetector(),
    NpmDetector(),
    OpenAIDetector(),
    PrivateKeyDetector(),
    PypiTokenDetector(),
    SendGridDetector(),
    SlackDetector(),
    SquareOAuthDetector(),
    StripeDetector(),
    TelegramBotTokenDetector(),
    TwilioKeyDetector(),
)
_PASSWORDS: tuple[BasePlugin, ...] = (ArtifactoryDetector(), BasicAuthDetector())
_ENTROPY = (Base64HighEntropyString(limit=4.5), HexHighEntropyString(limit=3.0))
_KEYWORD = KeywordDetector()
_SECRET_WORD = re.compile("|".join(DENYLIST), re.IGNORECASE)

_WINDOW, _OVERLAP = 2_000, 300
_SHORTEST_SENSITIVE = 8
_LONG_LINE = 16
_SECRET_FILE = re.compile(
    r"(?:\.env(?:\.(?!example|sample|template|dist|test)[\w.-]+)?|\.netrc|\.pgpass|\.git-credentials"
    r"|\.htpasswd|id_(?:rsa|dsa|ecdsa|ed25519)|.+\.key)\Z",
    re.IGNORECASE,
)
_RESERVED = re.compile(r"[^A-Za-z0-9._~-]")
_SOLID = re.compile(r"\\x|\\u00|[^A-Za-z0-9]+")
"""What is taken out before a known value is searched for: whatever may stand in its middle."""


def find_secrets(file: FilePatch, sensitive: Sequence[str]) -> Iterator[Finding]:
    """Secrets that a file's added lines bring; no message repeats one.

    Rule `secret` (critical) is a known value, also in base64, hex, reversed, quoted for a URL or
    split over lines, or a known shape, in any file. Rule `possible_secret` is a file that is made
    to hold secrets, or a guess by name or randomness: high, low in tests where made-up passwords
    and digests are ordinary, silent in lock files.
    """
    yield from _known_values(file, sensitive)
    severity = Severity.LOW if is_test(file.path) else Severity.HIGH
    if file.added and _SECRET_FILE.match(basename(file.path)):
        message = "files of this name hold secrets; commit an example without values instead"
        yield Finding("possible_secret", severity, message, file.path)
    for line in file.added:
        if shape := _shape(line.text):
            yield _finding("secret", Severity.CRITICAL, f"looks like {shape}", file, line)
        elif not is_lock_file(file.path) and (guess := _guess(line.text, file.path)):
            message = f"may hold a secret ({guess}); if it is one, read it from the environment"
            yield _finding("possible_secret", severity, message, file, line)


def find_hidden_secrets(file: FilePatch, sensitive: Sequence[str]) -> Iterator[Finding]:
    """Known values and shapes of our own in binary content, where guesses would be noise."""
    yield from _known_values(file, sensitive)
    for line in file.added:
        if shape := _own_shape(line.text):
            yield _finding("secret", Severity.CRITICAL, f"looks like {shape}", file, line)


def find_secrets_in_name(path: str, sensitive: Sequence[str]) -> Iterator[Finding]:
    """A secret spelled by a path; the finding does not say which path."""
    if any(find_hidden_secrets(FilePatch("", (PatchLine(0, path),)), sensitive)):
        yield Finding("secret", Severity.CRITICAL, "a path spells a secret")


def _finding(rule: str, severity: Severity, what: str, file: FilePatch, line: PatchLine) -> Finding:
    return Finding(rule, severity, f"an added line {what}", file.path, line.number)


def _own_shape(text: str) -> str:
    return next((name for name, shape in _OWN_SHAPES.items() if shape.search(text)), "")


def _shape(text: str) -> str:
    if name := _own_shape(text):
        return name
    for window in _windows(text):
        for detector in _SHAPES:
            if any(detector.analyze_string(window)):
                return f"a secret ({detector.secret_type})"
    return ""


def _guess(text: str, path: str) -> str:
    for window in _windows(text):
        for kind, value in _candidates(window, path):
            if not _harmless(value, window) and not heuristic.is_indirect_reference(text):
                return kind
    return ""


def _candidates(text: str, path: str) -> Iterator[tuple[str, str]]:
    for detector in _PASSWORDS:
        yield from ((str(detector.secret_type), value) for value in detector.analyze_string(text))
    for entropy in _ENTROPY:
        for value in entropy.analyze_string(text):
            if entropy.calculate_shannon_entropy(value) > entropy.entropy_limit:
                yield "a random string", value
    if _SECRET_WORD.search(text):
        found = _KEYWORD.analyze_line(filename=path, line=text)
        yield from (("named like a secret", secret.secret_value or "") for secret in found)


def _harmless(value: str, line: str) -> bool:
    return (
        heuristic.is_sequential_string(value)
        or heuristic.is_potential_uuid(value)
        or heuristic.is_templated_secret(value)
        or heuristic.is_prefixed_with_dollar_sign(value)
        or heuristic.is_not_alphanumeric_string(value)
        or heuristic.is_likely_id_string(value, line)
    )


def _windows(text: str) -> Iterator[str]:
    """Overlapping pieces of a line: some detectors take quadratic time over a long one."""
    for start in range(0, max(len(text) - _OVERLAP, 1), _WINDOW - _OVERLAP):
        yield text[start : start + _WINDOW]


def _known_values(file: FilePatch, sensitive: Sequence[str]) -> Iterator[Finding]:
    # Quotes, plus signs and line ends vanish, so that a value split over lines is whole again.
    added = [_SOLID.sub("", line.text) for line in file.added]
    whole = "".join(added)
    folded = whole.lower()
    for value in sensitive:
        if len(_SOLID.sub("", value)) < _SHORTEST_SENSITIVE:
            continue
        for form, needle in _forms(value):
            at = (folded if form == "hex" else whole).find(needle)
            if at >= 0:
                line = _line_at(file, added, at)
                what = f"holds a secret of this machine ({form})"
                yield _finding("secret", Severity.CRITICAL, what, file, line)
                break


def _forms(value: str) -> Iterator[tuple[str, str]]:
    raw = value.encode("utf-8", "surrogatepass")
    solid = _SOLID.sub("", value)
    yield "as it is", solid
    yield "reversed", solid[::-1]
    yield "hex", raw.hex()
    yield "quoted", _SOLID.sub("", _percent_encoded(raw))
    for line in value.splitlines():
        if len(solid_line := _SOLID.sub("", line)) >= _LONG_LINE:
            yield "one of its lines", solid_line
    for shift in range(3):
        # Base64 shifts with what stands before the value; its first and last characters depend on
        # the neighbours and are left out.
        encoded = base64.b64encode(b"\0" * shift + raw).decode()
        inner = encoded[(0, 2, 3)[shift] :].rstrip("=")
        yield "base64", _SOLID.sub("", inner[:-1])


def _line_at(file: FilePatch, added: list[str], offset: int) -> PatchLine:
    for line, text in zip(file.added, added, strict=True):
        if offset < len(text):
            return line
        offset -= len(text)
    return file.added[-1]


def _percent_encoded(raw: bytes) -> str:
    """As a URL carries it: letters, digits and `-._~` stand, every other byte as %XX."""
    return _RESERVED.sub(lambda byte: f"%{ord(byte[0]):02X}", raw.decode("latin-1"))
