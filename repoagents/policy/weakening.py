"""Proof made weaker: tests deleted, skipped or emptied, checks that can no longer fail."""

import re
from collections.abc import Iterable, Iterator
from posixpath import basename

from repoagents.domain.change import ChangeKind, ChangeSet
from repoagents.domain.reports import Finding, Severity
from repoagents.policy.patch import FilePatch, Patch, PatchLine
from repoagents.policy.paths import is_test

_TEST = re.compile(
    r"^\s*(?:async\s+)?def\s+test\w*"  # Python, Ruby
    r"|^\s*func\s+(?:Test|Benchmark|Fuzz)\w*"  # Go
    r"|^\s*(?:it|test|specify|describe|context|scenario)(?:\.\w+)*\s*[(\s]\s*['\"`]"  # JS, Ruby
    r"|@(?:Test|ParameterizedTest)\b|#\[(?:\w+::)?test\b|\[(?:Fact|Theory|Test)\b"  # Java, Rust, C#
    r"|^\s*public\s+function\s+test"  # PHP
)
_ASSERTION = re.compile(
    r"\bassert\w*!?\b|\bself\.(?:assert|fail)\w*|\bexpect\w*\s*[({]|\.should\b|\brequire\.\w+\("
    r"|\bt\.(?:Error|Fatal|Fail)\w*|\b(?:pytest|self)\.(?:raises|warns)\b|\bXCTAssert\w*|\bCHECK\("
)
_VACUOUS = re.compile(
    r"\bassert\s+(?:True|1|not\s+(?:False|None|0))\s*(?:[,#;]|$)|\bassert[\w.]*!?\(\s*(?:t,\s*)?[Tt]rue\s*[,)]"
    r"|\bexpect\(\s*(true|1)\s*\)\.to\w+\(\s*(?:\1)?\s*\)|\bassert\b.*\bor\s+True\b"
    r"|\bassert\s+(\w+)\s*==\s*\2\s*(?:[,#;]|$)|\b[aA]ssert_?[eE]qual\w*\(\s*(\w+)\s*,\s*\3\s*[,)]"
)
_COMMENT = re.compile(r"\s*(?:#(?!\[)|//|\*|--)")
_SKIP = re.compile(
    r"\bpytest\.(?:mark\.)?(?:skip\w*|xfail|importorskip)|\bunittest\.(?:skip\w*|expectedFailure)"
    r"|@(?:skip\w*|expectedFailure|Ignore|Disabled)\b|\braise\s+(?:\w+\.)?SkipTest|\.skipTest\("
    r"|\b(?:it|test|describe|context|suite)\.(?:skip|only|todo|fixme|failing)\b"
    r"|^\s*(?:x|f)(?:it|test|describe|context)\s*[(\s]\s*['\"`]"
    r"|\bt\.Skip\w*\(|#\[ignore\b|\[Ignore\b|\bSkip\s*=\s*\"|\bmarkTestSkipped\("
    r"|\bcollect_ignore(?:_glob)?\b|\b__test__\s*=\s*False|^//\s*(?:go:build|\+build)\s+ignore\b"
)
_ALWAYS_GREEN = re.compile(
    r"\|\|\s*(?:true|:|exit\s+0|/bin/true)(?![\w.-])|;\s*(?:true|exit\s+0)\s*[\"']?,?\s*$"
    r"|\b(?:continue-on-error|allow_failure):\s*true|\bignore_outcome\s*=\s*[Tt]rue|^\s*set\s+\+e\b"
    r"|--exit-zero\b|--no-fail\b|--passWithNoTests\b"
)
_RECIPE_UNHEARD = re.compile(r"^\t@?-@?\w")
_UNSEEN_TESTS = re.compile(
    r"--(?:ignore|deselect|ignore-glob)[=\s]|\btestPathIgnorePatterns\b|\bnorecursedirs\b"
    r"|-[km]\s*[\"'\\]*not\b"
)
_THRESHOLD = re.compile(
    r"(fail[_-]under|minimum_coverage|coverage_threshold|\b(?:branches|functions|lines|statements)\b)"
    r"[\"'\]\s:=]{1,5}(\d+(?:\.\d+)?)"
)
_RUNNER = re.compile(
    r"(?:src/)?(?:unittest|_?pytest|nose2?|coverage|sitecustomize|usercustomize)"
    r"(?:\.py|/__init__\.py)\Z|.*\.pth\Z"
)
"""Where Python looks before its own library: whoever stands there is what the tests run in."""

_RUN_BENT = re.compile(
    r"\bos\._exit\(\s*0?\s*\)|\bexitstatus\s*=(?!=)"
    r"|^\s*def\s+pytest_(?:cmdline_main|collection_modifyitems|ignore_collect|pyfunc_call"
    r"|runtest_(?:call|makereport|protocol)|sessionfinish)\b"
)
"""How Python code ends or bends the very run that is to test it."""

_COMMAND_FILE = re.compile(
    r"(?:Makefile|GNUmakefile|justfile|Dockerfile|package\.json|Rakefile|Taskfile\.ya?ml|.*\.mk"
    r"|.*\.(?:sh|bash|zsh|ya?ml|toml|cfg|ini|json|bat|ps1)|[^.]+)\Z",
    re.IGNORECASE,
)
_MAKEFILE = re.compile(r"(?:GNU)?makefile\Z|.*\.mk\Z", re.IGNORECASE)
_SETTING_FILE = re.compile(
    r"(?:\.coveragerc|codecov\.ya?ml|.*\.(?:toml|cfg|ini|ya?ml|json|sh|mk)"
    r"|(?:jest|vitest|nyc|karma|c8)\b.*|\.nycrc.*|\.c8rc.*|Makefile|Rakefile|.*_helper\.rb)\Z"
)


def find_weakening(change: ChangeSet, patch: Patch) -> Iterator[Finding]:
    """Rules `test_deleted` and `test_weakened`, both high: what proves less than before."""
    kinds = {file.path: file.kind for file in change.files}
    moved = _moved(kinds)
    for path, kind in kinds.items():
        file = patch.find(path)
        if kind is ChangeKind.DELETED:
            if is_test(path) and path not in moved:
                yield Finding("test_deleted", Severity.HIGH, "a test file was deleted", path)
            continue
        if is_test(path):
            origin = next((old for old, new in moved.items() if new == path), None)
            removed = file.removed + (patch.find(origin).removed if origin else ())
            yield from _fewer(FilePatch(path, file.added, removed))
        yield from _slacker(file)
        yield from _bent(file, kind)


def _moved(kinds: dict[str, ChangeKind]) -> dict[str, str]:
    """Deleted tests that came back under the same name elsewhere: old path to new."""
    added = {basename(path): path for path, kind in kinds.items() if kind is ChangeKind.ADDED}
    deleted = (path for path, kind in kinds.items() if kind is ChangeKind.DELETED)
    pairs = {path: added[basename(path)] for path in deleted if basename(path) in added}
    # One new file stands in for one old file only.
    first = {new: old for old, new in reversed(pairs.items())}
    return {old: new for new, old in first.items() if is_test(old) and is_test(new)}


def _fewer(file: FilePatch) -> Iterator[Finding]:
    before, after = _live(file.removed), _live(file.added)
    for name, pattern in (("tests", _TEST), ("assertions", _ASSERTION)):
        lost, won = len(_hits(before, pattern)), len(_hits(after, pattern))
        if lost > won:
            yield _weakened(file, f"loses {name}: {lost} removed, {won} added", 0)
    empty = _hits(after, _VACUOUS)
    if len(empty) > len(_hits(before, _VACUOUS)):
        yield _weakened(file, "asserts what is always true", empty[0])
    skips = _hits(file.added, _SKIP)
    if len(skips) > len(_hits(file.removed, _SKIP)):
        yield _weakened(file, "skips, excludes or expects to fail what was run before", skips[0])


def _slacker(file: FilePatch) -> Iterator[Finding]:
    name = basename(file.path)
    if _COMMAND_FILE.match(name):
        for pattern, what in (
            (_ALWAYS_GREEN, "makes a command pass whatever happens"),
            (_UNSEEN_TESTS, "leaves tests out of the run"),
            (_RECIPE_UNHEARD, "makes a command pass whatever happens"),
        ):
            if pattern is _RECIPE_UNHEARD and not _MAKEFILE.match(name):
                continue
            hits = _hits(file.added, pattern)
            if len(hits) > len(_hits(file.removed, pattern)):
                yield _weakened(file, what, hits[0])
    if _SETTING_FILE.match(name):
        after = _thresholds(file.added)
        for key, before in _thresholds(file.removed).items():
            if after.get(key, 0.0) < before:
                shown = f"{after[key]:g}" if key in after else "none"
                yield _weakened(file, f"lowers a threshold: {key} {before:g} to {shown}", 0)


def _bent(file: FilePatch, kind: ChangeKind) -> Iterator[Finding]:
    if kind is ChangeKind.ADDED and _RUNNER.match(file.path):
        yield _weakened(file, "stands where the program that runs the tests is looked for", 0)
    hits = _hits(_live(file.added), _RUN_BENT) if file.path.endswith(".py") else []
    if len(hits) > len(_hits(_live(file.removed), _RUN_BENT)):
        yield _weakened(file, "ends or bends the run that tests it", hits[0])


def _live(lines: Iterable[PatchLine]) -> tuple[PatchLine, ...]:
    """Lines that are not commented out."""
    return tuple(line for line in lines if not _COMMENT.match(line.text))


def _thresholds(lines: Iterable[PatchLine]) -> dict[str, float]:
    found: dict[str, float] = {}
    for line in lines:
        for key, number in _THRESHOLD.findall(line.text):
            found[key] = max(float(number[:6]), found.get(key, 0.0))
    return found


def _hits(lines: Iterable[PatchLine], pattern: re.Pattern[str]) -> list[int]:
    return [line.number for line in lines if pattern.search(line.text[:2_000])]


def _weakened(file: FilePatch, what: str, line: int) -> Finding:
    return Finding("test_weakened", Severity.HIGH, what, file.path, line)
