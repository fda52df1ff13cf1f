"""Pull requests over real git: pushed, opened as drafts, made ready, merged."""

from collections.abc import Callable
from pathlib import Path

import pytest
from github import GithubException
from github.Repository import Repository

from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.loopback import BOT

Push = Callable[..., str]


@pytest.fixture
def push(hub: LoopbackGitHub, tmp_path: Path, git: Callable[..., str]) -> Push:
    """Commit a file on a branch in a clone of one's own and push it with real git."""

    def work(branch: str, text: str, *options: str) -> str:
        clone = tmp_path / "clone"
        if not clone.exists():
            git(tmp_path, "clone", "--quiet", hub.clone_url, str(clone))
        git(clone, "fetch", "--quiet")
        known = git(clone, "branch", "--remotes", "--list", f"origin/{branch}")
        git(clone, "checkout", "--quiet", "-B", branch, f"origin/{branch if known else 'main'}")
        (clone / "src/sums.py").write_text(text)
        git(clone, "commit", "--quiet", "--all", "--message=Mend")
        git(clone, "push", "--quiet", *options, "origin", branch)
        return git(clone, "rev-parse", "HEAD")

    return work


def test_a_draft_is_opened_made_ready_and_merged(
    hub: LoopbackGitHub, repo: Repository, push: Push
) -> None:
    head = push("bot/1", "def add(a, b):\n    return a + b\n")
    pull = repo.create_pull(title="Mend", body="", head="bot/1", base="main", draft=True)
    assert (pull.draft, pull.head.sha, pull.base.sha) == (True, head, hub.heads["main"])
    assert (pull.commits, pull.additions, pull.deletions, pull.changed_files) == (1, 1, 1, 1)
    with pytest.raises(GithubException, match="draft"):
        pull.merge(sha=head)
    pull.mark_ready_for_review()
    assert pull.merge(sha=head).merged is True
    assert "a + b" in hub.forge.bare.git.run("show", "main:src/sums.py").line
    assert repo.get_pull(pull.number).merged is True
    assert hub.pulls[0].by == BOT
