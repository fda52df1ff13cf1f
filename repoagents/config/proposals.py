"""Verify commands proposed from what the repository holds; each says what it was concluded from."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from repoagents.config.document import Plain, parse_document
from repoagents.config.files import read_text
from repoagents.config.presets import Preset, Proposal
from repoagents.errors import ConfigError

WORKFLOWS = 20
"""At most this many CI files are read."""
RUNNERS = (
    ("pnpm-lock.yaml", "pnpm"),
    ("yarn.lock", "yarn"),
    ("bun.lockb", "bun"),
    ("package-lock.json", "npm"),
)
MAKE_TARGET = re.compile(r"^(test|check|lint)[ \t]*:(?!=)", re.MULTILINE)
CI_COMMANDS = (
    ("lint", re.compile(r"(?:.*\s)?(ruff check|flake8|eslint|golangci-lint|pre-commit run)\b.*")),
    ("custom", re.compile(r"(?:.*\s)?(mypy|pyright|tsc|mkdocs build|sphinx-build)\b.*")),
    (
        "unit",
        re.compile(
            r"(?:.*\s)?(pytest|tox|nox|cargo test|go test|mvn test|gradle test|rake test|"
            r"(npm|pnpm|yarn|bun) (run )?test|make (test|check))\b.*"
        ),
    ),
)
ONE_COMMAND = re.compile(r"[\w ./:=,@+\"'-]+")


def propose_checks(root: Path, preset: Preset) -> tuple[Proposal, ...]:
    """What could prove a change in this repository, for a person to accept.

    What the project configures comes first. A Makefile, a folder of tests and CI, in this order,
    only fill in a kind of check that nothing before them proposed: whether a folder of tests is
    for pytest is a guess. Files that cannot be read propose nothing.
    """
    found = [*_python(root), *_node(root), *_preset(root, preset)]
    for further in (_make(root), _tests(root), _ci(root)):
        kinds = {proposal.kind for proposal in found}
        found += [proposal for proposal in further if proposal.kind not in kinds]
    return tuple(_named_apart(found))


def _named_apart(found: list[Proposal]) -> Iterator[Proposal]:
    """Names are unique, and no command is proposed twice."""
    runs: set[str] = set()
    counts: dict[str, int] = {}
    for proposal in found:
        if proposal.run in runs:
            continue
        runs.add(proposal.run)
        count = counts[proposal.name] = counts.get(proposal.name, 0) + 1
        name = proposal.name if count == 1 else f"{proposal.name}-{count}"
        yield Proposal(name, proposal.kind, proposal.run, proposal.because)


def _text(root: Path, relative: str) -> str:
    try:
        return read_text(root / relative, relative) or ""
    except ConfigError:
        return ""


def _python(root: Path) -> Iterator[Proposal]:
    tools = _python_tools(root)
    if configured := _pytest_file(root, tools):
        yield _pytest(f"{configured} configures pytest")
    ruff = [name for name in ("ruff.toml", ".ruff.toml") if (root / name).is_file()]
    if ruff or "ruff" in tools:
        reason = f"{(*ruff, 'pyproject.toml')[0]} configures ruff"
        yield Proposal("ruff", "lint", "ruff check .", reason)
    if (root / "mypy.ini").is_file():
        yield Proposal("mypy", "custom", "mypy .", "mypy.ini configures mypy")
    elif isinstance(mypy := tools.get("mypy"), dict):
        run = "mypy" if {"files", "packages", "modules"} & mypy.keys() else "mypy ."
        yield Proposal("mypy", "custom", run, "pyproject.toml configures mypy")


def _python_tools(root: Path) -> Mapping[str, object]:
    try:
        tools = tomllib.loads(_text(root, "pyproject.toml")).get("tool")
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}
    return tools if isinstance(tools, dict) else {}


def _pytest_file(root: Path, tools: Mapping[str, object]) -> str:
    if "pytest" in tools:
        return "pyproject.toml"
    marks = (("pytest.ini", "[pytest]"), ("tox.ini", "[pytest]"), ("setup.cfg", "[tool:pytest]"))
    return next((name for name, mark in marks if mark in _text(root, name)), "")


def _tests(root: Path) -> Iterator[Proposal]:
    for folder in ("tests", "test"):
        for pattern in ("test_*.py", "*_test.py", "*/test_*.py"):
            if next((root / folder).glob(pattern), None):
                yield _pytest(f"{folder}/ holds Python tests")
                return


def _pytest(reason: str) -> Proposal:
    return Proposal("tests", "unit", "python -m pytest -q", reason)


def _node(root: Path) -> Iterator[Proposal]:
    try:
        package = json.loads(_text(root, "package.json") or "null")
    except (ValueError, RecursionError):
        return
    scripts = package.get("scripts") if isinstance(package, dict) else None
    if not isinstance(scripts, dict):
        return
    runner = next((name for lock, name in RUNNERS if (root / lock).exists()), "npm")
    if "test" in scripts and "no test specified" not in str(scripts["test"]):
        yield Proposal("npm-test", "unit", f"{runner} test", "package.json has a test script")
    if "lint" in scripts:
        yield Proposal("npm-lint", "lint", f"{runner} run lint", "package.json has a lint script")


def _make(root: Path) -> Iterator[Proposal]:
    for name in ("Makefile", "makefile", "GNUmakefile"):
        for target in dict.fromkeys(MAKE_TARGET.findall(_text(root, name))):
            kind = "lint" if target == "lint" else "unit"
            yield Proposal(
                f"make-{target}", kind, f"make {target}", f"{name} has a target {target}"
            )


def _ci(root: Path) -> Iterator[Proposal]:
    folder = root / ".github" / "workflows"
    for path in sorted(folder.glob("*.y*ml"))[:WORKFLOWS]:
        shown = f".github/workflows/{path.name}"
        try:
            tree = parse_document(_text(root, shown), shown).tree
        except ConfigError:
            continue
        for script in _run_lines(tree):
            for line in script.splitlines():
                yield from _ci_line(line.strip(), shown)


def _run_lines(tree: Plain) -> Iterator[str]:
    if isinstance(tree, dict):
        if isinstance(run := tree.get("run"), str):
            yield run
        for child in tree.values():
            yield from _run_lines(child)
    elif isinstance(tree, list):
        for child in tree:
            yield from _run_lines(child)


def _ci_line(line: str, shown: str) -> Iterator[Proposal]:
    """Only a line that is one plain command: no expressions, pipes or assignments of CI's own."""
    if not ONE_COMMAND.fullmatch(line) or line.startswith(("pip ", "npm install", "uv pip")):
        return
    for kind, pattern in CI_COMMANDS:
        if match := pattern.fullmatch(line):
            name = match[1].split()[0]
            yield Proposal(f"ci-{name}", kind, line, f"{shown} runs it")
            return


def _preset(root: Path, preset: Preset) -> Iterator[Proposal]:
    for when, proposal in preset.checks:
        if next(root.glob(when), None):
            yield proposal
