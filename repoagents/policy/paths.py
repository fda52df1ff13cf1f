"""What a path is: matched by a glob, protected, a test, a lock file, part of the plan."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from posixpath import basename, normpath, splitext

CONTROL_FILES = (
    "/.github/workflows",
    "/.github/actions",
    "/.github/copilot-instructions.md",
    "/.github/instructions",
    "/.github/prompts",
    "/.github/agents",
    "/.github/chatmodes",
    "CODEOWNERS",
    ".gitlab-ci.yml",
    "Jenkinsfile",
    "/.circleci",
    "/.travis.yml",
    "/azure-pipelines.yml",
    "/bitbucket-pipelines.yml",
    "/.buildkite",
    "/.woodpecker*",
    "/.drone.yml",
    "/.ci",
    "AGENTS.md",
    "CLAUDE.md",
    "GEMINI.md",
    "WORKFLOW.md",
    ".cursorrules",
    ".cursor",
    ".windsurfrules",
    ".windsurf",
    ".clinerules",
    ".roo",
    ".gemini",
    ".opencode",
    "opencode.json*",
    ".aider*",
    "AGENTS.override.md",
    "CLAUDE.local.md",
    ".vscode/tasks.json",
    ".devcontainer",
    ".envrc",
    ".claude",
    ".codex",
    ".mcp.json",
    ".ai-repoagents",
    ".gitmodules",
    ".pre-commit-config.yaml",
    ".husky",
    ".githooks",
    ".git",
)
"""Globs of files that steer CI, reviews, agents or git itself: only a person changes these."""

_TEST_DIRECTORIES = frozenset({"test", "tests", "spec", "specs", "__tests__", "e2e"})
_TEST_NAME = re.compile(
    r"test_.+\.py|conftest\.py|.+_tests?\.\w+|.+_spec\.\w+|.+\.(test|spec)\.\w+"
    r"|.+(Test|Tests|Spec|IT)\.(java|kt|kts|scala|groovy|cs|fs|swift|php)"
)
_LOCK_NAMES = frozenset(
    {
        "bun.lockb", "cargo.lock", "cartfile.resolved", "composer.lock", "flake.lock",
        "gemfile.lock", "go.sum", "mix.lock", "npm-shrinkwrap.json", "package-lock.json",
        "package.resolved", "packages.lock.json", "pdm.lock", "pipfile.lock", "pnpm-lock.yaml",
        "podfile.lock", "poetry.lock", "pubspec.lock", "uv.lock", "yarn.lock",
    }
)  # fmt: skip
_REMARK = re.compile(r"(?<=\S)\s+\([^()]*\)\Z")
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+(?![a-z])")
_TEST_WORDS = frozenset({"test", "tests", "spec", "it"})


def matches(path: str, globs: Iterable[str], *, fold: bool = False) -> str | None:
    """The first glob that matches the path or a directory above it, or None.

    As in .gitignore: `*` and `?` stay inside a name, `**` crosses directories, a glob without an
    inner slash matches at any depth. `fold` also ignores case and characters that show nothing.
    """
    seen = folded(path) if fold else path
    for glob in globs:
        if _compiled(folded(glob) if fold else glob).match(seen):
            return glob
    return None


def folded(path: str) -> str:
    """The path as a file system that ignores case and invisible characters sees it."""
    normal = unicodedata.normalize("NFKC", path).casefold()
    return "".join(char for char in normal if unicodedata.category(char) != "Cf")


def is_test(path: str) -> bool:
    """Whether the path is a test, or lies among tests."""
    *above, name = path.split("/")
    inside = any(part.lower() in _TEST_DIRECTORIES for part in above)
    return inside or _TEST_NAME.fullmatch(name) is not None


def is_lock_file(path: str) -> bool:
    """Whether a package tool writes this file: it is full of hashes."""
    return basename(path).lower() in _LOCK_NAMES


def planned(path: str, likely_files: Iterable[str]) -> bool:
    """Whether the plan names the path, a directory above it, or the file that it tests."""
    named = [clean for entry in likely_files if (clean := _entry(entry))]
    if matches(path, [f"/{entry}" for entry in named]):
        return True
    return is_test(path) and any(_tests(path, entry) for entry in named)


def named(path: str, likely_files: Iterable[str]) -> bool:
    """Whether the plan names exactly this path."""
    return path in {_entry(entry) for entry in likely_files}


def _entry(entry: str) -> str:
    """A planner writes `./a.py`, quotes names, marks directories and adds a word: the bare path."""
    path = _REMARK.sub("", entry.strip()).strip("`'\"").replace("\\", "/").strip("/")
    bare = normpath(path)
    # "Everywhere" is no plan, and a glob of many stars could take forever to match.
    return "" if set(bare) <= set("./*?") or bare.count("*") > 4 else bare


def _tests(path: str, source: str) -> bool:
    subject = _name_words(source)
    return bool(subject) and subject <= _name_words(path)


def _name_words(path: str) -> frozenset[str]:
    stem = splitext(basename(path))[0]
    return frozenset(word.lower() for word in _WORDS.findall(stem)) - _TEST_WORDS


@lru_cache(maxsize=1024)
def _compiled(glob: str) -> re.Pattern[str]:
    anchored = "/" in glob.rstrip("/")
    body = glob.strip("/")
    parts = [
        _part(piece)
        for piece in re.findall(r"\*\*/|/\*\*$|\*\*|\*|\?|[^*?]+?(?=\*|\?|/\*\*$|$)", body)
    ]
    prefix = "" if anchored else r"(?:.*/)?"
    return re.compile(rf"\A{prefix}{''.join(parts)}(?:/.*)?\Z", re.DOTALL)


def _part(piece: str) -> str:
    match piece:
        case "**/":
            return r"(?:.*/)?"
        case "/**":
            return r"/.*"
        case "**":
            return r".*"
        case "*":
            return r"[^/]*"
        case "?":
            return r"[^/]"
        case _:
            return re.escape(piece)
