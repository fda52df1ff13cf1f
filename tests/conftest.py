"""The ground every test stands on: no network, no home, one time zone, real git.

Fixtures of one room live in that room's own conftest.py.
"""

import itertools
import logging
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import hypothesis
import pytest
from pytest_socket import socket_allow_hosts

from tests.prepared import end_running

LOOPBACK = ["127.0.0.1", "::1"]
NOBODY_LISTENS = "http://127.0.0.1:9"
MEMORY = Path("/dev/shm")
"""The file system in memory that most Linux machines have; small and noexec in some containers."""
ROOM_BYTES = 2**31

SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|CREDENTIAL|API_?KEY|ACCESS_KEY")
STRAY = re.compile(
    r"^(REPOAGENTS|GIT|GH|GITHUB|CODEX|OPENAI|ANTHROPIC|XDG|LC|CLICOLOR|FORCE|NO|TTY)_|_PROXY$"
    # What was told to the `make` that runs the tests, to its shell, its terminal and its Python,
    # which writes no byte code for some: programs that are installed have theirs at hand.
    r"|^(MAKE.*|.*MAKEFLAGS|MFLAGS|BASH_ENV|ENV|CDPATH|COLUMNS|LINES|CLICOLOR|PYTHON.*)$",
    re.I,
)

FIXED = {
    "GIT_AUTHOR_NAME": "Test Author",
    "GIT_AUTHOR_EMAIL": "author@example.invalid",
    "GIT_AUTHOR_DATE": "2024-01-02T03:04:05+0000",
    "GIT_COMMITTER_NAME": "Test Committer",
    "GIT_COMMITTER_EMAIL": "committer@example.invalid",
    "GIT_COMMITTER_DATE": "2024-01-02T03:04:05+0000",
    "GIT_CONFIG_NOSYSTEM": "1",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    # Sockets of this process are guarded below; this stops the processes that tests start.
    "http_proxy": NOBODY_LISTENS,
    "https_proxy": NOBODY_LISTENS,
    "no_proxy": "127.0.0.1,localhost,::1",
}

hypothesis.settings.register_profile(
    "ci",
    deadline=None,
    max_examples=50,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("ci")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The one flag for everything that is kept in git and made by the program."""
    parser.addoption(
        "--regenerate", action="store_true", help="write generated documents and golden files anew"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compare a text with the file that keeps it; with `--regenerate`, write the file."""

    def compare(place: Path, text: str) -> None:
        if request.config.getoption("--regenerate"):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        assert place.read_text(encoding="utf-8") == text, f"{place.name}: pytest --regenerate"

    return compare


def pytest_configure() -> None:
    """Prepare this process, before anything of pytest looks at it.

    Ctrl-C reaches the programs that tests start, also when the tests run in the background: a shell
    starts background jobs with SIGINT ignored, and every child inherits that. And their files are
    in memory where it can be had: git and SQLite wait for the disk at every step otherwise. And
    they are open to readers, as most machines have it, whatever the operator's umask takes away.
    """
    os.umask(0o022)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if keeps_files(MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def keeps_files(place: Path) -> bool:
    """Whether tests have room here, and their programs may run from here."""
    if not os.access(place, os.W_OK):
        return False
    found = os.statvfs(place)
    return not found.f_flag & os.ST_NOEXEC and found.f_bavail * found.f_frsize > ROOM_BYTES


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No secret and no setting of whoever runs the tests; git, language and time are fixed."""
    for name in list(os.environ):
        if SECRET.search(name.upper()) or STRAY.search(name):
            monkeypatch.delenv(name)
    for name, value in FIXED.items():
        monkeypatch.setenv(name, value)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def quiet_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sink for what the durable engine logs.

    Without one it takes the standard error that it finds at its first start: that may be one which
    a test has captured, and which is closed at the engine's next start.
    """
    monkeypatch.setattr(logging.getLogger("dbos"), "handlers", [logging.NullHandler()])


@pytest.fixture(autouse=True)
def loopback_only() -> None:
    """Sockets open to this machine only; pytest-socket lifts the guard after each test."""
    socket_allow_hosts(LOOPBACK, allow_unix_socket=True)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Paths in an empty folder, each given to one test alone."""
    folder = tmp_path_factory.mktemp("no-home")
    return (folder / f"home-{number}" for number in itertools.count())


@pytest.fixture(autouse=True)
def untouchable_home(
    clean_environment: None, monkeypatch: pytest.MonkeyPatch, homes: Iterator[Path]
) -> Iterator[Path]:
    """A $HOME that does not exist; a test that creates it fails, whoever did the writing.

    It cannot be a read-only folder: the superuser writes into those.
    """
    home = next(homes)
    monkeypatch.setenv("HOME", str(home))
    yield home
    if home.exists():
        left = sorted(str(path.relative_to(home)) for path in home.rglob("*"))
        pytest.fail(f"the test wrote into $HOME: {', '.join(left) or 'an empty folder'}")


@pytest.fixture(autouse=True)
def nothing_left_running(clean_environment: None) -> Iterator[None]:
    """A test that fails leaves no command behind."""
    yield
    end_running()


@pytest.fixture
def git() -> Callable[..., str]:
    """Run real git in a folder and return its output, stripped."""

    def run(folder: Path, *arguments: str) -> str:
        # No commit looks for what it might tidy up: that is a process more for each.
        command = ["git", "-C", str(folder), "-c", "maintenance.auto=false", *arguments]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        return result.stdout.strip()

    return run


@pytest.fixture
def git_repository(tmp_path: Path, git: Callable[..., str]) -> Callable[..., Path]:
    """Make a repository on branch `main` with one commit that holds these files."""

    def make(files: Mapping[str, str | bytes] | None = None, *, name: str = "repository") -> Path:
        root = tmp_path / name
        root.mkdir()
        git(root, "init", "--quiet", "--initial-branch=main")
        for path, content in (files or {"README.md": "# A project\n"}).items():
            place = root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.encode() if isinstance(content, str) else content)
        git(root, "add", "--all", "--force")
        git(root, "commit", "--quiet", "--message=Start")
        return root

    return make
