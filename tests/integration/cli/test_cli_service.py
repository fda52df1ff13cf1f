"""`service` by the command line, with a supervisor that writes down what it is told."""

import json
from pathlib import Path

import pytest

from repoagents.bootstrap import SystemClock
from repoagents.store.worker_lock import hold
from tests.integration.cli.conftest import Repoagents

LINUX = ("--kind", "systemd")


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """A home, and a `systemctl` on PATH; it fails when the file `refuse` is there."""
    (tmp_path / "home").mkdir()
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$*" >> {tmp_path}/told\n'
        f'if [ -e {tmp_path}/refuse ]; then echo "no bus" >&2; exit 1; fi\n'
    )
    program.chmod(0o755)
    return {"HOME": str(tmp_path / "home"), "PATH": f"{program.parent}:/usr/bin:/bin"}


def told(tmp_path: Path) -> list[str]:
    """What the supervisor was told since the last look."""
    path = tmp_path / "told"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def test_from_install_to_uninstall(
    repoagents: Repoagents, control: Path, machine: dict[str, str], tmp_path: Path
) -> None:
    shown = repoagents(control, "service", "print", *LINUX, **machine)
    done = repoagents(control, "service", "install", *LINUX, **machine)
    assert (shown.code, done.code, done.err) == (0, 0, "")
    (unit,) = (tmp_path / "home/.config/systemd/user").iterdir()
    assert unit.read_text() == shown.out
    assert done.out.splitlines()[:4] == [
        f"written: {unit}",
        "start it, now and from now on:",
        "  systemctl --user daemon-reload",
        f"  systemctl --user enable --now {unit.stem}",
    ]
    assert "loginctl enable-linger" in done.out
    assert told(tmp_path) == [], "nothing is started that was not asked for"

    assert repoagents(control, "service", "install", "--now", *LINUX, **machine).code == 0
    assert told(tmp_path) == ["--user daemon-reload", f"--user enable --now {unit.stem}"]

    with hold(control / ".ai-repoagents", "worker", SystemClock()):
        alive = repoagents(control, "service", "status", "--json", *LINUX, **machine)
    assert alive.code == 0
    row = json.loads(alive.out)
    assert (row["unit"], row["active"], row["name"]) == ("current", True, unit.stem)
    assert row["worker"].startswith("a worker is live")
    assert repoagents(control, "service", "status", *LINUX, **machine).code == 1
    assert told(tmp_path) == [f"--user is-active {unit.stem}"] * 2

    gone = repoagents(control, "service", "uninstall", *LINUX, **machine)
    assert (gone.code, unit.exists()) == (0, False)
    assert told(tmp_path) == [f"--user disable --now --no-block {unit.stem}"]
    again = repoagents(control, "service", "uninstall", *LINUX, **machine)
    assert (again.code, told(tmp_path)) == (0, [])
    assert again.out.startswith("not installed")


def test_a_unit_that_changes_says_how_it_comes_into_force(
    repoagents: Repoagents, control: Path, machine: dict[str, str], tmp_path: Path
) -> None:
    assert repoagents(control, "service", "install", *LINUX, **machine).code == 0
    again = repoagents(control, "service", "install", "--serve", *LINUX, **machine)
    (unit,) = (tmp_path / "home/.config/systemd/user").iterdir()
    assert again.err.splitlines()[-1] == f"  systemctl --user restart {unit.stem}"
    assert "--serve" in unit.read_text()
    told = repoagents(control, "service", "status", *LINUX, **machine)
    assert f"unit: current, {unit}" in told.out


def test_a_supervisor_that_refuses_is_told(
    repoagents: Repoagents, control: Path, machine: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "refuse").touch()
    done = repoagents(control, "service", "install", "--now", *LINUX, **machine)
    assert done.code == 1
    assert "`systemctl --user daemon-reload` failed: no bus" in done.err


def test_a_unit_of_somebody_else_is_left_alone(
    repoagents: Repoagents, control: Path, machine: dict[str, str], tmp_path: Path
) -> None:
    assert repoagents(control, "service", "install", *LINUX, **machine).code == 0
    (unit,) = (tmp_path / "home/.config/systemd/user").iterdir()
    unit.write_text("[Service]\n")
    for command in ("install", "uninstall"):
        refused = repoagents(control, "service", command, *LINUX, **machine)
        assert refused.code == 2
        assert "not written by this program" in refused.err
    assert (unit.read_text(), told(tmp_path)) == ("[Service]\n", [])


def test_with_the_receiver(repoagents: Repoagents, control: Path, machine: dict[str, str]) -> None:
    shown = repoagents(control, "service", "print", "--serve", *LINUX, **machine)
    (line,) = (line for line in shown.out.splitlines() if line.startswith("ExecStart="))
    assert line.endswith('"-P" "-m" "repoagents" "run" "--serve"')
    assert "<plist" in repoagents(control, "service", "print", "--kind", "launchd", **machine).out
