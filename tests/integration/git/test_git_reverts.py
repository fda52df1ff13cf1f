"""Reverts on the base, as git and GitHub write them, read from the clone."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from repoagents.domain.settings import Settings
from repoagents.git.checkout import Checkout
from repoagents.git.workspaces import GitWorkspaces
from repoagents.policy.rollout import is_taken_back
from tests.fakes.clock import FakeClock

LONG_AGO = timedelta(days=1_000)


def test_every_form_of_a_merge_is_known_when_it_is_reverted(
    git_repository: Callable[..., Path], git: Callable[..., str]
) -> None:
    root, clock = git_repository({"a.txt": "one\n"}), FakeClock()
    spaces = GitWorkspaces(
        Checkout(root, {"PATH": "/usr/local/bin:/usr/bin:/bin"}, (".ai-repoagents/**",)),
        root / ".ai-repoagents",
        Settings(),
        clock,
    )

    def change(name: str, subject: str) -> str:
        (root / name).write_text("two\n")
        git(root, "add", name)
        git(root, "commit", "--quiet", "-m", subject)
        return git(root, "rev-parse", "HEAD").strip()

    main = git(root, "symbolic-ref", "--short", "HEAD").strip()
    git(root, "checkout", "--quiet", "-b", "ours")
    head = change("b.txt", "Mend it")
    git(root, "checkout", "--quiet", main)
    git(root, "merge", "--quiet", "--no-ff", "-m", "Merge pull request #7 from octo/ours", "ours")
    git(root, "revert", "--no-edit", "-m", "1", "HEAD")
    change("c.txt", "Mend another (#12)")
    git(root, "revert", "--no-edit", "HEAD")
    rebased = change("d.txt", "Mend a third")
    git(root, "revert", "--no-edit", "HEAD")
    again = change("e.txt", "Mend a fourth (#14)")
    git(root, "revert", "--no-edit", "HEAD")
    git(root, "revert", "--no-edit", "HEAD")
    change("f.txt", f"Say so\n\nThis reverts commit {'0' * 40}.")
    spaces.refresh()

    told = spaces.taken_back(clock.now() - LONG_AGO)

    assert [is_taken_back(head, "", told), is_taken_back("x", "7", told)] == [True, True]
    assert is_taken_back("x", "12", told)
    assert is_taken_back(rebased, "", told)
    assert not is_taken_back(again, "14", told), "it was put back"
    assert not is_taken_back("x", "1", told)
    assert not is_taken_back("x", "", told)
    assert len(told) == 3 + 1  # the revert that was reverted is one
