"""The wheel, built, installed in an environment of its own and used outside the checkout."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import repoagents

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.xdist_group("wheel")  # built and installed once


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout; the build tools are those already installed."""
    place = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place)]
    ended = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (built,) = place.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of a fresh environment that holds the wheel; its dependencies are lent by ours.

    The lent folder comes last on the path and is named in a .pth file, so that the .pth files
    inside it, our own editable installation among them, are not read.
    """
    root = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(root)
    pip = [sys.executable, "-m", "pip", "--python", str(root / "bin" / "python")]
    install = [*pip, "install", "-q", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    (site,) = root.glob("lib/python*/site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return root / "bin"


def run(cwd: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command; its failure is the test's."""
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended


def test_the_wheel_holds_the_product_and_nothing_else(wheel: Path, git: Callable[..., str]) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"repoagents"}
    assert not [name for name in names if "__pycache__" in name or "/.venv/" in name]
    listing = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    shipped = git(ROOT, *listing, "examples/python-lib", "ops", "presets").split("\0")
    assert {f"repoagents/{path}" for path in shipped if path} <= names


def test_the_program_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    where = run(tmp_path, str(installed / "python"), "-c", "import repoagents as r; print(r)")
    assert str(installed.parent) in where.stdout
    version = run(tmp_path, str(installed / "repoagents"), "--version").stdout
    assert repoagents.__version__ in version


def test_init_writes_the_control_plane_from_the_wheel(
    installed: Path, git_repository: Callable[..., Path]
) -> None:
    root = git_repository({"pyproject.toml": "[project]\nname = 'x'\nversion = '1'\n"})
    init = ("init", "--preset", "python-library", "--tracker-kind", "local_markdown", "--yes")
    run(root, str(installed / "repoagents"), *init)
    control = root / ".ai-repoagents"
    assert "local_markdown" in (control / "repoagents.yaml").read_text(encoding="utf-8")
    assert [path for path in (control / "roles").iterdir() if path.read_text(encoding="utf-8")]
    assert [path for path in (control / "prompts").iterdir() if path.read_text(encoding="utf-8")]


def test_the_demo_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    run(tmp_path, str(installed / "repoagents"), "demo")
    (project,) = (tmp_path / "demo").iterdir()
    patches = list(project.glob("clone/.ai-repoagents/artifacts/issue-*/*/changes.patch"))
    assert len(patches) == 1
    assert "total_seconds()" in patches[0].read_text(encoding="utf-8")
