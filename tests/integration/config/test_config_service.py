"""Units as the supervisors read them: whole, hardened, and only ever our own."""

import configparser
import os
import plistlib
import pwd
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from repoagents.config.service import (
    MARK,
    Kind,
    Standing,
    Unit,
    Wish,
    plan_unit,
    remove_unit,
    write_unit,
)
from repoagents.durable.worker import STOP_SECONDS
from repoagents.errors import ConfigError

COMMAND = ("/opt/a b/python", "-P", "-m", "repoagents", "run")
ODD = 'we ird %h "q" $X é & <b>'
OPS = Path(__file__).parents[3] / "ops"


def is_known(user: int) -> bool:
    """Whether this machine has a name for a user; some containers have none for theirs."""
    try:
        return bool(pwd.getpwuid(user))
    except KeyError:
        return False


NAMED = pytest.mark.skipif(not is_known(os.geteuid()), reason="a service needs a user with a name")


@pytest.fixture
def wish(tmp_path: Path) -> Wish:
    """The worker of a repository, for the user whose home is `home`."""
    (tmp_path / "home").mkdir()
    (tmp_path / "My Project").mkdir()
    environment = {"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/opt/x%y/bin"}
    return Wish(Kind.SYSTEMD, False, tmp_path / "My Project", COMMAND, environment)


def sections(unit: Unit) -> dict[str, dict[str, str]]:
    """The keys of a systemd unit, by section."""
    parser = configparser.RawConfigParser(strict=True, comment_prefixes="#", delimiters="=")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(unit.text)
    return {name: dict(parser[name]) for name in parser.sections()}


def words(value: str) -> list[str]:
    """The words of a list as systemd reads them."""
    return [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(value)]


@NAMED
@pytest.mark.parametrize("system", [False, True])
class TestSystemd:
    def test_it_runs_the_worker_in_the_repository(self, wish: Wish, system: bool) -> None:
        found = sections(plan_unit(replace(wish, system=system)))
        service = found["Service"]
        assert service["WorkingDirectory"] == str(wish.root)
        assert words(service["ExecStart"]) == list(COMMAND)
        assert words(service["Environment"]) == ["PATH=/usr/bin:/opt/x%y/bin"]
        assert service["EnvironmentFile"].startswith("-")
        target = "multi-user.target" if system else "default.target"
        assert found["Install"]["WantedBy"] == target

    def test_the_worker_has_the_time_that_it_takes_to_park(self, wish: Wish, system: bool) -> None:
        service = sections(plan_unit(replace(wish, system=system)))["Service"]
        assert service["KillMode"] == "mixed", "TERM is for the worker; it ends its agents"
        assert float(service["TimeoutStopSec"]) >= 2 * STOP_SECONDS
        assert service["SuccessExitStatus"] == "130"
        assert (service["Restart"], service["RestartPreventExitStatus"]) == ("on-failure", "2")

    def test_it_may_write_where_the_bot_does_and_nowhere_else(
        self, wish: Wish, system: bool
    ) -> None:
        service = sections(plan_unit(replace(wish, system=system)))["Service"]
        assert service["NoNewPrivileges"] == "yes"
        assert (service["ProtectSystem"], service["ProtectHome"]) == ("strict", "read-only")
        owner = pwd.getpwuid(wish.root.stat().st_uid).pw_dir
        home = owner if system else wish.environment["HOME"]
        writable = [str(wish.root), f"-{home}/.cache", f"-{home}/.codex"]
        assert words(service["ReadWritePaths"]) == writable

    def test_the_sandbox_of_an_agent_still_works_inside(self, wish: Wish, system: bool) -> None:
        service = sections(plan_unit(replace(wish, system=system)))["Service"]
        refused = {"RestrictNamespaces", "ProtectKernelTunables", "ProtectProc", "ProcSubset"}
        assert not {*refused, "SystemCallFilter", "MemoryDenyWriteExecute"} & service.keys()

    def test_any_path_can_be_written(self, wish: Wish, system: bool) -> None:
        root = wish.root / ODD
        root.mkdir()
        command = ("/a b %h/python", "run", str(root))
        service = sections(plan_unit(replace(wish, system=system, root=root, command=command)))
        assert words(service["Service"]["ExecStart"]) == list(command)
        assert words(service["Service"]["ReadWritePaths"])[0] == str(root)
        assert service["Service"]["WorkingDirectory"] == str(root).replace("%", "%%")

    @pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
    def test_systemd_finds_nothing_wrong(
        self, wish: Wish, system: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = tmp_path / ODD
        root.mkdir()
        program = tmp_path / "a b %h $X é" / "python"
        program.parent.mkdir()
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        command = (str(program), *COMMAND[1:], ODD)
        unit = plan_unit(replace(wish, system=system, root=root, command=command))
        (tmp_path / f"{unit.name}.service").write_text(unit.text)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        scope = "--system" if system else "--user"
        ended = subprocess.run(
            ["systemd-analyze", "verify", scope, str(tmp_path / f"{unit.name}.service")],
            capture_output=True,
            text=True,
            check=False,
        )
        # It reads what the unit needs as well, where each machine has faults of its own.
        assert [line for line in ended.stderr.splitlines() if unit.name in line] == []
        assert ended.returncode == 0 or ended.stderr


@NAMED
def test_for_the_machine_it_works_as_the_repositorys_owner(wish: Wish) -> None:
    service = sections(plan_unit(replace(wish, system=True)))["Service"]
    assert service["User"] == pwd.getpwuid(wish.root.stat().st_uid).pw_name
    assert service["CapabilityBoundingSet"] == ""
    assert "User" not in sections(plan_unit(wish))["Service"]


def test_launchd_reads_the_same(wish: Wish) -> None:
    root = wish.root / ODD
    root.mkdir()
    unit = plan_unit(replace(wish, kind=Kind.LAUNCHD, root=root, command=("a & b", "run")))
    found = plistlib.loads(unit.text.encode())
    assert found["Label"] == unit.name == unit.path.stem
    assert found["ProgramArguments"] == ["a & b", "run"]
    assert found["WorkingDirectory"] == str(root)
    assert found["EnvironmentVariables"] == {"PATH": wish.environment["PATH"]}
    assert found["ExitTimeOut"] >= 2 * STOP_SECONDS
    assert found["KeepAlive"] == {"SuccessfulExit": False}
    assert found["Umask"] == 0o077
    assert {found["StandardOutPath"], found["StandardErrorPath"]} == {"/dev/null"}
    assert unit.path.parent == Path(wish.environment["HOME"], "Library/LaunchAgents")


def test_two_repositories_of_one_name_are_two_services(wish: Wish) -> None:
    other = wish.root / wish.root.name
    other.mkdir()
    names = {plan_unit(replace(wish, root=root)).name for root in (wish.root, other)}
    assert len(names) == 2
    assert all(name.startswith("repoagents-my-project-") for name in names)


def test_what_no_unit_can_hold_is_refused(wish: Wish) -> None:
    root = wish.root / "a\nUser=root"
    root.mkdir()
    with pytest.raises(ConfigError, match="cannot be written into a unit"):
        plan_unit(replace(wish, root=root))
    with pytest.raises(ConfigError, match="cannot be written into a unit"):
        plan_unit(replace(wish, command=('/opt/a"b/python', "run")))
    with pytest.raises(ConfigError, match="HOME is not set"):
        plan_unit(replace(wish, environment={}))
    with pytest.raises(ConfigError, match="for one user only"):
        plan_unit(replace(wish, kind=Kind.LAUNCHD, system=True))


def test_only_our_own_is_replaced_or_removed(wish: Wish) -> None:
    unit = plan_unit(wish)
    assert write_unit(unit) is Standing.ABSENT
    assert unit.path.read_text() == unit.text
    assert write_unit(unit) is Standing.CURRENT
    unit.path.write_text(unit.text + "Nice=5\n")
    assert write_unit(unit) is Standing.OUTDATED
    assert unit.path.read_text() == unit.text
    unit.path.write_text("[Service]\nExecStart=/bin/true\n")
    for act in (write_unit, remove_unit):
        with pytest.raises(ConfigError, match="was not written by this program"):
            act(unit)
    assert unit.path.read_text() == "[Service]\nExecStart=/bin/true\n"
    unit.path.write_text(unit.text)
    assert remove_unit(unit) is Standing.CURRENT
    assert remove_unit(unit) is Standing.ABSENT


def test_a_place_that_cannot_be_written_is_told_with_the_line_to_type(wish: Wish) -> None:
    (Path(wish.environment["HOME"]) / ".config").touch()
    unit = plan_unit(wish)
    with pytest.raises(ConfigError, match="cannot be written") as caught:
        write_unit(unit)
    assert caught.value.next_step == f"repoagents service print | sudo tee {unit.path}"
    with pytest.raises(ConfigError, match="cannot be written") as caught:
        write_unit(replace(unit, system=True))
    assert "service print --system | sudo" in caught.value.next_step


def test_the_index_of_templates_is_whole() -> None:
    listed = re.findall(r"^\| \[(\S+)\]\(\1\)", (OPS / "README.md").read_text(), re.MULTILINE)
    found = [path for path in OPS.rglob("*") if path.is_file() and path.name != "README.md"]
    assert sorted(listed) == sorted(path.relative_to(OPS).as_posix() for path in found)


@pytest.mark.parametrize("path", sorted(OPS.glob("*/*")), ids=lambda path: path.name)
def test_every_template_carries_our_mark(path: Path) -> None:
    assert MARK in path.read_text()


def test_the_container_works_as_nobody_special() -> None:
    lines = (OPS / "Containerfile").read_text().splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and line[0].isupper()]
    words = [step[0] for step in steps]
    assert steps[0] == ["ARG", "BASE=python:3.13-slim"]
    assert ["USER", "bot"] in steps
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert "RUN" not in words[words.index("USER") :]
    assert ["ENTRYPOINT", '["python", "-P", "-m", "repoagents"]'] in steps
    assert any(" git " in line for line in lines)
    for name, rest in steps:
        if name == "COPY":
            assert [part for part in rest.split()[:-1] if not (OPS.parent / part).exists()] == []
