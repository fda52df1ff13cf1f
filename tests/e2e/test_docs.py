"""Every command in the documents is run, and every link leads somewhere.

Lines after `$ ` in a block marked `console` are run, in order, in one shell per document; each must
succeed. Blocks marked `sh` need an account or a terminal and are for reading only.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.terminal import tools
from tests.prepared import run_prepared

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "python-lib"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), EXAMPLE / "README.md"])
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")

Place = Callable[[Path], Path]


def blocks(page: Path, language: str) -> list[str]:
    """The page's blocks of one language."""
    text = page.read_text(encoding="utf-8")
    return [body for found, body in BLOCK.findall(text) if found == language]


def commands(page: Path) -> list[str]:
    """What a reader would type, in the page's order."""
    lines = "\n".join(blocks(page, "console")).splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


QUICKSTART = ROOT / "docs/quickstart.md"
RUNNABLE = [page for page in PAGES if commands(page) and page != QUICKSTART]


def name_of(page: Path) -> str:
    """The page as it is named in a test's id."""
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module", autouse=True)
def path() -> Iterator[None]:
    """Our program and this Python come first, as where the program was installed."""
    with tools() as folder, pytest.MonkeyPatch.context() as patch:
        first = f"{folder}{os.pathsep}{Path(sys.executable).parent}"
        patch.setenv("PATH", f"{first}{os.pathsep}{os.environ['PATH']}")
        yield


def workshop(root: Path) -> Path:
    """Where the quickstart begins: a checkout, as far as it is needed."""
    shutil.copytree(EXAMPLE, root / "examples" / "python-lib")
    return root


def project(root: Path) -> Path:
    """A repository with issues, before `init`; only the rehearsal's recordings are there."""
    shutil.copytree(EXAMPLE, root / "project")
    for path in (root / "project/.ai-repoagents").iterdir():
        if path.is_file():
            path.unlink()
        elif path.name != "rehearsal":
            shutil.rmtree(path)
    for name in ("AGENTS.md", "WORKFLOW.md"):
        (root / "project" / name).unlink()
    return commit(root / "project")


def ready(root: Path) -> Path:
    """A repository with its control plane."""
    shutil.copytree(EXAMPLE, root / "project")
    return commit(root / "project")


def worked(root: Path) -> Path:
    """The same with one finished run."""
    run(ready(root), "repoagents trigger 1")
    return root / "project"


def commit(folder: Path) -> Path:
    """Commit everything, in a new repository when there is none."""
    run(folder, "git init -q -b main; git add --all; git commit -q -m Start")
    return folder


def run(folder: Path, script: str) -> str:
    """Run a script in one shell that stops at the first failure; returns what it printed."""
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "REPOAGENTS_LLM__MODE": "rehearsal"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


START: dict[str, Place] = {
    "README.md": project,
    "docs/how-to/backup-and-restore.md": worked,
    "docs/how-to/hand-over.md": worked,
    "docs/how-to/recover-from-failure.md": worked,
}


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_the_commands_of_a_page_work(page: Path, tmp_path: Path) -> None:
    folder = START.get(name_of(page), ready)(tmp_path)
    steps = list(enumerate(commands(page)))
    script = "\n".join(f"echo 'next: {number}'; {line}" for number, line in steps)
    said = run(folder, script)
    assert [f"next: {number}" in said for number, _ in steps] == [True] * len(steps)


@pytest.mark.slow
def test_the_quickstart_ends_where_it_says(tmp_path: Path) -> None:
    run(workshop(tmp_path), "\n".join(commands(QUICKSTART)))
    after = run(tmp_path / "plainly", "git log --oneline; python3 -m unittest 2>&1")
    assert "Days vanish from long durations" in after
    assert "expected failures=4" in after


def test_the_pages_that_matter_have_commands() -> None:
    named = {name_of(page) for page in RUNNABLE}
    assert {"README.md", "docs/how-to/recover-from-failure.md", "docs/how-to/limits.md"} <= named
    assert len(commands(QUICKSTART)) > 15


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)$", place.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w]+", "-", t.lower()).strip("-") for t in titles}


CONFIGURED = [page for page in PAGES if blocks(page, "yaml")]


@pytest.mark.parametrize("page", CONFIGURED, ids=name_of)
def test_configuration_in_a_page_is_accepted(page: Path, tmp_path: Path) -> None:
    run(tmp_path, "git init -q; mkdir .ai-repoagents")
    for text in blocks(page, "yaml"):
        written = yaml.safe_load(text)
        written.setdefault("tracker", {}).setdefault("repo", "octo/cat")
        written.setdefault("command", {"argv": ["true"]})
        config = tmp_path / ".ai-repoagents" / "repoagents.yaml"
        config.write_text(yaml.safe_dump(written), encoding="utf-8")
        shown = run_prepared(["config", "show"], cwd=tmp_path, env=os.environ)
        assert shown.returncode == 0, shown.stderr
