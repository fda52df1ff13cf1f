"""Commits, and the one way in which the operator's repository is written."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import pytest

from repoagents.domain.settings import CommitSettings
from repoagents.errors import GitError
from repoagents.git.workspaces import GitWorkspaces
from repoagents.ports import CommitRequest
from tests.fakes.clock import START
from tests.integration.git.conftest import OUTSIDE, Run, Site, tree_of, write

Git = Callable[..., str]
BRANCH = "repoagents/issue-7-mend-it"


@pytest.fixture
def commit(run: Run) -> str:
    """The commit of one edit."""
    write(run.path / "src/app.py", "print('two')\n")
    return run.commit("Mend it\n\nIssue: #7\n")


def show(site: Site, commit: str, form: str) -> str:
    clone = site.control / "git/repo.git"
    return site.git("--git-dir", str(clone), "show", "--no-patch", f"--format={form}", commit)


class TestCommit:
    """The same request gives the same commit."""

    def test_identity_date_message_and_parent_are_as_asked(
        self, site: Site, run: Run, commit: str
    ) -> None:
        assert show(site, commit, "%an <%ae>|%cn <%ce>") == (
            "repoagents <repoagents@users.noreply.localhost>|"
            "repoagents <repoagents@users.noreply.localhost>"
        )
        assert show(site, commit, "%at %ct %P") == (
            f"{int(START.timestamp())} {int(START.timestamp())} {run.base.sha}"
        )
        assert show(site, commit, "%B").strip() == "Mend it\n\nIssue: #7"

    def test_a_repeat_is_the_same_commit(self, run: Run, commit: str, site: Site) -> None:
        request = CommitRequest(
            "run-1", run.base.sha, run.freeze(), "Mend it\n\nIssue: #7\n", START
        )
        here = replace(request, at=START.astimezone(timezone(timedelta(hours=9))))
        assert run.bot.commit(request) == commit
        assert site.bot().commit(here) == commit
        assert run.bot.commit(replace(request, at=START + timedelta(seconds=1))) != commit

    def test_it_is_kept_in_the_bots_clone(self, site: Site, commit: str) -> None:
        refs = site.git(
            "--git-dir", str(site.control / "git/repo.git"), "for-each-ref", "refs/runs"
        )
        assert refs == f"{commit} commit\trefs/runs/run-1"

    @pytest.mark.parametrize(
        ("message", "expected"),
        [
            ("Mend it\n", "Mend it\n\nSigned-off-by: A B <a@b.invalid>"),
            ("Mend\n\nFixes: #1", "Mend\n\nFixes: #1\nSigned-off-by: A B <a@b.invalid>"),
        ],
    )
    def test_signoff_is_a_trailer(self, site: Site, run: Run, message: str, expected: str) -> None:
        who = CommitSettings(name="A B", email="a@b.invalid", signoff=True)
        signed = Run(site.bot(commit=who), "run-9")
        commit = signed.commit(message)
        assert show(site, commit, "%B").strip() == expected

    def test_a_hostile_message_stays_a_message(self, site: Site, run: Run) -> None:
        commit = run.commit("--amend $(id)\0\n\n\ud800 #not a comment\n")
        assert show(site, commit, "%B").strip() == "--amend $(id)\n\n? #not a comment"

    @pytest.mark.parametrize("bad", ["", "--help", "HEAD", "x" * 40])
    def test_what_is_no_object_is_refused(self, run: Run, bad: str) -> None:
        run.bot.refresh()
        for request in (
            CommitRequest("run-1", bad, run.freeze(), "m", START),
            CommitRequest("run-1", run.base.sha, bad, "m", START),
        ):
            with pytest.raises(GitError, match="not the name of a git object"):
                run.bot.commit(request)


class TestWhyStale:
    """Whether a stored commit still goes on top of the base."""

    def test_its_own_base_is_fine(self, run: Run, commit: str) -> None:
        assert run.bot.why_stale(commit, run.base) is None

    def test_a_base_that_moved_elsewhere_is_fine(
        self, site: Site, bot: GitWorkspaces, commit: str
    ) -> None:
        site.commit({"README.md": "# Other\n"})
        assert bot.why_stale(commit, bot.refresh()) is None

    def test_a_conflict_is_named(self, site: Site, bot: GitWorkspaces, commit: str) -> None:
        site.commit({"src/app.py": "print('three')\n"})
        assert bot.why_stale(commit, bot.refresh()) == (
            "main has moved on and conflicts in src/app.py"
        )

    def test_a_rewritten_history_is_told(self, site: Site, bot: GitWorkspaces, commit: str) -> None:
        site.git("commit", "--quiet", "--amend", "--message=Rewritten")
        reason = bot.why_stale(commit, bot.refresh())
        assert reason is not None
        assert "history was rewritten" in reason

    def test_a_lost_commit_is_told(self, bot: GitWorkspaces) -> None:
        base = bot.refresh()
        assert bot.why_stale("1" * 40, base) == (
            "commit 111111111111 is no longer in the bot's clone"
        )


class TestPush:
    """One branch of ours, and nothing else."""

    def test_only_that_branch_appears(
        self, site: Site, run: Run, commit: str, git: Git, tmp_path: Path
    ) -> None:
        site.git("config", "receive.updateServerInfo", "true")
        site.write({"src/app.py": "the operator's own edit\n"})
        site.git("pack-refs", "--all")
        for name in (
            "pre-receive",
            "update",
            "post-receive",
            "post-update",
            "reference-transaction",
        ):
            hook = write(site.root / ".git/hooks" / name, f"#!/bin/sh\ntouch {tmp_path}/ran\n")
            hook.chmod(0o755)
        before = tree_of(site.root, but=OUTSIDE)
        where = run.bot.push(BRANCH, commit, None)
        assert where == f"branch {BRANCH} in {site.root}"
        assert site.git("rev-parse", BRANCH) == commit
        new = [".git/objects", ".git/refs/heads/repoagents", ".git/logs/refs/heads/repoagents"]
        after = tree_of(site.root, but=[*OUTSIDE, *new])
        assert after == {path: kind for path, kind in before.items() if path in after}
        assert [path for path in before if not path.startswith(".git/objects")] == list(after)
        assert not (tmp_path / "ran").exists()
        assert site.git("fsck", "--no-dangling") == ""

    def test_it_is_what_was_frozen(self, site: Site, run: Run, commit: str) -> None:
        run.bot.push(BRANCH, commit, None)
        assert site.git("rev-parse", f"{BRANCH}^{{tree}}") == run.freeze()
        assert site.git("diff", "--name-only", f"main..{BRANCH}") == "src/app.py"

    def test_a_repeat_is_adopted(self, run: Run, commit: str) -> None:
        first = run.bot.push(BRANCH, commit, None)
        assert run.bot.push(BRANCH, commit, None) == first
        assert run.bot.push(BRANCH, commit, commit) == first
        assert run.bot.branch_head(BRANCH) == commit

    def test_our_own_earlier_commit_is_followed(self, site: Site, run: Run, commit: str) -> None:
        run.bot.push(BRANCH, commit, None)
        write(run.path / "src/app.py", "print('three')\n")
        later = run.commit("Mend it better", onto=commit)
        run.bot.push(BRANCH, later, commit)
        assert site.git("rev-parse", BRANCH) == later
        assert site.git("rev-list", "--count", f"main..{BRANCH}") == "2"

    def test_not_even_our_own_commit_is_overwritten(
        self, site: Site, run: Run, commit: str
    ) -> None:
        run.bot.push(BRANCH, commit, None)
        write(run.path / "src/app.py", "print('three')\n")
        with pytest.raises(GitError, match="does not follow") as caught:
            run.bot.push(BRANCH, run.commit("Mend it otherwise"), commit)
        assert "--fresh" in caught.value.next_step
        assert site.git("rev-parse", BRANCH) == commit

    @pytest.mark.parametrize("expected", [None, "1" * 40])
    def test_a_persons_commit_is_never_overwritten(
        self, site: Site, run: Run, commit: str, expected: str | None
    ) -> None:
        site.git("branch", BRANCH)
        theirs = site.git("rev-parse", BRANCH)
        with pytest.raises(GitError, match="by Test Author, Start") as caught:
            run.bot.push(BRANCH, commit, expected)
        assert BRANCH in caught.value.next_step
        assert site.git("rev-parse", BRANCH) == theirs

    def test_git_itself_compares_at_the_moment_of_writing(
        self, site: Site, run: Run, commit: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # As if a person pushed between our look and our push.
        site.git("branch", BRANCH)
        monkeypatch.setattr("repoagents.git.checkout.Checkout.branch_head", lambda *_: None)
        with pytest.raises(GitError, match="stale info"):
            run.bot.push(BRANCH, commit, None)
        assert site.git("rev-parse", BRANCH) == run.base.sha

    def test_a_branch_that_vanished_is_not_revived(self, run: Run, commit: str) -> None:
        with pytest.raises(GitError, match="stale info"):
            run.bot.push(BRANCH, commit, run.base.sha)

    @pytest.mark.parametrize(
        "branch",
        ["main", "repoagents", "repoagents/", "repoagents/../main", "repoagents/a..b", "-x",
         "repoagents/x.lock", "repoagents/a//b", "repoagents/@{u}", "repoagents/a\nb",
         "repoagents/a b", "repoagents/a:refs/heads/main", "refs/heads/repoagents/x", "HEAD", "@"],
    )  # fmt: skip
    def test_no_other_branch_is_written(
        self, site: Site, run: Run, commit: str, branch: str
    ) -> None:
        before = site.git("for-each-ref")
        with pytest.raises(GitError, match="is not a branch that the bot may write"):
            run.bot.push(branch, commit, None)
        assert site.git("for-each-ref") == before

    def test_a_checked_out_branch_is_not_pulled_from_under_a_person(
        self, site: Site, run: Run, commit: str
    ) -> None:
        run.bot.push(BRANCH, commit, None)
        site.git("switch", "--quiet", BRANCH)
        write(run.path / "README.md", "more\n")
        with pytest.raises(GitError, match="checked out"):
            run.bot.push(BRANCH, run.commit("More", onto=commit), commit)
        assert run.bot.dirty_paths() == ()

    def test_a_linked_worktree_gets_the_branch_too(
        self, site: Site, tmp_path: Path, git: Git
    ) -> None:
        site.git("worktree", "add", "--quiet", "-b", "linked", str(tmp_path / "linked"))
        run = Run(Site(tmp_path / "linked", git).bot())
        write(run.path / "a.txt", "a\n")
        commit = run.commit()
        run.bot.push(BRANCH, commit, None)
        assert site.git("rev-parse", BRANCH) == commit

    def test_an_absent_branch_has_no_head(self, run: Run) -> None:
        assert run.bot.branch_head("nowhere") is None
        assert run.bot.branch_head("main") == run.base.sha


def test_the_commit_applies_for_somebody_else(
    site: Site, run: Run, commit: str, tmp_path: Path, git: Git
) -> None:
    run.bot.push(BRANCH, commit, None)
    git(tmp_path, "clone", "--quiet", "--branch", BRANCH, str(site.root), "theirs")
    assert (tmp_path / "theirs/src/app.py").read_text() == "print('two')\n"
    patch = run.bot.change_set(run.base.sha, run.freeze()).patch
    plain = tmp_path / "plain"
    git(tmp_path, "clone", "--quiet", str(site.root), str(plain))
    subprocess.run(["patch", "-p1", "-d", str(plain)], input=patch.encode(), check=True)
    assert (plain / "src/app.py").read_text() == "print('two')\n"
