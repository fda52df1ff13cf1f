"""The house rules that a machine can check, checked over the source as it stands."""

import ast
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from repoagents.domain.run import MOVES, RunStatus

# In one process, which reads each module once.
pytestmark = pytest.mark.xdist_group("architecture")

ROOT = Path(__file__).parent.parent
PRODUCT = ROOT / "repoagents"
MODULES = sorted(PRODUCT.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

FUNCTION_LINES, FUNCTION_LINES_P90 = 60, 30
MODULE_LINES = 400
TEST_LINES_PER_CODE_LINE = 1.3

FORBIDDEN_WORDS = {
    *("manager", "managers", "helper", "helpers", "util", "utils", "handler", "handlers"),
    *("data", "info"),
}
FORBIDDEN_FUNCTIONS = {"process", "handle"}
FOREIGN_NAMES = {"pipe_data_received", "info"}
"""Methods that asyncio and structlog call by these names."""

UNTYPED_ALLOWED = {"config/loader.py", "config/reference.py"}
"""Where `dict[str, Any]` may stand, beside modules named `wire`: text from outside, just parsed,
and the JSON Schema as pydantic gives it."""

BOUNDARIES = {"pipeline/boundary.py", "cli/boundary.py"}
"""Where any exception may be caught: the attempt boundary and the command line's."""

HEAVY = {"dbos", "sqlalchemy", "github", "pydantic", "structlog", "jinja2", "rich", "ruamel"}

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree(path: Path) -> ast.Module:
    """The module's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def short(path: Path) -> str:
    """The path as it stands in this file's tables."""
    return path.relative_to(PRODUCT).as_posix()


def functions() -> Iterator[tuple[Path, FunctionNode]]:
    """Every function of the product."""
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, FunctionNode):
                yield path, node


def length(node: FunctionNode) -> int:
    """Lines of a function, decorators left out, docstring included."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def words(name: str) -> set[str]:
    """The words of a snake_case or CamelCase name."""
    return set(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_"))


def tracked_files() -> list[Path]:
    """What is, or is about to be, committed."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def code_lines(path: Path) -> int:
    """Lines with code on them: neither blank, comment nor docstring."""
    written = path.read_text(encoding="utf-8").splitlines()
    lines = {n for n, line in enumerate(written, 1) if line.strip() and line.strip()[0] != "#"}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines.difference_update(range(node.lineno, (node.end_lineno or 0) + 1))
    return len(lines)


def test_functions_are_short() -> None:
    sizes = [(length(node), f"{short(path)}:{node.name}") for path, node in functions()]
    assert [name for size, name in sizes if size > FUNCTION_LINES] == []
    p90 = statistics.quantiles([size for size, _ in sizes], n=10)[-1]
    assert p90 <= FUNCTION_LINES_P90


def test_modules_are_short() -> None:
    sizes = {short(p): len(p.read_text(encoding="utf-8").splitlines()) for p in MODULES}
    assert {name: size for name, size in sizes.items() if size > MODULE_LINES} == {}


def test_everything_public_says_what_it_is() -> None:
    silent = [short(path) for path in MODULES if not ast.get_docstring(tree(path))]
    silent += [
        f"{short(path)}:{node.name}"
        for path in MODULES
        for node in public_definitions(tree(path))
        if not ast.get_docstring(node)
    ]
    assert silent == []


def public_definitions(node: ast.AST) -> Iterator[ast.ClassDef | FunctionNode]:
    """Public classes and functions, and the public methods of public classes."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | FunctionNode) and not child.name.startswith("_"):
            yield child
            if isinstance(child, ast.ClassDef):
                yield from public_definitions(child)


def test_names_say_something() -> None:
    empty = [short(path) for path in MODULES if words(path.stem) & FORBIDDEN_WORDS]
    empty += [
        f"{short(path)}:{node.name}"
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef | FunctionNode)
        and node.name not in FOREIGN_NAMES
        and (words(node.name) & FORBIDDEN_WORDS or node.name in FORBIDDEN_FUNCTIONS)
    ]
    assert empty == []


def test_values_are_typed_once_they_are_inside() -> None:
    untyped = [
        f"{short(path)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Subscript)
        and ast.unparse(node) == "dict[str, Any]"
        and short(path) not in UNTYPED_ALLOWED
        and "wire" not in words(path.stem)
    ]
    assert untyped == []


def test_any_exception_is_caught_in_two_places_only() -> None:
    broad: list[str] = [
        short(path)
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler) and catches_all(node)
    ]
    assert set(broad) <= BOUNDARIES
    assert len(broad) == len(set(broad)), "one broad handler per boundary"


def catches_all(handler: ast.ExceptHandler) -> bool:
    """Whether the clause takes any exception and does not pass it on."""
    caught = ast.unparse(handler.type) if handler.type else "BaseException"
    last = handler.body[-1]
    passed_on = isinstance(last, ast.Raise) and last.exc is None
    return bool(re.search(r"\b(Base)?Exception\b", caught)) and not passed_on


def test_nothing_is_mocked() -> None:
    mocking = [
        path.relative_to(ROOT).as_posix()
        for path in [*MODULES, *TESTS]
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unittest.mock"))
        or (isinstance(node, ast.ImportFrom | ast.Import) and imports_mock(node))
    ]
    assert mocking == []


def imports_mock(node: ast.Import | ast.ImportFrom) -> bool:
    """Whether the statement brings a mock under any spelling."""
    module = node.module if isinstance(node, ast.ImportFrom) else ""
    names = {f"{module}.{alias.name}".strip(".") for alias in node.names}
    return any(name.startswith(("unittest.mock", "mock.")) or name == "mock" for name in names)


def test_no_code_lies_unused() -> None:
    defined: dict[str, str] = {}
    used: set[str] = set()
    for path in MODULES:
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef | FunctionNode) and not node.decorator_list:
                defined[node.name] = short(path)
        used |= mentioned(tree(path))
    unused = {name: path for name, path in defined.items() if name not in used}
    assert unused == {}


def mentioned(module: ast.Module) -> set[str]:
    """Names that a module reads, imports, or writes in an annotation."""
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.update(re.findall(r"\w+", node.value) if len(node.value) < 80 else ())
    return names


def test_tests_outweigh_the_code() -> None:
    code = sum(code_lines(path) for path in MODULES)
    tests = sum(code_lines(path) for path in TESTS)
    assert tests / code >= TEST_LINES_PER_CODE_LINE, f"{tests} lines of tests for {code} of code"


def test_no_place_of_one_machine_is_named() -> None:
    places = "|".join(("wo" + "rk", "fa" + "rm", "ro" + "ot"))
    hosts = "|".join(("npm" + "js", "python" + "hosted"))
    leak = re.compile(
        rf"(^|[^A-Za-z0-9_.~-])/({places})/[A-Za-z0-9_.-]|({hosts})\.org", re.MULTILINE
    )
    leaking = []
    for path in tracked_files():
        text = path.read_bytes().decode("utf-8", "replace")
        leaking += [f"{path.relative_to(ROOT)}: {m.group(0).strip()}" for m in leak.finditer(text)]
    assert leaking == []


def drawn_moves(markdown: str) -> dict[str, set[str]]:
    """The moves of the first state diagram; `[*]` marks where runs begin and may end."""
    block = re.search(r"```mermaid\s+stateDiagram-v2\n(.*?)```", markdown, re.DOTALL)
    assert block, "README.md holds no state diagram"
    moves: dict[str, set[str]] = {}
    for line in block.group(1).splitlines():
        arrow = re.match(r"\s*(\S+)\s*-->\s*([^\s:]+)", line)
        if arrow:
            moves.setdefault(arrow.group(1), set()).add(arrow.group(2))
    return moves


def test_the_readme_draws_the_legal_moves() -> None:
    drawn = drawn_moves((ROOT / "README.md").read_text(encoding="utf-8"))
    assert drawn.pop("[*]") == {RunStatus.QUEUED.value}
    legal = {start.value: {end.value for end in ends} for start, ends in MOVES.items() if ends}
    for start, ends in legal.items():
        assert drawn.get(start, set()) - {"[*]"} == ends, start
    assert set(drawn) <= {status.value for status in RunStatus}


def test_the_import_contracts_are_kept() -> None:
    lint = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout
    assert "0 broken" in lint.stdout


PROBE = """
import json, runpy, sys
sys.argv[0] = "repoagents"
try:
    runpy.run_module("repoagents", run_name="__main__", alter_sys=True)
except SystemExit as end:
    code = end.code or 0
print(json.dumps({"code": code, "modules": sorted(sys.modules)}), file=sys.stderr)
"""


def modules_after(*arguments: str, cwd: Path) -> set[str]:
    """Top-level modules that one command imported; the command must have succeeded."""
    command = [sys.executable, "-c", PROBE, *arguments]
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    report = json.loads(ended.stderr.splitlines()[-1])
    assert report["code"] == 0, ended.stdout + ended.stderr
    return {name.partition(".")[0] for name in report["modules"]}


def test_help_starts_light(tmp_path: Path) -> None:
    assert modules_after("--help", cwd=tmp_path) & HEAVY == set()


def test_status_starts_light(git_repository: Callable[..., Path]) -> None:
    root = git_repository()
    init = ("init", "--preset", "none", "--tracker-kind", "local_markdown", "--yes")
    assert "pydantic" in modules_after(*init, cwd=root), "the probe sees what is imported"
    assert modules_after("status", cwd=root) & HEAVY == set()
