"""How the bot logs in at a remote: over the wire, and nowhere else."""

import os
import shutil
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repoagents.domain.settings import TrackerSettings
from repoagents.errors import GitError
from repoagents.git.checkout import secrets_of
from repoagents.git.remote import Remote
from repoagents.git.workspaces import GitWorkspaces
from tests.integration.git.conftest import Run, Site, write
from tests.integration.git.smart_http import TOKEN, Exchange, Host, Login, Request, basic, serving

Git = Callable[..., str]
BRANCH = "repoagents/issue-7-mend-it"
ENCODED = basic(TOKEN).removeprefix("Basic ")
SECRETS = (TOKEN, ENCODED)


@pytest.fixture
def login(host: Host) -> Login:
    return Login(host)


@pytest.fixture
def remote(host: Host, login: Login) -> Remote:
    return Remote(f"{host.url}/o/r.git", login)


def publish(bot: GitWorkspaces) -> str:
    """Everything that is done at a remote: look, fetch, look, push, look."""
    run = Run(bot)
    write(run.path / "src/app.py", "print('two')\n")
    commit = run.commit()
    bot.push(BRANCH, commit, bot.branch_head(BRANCH))
    assert bot.branch_head(BRANCH) == commit
    return commit


def everything_said(error: BaseException) -> str:
    """The error with all that led to it, as a log or a person would see it."""
    step = getattr(error, "next_step", "")
    return "".join(traceback.format_exception(error)) + repr(error) + step


class TestOverTheWire:
    """The host is shown the bot's own login, and no other."""

    def test_every_request_carries_it(self, site: Site, host: Host, remote: Remote) -> None:
        publish(site.bot(remote=remote))
        assert host.logins() == {basic(TOKEN)}

    def test_it_is_asked_for_anew_before_each_use(
        self, site: Site, host: Host, login: Login, remote: Remote
    ) -> None:
        login.tokens = ["first", "second"]
        bot = site.bot(remote=remote)
        host.login = basic("first")
        bot.refresh()
        host.login = basic("second")
        assert bot.branch_head(BRANCH) is None
        assert login.asked == 2

    def test_a_header_of_the_operator_is_not_sent_along(
        self, site: Site, host: Host, remote: Remote
    ) -> None:
        for key in ("http.extraHeader", f"http.{host.url}/o/r.git.extraHeader"):
            site.git("config", key, "AUTHORIZATION: Basic of-the-operator")
        publish(site.bot(remote=remote))
        assert host.logins() == {basic(TOKEN)}

    def test_rewritten_urls_of_the_operator_do_not_lead_elsewhere(
        self, site: Site, host: Host, remote: Remote
    ) -> None:
        site.git("config", "url./nowhere/.insteadOf", f"{host.url}/")
        site.git("config", "url./nowhere/.pushInsteadOf", f"{host.url}/")
        publish(site.bot(remote=remote))
        assert any(request.pushes for request in host.requests)

    def test_the_operators_proxy_is_used(
        self, site: Site, host: Host, remote: Remote, tmp_path: Path
    ) -> None:
        with serving(tmp_path, None) as proxy:
            site.git("config", "http.proxy", proxy.url)
            environment = {"PATH": os.environ["PATH"]}
            with pytest.raises(GitError):
                site.bot(remote=remote, environment=environment).refresh()
            assert [request.path for request in proxy.requests] == ["/o/r.git/info/refs"]
        assert host.requests == []

    def test_a_url_with_a_password_gives_way(self, site: Site, host: Host, login: Login) -> None:
        url = f"{host.url}/o/r.git".replace("://", "://somebody:hunter2@")
        bot = site.bot(remote=Remote(url, login))
        commit = publish(bot)
        assert host.logins() == {basic(TOKEN)}
        assert bot.push(BRANCH, commit, None) == f"{host.url}/o/r/tree/{BRANCH}"

    def test_without_one_a_password_in_the_url_counts(self, site: Site, host: Host) -> None:
        host.login = "Basic " + b64encode(b"somebody:hunter2").decode()
        url = f"{host.url}/o/r.git".replace("://", "://somebody:hunter2@")
        publish(site.bot(remote=Remote(url)))
        assert host.logins() == {host.login}

    def test_without_one_the_operators_helper_is_asked(
        self, site: Site, host: Host, tmp_path: Path
    ) -> None:
        helper = f"!f() {{ echo username=x-access-token; echo password={TOKEN}; }}; f"
        config = write(tmp_path / "gitconfig", f'[credential]\n\thelper = "{helper}"\n')
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": str(config)}
        remote = Remote(f"{host.url}/o/r.git")
        publish(site.bot(remote=remote, environment=environment))
        assert host.logins() == {"", basic(TOKEN)}


class TestRefused:
    """A login that the host does not take is told as that, and stays secret."""

    def test_a_wrong_token_is_told_without_the_token(
        self, site: Site, host: Host, remote: Remote
    ) -> None:
        host.login = basic("another")
        bot = site.bot(remote=remote)
        for ask in (bot.refresh, lambda: bot.branch_head(BRANCH)):
            with pytest.raises(GitError, match=r"o/r\.git.*the login was refused") as caught:
                ask()
            assert caught.value.kind == "auth"
            assert "repoagents doctor" in caught.value.next_step
            assert not any(secret in everything_said(caught.value) for secret in SECRETS)

    def test_a_token_that_may_only_read_is_told_at_the_push(
        self, site: Site, host: Host, remote: Remote
    ) -> None:
        def read_only(exchange: Exchange, request: Request) -> bool:
            if "git-receive-pack" not in request.path + request.query:
                return False
            text = f"Permission to o/r.git denied to bot, which showed {request.login}."
            exchange.answer(403, [("Content-Type", "text/plain")], text.encode())
            return True

        host.before = read_only
        with pytest.raises(GitError, match=r"Permission to o/r\.git denied to bot") as caught:
            publish(site.bot(remote=remote))
        assert caught.value.kind == "auth"
        assert "which showed Basic ***." in str(caught.value)
        assert not any(secret in everything_said(caught.value) for secret in SECRETS)

    def test_a_hook_that_tells_the_token_is_not_quoted_with_it(
        self, site: Site, bare: Path, remote: Remote
    ) -> None:
        script = f"#!/bin/sh\necho the token is {TOKEN} or {ENCODED} >&2\nexit 1\n"
        write(bare / "hooks/pre-receive", script).chmod(0o755)
        with pytest.raises(GitError, match=r"the token is \*\*\* or \*\*\*") as caught:
            publish(site.bot(remote=remote))
        assert not any(secret in everything_said(caught.value) for secret in SECRETS)

    def test_a_host_that_tells_the_token_as_its_reason_is_not_either(
        self, site: Site, host: Host, remote: Remote
    ) -> None:
        def refuse(exchange: Exchange, request: Request) -> bool:
            if request.pushes:
                exchange.report(f"ng refs/heads/{BRANCH} not with {TOKEN}\x1b[1m\n")
            return request.pushes

        host.before = refuse
        with pytest.raises(GitError, match=r"not with \*\*\*\?\[1m") as caught:
            publish(site.bot(remote=remote))
        assert not any(secret in everything_said(caught.value) for secret in SECRETS)

    def test_the_operators_own_login_is_neither_used_nor_forgotten(
        self, site: Site, host: Host, remote: Remote, tmp_path: Path
    ) -> None:
        host.login = basic("another")
        asked = tmp_path / "asked"
        script = f"#!/bin/sh\necho $1 >> {asked}\necho username=u\necho password=p\n"
        write(tmp_path / "ask", script).chmod(0o755)
        write(tmp_path / "home/.netrc", "machine 127.0.0.1 login n password p\n").chmod(0o600)
        config = write(tmp_path / "gitconfig", f"[credential]\n\thelper = {tmp_path}/ask\n")
        environment = {
            **os.environ,
            "GIT_CONFIG_GLOBAL": str(config),
            "GIT_ASKPASS": str(tmp_path / "ask"),
            "HOME": str(tmp_path / "home"),
        }
        with pytest.raises(GitError) as caught:
            site.bot(remote=remote, environment=environment).branch_head(BRANCH)
        assert caught.value.kind == "auth"
        assert not asked.exists()
        assert host.logins() == {basic(TOKEN)}


class TestHidden:
    """Environment of one process for one call: no argument, no file, no other program."""

    @pytest.fixture
    def watched(self, tmp_path: Path) -> tuple[dict[str, str], Path]:
        """An environment whose git notes arguments and environment of every call."""
        notes, real = tmp_path / "notes", shutil.which("git")
        notes.mkdir()
        script = (
            f'#!/bin/sh\nprintf "%s\\n" "$@" >> {notes}/argv\n'
            f'case " $* " in *" push "*) env >> {notes}/push;; esac\n'
            f'case " $* " in *" commit-tree "*) env >> {notes}/commit;; esac\n'
            f'exec {real} "$@"\n'
        )
        write(tmp_path / "bin/git", script).chmod(0o755)
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        return {**os.environ, "PATH": path}, notes

    def test_git_is_told_by_its_environment_alone(
        self, site: Site, remote: Remote, watched: tuple[dict[str, str], Path]
    ) -> None:
        environment, notes = watched
        publish(site.bot(remote=remote, environment=environment))
        argv = (notes / "argv").read_text()
        assert {"fetch", "ls-remote", "push"} <= set(argv.split())
        assert not any(secret in argv for secret in SECRETS)
        assert ENCODED in (notes / "push").read_text()
        assert ENCODED not in (notes / "commit").read_text()

    def test_no_argument_list_of_a_running_process_shows_it(
        self, site: Site, host: Host, remote: Remote
    ) -> None:
        if not Path("/proc/self/cmdline").exists():
            pytest.skip("there is no /proc to look into")
        seen: set[str] = set()

        def look(_: Exchange, request: Request) -> bool:
            seen.update(running())
            return False

        host.before = look
        publish(site.bot(remote=remote))
        ours = [line for line in seen if host.url in line]
        assert {word for line in ours for word in line.split()} >= {"push", "remote-http"}
        assert not any(secret in line for line in seen for secret in SECRETS)

    def test_it_is_written_nowhere(self, site: Site, remote: Remote, tmp_path: Path) -> None:
        publish(site.bot(remote=remote))
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert any(path.name == "manifest.json" for path in files)
        holding = [path for path in files if any(s.encode() in path.read_bytes() for s in SECRETS)]
        assert holding == []

    def test_no_value_shows_it(self, site: Site, remote: Remote) -> None:
        bot = site.bot(remote=remote)
        source = bot._source()
        assert ENCODED in str(source.git.environment)
        shown = f"{source!r} {source.git!r} {remote!r} {bot._remote!r}"
        assert not any(secret in shown for secret in SECRETS)

    def test_another_transport_is_not_told(self, site: Site, login: Login, tmp_path: Path) -> None:
        script = f"#!/bin/sh\nenv > {tmp_path}/seen\nexit 255\n"
        write(tmp_path / "ssh", script).chmod(0o755)
        site.git("config", "core.sshCommand", str(tmp_path / "ssh"))
        with pytest.raises(GitError):
            site.bot(remote=Remote("git@host.invalid:o/r.git", login)).refresh()
        assert "PATH=" in (tmp_path / "seen").read_text()
        assert not any(secret in (tmp_path / "seen").read_text() for secret in SECRETS)
        assert login.asked == 0

    @pytest.mark.parametrize(
        ("value", "secrets"),
        [
            ("Authorization: Basic dTpwdw==", ("dTpwdw==", "pw")),
            ("Authorization: Bearer abc.def", ("abc.def",)),
            ("Authorization: Basic dTo=", ("dTo=",)),
            ("", ()),
        ],
    )
    def test_what_a_header_must_never_show(self, value: str, secrets: tuple[str, ...]) -> None:
        pairs = [("http.https://h/.extraHeader", value), ("http.proxy", "http://p/")]
        assert secrets_of(pairs) == secrets


def running() -> Iterator[str]:
    """The argument lists of all processes, as anybody on the machine can read them."""
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue


class TestRedirect:
    """A repository that moved is told, never followed: git would take the login along."""

    @pytest.fixture
    def elsewhere(self, host: Host) -> Iterator[Host]:
        """Another host with the same repository, to which the first one points."""
        with serving(host.folder, None) as elsewhere:

            def point(exchange: Exchange, _: Request) -> bool:
                exchange.answer(301, [("Location", elsewhere.url + exchange.path)])
                return True

            host.before = point
            yield elsewhere

    def test_another_host_hears_nothing(
        self, site: Site, host: Host, remote: Remote, elsewhere: Host
    ) -> None:
        site.git("config", "http.followRedirects", "true")
        site.git("config", f"http.{host.url}/o/r.git.followRedirects", "true")
        bot = site.bot(remote=remote)
        for ask in (bot.refresh, lambda: bot.branch_head(BRANCH)):
            with pytest.raises(GitError, match="301") as caught:
                ask()
            assert caught.value.kind == "failed"
            assert "renamed or moved: set tracker.repo" in caught.value.next_step
        assert elsewhere.requests == []

    def test_a_push_is_not_taken_there(
        self, site: Site, host: Host, remote: Remote, elsewhere: Host
    ) -> None:
        point = host.before
        host.before = lambda exchange, request: (
            "git-receive-pack" in request.path + request.query and point(exchange, request)
        )
        with pytest.raises(GitError, match="301"):
            publish(site.bot(remote=remote))
        assert elsewhere.requests == []

    def test_nor_is_the_body_of_one(
        self, site: Site, host: Host, remote: Remote, elsewhere: Host
    ) -> None:
        def point(exchange: Exchange, request: Request) -> bool:
            if request.pushes:
                exchange.answer(307, [("Location", elsewhere.url + exchange.path)])
            return request.pushes

        host.before = point
        with pytest.raises(GitError, match="307"):
            publish(site.bot(remote=remote))
        assert elsewhere.requests == []

    def test_nor_does_the_operators_own_login_push_elsewhere(
        self, site: Site, host: Host, elsewhere: Host
    ) -> None:
        host.login = None
        point = host.before
        host.before = lambda exchange, request: (
            "git-receive-pack" in request.path + request.query and point(exchange, request)
        )
        with pytest.raises(GitError, match="301"):
            publish(site.bot(remote=Remote(f"{host.url}/o/r.git")))
        assert elsewhere.requests == []

    def test_a_password_in_clone_url_stays_where_it_belongs(
        self, site: Site, host: Host, elsewhere: Host
    ) -> None:
        url = f"{host.url}/o/r.git".replace("://", "://somebody:hunter2@")
        tracker = TrackerSettings(kind="local_file", clone_url=url)
        with pytest.raises(GitError, match="301"):
            site.bot(tracker=tracker).refresh()
        assert elsewhere.requests == []

    def test_without_a_login_of_ours_a_fetch_follows_as_git_does(
        self, site: Site, host: Host, elsewhere: Host
    ) -> None:
        tracker = TrackerSettings(kind="local_file", clone_url=f"{host.url}/o/r.git")
        assert site.bot(tracker=tracker).refresh().branch == "main"
        assert elsewhere.logins() == {""}
