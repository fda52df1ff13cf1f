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
_INVISIBLE = re.compile("[\u00ad\u180e\u200b\u2060-\u2064\U000e0000-\U000e007f]|(?<=.)\ufeff")
_LOOKALIKE = "\u0370-\u03ff\u0400-\u052f\u0531-\u0586\u13a0-\u13ff\uff21-\uff5a"
_MIXED_WORD = re.compile(rf"[A-Za-z_][\w]*[{_LOOKALIKE}]|[{_LOOKALIKE}]\w*[A-Za-z_]")
_GREEK_PREFIX = re.compile(r"[μΔδλσπθφεαβγρτω]_?[A-Za-z0-9_]*")

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


def find_content(file: FilePatch, *, named: bool = False) -> Iterator[Finding]:
    """What a reader of the added lines would not see or should look at twice.

    Rules: `bidi`, `homoglyph`, `invisible`, `long_line`, `whitespace_only`, `dependency`. `named`
    is true when the plan names this very file.
    """
    for line in file.added:
        text = line.text
        if len(text) > LONGEST_LINE:
            message = f"a line of {len(text):,} characters: nobody can review it"
            yield Finding("long_line", Severity.LOW, message, file.path, line.number)
            text = text[:LONGEST_LINE]
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
    for match in _MIXED_WORD.finditer(text):
        if not _GREEK_PREFIX.fullmatch(match[0]):
            message = "a word mixes Latin letters with look-alikes of another script"
            yield "homoglyph", Severity.HIGH, message
            break


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
