"""`make` on machines that lack something: it says what, and leaves nothing half made."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKE = shutil.which("make")

pytestmark = pytest.mark.skipif(MAKE is None, reason="make is not installed")

TOO_OLD = "#!/bin/sh\nexit 1\n"
NO_VENV = '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What make reads of this checkout."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(checkout: Path, *arguments: str, python: str) -> subprocess.CompletedProcess[str]:
    """Run make where `python3` is this script and no other Python is on PATH."""
    tools = checkout / "tools"
    tools.mkdir()
    for name in ("sh", "touch"):
        (tools / name).symlink_to(str(shutil.which(name)))
    (tools / "python3").write_text(python, encoding="utf-8")
    (tools / "python3").chmod(0o755)
    return subprocess.run(
        [str(MAKE), *arguments],
        cwd=checkout,
        env={**os.environ, "PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("target", ["demo", "test"])
def test_without_a_new_enough_python_it_says_so(checkout: Path, target: str) -> None:
    ended = make(checkout, target, python=TOO_OLD)
    assert ended.returncode != 0
    assert "No Python 3.11 or newer was found" in ended.stderr
    assert not (checkout / ".venv").exists()


def test_without_the_venv_module_it_names_the_package(checkout: Path) -> None:
    ended = make(checkout, "demo", python=NO_VENV)
    assert ended.returncode != 0
    assert "python3 lacks the venv module" in ended.stderr
    assert "python3-venv" in ended.stderr
    assert not (checkout / ".venv").exists()


def test_another_python_can_be_named(checkout: Path) -> None:
    ended = make(checkout, ".venv/made", f"PYTHON={sys.executable}", python=TOO_OLD)
    assert ended.returncode == 0, ended.stderr
    assert (checkout / ".venv/bin/python").exists()
    again = make_again(checkout)
    assert "Making" not in again


def make_again(checkout: Path) -> str:
    """What make says when everything is made already."""
    command = [str(MAKE), ".venv/made"]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True).stdout


def test_bare_make_changes_nothing_and_tells_the_targets(checkout: Path) -> None:
    ended = make(checkout, python=TOO_OLD)
    assert ended.returncode == 0
    for target in ("make demo", "make test"):
        assert target in ended.stdout
    assert not (checkout / ".venv").exists()
