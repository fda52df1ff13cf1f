"""The seal over the bot's clone: it sees what an agent outside its sandbox could plant."""

from collections.abc import Callable
from pathlib import Path

import pytest

from repoagents.git.workspaces import GitWorkspaces
from tests.integration.git.conftest import Run, Site, write


@pytest.fixture
def clone(run: Run, site: Site) -> Path:
    return site.control / "git/repo.git"


def _append(path: Path, text: str) -> None:
    write(path, (path.read_text() if path.exists() else "") + text)


PLANTS: dict[str, Callable[[Path], object]] = {
    "config": lambda clone: _append(clone / "config", '[filter "x"]\n\tclean = evil\n'),
    "hook": lambda clone: _append(clone / "hooks/pre-push", "#!/bin/sh\n"),
    "exclude": lambda clone: _append(clone / "info/exclude", "*\n"),
    "attributes": lambda clone: _append(clone / "info/attributes", "* filter=x\n"),
    "grafts": lambda clone: _append(clone / "info/grafts", "\n"),
    "alternates": lambda clone: _append(clone / "objects/info/alternates", "/elsewhere\n"),
    "branch": lambda clone: _append(clone / "refs/heads/main", f"{'1' * 40}\n"),
    "replacement": lambda clone: _append(clone / f"refs/replace/{'1' * 40}", f"{'2' * 40}\n"),
    "packed refs": lambda clone: _append(clone / "packed-refs", f"{'1' * 40} refs/heads/x\n"),
    "head": lambda clone: write(clone / "HEAD", "ref: refs/heads/other\n"),
    "symbolic ref of ours": lambda clone: write(
        clone / "refs/base/main", "ref: refs/../../outside\n"
    ),
    "linked ref of ours": lambda clone: (clone / "refs/runs/x").symlink_to("/etc/passwd"),
    "linked folder": lambda clone: (clone / "hooks").symlink_to("/etc"),
    "mail map": lambda clone: _append(clone / "anything", ""),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_a_plant_breaks_the_seal(run: Run, clone: Path, plant: str) -> None:
    (clone / "refs/runs").mkdir(exist_ok=True)
    seal = run.bot.seal()
    PLANTS[plant](clone)
    assert run.bot.seal() != seal


@pytest.mark.parametrize(
    "plant", ["config", "hook", "exclude", "attributes", "grafts", "alternates", "head"]
)
def test_the_next_refresh_removes_it(run: Run, clone: Path, plant: str) -> None:
    seal = run.bot.seal()
    PLANTS[plant](clone)
    run.bot.refresh()
    assert run.bot.seal() == seal


def test_our_own_work_keeps_the_seal(run: Run, site: Site) -> None:
    seal = run.bot.seal()
    write(run.path / "src/app.py", "two\n")
    run.restore(run.freeze())
    run.commit()
    assert run.bot.seal() == seal


def test_a_concurrent_run_keeps_the_seal(run: Run, site: Site) -> None:
    seal = run.bot.seal()
    site.commit({"more.txt": "x\n"})
    other = Run(site.bot(), "run-2", issue=8)
    write(other.path / "a.txt", "a\n")
    other.commit()
    assert run.bot.seal() == seal


def test_a_new_process_sees_the_same_seal(bot: GitWorkspaces, run: Run, site: Site) -> None:
    assert site.bot().seal() == bot.seal()
