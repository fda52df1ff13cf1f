"""The ground itself: each guard of conftest.py is seen to guard."""

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
from pytest_socket import SocketConnectBlockedError

from tests.prepared import Running, end_running

pytest_plugins = ["pytester"]

DOCUMENTATION_ADDRESS = "192.0.2.1"


def test_a_connection_to_another_machine_is_refused() -> None:
    with (
        socket.socket() as outward,
        pytest.warns(UserWarning, match=DOCUMENTATION_ADDRESS),
        pytest.raises(SocketConnectBlockedError),
    ):
        outward.connect((DOCUMENTATION_ADDRESS, 443))


def test_a_connection_to_this_machine_is_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        assert client.getpeername() == server.getsockname()


def test_home_is_named_but_absent(untouchable_home: Path) -> None:
    assert Path("~").expanduser() == untouchable_home
    assert not untouchable_home.exists()


@pytest.mark.parametrize(
    ("body", "passed", "errors"),
    [
        ("Path.home().mkdir()", 1, 1),
        ("(Path.home() / '.cache/deep').mkdir(parents=True)", 1, 1),
        ("subprocess.run(['mkdir', '-p', os.path.expanduser('~/x')], check=True)", 1, 1),
        ("assert not Path.home().exists()", 1, 0),
    ],
)
def test_whoever_touches_home_is_found(
    pytester: pytest.Pytester, body: str, passed: int, errors: int
) -> None:
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(
        f"""
        import os, subprocess
        from pathlib import Path

        def test_that_may_touch_home():
            {body}
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=passed, errors=errors)
    if errors:
        result.stdout.fnmatch_lines(["*wrote into $HOME*"])


PLANTED = (
    *("GITHUB_TOKEN", "REPOAGENTS_LLM__MODE", "SOME_API_KEY"),
    *("MAKEFLAGS", "COLUMNS", "NO_COLOR"),
)


def test_no_secret_and_no_setting_reaches_a_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(
        """
        import os

        def test_that_looks_for_secrets():
            names = {"GITHUB_TOKEN", "REPOAGENTS_LLM__MODE", "SOME_API_KEY", "GIT_DIR"}
            assert not (names | {"MAKEFLAGS", "COLUMNS", "NO_COLOR"}) & set(os.environ)
        """
    )
    for name in PLANTED:
        monkeypatch.setenv(name, "40")
    result = pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)


def test_local_time_is_utc_here_and_in_child_processes() -> None:
    offset = datetime.now().astimezone().utcoffset()
    assert offset is not None
    assert offset.total_seconds() == 0
    child = subprocess.run(
        [sys.executable, "-c", "import time; print(time.timezone, time.tzname[0])"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert child.stdout.split() == ["0", "UTC"]


def test_repositories_are_real_and_reproducible(
    git_repository: Callable[..., Path], git: Callable[..., str]
) -> None:
    files = {"a.txt": "one\n", "deep/b.bin": b"\0\1"}
    first = git_repository(files, name="first")
    second = git_repository(files, name="second")
    assert git(first, "rev-parse", "HEAD") == git(second, "rev-parse", "HEAD")
    assert git(first, "status", "--porcelain") == ""
    assert git(first, "branch", "--show-current") == "main"
    assert (first / "deep/b.bin").read_bytes() == b"\0\1"


def test_the_end_of_a_command_is_told_to_all_who_wait_for_it(tmp_path: Path) -> None:
    """A test's own thread may wait for a command that is ended because the test is over."""
    (tmp_path / ".ai-repoagents" / "logs").mkdir(parents=True)
    command = Running(["logs", "--follow"], cwd=tmp_path, env=os.environ)
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(command.wait) for _ in range(4)]
        end_running()
        assert [each.result() for each in waiting] == [-9] * 4
    command.kill()
    assert (command.poll(), command.wait(0)) == (-9, -9)


def test_files_of_tests_are_open_to_readers(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_the_engine_logs_to_no_stream_that_a_test_may_close() -> None:
    (sink,) = logging.getLogger("dbos").handlers
    assert isinstance(sink, logging.NullHandler)
