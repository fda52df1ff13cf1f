"""The base brought into a branch by a merge commit of ours."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from repoagents.domain.change import Conflict
from repoagents.domain.settings import CommitSettings, WorkspaceSettings
from repoagents.errors import GitError
from repoagents.git.workspaces import GitWorkspaces
from tests.fakes.clock import START
from tests.integration.git.conftest import OUTSIDE, Run, Site, tree_of, write

Git = Callable[..., str]
BRANCH = "repoagents/issue-7-mend-it"
MESSAGE = "Merge main into the branch\n"


@pytest.fixture
def commit(run: Run) -> str:
    """The commit of one edit."""
    write(run.path / "src/app.py", "print('two')\n")
    return run.commit("Mend it\n")


def merge(bot: GitWorkspaces, commit: str, base: str, message: str = MESSAGE) -> str:
    merged = bot.merge_base(commit, base, message, START)
    assert isinstance(merged, str)
    return merged


def show(site: Site, commit: str, form: str) -> str:
    clone = site.control / "git/repo.git"
    return site.git("--git-dir", str(clone), "show", "--no-patch", f"--format={form}", commit)


def test_both_sides_are_in_it(site: Site, run: Run, commit: str) -> None:
    site.commit({"README.md": "# Other\n"})
    base = run.bot.refresh().sha
    merged = merge(run.bot, commit, base)
    assert show(site, merged, "%P|%s|%at") == (
        f"{commit} {base}|Merge main into the branch|{int(START.timestamp())}"
    )
    assert show(site, merged, "%an <%ae>|%cn <%ce>") == (
        "repoagents <repoagents@users.noreply.localhost>|"
        "repoagents <repoagents@users.noreply.localhost>"
    )
    assert run.bot.change_set(base, run.bot.tree_of(merged)).paths == ("src/app.py",)
    assert run.bot.change_set(commit, run.bot.tree_of(merged)).paths == ("README.md",)


def test_a_repeat_is_the_same_commit(site: Site, run: Run, commit: str) -> None:
    site.commit({"README.md": "# Other\n"})
    base = run.bot.refresh().sha
    merged = merge(run.bot, commit, base)
    assert merged == merge(site.bot(), commit, base)
    assert merged != run.bot.merge_base(commit, base, MESSAGE, START + timedelta(seconds=1))


CONTENT = "CONFLICT (content): Merge conflict in src/app.py"
DELETED = (
    "CONFLICT (modify/delete): src/app.py deleted in the base and modified in this change. "
    "Version this change of src/app.py left in tree."
)


@pytest.mark.parametrize(("theirs", "why"), [("print('three')\n", CONTENT), (None, DELETED)])
def test_a_conflict_is_told_with_the_tree_as_far_as_git_got(
    site: Site, run: Run, commit: str, theirs: str | None, why: str
) -> None:
    if theirs is None:
        site.git("rm", "--quiet", "src/app.py")
    else:
        site.commit({"src/app.py": theirs})
    site.commit({"README.md": "# Other\n"})
    base = run.bot.refresh().sha
    clone = site.control / "git/repo.git"
    refs = site.git("--git-dir", str(clone), "for-each-ref")
    conflict = run.bot.merge_base(commit, base, MESSAGE, START)
    assert isinstance(conflict, Conflict)
    assert conflict.paths == (("src/app.py", why),)
    shown = site.git("--git-dir", str(clone), "show", f"{conflict.tree}:src/app.py")
    assert ("<<<<<<<" in shown) is (theirs is not None)
    assert "print('two')" in shown
    assert site.git("--git-dir", str(clone), "show", f"{conflict.tree}:README.md") == "# Other"
    assert site.git("--git-dir", str(clone), "for-each-ref") == refs
    assert conflict == site.bot().merge_base(commit, base, MESSAGE, START)


def test_odd_paths_of_a_conflict_are_told_as_they_are(site: Site, bot: GitWorkspaces) -> None:
    names = ("a\nb.txt", "CONFLICT", "1", "ünder")
    site.commit(dict.fromkeys(names, "zero\n"))
    run = Run(bot)
    for name in names:
        write(run.path / name, "ours\n")
    commit = run.commit()
    site.commit(dict.fromkeys(names, "theirs\n"))
    conflict = bot.merge_base(commit, bot.refresh().sha, MESSAGE, START)
    assert isinstance(conflict, Conflict)
    assert {path for path, _ in conflict.paths} == set(names)
    assert all("CONFLICT (content)" in why for _, why in conflict.paths)


def test_a_lost_clone_gets_the_branch_again(site: Site, run: Run, commit: str) -> None:
    run.bot.push(BRANCH, commit, None)
    run.bot.recall(BRANCH, commit)
    (site.control / "git").rename(site.control / "lost")
    bot = site.bot()
    with pytest.raises(GitError):
        bot.tree_of(commit)
    bot.recall(BRANCH, commit)
    assert bot.tree_of(commit)
    assert bot.merge_base(commit, bot.refresh().sha, MESSAGE, START) == commit


def test_two_edits_of_one_file_apart_are_no_conflict(site: Site, bot: GitWorkspaces) -> None:
    lines = [f"line {number}\n" for number in range(30)]
    site.commit({"long.txt": "".join(lines)})
    run = Run(bot)
    write(run.path / "long.txt", "".join(["ours\n", *lines[1:]]))
    commit = run.commit()
    site.commit({"long.txt": "".join([*lines[:-1], "theirs\n"])})
    merged = merge(bot, commit, bot.refresh().sha)
    tree, _ = bot.open(8, "merged", merged)
    assert (tree.path / "long.txt").read_text() == "".join(["ours\n", *lines[1:-1], "theirs\n"])


def test_a_base_that_is_in_it_already_needs_no_merge(site: Site, run: Run, commit: str) -> None:
    assert merge(run.bot, commit, run.base.sha) == commit
    site.commit({"README.md": "# Other\n"})
    base = run.bot.refresh().sha
    merged = merge(run.bot, commit, base)
    assert merge(run.bot, merged, base) == merged


def test_it_is_kept_and_goes_on_top_of_the_branch(
    site: Site, run: Run, commit: str, git: Git
) -> None:
    run.bot.push(BRANCH, commit, None)
    site.commit({"README.md": "# Other\n"})
    seal = run.bot.seal()
    base = run.bot.refresh()
    merged = merge(run.bot, commit, base.sha)
    assert run.bot.seal() == seal
    git(site.control / "git/repo.git", "gc", "--quiet", "--prune=now")
    assert site.bot().why_ahead(base) is None
    run.bot.push(BRANCH, merged, commit)
    assert site.git("rev-list", "--count", f"{commit}..{BRANCH}") == "2"
    site.git("merge-base", "--is-ancestor", commit, BRANCH)


def test_the_checkout_is_not_touched(site: Site, run: Run, commit: str) -> None:
    site.commit({"README.md": "# Other\n"})
    before = tree_of(site.root, but=OUTSIDE)
    assert merge(run.bot, commit, run.bot.refresh().sha)
    assert tree_of(site.root, but=OUTSIDE) == before


def test_no_merge_driver_of_the_repository_runs(site: Site, tmp_path: Path) -> None:
    site.git("config", "merge.trap.driver", f"touch {tmp_path}/ran")
    site.commit({".gitattributes": "*.py merge=trap\n"})
    run = Run(site.bot())
    write(run.path / "src/app.py", "print('two')\n")
    commit = run.commit()
    site.commit({"src/app.py": "print('three')\n"})
    assert isinstance(run.bot.merge_base(commit, run.bot.refresh().sha, MESSAGE, START), Conflict)
    assert not (tmp_path / "ran").exists()


def test_signoff_is_a_trailer(site: Site) -> None:
    who = CommitSettings(name="A B", email="a@b.invalid", signoff=True)
    run = Run(site.bot(commit=who))
    write(run.path / "src/app.py", "print('two')\n")
    commit = run.commit()
    site.commit({"README.md": "# Other\n"})
    merged = merge(run.bot, commit, run.bot.refresh().sha)
    assert show(site, merged, "%B").strip().endswith("\n\nSigned-off-by: A B <a@b.invalid>")


def test_a_history_that_was_rewritten_is_an_error(site: Site, run: Run, commit: str) -> None:
    site.git("switch", "--quiet", "--orphan", "fresh")
    site.commit({"a.txt": "a\n"})
    with pytest.raises(GitError, match="unrelated histories"):
        merge(run.bot, commit, run.bot.refresh().sha)


@pytest.mark.parametrize("bad", ["", "HEAD", "--help"])
def test_what_is_no_object_is_refused(run: Run, commit: str, bad: str) -> None:
    for pair in ((commit, bad), (bad, run.base.sha)):
        with pytest.raises(GitError, match="not the name of a git object"):
            merge(run.bot, *pair)


def test_a_folder_without_git_has_nothing_to_merge(site: Site) -> None:
    bot = site.bot(workspace=WorkspaceSettings(strategy="copy"))
    with pytest.raises(GitError, match="worked on as a copy"):
        merge(bot, "1" * 40, "2" * 40)
