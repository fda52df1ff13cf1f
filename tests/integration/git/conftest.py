"""A repository with a bot beside it, and a print of everything that the bot must not touch."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from repoagents.domain.change import Base, ChangeSet
from repoagents.domain.settings import CommitSettings, Settings, TrackerSettings, WorkspaceSettings
from repoagents.git.checkout import Checkout
from repoagents.git.remote import Remote
from repoagents.git.workspaces import GitWorkspaces
from repoagents.ports import CommitRequest, Worktree
from tests.fakes.clock import START, FakeClock
from tests.integration.git.smart_http import TOKEN, Host, basic, serving

FILES = {
    ".gitignore": "*.log\nbuild/\n",
    "README.md": "# A project\n",
    "src/app.py": "print('one')\n",
    "src/lib/deep.py": "VALUE = 1\n",
    "tests/test_app.py": "def test():\n    assert True\n",
}
OUTSIDE = [".ai-repoagents"]
"""The one part of the operator's folder that is the bot's."""
OWN_PATHS = (".ai-repoagents", "AGENTS.md", "ops/*.fixture.json")
LEFT_BEHIND = ("uv.lock",)


class Site:
    """An operator's folder with the bot's control folder in it."""

    def __init__(self, root: Path, git: Callable[..., str]) -> None:
        self.root = root
        self.control = root / ".ai-repoagents"
        self._git = git

    def bot(
        self,
        *,
        workspace: WorkspaceSettings | None = None,
        tracker: TrackerSettings | None = None,
        commit: CommitSettings | None = None,
        environment: Mapping[str, str] | None = None,
        remote: Remote | None = None,
    ) -> GitWorkspaces:
        settings = Settings(
            workspace=workspace or WorkspaceSettings(),
            tracker=tracker or TrackerSettings(kind="local_file"),
            commit=commit or CommitSettings(),
        )
        outside = os.environ if environment is None else environment
        checkout = Checkout(self.root, outside, OWN_PATHS, LEFT_BEHIND)
        return GitWorkspaces(checkout, self.control, settings, FakeClock(), remote)

    def git(self, *arguments: str) -> str:
        return self._git(self.root, *arguments)

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            write(self.root / name, text)

    def commit(self, files: Mapping[str, str], message: str = "More") -> str:
        self.write(files)
        self.git("add", "--all", "--", *files)
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")


class Run:
    """One run's worktree, opened at the current base."""

    def __init__(self, bot: GitWorkspaces, run_id: str = "run-1", issue: int = 7) -> None:
        self.bot = bot
        self.base: Base = bot.refresh()
        self.worktree: Worktree
        self.worktree, self.made = bot.open(issue, run_id, self.base.sha)
        self.path = self.worktree.path

    def freeze(self) -> str:
        return self.bot.freeze(self.worktree, self.base.sha)

    def change(self) -> ChangeSet:
        return self.bot.change_set(self.base.sha, self.freeze())

    def restore(self, tree: str) -> tuple[str, ...]:
        return self.bot.restore(self.worktree, self.base.sha, tree)

    def commit(self, message: str = "Mend it", onto: str = "") -> str:
        request = CommitRequest(
            run_id=self.worktree.run_id,
            base_sha=self.base.sha,
            tree=self.freeze(),
            message=message,
            at=START,
            onto=onto,
        )
        return self.bot.commit(request)


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def tree_of(folder: Path, *, but: Iterable[str] = ()) -> dict[str, str]:
    """Every path below with kind, mode, time and content, so that any touch shows."""
    left_out = tuple(but)
    found = {}
    for here, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(here, name)
            relative = os.fspath(path.relative_to(folder))
            if any(relative == out or relative.startswith(out + "/") for out in left_out):
                continue
            found[relative] = _print(path)
    return found


def _print(path: Path) -> str:
    seen = path.lstat()
    if stat.S_ISDIR(seen.st_mode):
        return f"folder {seen.st_mode:o}"
    content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
    return f"{seen.st_mode:o} {seen.st_mtime_ns} {hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def site(git_repository: Callable[..., Path], git: Callable[..., str]) -> Site:
    return Site(git_repository(FILES), git)


@pytest.fixture
def bot(site: Site) -> GitWorkspaces:
    return site.bot()


@pytest.fixture
def run(bot: GitWorkspaces) -> Run:
    return Run(bot)


@pytest.fixture
def bare(site: Site, tmp_path: Path, git: Callable[..., str]) -> Path:
    """A repository on a host, one commit ahead of the operator's checkout."""
    path = tmp_path / "srv/o/r.git"
    site.commit({"later.txt": "later\n"})
    git(tmp_path, "clone", "--quiet", "--bare", str(site.root), str(path))
    site.git("reset", "--quiet", "--hard", "HEAD~")
    return path


@pytest.fixture
def host(tmp_path: Path, bare: Path) -> Iterator[Host]:
    with serving(tmp_path / "srv", basic(TOKEN)) as host:
        yield host
