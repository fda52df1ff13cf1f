"""What added lines hide from a reader, and what they bring in from outside."""

import re
from collections.abc import Iterator
from posixpath import basename

from repoagents.domain.reports import Finding, Severity
from repoagents.policy.patch import FilePatch
from repoagents.policy.paths import is_lock_file

LONGEST_LINE = 10_000
_WHITESPACE_ONLY_LINES = 20

_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")
# Not the joiners and selectors that scripts and emoji need, unless they stand where neither does.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164"
    "\uffa0\ufe00-\ufe0d\U000e0000-\U000e0fff]|(?<=.)\ufeff|\ufe0f(?=\ufe0f)"
    "|(?<=[A-Za-z0-9_])[\u200c\u200d](?=[A-Za-z0-9_])"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]|\r(?=.)")
"""What moves a terminal's cursor, or makes it hide what follows."""
# Cyrillic, Greek, Armenian and full-width letters that look like Latin ones.
_TWINS = (
    "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0455\u0456\u0458\u04bb\u04cf\u0501\u051b\u051d"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0405\u0406\u0408"
    "\u0391\u0392\u0395-\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf\u03f2"
    "\u0555\u0578\u057d\u0585\uff21-\uff3a\uff41-\uff5a"
)
_MIXED_WORD = re.compile(rf"\b(?=\w*[A-Za-z])(?=\w*[{_TWINS}])[A-Za-z0-9_{_TWINS}]+\b")

_MANIFESTS = frozenset(
    {
        "build.gradle", "build.gradle.kts", "bun.lockb", "cargo.toml", "composer.json",
        "environment.yml", "gemfile", "go.mod", "mix.exs", "package.json", "package.swift",
        "pipfile", "podfile", "pom.xml", "pubspec.yaml", "pyproject.toml", "setup.cfg", "setup.py",
    }
)  # fmt: skip
_REGISTRIES = frozenset(
    {".npmrc", ".yarnrc", ".yarnrc.yml", "bunfig.toml", "nuget.config", "pip.conf", ".pypirc",
     "settings.xml", "uv.toml"}
)  # fmt: skip
_REQUIREMENTS = re.compile(r"(?:.*requirements.*|constraints.*)\.(?:txt|in)\Z", re.IGNORECASE)
_INSTALL_TIME = re.compile(
    r"[\"'](?:pre|post)?(?:install|prepare|prepublish\w*)[\"']\s*:|\bcmdclass\b"
    r"|--(?:extra-)?index-url|--trusted-host|--find-links|\bindex-url\b|\bregistry\s*[=:]"
    r"|\bbuild-backend\b|git\+(?:https?|ssh)://|^\s*replace\b.*=>",
    re.IGNORECASE,
)


_CONFLICT = re.compile(r"([<>|])\1{6}(?:\s|$)")
"""A line that git leaves around one side of a conflict. A lone `=======` may underline a title."""


def find_content(file: FilePatch, *, named: bool = False) -> Iterator[Finding]:
    """What a reader of the added lines would not see or should look at twice.

    Rules: `bidi`, `conflict_marker`, `homoglyph`, `invisible`, `long_line`, `whitespace_only`,
    `dependency`. `named` is true when the plan names this very file.
    """
    for line in file.added:
        text = line.text
        if len(text) > LONGEST_LINE:
            message = f"a line of {len(text):,} characters: nobody can review it"
            yield Finding("long_line", Severity.LOW, message, file.path, line.number)
            text = text[:LONGEST_LINE]
        if _CONFLICT.match(text):
            message = "a conflict marker: the merge was not finished here"
            yield Finding("conflict_marker", Severity.CRITICAL, message, file.path, line.number)
        if match := _CONTROL.search(text):
            message = f"the control character U+{ord(match[0]):04X} can hide what stands beside it"
            yield Finding("invisible", Severity.MEDIUM, message, file.path, line.number)
        if text.isascii():
            continue
        for rule, severity, message in _hidden(text):
            yield Finding(rule, severity, message, file.path, line.number)
    if _only_whitespace(file):
        yield Finding("whitespace_only", Severity.LOW, "changes nothing but white space", file.path)
    yield from _dependency(file, named=named)


def _hidden(text: str) -> Iterator[tuple[str, Severity, str]]:
    if match := _DIRECTION.search(text):
        shown = f"U+{ord(match[0]):04X}"
        yield "bidi", Severity.HIGH, f"{shown} turns the direction of text: code can read otherwise"
    if match := _INVISIBLE.search(text):
        yield "invisible", Severity.MEDIUM, f"U+{ord(match[0]):04X} cannot be seen"
    if _MIXED_WORD.search(text):
        message = "a word mixes Latin letters with look-alikes of another script"
        yield "homoglyph", Severity.HIGH, message


def _only_whitespace(file: FilePatch) -> bool:
    if len(file.added) < _WHITESPACE_ONLY_LINES or not file.removed:
        return False
    added, removed = (
        "".join("".join(line.text.split()) for line in lines)
        for lines in (file.added, file.removed)
    )
    return added == removed


def _dependency(file: FilePatch, *, named: bool) -> Iterator[Finding]:
    name = basename(file.path).lower()
    wild = next((line for line in file.added if _INSTALL_TIME.search(line.text[:2_000])), None)
    manifest = name in _MANIFESTS or _REQUIREMENTS.match(name) is not None
    if name in _REGISTRIES:
        message = "changes where packages come from"
        yield Finding("dependency", Severity.MEDIUM, message, file.path)
    elif manifest and wild is not None:
        message = "changes what an installation runs or where packages come from"
        yield Finding("dependency", Severity.MEDIUM, message, file.path, wild.number)
    elif manifest or is_lock_file(file.path):
        # A plan that names the manifest has asked for it; the reviewer still sees the note.
        severity = Severity.LOW if named else Severity.MEDIUM
        yield Finding("dependency", severity, "changes what the project depends on", file.path)
