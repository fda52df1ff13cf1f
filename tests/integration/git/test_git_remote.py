"""Branches that go to a remote: what is written there, and what is said when it is not."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from repoagents.errors import GitError
from repoagents.git.remote import Remote
from repoagents.git.workspaces import GitWorkspaces
from tests.integration.git.conftest import OUTSIDE, Run, Site, tree_of, write
from tests.integration.git.smart_http import TOKEN, Exchange, Host, Login, Request

Git = Callable[..., str]
BRANCH = "repoagents/issue-7-mend-it"
REF = f"refs/heads/{BRANCH}"


@pytest.fixture
def remote(host: Host) -> Remote:
    return Remote(f"{host.url}/o/r.git", Login(host))


@pytest.fixture
def bot(site: Site, remote: Remote) -> GitWorkspaces:
    return site.bot(remote=remote)


@pytest.fixture
def commit(run: Run) -> str:
    """The commit of one edit."""
    write(run.path / "src/app.py", "print('two')\n")
    return run.commit("Mend it\n\nIssue: #7\n")


def heads(bare: Path, git: Git) -> dict[str, str]:
    """The bot's branches on the host."""
    listed = git(bare, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/repoagents")
    return dict(line.split(" ") for line in listed.splitlines())


def hook(bare: Path, name: str, script: str) -> None:
    write(bare / "hooks" / name, f"#!/bin/sh\n{script}\n").chmod(0o755)


class TestRefresh:
    """The base comes from the remote, whatever the checkout calls its origin."""

    def test_the_base_is_the_remotes(self, site: Site, run: Run, bare: Path, git: Git) -> None:
        assert (run.base.branch, run.base.sha) == ("main", git(bare, "rev-parse", "main"))
        assert (run.path / "later.txt").exists()

    def test_the_checkouts_origin_does_not_count(self, site: Site, bot: GitWorkspaces) -> None:
        site.git("remote", "add", "origin", "/nowhere/origin.git")
        assert bot.refresh().branch == "main"

    def test_the_checkout_is_still_asked_what_it_holds(
        self, site: Site, bot: GitWorkspaces
    ) -> None:
        site.commit({"a.txt": "a\n"})
        site.write({"src/app.py": "edited\n"})
        assert bot.why_ahead(bot.refresh()) == "the checkout has 1 commit that main lacks"
        assert bot.dirty_paths() == ("src/app.py",)


class TestHead:
    """What a branch of the remote names now."""

    def test_it_is_read_from_the_remote(self, run: Run, bare: Path, git: Git) -> None:
        assert run.bot.branch_head(BRANCH) is None
        git(bare, "update-ref", REF, run.base.sha)
        assert run.bot.branch_head(BRANCH) == run.base.sha

    def test_a_ref_that_only_ends_alike_is_another(self, run: Run, bare: Path, git: Git) -> None:
        git(bare, "update-ref", f"refs/heads/x/{REF}", run.base.sha)
        assert run.bot.branch_head(BRANCH) is None

    def test_a_foreign_commit_is_told_as_it_is(
        self, site: Site, run: Run, commit: str, bare: Path, git: Git
    ) -> None:
        run.bot.push(BRANCH, commit, None)
        theirs = git(bare, "commit-tree", "-p", commit, "-m", "Theirs", f"{commit}^{{tree}}")
        git(bare, "update-ref", REF, theirs)
        assert run.bot.branch_head(BRANCH) == theirs

    def test_a_repository_that_is_not_there_is_told(self, site: Site, host: Host) -> None:
        bot = site.bot(remote=Remote(f"{host.url}/o/other.git", Login(host)))
        with pytest.raises(GitError, match=r"o/other\.git.* not found") as caught:
            bot.branch_head(BRANCH)
        assert caught.value.kind == "failed"
        assert "tracker.repo" in caught.value.next_step


class TestPush:
    """One branch of ours on the remote, and nothing else anywhere."""

    def test_only_that_branch_appears(
        self, site: Site, run: Run, commit: str, bare: Path, host: Host, git: Git
    ) -> None:
        site.write({"src/app.py": "the operator's own edit\n"})
        checkout, main = tree_of(site.root, but=OUTSIDE), git(bare, "for-each-ref")
        where = run.bot.push(BRANCH, commit, None)
        assert where == f"{host.url}/o/r/tree/{BRANCH}"
        assert heads(bare, git) == {REF: commit}
        assert git(bare, "for-each-ref") == f"{main}\n{commit} commit\t{REF}"
        assert git(bare, "diff", "--name-only", f"main..{BRANCH}") == "src/app.py"
        assert tree_of(site.root, but=OUTSIDE) == checkout

    def test_a_repeat_is_adopted_without_a_write(self, run: Run, commit: str, host: Host) -> None:
        first = run.bot.push(BRANCH, commit, None)
        assert run.bot.push(BRANCH, commit, None) == first
        assert run.bot.push(BRANCH, commit, commit) == first
        assert sum(request.pushes for request in host.requests) == 1

    def test_our_own_earlier_commit_is_followed(
        self, run: Run, commit: str, bare: Path, git: Git
    ) -> None:
        run.bot.push(BRANCH, commit, None)
        write(run.path / "src/app.py", "print('three')\n")
        later = run.commit("Mend it better", onto=commit)
        run.bot.push(BRANCH, later, commit)
        assert heads(bare, git) == {REF: later}

    def test_not_even_our_own_commit_is_overwritten(
        self, run: Run, commit: str, bare: Path, git: Git
    ) -> None:
        run.bot.push(BRANCH, commit, None)
        write(run.path / "src/app.py", "print('three')\n")
        with pytest.raises(GitError, match="does not follow"):
            run.bot.push(BRANCH, run.commit("Mend it otherwise"), commit)
        assert heads(bare, git) == {REF: commit}

    @pytest.mark.parametrize("expected", [None, "1" * 40])
    def test_a_persons_commit_is_never_overwritten(
        self, run: Run, commit: str, bare: Path, git: Git, host: Host, expected: str | None
    ) -> None:
        git(bare, "update-ref", REF, run.base.sha)
        with pytest.raises(GitError, match=f"holds another commit: {run.base.sha[:12]}") as caught:
            run.bot.push(BRANCH, commit, expected)
        assert BRANCH in caught.value.next_step
        assert heads(bare, git) == {REF: run.base.sha}
        assert not any(request.pushes for request in host.requests)

    @pytest.mark.parametrize("moment", ["before git looks", "after git has looked"])
    def test_a_person_who_is_faster_wins(
        self, run: Run, commit: str, bare: Path, git: Git, host: Host, moment: str
    ) -> None:
        def intrude(_: Exchange, request: Request) -> bool:
            looks = request.query == "service=git-receive-pack"
            if looks if moment == "before git looks" else request.pushes:
                git(bare, "update-ref", REF, run.base.sha)
            return False

        host.before = intrude
        with pytest.raises(GitError, match="refused the branch") as caught:
            run.bot.push(BRANCH, commit, None)
        assert "moved the branch at the same time" in caught.value.next_step
        assert heads(bare, git) == {REF: run.base.sha}

    def test_a_twin_that_is_faster_is_adopted(
        self, run: Run, commit: str, host: Host, bare: Path, git: Git
    ) -> None:
        other = host.before

        def overtake(_: Exchange, request: Request) -> bool:
            if request.pushes:
                host.before = other
                run.bot.push(BRANCH, commit, None)
            return False

        host.before = overtake
        assert run.bot.push(BRANCH, commit, None).endswith(BRANCH)
        assert heads(bare, git) == {REF: commit}

    def test_a_branch_that_vanished_is_not_revived(
        self, run: Run, commit: str, bare: Path, git: Git
    ) -> None:
        with pytest.raises(GitError, match="stale info"):
            run.bot.push(BRANCH, commit, run.base.sha)
        assert heads(bare, git) == {}

    @pytest.mark.parametrize("branch", ["main", "repoagents/../main", "-x", "repoagents/a:b"])
    def test_no_other_branch_is_written(
        self, run: Run, commit: str, host: Host, branch: str
    ) -> None:
        host.requests.clear()
        with pytest.raises(GitError, match="is not a branch that the bot may write"):
            run.bot.push(branch, commit, None)
        assert host.requests == []

    def test_a_large_change_arrives_whole(self, run: Run, bare: Path, git: Git, site: Site) -> None:
        # Larger than http.postBuffer: git asks first, then sends in chunks.
        noise = b"".join(bytes([n * k % 251 for n in range(4096)]) for k in range(1, 700))
        write(run.path / "noise.bin", noise)
        commit = run.commit()
        run.bot.push(BRANCH, commit, None)
        assert heads(bare, git) == {REF: commit}
        assert git(bare, "fsck", "--no-dangling") == ""


def lost(exchange: Exchange, request: Request) -> bool:
    return request.pushes and exchange.hang_up()


def broken(exchange: Exchange, request: Request) -> bool:
    if request.pushes:
        exchange.answer(502, [("Content-Type", "text/html")], b"<html>Bad gateway</html>")
    return request.pushes


def silent(exchange: Exchange, request: Request) -> bool:
    """An answer that says nothing of the branch."""
    if request.pushes:
        exchange.report()
    return request.pushes


class TestLostAnswer:
    """A push of which nothing was heard is looked for before anything is said."""

    @pytest.mark.parametrize("fault", [lost, broken, silent])
    def test_a_push_that_arrived_counts(
        self, run: Run, commit: str, host: Host, bare: Path, git: Git, fault: Callable[..., bool]
    ) -> None:
        host.after = fault
        assert run.bot.push(BRANCH, commit, None) == f"{host.url}/o/r/tree/{BRANCH}"
        assert heads(bare, git) == {REF: commit}

    @pytest.mark.parametrize("fault", [lost, broken, silent])
    def test_a_push_that_did_not_can_be_repeated(
        self, run: Run, commit: str, host: Host, bare: Path, git: Git, fault: Callable[..., bool]
    ) -> None:
        host.before = fault
        with pytest.raises(GitError, match=BRANCH) as caught:
            run.bot.push(BRANCH, commit, None)
        assert caught.value.kind == "unreachable"
        assert caught.value.next_step
        assert heads(bare, git) == {}
        host.before = lambda *_: False
        run.bot.push(BRANCH, commit, None)
        assert heads(bare, git) == {REF: commit}

    def test_when_nobody_answers_any_more_it_is_network_trouble(
        self, run: Run, commit: str, host: Host
    ) -> None:
        def die(exchange: Exchange, request: Request) -> bool:
            if request.pushes:
                host.before = lambda exchange, _: exchange.hang_up()
                exchange.hang_up()
            return request.pushes

        host.after = die
        with pytest.raises(GitError, match="Could not bring the branch") as caught:
            run.bot.push(BRANCH, commit, None)
        assert caught.value.kind == "unreachable"
        host.before = host.after = lambda *_: False
        host.requests.clear()
        assert run.bot.push(BRANCH, commit, None).endswith(BRANCH)
        assert not any(request.pushes for request in host.requests)

    @pytest.mark.parametrize(("status", "kind"), [(429, "unreachable"), (413, "failed")])
    def test_a_status_says_whether_to_try_again(
        self, run: Run, commit: str, host: Host, status: int, kind: str
    ) -> None:
        def refuse(exchange: Exchange, request: Request) -> bool:
            if request.pushes:
                exchange.answer(status, [])
            return request.pushes

        host.before = refuse
        with pytest.raises(GitError, match=str(status)) as caught:
            run.bot.push(BRANCH, commit, None)
        assert caught.value.kind == kind


class TestRefusal:
    """The remote says no: its own words are told, and what to do."""

    @pytest.mark.parametrize(
        ("said", "kind", "advice"),
        [
            ("error: GH006: Protected branch update failed for X.", "failed", "branch protection"),
            ("error: GH013: Repository rule violations found for X.", "failed", "ruleset"),
            ("error: GH013: X\n- Push cannot contain secrets", "failed", "take it out"),
            ("error: GH007: Your push would publish a private email", "failed", "commit.email"),
            (
                "refusing to allow a GitHub App to create or update workflow `.github/workflows/a`"
                " without `workflows` permission",
                "auth",
                "permission that is named",
            ),
            ("no pushes on Fridays", "failed", "Fix what the remote names"),
        ],
    )
    def test_it_is_quoted_with_advice(
        self,
        run: Run,
        commit: str,
        bare: Path,
        git: Git,
        host: Host,
        said: str,
        kind: str,
        advice: str,
    ) -> None:
        write(bare / "said", said)
        hook(bare, "pre-receive", "cat said >&2; exit 1")
        with pytest.raises(GitError, match="refused the branch") as caught:
            run.bot.push(BRANCH, commit, None)
        for line in said.splitlines():
            assert line.removeprefix("error: ") in str(caught.value)
        assert "(pre-receive hook declined)" in str(caught.value)
        assert f"{host.url}/o/r.git refused the branch {BRANCH}" in str(caught.value)
        assert caught.value.kind == kind
        assert advice in caught.value.next_step
        assert heads(bare, git) == {}

    def test_a_hook_without_a_word_is_named(self, run: Run, commit: str, bare: Path) -> None:
        hook(bare, "update", "exit 1")
        with pytest.raises(GitError, match=rf"refused the branch {BRANCH}: hook declined"):
            run.bot.push(BRANCH, commit, None)

    def test_its_words_are_text_of_one_line_and_bounded(
        self, run: Run, commit: str, bare: Path
    ) -> None:
        write(bare / "said", "a\x1b]52;c;x\x07b\n" + "long " * 1000)
        hook(bare, "pre-receive", "cat said >&2; exit 1")
        with pytest.raises(GitError) as caught:
            run.bot.push(BRANCH, commit, None)
        assert "a?]52;c;x?b long" in str(caught.value)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 1000

    def test_a_branch_in_the_way_is_named(
        self, run: Run, commit: str, bare: Path, git: Git
    ) -> None:
        git(bare, "update-ref", "refs/heads/repoagents", run.base.sha)
        with pytest.raises(GitError, match="refused the branch") as caught:
            run.bot.push(BRANCH, commit, None)
        assert "delete the branch repoagents" in caught.value.next_step


class TestPath:
    """A repository on the same machine is a remote too."""

    @pytest.fixture
    def bot(self, site: Site, bare: Path) -> GitWorkspaces:
        return site.bot(remote=Remote(str(bare)))

    def test_a_branch_goes_there(
        self, site: Site, run: Run, commit: str, bare: Path, git: Git
    ) -> None:
        checkout = tree_of(site.root, but=OUTSIDE)
        assert run.bot.branch_head(BRANCH) is None
        assert run.bot.push(BRANCH, commit, None) == f"branch {BRANCH} in {bare}"
        assert heads(bare, git) == {REF: commit}
        assert run.bot.branch_head(BRANCH) == commit
        assert tree_of(site.root, but=OUTSIDE) == checkout

    def test_its_hooks_may_refuse(self, run: Run, commit: str, bare: Path, git: Git) -> None:
        hook(bare, "pre-receive", "echo not today >&2; exit 1")
        with pytest.raises(GitError, match=r"not today \(pre-receive hook declined\)"):
            run.bot.push(BRANCH, commit, None)
        assert heads(bare, git) == {}

    def test_nothing_of_a_login_reaches_its_hooks(self, site: Site, host: Host, bare: Path) -> None:
        login = Login(host)
        hook(bare, "post-receive", "env > seen")
        run = Run(site.bot(remote=Remote(str(bare), login)))
        write(run.path / "src/app.py", "print('two')\n")
        run.bot.push(BRANCH, run.commit(), None)
        assert "PATH=" in (bare / "seen").read_text()
        assert TOKEN not in (bare / "seen").read_text()
        assert login.asked == 0

    def test_a_path_is_seen_from_the_checkout(self, site: Site, bare: Path, git: Git) -> None:
        run = Run(site.bot(remote=Remote(os.path.relpath(bare, site.root))))
        write(run.path / "src/app.py", "print('two')\n")
        commit = run.commit()
        run.bot.push(BRANCH, commit, None)
        assert heads(bare, git) == {REF: commit}

    def test_a_file_url_will_do(self, site: Site, bare: Path, git: Git) -> None:
        run = Run(site.bot(remote=Remote(f"file://{bare}")))
        write(run.path / "src/app.py", "print('two')\n")
        commit = run.commit()
        assert run.bot.push(BRANCH, commit, None) == f"branch {BRANCH} in file://{bare}"
        assert heads(bare, git) == {REF: commit}
