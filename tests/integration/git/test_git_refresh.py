"""Where the base comes from, and what is said when it cannot be had."""

import base64
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from repoagents.domain.settings import TrackerSettings
from repoagents.errors import GitError
from repoagents.git.checkout import Checkout
from repoagents.git.workspaces import GitWorkspaces
from tests.integration.git.conftest import OUTSIDE, Run, Site, tree_of, write
from tests.machine import NEEDS_OTHERS

Git = Callable[..., str]


@pytest.fixture
def origin(site: Site, tmp_path: Path, git: Git) -> Path:
    """A bare origin one commit ahead of the operator's checkout, with `trunk` as its default."""
    path = tmp_path / "origin.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(site.root), str(path))
    other = tmp_path / "other"
    git(tmp_path, "clone", "--quiet", str(path), str(other))
    git(other, "switch", "--quiet", "--create", "trunk")
    write(other / "later.txt", "later\n")
    git(other, "add", "--all")
    git(other, "commit", "--quiet", "--message=Later")
    git(other, "push", "--quiet", "origin", "trunk")
    git(path, "symbolic-ref", "HEAD", "refs/heads/trunk")
    return path


def test_without_origin_it_is_the_tip_of_the_branch_that_head_names(site: Site) -> None:
    site.git("switch", "--quiet", "--create", "topic")
    sha = site.commit({"a.txt": "a\n"})
    site.write({"a.txt": "not committed\n"})
    bot = site.bot()
    assert (bot.refresh().branch, bot.refresh().sha) == ("topic", sha)
    assert site.bot().base_branch() == "topic"


def test_with_origin_it_is_origins_default_branch(site: Site, origin: Path, git: Git) -> None:
    site.git("remote", "add", "origin", str(origin))
    base = site.bot().refresh()
    assert (base.branch, base.sha) == ("trunk", git(origin, "rev-parse", "trunk"))
    assert (Run(site.bot()).path / "later.txt").exists()


def test_a_relative_origin_is_seen_from_the_checkout(site: Site, origin: Path) -> None:
    site.git("remote", "add", "origin", "../origin.git")
    assert site.bot().refresh().branch == "trunk"
    assert origin.exists()


def test_clone_url_overrides_origin(site: Site, origin: Path) -> None:
    site.git("remote", "add", "origin", "https://127.0.0.1:9/nobody.git")
    for url in (str(origin), f"file://{origin}", "../origin.git"):
        bot = site.bot(tracker=TrackerSettings(kind="local_file", clone_url=url))
        assert bot.refresh().branch == "trunk"


def test_the_branch_can_be_configured(site: Site, origin: Path) -> None:
    tracker = TrackerSettings(kind="local_file", clone_url=str(origin), base_branch="main")
    assert site.bot(tracker=tracker).refresh().branch == "main"


def test_a_branch_that_is_not_there_is_named(site: Site) -> None:
    tracker = TrackerSettings(kind="local_file", base_branch="nowhere")
    with pytest.raises(GitError, match="has no branch nowhere") as caught:
        site.bot(tracker=tracker).refresh()
    assert "tracker.base_branch" in caught.value.next_step
    assert caught.value.kind == "no_base"


def test_a_detached_head_asks_for_the_branch(site: Site) -> None:
    site.git("switch", "--quiet", "--detach")
    with pytest.raises(GitError, match="names no branch") as caught:
        site.bot().refresh()
    assert "tracker.base_branch" in caught.value.next_step
    assert (caught.value.kind, str(caught.value).count("HEAD")) == ("no_base", 1)


def test_a_repository_without_a_commit_is_told(tmp_path: Path, git: Git) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    bot = Site(tmp_path, git).bot()
    with pytest.raises(GitError, match="has no commit yet") as caught:
        bot.refresh()
    assert "Commit something first" in caught.value.next_step
    assert caught.value.kind == "no_base"
    with pytest.raises(GitError, match="No base was fetched yet"):
        bot.base_branch()


def test_a_folder_without_git_is_told(tmp_path: Path, git: Git) -> None:
    bot = Site(tmp_path, git).bot()
    for ask in (bot.refresh, bot.dirty_paths):
        with pytest.raises(GitError, match="is not a git repository") as caught:
            ask()
        assert "git init" in caught.value.next_step
        assert "workspace.strategy: copy" in caught.value.next_step


def test_a_folder_inside_a_repository_is_not_its_top(site: Site, git: Git) -> None:
    with pytest.raises(GitError, match="lies inside the git repository"):
        Site(site.root / "src", git).bot().refresh()


def test_a_linked_worktree_is_a_checkout_too(site: Site, tmp_path: Path, git: Git) -> None:
    site.git("worktree", "add", "--quiet", "-b", "linked", str(tmp_path / "linked"))
    linked = Site(tmp_path / "linked", git)
    sha = linked.commit({"a.txt": "a\n"})
    run = Run(linked.bot())
    assert (run.base.branch, run.base.sha) == ("linked", sha)
    assert linked.bot().dirty_paths() == ()


def test_new_commits_and_a_rewritten_history_are_followed(site: Site, bot: GitWorkspaces) -> None:
    first = bot.refresh()
    second = site.commit({"b.txt": "b\n"})
    assert bot.refresh().sha == second
    site.git("reset", "--quiet", "--hard", first.sha)
    third = site.commit({"c.txt": "c\n"})
    assert bot.refresh().sha == third
    worktree, _ = bot.open(7, "old", second)
    assert (worktree.path / "b.txt").exists()


def test_a_shallow_repository_will_do(site: Site, tmp_path: Path, git: Git) -> None:
    site.commit({"b.txt": "b\n"})
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{site.root}", str(shallow))
    git(shallow, "remote", "remove", "origin")
    run = Run(Site(shallow, git).bot())
    write(run.path / "b.txt", "c\n")
    assert run.change().paths == ("b.txt",)
    assert git(run.path, "log", "--format=%s") == "More"


def test_sha256_will_do(tmp_path: Path, git: Git) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch=main", "--object-format=sha256")
    site = Site(tmp_path, git)
    site.commit({"a.txt": "a\n", "b.txt": "b\n"})
    run = Run(site.bot())
    write(run.path / "a.txt", "b\n")
    (run.path / "b.txt").unlink()
    assert run.change().paths == ("a.txt", "b.txt")
    assert git(run.path, "status", "--porcelain") == "M a.txt\n D b.txt"
    commit = run.commit()
    run.bot.push("repoagents/x", commit, None)
    assert site.git("rev-parse", "repoagents/x") == commit


def test_another_object_format_is_told(site: Site, bot: GitWorkspaces, git: Git) -> None:
    bot.refresh()
    shutil.rmtree(site.root / ".git")
    git(site.root, "init", "--quiet", "--initial-branch=main", "--object-format=sha256")
    site.commit({"a.txt": "a\n"})
    with pytest.raises(GitError, match="another object format") as caught:
        bot.refresh()
    assert "Delete" in caught.value.next_step


@NEEDS_OTHERS
def test_a_checkout_that_belongs_to_somebody_else(site: Site, tmp_path: Path) -> None:
    for path in (site.root, *site.root.rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    write(site.root / ".git/config", "[core]\n\tbare = false\n[safe]\n\tdirectory = *\n")
    with pytest.raises(GitError, match="dubious ownership"):
        site.bot().refresh()
    config = write(tmp_path / "gitconfig", f"[safe]\n\tdirectory = {site.root}\n")
    trusting = site.bot(environment={**os.environ, "GIT_CONFIG_GLOBAL": str(config)})
    run = Run(trusting)
    write(run.path / "src/app.py", "two\n")
    commit = run.commit()
    trusting.push("repoagents/x", commit, None)
    assert trusting.branch_head("repoagents/x") == commit
    assert trusting.dirty_paths() == ()


def test_two_fetches_at_once_agree(site: Site) -> None:
    site.commit({f"many/{number}.txt": f"{number}\n" for number in range(200)})
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(site.bot().refresh().sha)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [site.git("rev-parse", "HEAD")] * 6


class TestUnreachable:
    """Errors that the run waits on, with the place named and no secret told."""

    def test_a_path_that_is_gone(self, site: Site) -> None:
        site.git("remote", "add", "origin", "/nowhere/origin.git")
        with pytest.raises(GitError, match="/nowhere/origin") as caught:
            site.bot().refresh()
        assert caught.value.kind == "unreachable"

    def test_a_host_that_does_not_answer(self, site: Site) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]  # and nobody listens
            url = f"http://user:hunter2@127.0.0.1:{port}/x.git"
            site.git("remote", "add", "origin", url)
            with pytest.raises(GitError, match=f"http://127.0.0.1:{port}/x.git") as caught:
                site.bot().refresh()
        assert caught.value.kind == "unreachable"
        assert "hunter2" not in str(caught.value)
        assert "hunter2" not in caught.value.next_step

    def test_what_was_fetched_before_still_works(self, site: Site, origin: Path) -> None:
        site.git("remote", "add", "origin", str(origin))
        bot = site.bot()
        base = bot.refresh()
        shutil.rmtree(origin)
        with pytest.raises(GitError, match="Could not fetch"):
            bot.refresh()
        assert bot.open(7, "run-1", base.sha)[1]


class Refusing(BaseHTTPRequestHandler):
    """Refuses with the server's `answer` and keeps what it was shown."""

    server: "Server"

    def do_GET(self) -> None:
        self.server.shown.append(self.headers.get_all("Authorization") or [])
        self.send_response(self.server.answer)
        self.send_header("WWW-Authenticate", 'Basic realm="x"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, form: str, *rest: object) -> None:
        """Keep quiet."""


class Server(HTTPServer):
    """A loopback host that has no repository for anybody."""

    answer = 401

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Refusing)
        self.shown: list[list[str]] = []


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


class TestCredentials:
    """The operator's own ways to log in work, and nothing shows them."""

    @pytest.fixture
    def argv(self, tmp_path: Path) -> tuple[dict[str, str], Path]:
        """An environment whose git notes every argument list, and the notes."""
        notes, real = tmp_path / "argv", shutil.which("git")
        script = f'#!/bin/sh\nprintf "%s\\n" "$*" >> {notes}\nexec {real} "$@"\n'
        write(tmp_path / "bin/git", script).chmod(0o755)
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        return {**os.environ, "PATH": path}, notes

    def test_a_password_in_the_url_is_used_but_never_an_argument(
        self, site: Site, server: Server, argv: tuple[dict[str, str], Path]
    ) -> None:
        environment, notes = argv
        url = f"http://user:p%40ss@127.0.0.1:{server.server_port}/x.git"
        tracker = TrackerSettings(kind="local_file", clone_url=url)
        with pytest.raises(GitError) as caught:
            site.bot(tracker=tracker, environment=environment).refresh()
        assert caught.value.kind == "auth"
        token = base64.b64encode(b"user:p@ss").decode()
        assert server.shown[0] == [f"Basic {token}"]
        assert "ls-remote" in notes.read_text()
        for secret in ("p%40ss", "p@ss", token):
            assert secret not in notes.read_text()
            assert secret not in str(caught.value)

    def test_the_operators_helper_is_asked_and_nobody_is_prompted(
        self, site: Site, server: Server, tmp_path: Path
    ) -> None:
        asked = tmp_path / "asked"
        helper = f"!f() {{ echo $1 $HOME >> {asked}; echo username=u; echo password=p; }}; f"
        config = write(tmp_path / "gitconfig", f'[credential]\n\thelper = "{helper}"\n')
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": str(config)}
        url = f"http://127.0.0.1:{server.server_port}/x.git"
        tracker = TrackerSettings(kind="local_file", clone_url=url)
        with pytest.raises(GitError) as caught:
            site.bot(tracker=tracker, environment=environment).refresh()
        assert caught.value.kind == "auth"
        assert asked.read_text().startswith(f"get {os.environ['HOME']}")
        assert [f"Basic {base64.b64encode(b'u:p').decode()}"] in server.shown

    def test_a_user_in_the_url_is_told_to_the_helper(
        self, site: Site, server: Server, tmp_path: Path
    ) -> None:
        asked = tmp_path / "asked"
        config = write(tmp_path / "gitconfig", f'[credential]\n\thelper = "!cat >> {asked}; :"\n')
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": str(config)}
        url = f"http://somebody@127.0.0.1:{server.server_port}/x.git"
        tracker = TrackerSettings(kind="local_file", clone_url=url)
        with pytest.raises(GitError) as caught:
            site.bot(tracker=tracker, environment=environment).refresh()
        assert caught.value.kind == "auth"
        assert "username=somebody\n" in asked.read_text()

    def test_a_header_of_the_checkout_is_sent_once(self, site: Site, server: Server) -> None:
        url = f"http://127.0.0.1:{server.server_port}/"
        site.git("config", f"http.{url}.extraHeader", "Authorization: Basic abc")
        site.git("remote", "add", "origin", f"{url}x.git")
        with pytest.raises(GitError):
            site.bot().refresh()
        assert server.shown[0] == ["Basic abc"]

    def test_a_server_in_trouble_is_unreachable(self, site: Site, server: Server) -> None:
        server.answer = 503
        site.git("remote", "add", "origin", f"http://127.0.0.1:{server.server_port}/x.git")
        with pytest.raises(GitError) as caught:
            site.bot().refresh()
        assert caught.value.kind == "unreachable"

    def test_ssh_gets_its_agent_and_command(self, site: Site, tmp_path: Path) -> None:
        notes = tmp_path / "notes"
        write(
            tmp_path / "ssh",
            f'#!/bin/sh\necho "$SSH_AUTH_SOCK $*" >> {notes}\n'
            "echo 'git@host: Permission denied (publickey).' >&2\nexit 255\n",
        ).chmod(0o755)
        site.git("config", "core.sshCommand", str(tmp_path / "ssh"))
        site.git("remote", "add", "origin", "git@host.invalid:x.git")
        environment = {**os.environ, "SSH_AUTH_SOCK": "/run/agent"}
        with pytest.raises(GitError, match=r"git@host.invalid:x.git") as caught:
            site.bot(environment=environment).refresh()
        assert caught.value.kind == "auth"
        assert notes.read_text().startswith("/run/agent ")

    def test_rewritten_urls_of_the_operator_hold(
        self, site: Site, origin: Path, tmp_path: Path
    ) -> None:
        text = f'[url "file://{origin.parent}/"]\n\tinsteadOf = https://git.invalid/\n'
        config = write(tmp_path / "gitconfig", text)
        site.git("remote", "add", "origin", "https://git.invalid/origin.git")
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": str(config)}
        assert site.bot(environment=environment).refresh().branch == "trunk"


class TestOperatorsCheckout:
    """Read without a trace."""

    def test_nothing_but_the_control_folder_changes(self, site: Site, origin: Path) -> None:
        site.git("remote", "add", "origin", str(origin))
        site.write({"untracked.txt": "x\n", "src/app.py": "edited\n"})
        os.utime(site.root / "README.md")
        before = tree_of(site.root, but=OUTSIDE)
        bot = site.bot()
        bot.refresh()
        bot.dirty_paths()
        bot.branch_head("main")
        bot.why_ahead(bot.refresh())
        assert tree_of(site.root, but=OUTSIDE) == before

    def test_dirty_paths_leave_our_own_out(self, site: Site) -> None:
        assert site.bot().dirty_paths() == ()
        site.write(
            {
                ".ai-repoagents/repoagents.yaml": "x",
                "AGENTS.md": "x",
                "ops/smoke.fixture.json": "x",
                "ops/other.json": "x",
                "debug.log": "ignored",
                "new\nline ü": "x",
                "src/app.py": "edited\n",
            }
        )
        (site.root / "README.md").unlink()
        site.git("mv", "tests/test_app.py", "tests/moved.py")
        assert sorted(site.bot().dirty_paths()) == [
            "README.md",
            "new\nline ü",
            "ops/other.json",
            "src/app.py",
            "tests/moved.py",
            "tests/test_app.py",
        ]

    def test_what_is_left_behind_counts_as_soon_as_git_tracks_it(self, site: Site) -> None:
        site.write({"uv.lock": "x"})
        assert (site.bot().dirty_paths(), site.bot().left_paths()) == ((), ("uv.lock",))
        site.commit({"uv.lock": "x"})
        assert (site.bot().dirty_paths(), site.bot().left_paths()) == ((), ())
        site.write({"uv.lock": "edited"})
        assert site.bot().dirty_paths() == ("uv.lock",)

    def test_the_operators_own_excludes_count(self, site: Site, tmp_path: Path) -> None:
        site.write({"a.swp": "x", "b.tmp": "x"})
        write(tmp_path / "excludes", "*.swp\n")
        config = write(tmp_path / "gitconfig", f"[core]\n\texcludesFile = {tmp_path}/excludes\n")
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": str(config)}
        assert site.bot(environment=environment).dirty_paths() == ("b.tmp",)

    def test_the_default_excludes_file_counts(self, site: Site, tmp_path: Path) -> None:
        site.write({"a.swp": "x", "b.tmp": "x"})
        write(tmp_path / "home/.config/git/ignore", "*.tmp\n")
        environment = {**os.environ, "HOME": str(tmp_path / "home")}
        assert site.bot(environment=environment).dirty_paths() == ("a.swp",)

    def test_no_program_of_the_repositorys_configuration_runs(
        self, site: Site, tmp_path: Path
    ) -> None:
        mark = tmp_path / "mark"
        script = write(tmp_path / "trap", f"#!/bin/sh\ntouch {mark}\n")
        script.chmod(0o755)
        site.git("config", "core.fsmonitor", str(script))
        site.git("config", "core.pager", str(script))
        bot = site.bot()
        bot.refresh()
        bot.dirty_paths()
        assert not mark.exists()

    def test_commits_that_the_base_lacks_are_told(self, site: Site, origin: Path) -> None:
        site.git("remote", "add", "origin", str(origin))
        bot = site.bot()
        assert bot.why_ahead(bot.refresh()) is None
        site.commit({"a.txt": "a\n"})
        assert bot.why_ahead(bot.refresh()) == "the checkout has 1 commit that trunk lacks"
        site.commit({"b.txt": "b\n"})
        assert bot.why_ahead(bot.refresh()) == "the checkout has 2 commits that trunk lacks"

    def test_no_environment_of_git_leaks_in(self, site: Site, tmp_path: Path) -> None:
        environment = {
            **os.environ,
            "GIT_DIR": str(tmp_path),
            "GIT_INDEX_FILE": str(tmp_path / "index"),
            "GIT_OBJECT_DIRECTORY": str(tmp_path),
            "GIT_CONFIG_PARAMETERS": "'core.bare=true'",
        }
        run = Run(site.bot(environment=environment))
        assert run.change().empty
        assert run.bot.dirty_paths() == ()


def test_the_branch_that_the_checkout_is_on(site: Site) -> None:
    checkout = Checkout(site.root, os.environ)
    assert checkout.look().branch == "main"
    site.git("switch", "--quiet", "--create", "fix/a-b")
    assert checkout.look().branch == "fix/a-b"
    site.git("switch", "--quiet", "--detach")
    assert checkout.look().branch == ""
