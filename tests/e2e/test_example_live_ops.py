"""The scripts of the blueprint act on the current folder, and find the program."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from repoagents.config.loader import load
from repoagents.config.scaffold import LEFT_BEHIND, own_paths
from repoagents.config.variables import read_environment_file
from repoagents.git.checkout import Checkout
from repoagents.store.bundle_check import examine
from tests.prepared import run_prepared

ROOT = Path(__file__).parents[2]
OPS = ROOT / "examples" / "live-github-ops" / "ops"
SCRIPTS = ("build-handoff.sh", "render-dashboard.sh", "run-loop.sh")
FIXTURE = "ops/github-smoke.fixture.json"

Answers = Callable[..., Path]


def program(path: Path, smoke: int = 0) -> Path:
    """A program that prints its name, its arguments and its folder; `github smoke` ends so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'#!/bin/sh\necho "{path.name}: $* in $(pwd)" | tee -a {path}.calls\n'
        f'case "$*" in *"github smoke"*) exit {smoke} ;; esac\n'
    )
    path.chmod(0o755)
    return path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the blueprint alone; it knows no program yet."""
    folder = tmp_path / "check out" / "examples" / "live-github-ops" / "ops"
    shutil.copytree(OPS, folder)
    (folder / "github-smoke.fixture.json").write_text("{}\n")
    return tmp_path / "check out"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A repository with a control plane."""
    root = tmp_path / "target"
    (root / ".ai-repoagents").mkdir(parents=True)
    return root


def script(
    checkout: Path, name: str, *arguments: str, cwd: Path, path: Path | None = None, sh: str = "sh"
) -> subprocess.CompletedProcess[str]:
    """Run one script by the shell, with nothing on PATH but the system's programs and `path`."""
    place = checkout / "examples/live-github-ops/ops" / name
    found = os.pathsep.join([*([str(path)] if path else []), "/usr/bin", "/bin"])
    return subprocess.run(
        [sh, str(place), *arguments],
        cwd=cwd,
        env={"PATH": found, "HOME": os.environ["HOME"]},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("sh", ["sh", "bash"])
@pytest.mark.parametrize(
    ("name", "typed"),
    [("run-loop.sh", "run --once"), ("render-dashboard.sh", "dashboard --refresh-seconds 30")],
)
def test_a_script_uses_the_program_on_the_path(
    checkout: Path, target: Path, name: str, typed: str, sh: str, tmp_path: Path
) -> None:
    program(tmp_path / "bin" / "repoagents")
    program(checkout / ".venv/bin/repoagents", 9)
    arguments = ["--once"] if name == "run-loop.sh" else []
    done = script(checkout, name, *arguments, cwd=target, path=tmp_path / "bin", sh=sh)
    assert (done.returncode, done.stdout) == (0, f"repoagents: {typed} in {target}\n")


@pytest.mark.parametrize("name", ["run-loop.sh", "render-dashboard.sh"])
def test_else_that_of_the_checkout_and_else_uv(
    checkout: Path, target: Path, name: str, tmp_path: Path
) -> None:
    program(tmp_path / "bin" / "uv")
    done = script(checkout, name, cwd=target, path=tmp_path / "bin")
    assert f"uv: run --project {checkout} repoagents " in done.stdout
    program(checkout / ".venv/bin/repoagents")
    done = script(checkout, name, cwd=target, path=tmp_path / "bin")
    assert done.stdout.startswith("repoagents: ")


def test_a_handoff_copies_the_fixture_once_and_says_what_to_open(
    checkout: Path, target: Path, tmp_path: Path
) -> None:
    program(tmp_path / "bin" / "repoagents")
    done = script(checkout, "build-handoff.sh", cwd=target, path=tmp_path / "bin")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"copied: {FIXTURE}"
    calls = (tmp_path / "bin/repoagents.calls").read_text().splitlines()
    assert calls == [
        f"repoagents: github smoke in {target}",
        f"repoagents: ops snapshot --archive in {target}",
    ]
    assert lines[1:2] == calls[1:]
    names = ["index.html", "ops-brief.md", "github-smoke.md", "ops-status.md", "dashboard.html"]
    assert [line.strip() for line in lines[-5:]] == names
    order = (OPS / "handoff-order.md").read_text(encoding="utf-8")
    assert [order.index(name.removesuffix(".html")) for name in names] == sorted(
        order.index(name.removesuffix(".html")) for name in names
    )
    (target / FIXTURE).write_text("mine\n")
    again = script(checkout, "build-handoff.sh", cwd=target, path=tmp_path / "bin")
    assert "copied" not in again.stdout
    assert (target / FIXTURE).read_text() == "mine\n"


@pytest.mark.slow
def test_a_rehearsed_handoff_is_whole(
    git_repository: Callable[..., Path], git: Callable[..., str], tmp_path: Path
) -> None:
    root = git_repository({"pyproject.toml": "[project]\nname = 'x'\nversion = '1'\n"})
    shell = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    init = ("init", "--preset", "python-library", "--tracker-repo", "OWNER/REPO")
    assert run_prepared(init, cwd=root, env=shell).returncode == 0
    config = root / ".ai-repoagents/repoagents.yaml"
    rest, rehearsed = "  mode: rest\n", f"  mode: rest\n  smoke_fixture_path: {FIXTURE}\n"
    assert rest in config.read_text()
    config.write_text(config.read_text().replace(rest, rehearsed))
    done = subprocess.run(
        ["bash", str(OPS / "build-handoff.sh")],
        cwd=root,
        env=shell,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    reports = root / ".ai-repoagents/reports"
    parts = ("github-smoke", "ops-status", "ops-brief")
    names = [f"{part}.{ending}" for part in parts for ending in ("json", "md")]
    assert [name for name in names if not (reports / name).is_file()] == []
    (archive,) = (reports / "ops").glob("*.zip")
    bundle = archive.with_suffix("")
    assert examine(archive).problems == examine(bundle).problems == ()
    told = [line.strip() for line in done.stdout.split("Open in this order")[1].splitlines()[1:]]
    members = {path.name for path in bundle.iterdir()}
    assert {*names, *told, "README.md"} <= members
    assert "from a fixture" in (bundle / "github-smoke.md").read_text().splitlines()[0]
    settings = load(root, {}).settings
    checkout = Checkout(root, os.environ, own_paths(settings, root), LEFT_BEHIND)
    assert FIXTURE in git(root, "status", "--porcelain", "--untracked-files=all")
    assert checkout.dirty_paths() == ()


@pytest.mark.parametrize(("smoke", "bundled"), [(1, True), (2, False), (3, False)])
def test_what_is_wrong_on_github_is_in_the_bundle_and_in_the_exit_code(
    checkout: Path, target: Path, tmp_path: Path, smoke: int, bundled: bool
) -> None:
    program(tmp_path / "bin" / "repoagents", smoke)
    done = script(checkout, "build-handoff.sh", cwd=target, path=tmp_path / "bin")
    assert done.returncode == smoke
    assert ("ops snapshot" in done.stdout) is bundled


def test_nothing_is_copied_where_the_bot_does_not_live(
    checkout: Path, tmp_path: Path, git_repository: Callable[..., Path]
) -> None:
    root = git_repository()
    program(tmp_path / "bin" / "repoagents")
    done = script(checkout, "build-handoff.sh", cwd=root, path=tmp_path / "bin")
    assert done.returncode == 2
    assert "repoagents init" in done.stderr
    assert not (root / "ops").exists()


def test_the_copy_is_a_note_and_not_dirt() -> None:
    assert FIXTURE in LEFT_BEHIND
    assert f"fixture={FIXTURE}\n" in (OPS / "build-handoff.sh").read_text()


def test_the_environment_as_it_is_copied_sets_nothing(tmp_path: Path) -> None:
    shutil.copy(OPS / "repoagents.env.example", tmp_path / "repoagents.env")
    (tmp_path / "repoagents.env").chmod(0o644)  # as `cp` leaves it: that is an error for a value
    found = read_environment_file(tmp_path)
    assert found.values == {}
    assert found.placeholders == ("GITHUB_TOKEN",)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_clean(name: str) -> None:
    text = (OPS / name).read_text()
    assert text.startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in text
    assert os.access(OPS / name, os.X_OK)
    for sh in ("sh", "bash"):
        subprocess.run([sh, "-n", str(OPS / name)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(OPS / name)], check=True)
