"""A small project under the bot's care, driven through the command line as people would."""

import hashlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from repoagents.domain.run import Run
from repoagents.store.reader import open_reader
from tests.prepared import Running, run_prepared

AGENT = Path(__file__).parents[1] / "samples" / "agent.py"

FILES = {
    "adding.py": "def add(a, b):\n    return a - b\n",
    "test_adding.py": textwrap.dedent("""\
        import unittest

        from adding import add


        class Adding(unittest.TestCase):
            def test_nothing_added(self):
                self.assertEqual(add(2, 0), 2)
        """),
    ".gitignore": "__pycache__/\n",
    "issues/1-adding.md": textwrap.dedent("""\
        ---
        title: add() subtracts
        state: open
        ---
        add(2, 2) gives 0. It should give 4.
        """),
}

CONFIG = """\
tracker:
  kind: local_markdown
  path: issues
  poll_interval_seconds: 5
llm:
  mode: command
command:
  argv: [{python}, {agent}]
agent:
  env: [CALL_LOG, AGENT_SECONDS]
  base_retry_seconds: 1
verify:
  - name: tests
    kind: unit
    run: [{python}, -m, unittest, -q]
"""


def is_running(pid: int) -> bool:
    """Whether a process is there; one that has ended may wait to be asked for its exit code."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@dataclass(frozen=True)
class Project:
    """A git repository with a control plane; `calls` is the agents' log."""

    root: Path
    calls: Path

    @property
    def control(self) -> Path:
        """The control plane's folder."""
        return self.root / ".ai-repoagents"

    def environment(self, **extra: str) -> dict[str, str]:
        """The environment of the command line."""
        return {**os.environ, "CALL_LOG": str(self.calls), **extra}

    def run(
        self, *argv: str, code: int | None = 0, **extra: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end and check its exit code (None: any)."""
        done = run_prepared(argv, cwd=self.root, env=self.environment(**extra))
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done

    def start(self, *argv: str, **extra: str) -> Running:
        """Start a command in a session of its own."""
        return Running(
            argv,
            cwd=self.root,
            env=self.environment(**extra),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def latest(self, number: int = 1) -> Run | None:
        """The newest run of an issue, as the reader sees it."""
        return next(iter(open_reader(self.control).runs(issue=number, limit=1)), None)

    def configure(self, old: str, new: str) -> None:
        """Edit the configuration file."""
        path = self.control / "repoagents.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def print_of_checkout(self) -> str:
        """A hash over the operator's checkout and its `.git`, the bot's own folder left out."""
        total = hashlib.sha256()
        for path in sorted(self.root.rglob("*")):
            name = path.relative_to(self.root)
            if name.parts[0] == ".ai-repoagents" or not path.is_file():
                continue
            total.update(str(name).encode() + b"\0" + path.read_bytes() + b"\0")
        return total.hexdigest()


@pytest.fixture
def project(tmp_path: Path, git_repository: Callable[[Mapping[str, str]], Path]) -> Project:
    """A repository with one bug, one issue and a control plane that is committed."""
    config = CONFIG.format(python=sys.executable, agent=AGENT)
    root = git_repository({**FILES, ".ai-repoagents/repoagents.yaml": config})
    calls = tmp_path / "calls.log"
    calls.touch()
    made = Project(root, calls)
    made.run("init", "--upgrade", "--yes")
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)
    subprocess.run(["git", "commit", "-qm", "Set up repoagents"], cwd=root, check=True)
    return made
