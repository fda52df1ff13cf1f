"""The operator's checkout: read without a trace, and written in one way only, a branch of ours.

Of the operator's git configuration exactly the keys named here are honoured; they are handed on by
the environment, because a helper or a header may hold a secret and an argument list is public.
"""

import base64
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import unquote

from repoagents.domain.change import Base
from repoagents.domain.effect import BRANCH_PREFIX
from repoagents.errors import GitError
from repoagents.git.command import LOCAL_SECONDS, Git

CONNECTION = (
    "HOME",
    "GIT_SSL_CAINFO",
    "CURL_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
)
"""Variables that any fetch may need: proxies, CA files, and the home that paths to them name."""

PERSONAL = (
    *CONNECTION,
    "USER",
    "LOGNAME",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "SSH_AUTH_SOCK",
    "SSH_ASKPASS",
    "GH_CONFIG_DIR",
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "GIT_ASKPASS",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
)
"""Those and what the operator logs in with: SSH's agent, credential helpers."""

WHERE_CONFIG_IS = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
ORIGIN_KEY = "remote.origin.url"
LOCAL_KEYS = re.compile(r"core\.excludesfile|safe\.directory")
REMOTE_KEYS = re.compile(
    r"(core\.sshcommand|credential\..*|http\..*|safe\.directory|ssh\..*|url\..*)", re.DOTALL
)
ALL_KEYS = f"^({LOCAL_KEYS.pattern}|{REMOTE_KEYS.pattern}|{re.escape(ORIGIN_KEY)})$"

_HTTP = re.compile(r"(?P<scheme>https?://)(?P<user>[^/]*)@(?P<rest>.*)", re.IGNORECASE)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*://|[^/]+:", re.IGNORECASE)
RECEIVE_OPTIONS = {
    "core.hooksPath": os.devnull,
    "gc.auto": "0",
    "maintenance.auto": "false",
    "receive.autogc": "false",
    "receive.updateServerInfo": "false",
}


@dataclass(frozen=True)
class Source:
    """Where the bot's clone fetches from, and what it publishes to.

    `url` holds no credentials; `git` carries what is needed to reach it, `upload_pack` and
    `receive_pack` are the commands at the other end.
    """

    url: str
    git: Git
    upload_pack: str = "git-upload-pack"
    receive_pack: str = "git-receive-pack"


@dataclass(frozen=True)
class Sight:
    """The checkout as one look found it: git on it, its git folder, the operator's configuration.

    `config` is scope, key and value, in git's order.
    """

    git: Git
    git_dir: str
    config: tuple[tuple[str, str, str], ...]

    @property
    def origin(self) -> str:
        """The URL of the checkout's own origin; empty without one."""
        own = (v for scope, key, v in self.config if scope == "local" and key == ORIGIN_KEY)
        return next(own, "")

    @property
    def branch(self) -> str:
        """The branch that HEAD names; empty when it names none."""
        return self.git.run("symbolic-ref", "--short", "--quiet", "HEAD", accept=(0, 1)).line

    def keys(self, wanted: re.Pattern[str]) -> list[tuple[str, str]]:
        """The operator's values of the wanted keys."""
        return [(key, value) for _, key, value in self.config if wanted.fullmatch(key)]

    def served_by(self, command: str, options: Mapping[str, str]) -> str:
        """The command that serves this repository; git starts it without our `-c` options."""
        # The look has shown that the operator trusts it; this end asks by its git folder.
        trusted = [f"safe.directory={place}" for place in (self.git.folder, self.git_dir)]
        settings = [*trusted, *(f"{key}={value}" for key, value in options.items())]
        return shlex.join(["git", *(word for s in settings for word in ("-c", s)), command])


@dataclass(frozen=True)
class Checkout:
    """The repository at `root`; `outside` is the environment that the operator started us with.

    A fetch takes from it what `PERSONAL` names, every other call of git only PATH, TMPDIR and TZ.
    `own_paths` are relative paths or globs that never count as dirty, `left_behind` such that do
    not while git does not track them.
    """

    root: Path
    outside: Mapping[str, str]
    own_paths: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()

    @property
    def _sealed(self) -> Git:
        return Git.sealed(self.root, self.outside)

    def look(self) -> Sight:
        """What is needed to work with it; `GitError` unless `root` is the top of a work tree."""
        config = self._read_config()
        sight = Sight(self._sealed, "", config)
        kept = self._of_the_operator("HOME", "XDG_CONFIG_HOME")
        git = self._sealed.told(**kept, **render_config(sight.keys(LOCAL_KEYS)))
        asked = ("rev-parse", "--show-toplevel", "--absolute-git-dir")
        found = git.run(*asked, accept=(0, 128))
        if found.code:
            if not (self.root / ".git").exists():
                raise GitError(
                    f"{self.root} is not a git repository",
                    next_step="Run `git init` and commit, or set workspace.strategy: copy for a"
                    " folder without git.",
                )
            git.run(*asked)  # again, so that git tells in its own words what is wrong
        top, _, git_dir = found.line.partition("\n")
        if Path(top).resolve() != self.root.resolve():
            raise GitError(
                f"{self.root} lies inside the git repository {top}, it is not its top",
                next_step=f"Run the bot in {top}, or make this folder a repository.",
            )
        return Sight(git, git_dir, config)

    def dirty_paths(self) -> tuple[str, ...]:
        """Paths that `git status` reports, our own left out; nothing is written, no lock taken."""
        return tuple(path for state, path in self._changed() if not self._is_own(state, path))

    def left_paths(self) -> tuple[str, ...]:
        """Untracked paths of `left_behind`: told, and no dirt."""
        return tuple(
            path
            for state, path in self._changed()
            if state == "??" and _among(path, self.left_behind)
        )

    def _changed(self) -> Iterator[tuple[str, str]]:
        """State, in two letters, and path."""
        status = self.look().git.run(
            "status",
            "--porcelain=v1",
            "-z",
            "--no-renames",
            "--untracked-files=all",
            "--ignore-submodules=dirty",
        )
        return ((record[:2], record[3:]) for record in status.records)

    def source(self, clone_url: str) -> Source:
        """What to fetch from: the configured URL, else origin, else this repository itself."""
        sight = self.look()
        url = clone_url or sight.origin
        if not ELSEWHERE.match(url):
            return self.nearby(sight, url)
        clean, secret = split_credentials(url)
        return self.faraway(clean, PERSONAL, [*sight.keys(REMOTE_KEYS), *secret])

    def home(self) -> Source:
        """Where branches are published: this repository itself."""
        return self.nearby(self.look(), "")

    def nearby(self, sight: Sight, path: str) -> Source:
        """A repository on this machine, its path seen from here; the empty path is this one."""
        serve = (sight.served_by(command, {}) for command in ("upload-pack", "receive-pack"))
        return Source(str((self.root / path).resolve()), self._sealed, *serve)

    def faraway(self, url: str, names: Iterable[str], config: Iterable[tuple[str, str]]) -> Source:
        """What is reached by a URL, with these of the operator's variables and this config."""
        keys = [*config, *_STALLED]
        git = self._sealed.told(**self._of_the_operator(*names), **render_config(keys))
        return Source(url, git.hiding(*secrets_of(keys)))

    def why_ahead(self, mirror: Git, base: Base) -> str | None:
        """How many commits HEAD has that the base lacks, in words; None when it has none."""
        git = self.look().git
        head = git.run("rev-parse", "--verify", "--quiet", "HEAD", accept=(0, 1)).line
        if not head:
            return None
        # Neither side needs to know the other's commits: the bot's clone looks into both stores.
        objects = git.run("rev-parse", "--path-format=absolute", "--git-path", "objects")
        both = mirror.told(GIT_ALTERNATE_OBJECT_DIRECTORIES=objects.line)
        count = int(both.run("rev-list", "--count", head, f"^{base.sha}").line)
        commits = "1 commit" if count == 1 else f"{count} commits"
        return f"the checkout has {commits} that {base.branch} lacks" if count else None

    def branch_head(self, branch: str) -> str | None:
        """The commit that a branch names, or None."""
        name = f"refs/heads/{branch}^{{commit}}"
        found = self.look().git.run("rev-parse", "--verify", "--quiet", name, accept=(0, 1))
        return found.line or None

    def receive(self, mirror: Git, branch: str, commit: str, expected: str | None) -> str:
        """Bring a commit of the bot's clone here as a branch; returns where it is.

        Only a branch that is absent or at `expected` is written: git itself compares at the moment
        of writing. No hook runs and nothing else of the repository changes.
        """
        ref = our_ref(mirror, branch)
        head = self.branch_head(branch)
        if head not in (None, expected, commit):
            form = "--format=%(objectname:short) by %(authorname), %(subject)"
            held = self.look().git.run("for-each-ref", form, ref).line
            raise GitError(
                f"The branch {branch} holds another commit: {held}",
                next_step=f"Rename or delete the branch {branch}, then retry.",
            )
        if head != commit:
            insist_on_following(mirror, branch, head, commit)
            mirror.run(
                "push",
                "--quiet",
                f"--receive-pack={self.look().served_by('receive-pack', RECEIVE_OPTIONS)}",
                f"--force-with-lease={ref}:{expected or ''}",
                "--",
                str(self.root),
                f"{commit}:{ref}",
                seconds=LOCAL_SECONDS,
            )
        return f"branch {branch} in {self.root}"

    def _of_the_operator(self, *names: str) -> dict[str, str]:
        return {name: self.outside[name] for name in names if name in self.outside}

    def _read_config(self) -> tuple[tuple[str, str, str], ...]:
        """The operator's own values of the keys that we honour; `git config` runs nothing."""
        seen = self._of_the_operator(*PERSONAL, *WHERE_CONFIG_IS)
        sealed = {k: v for k, v in self._sealed.environment.items() if k not in WHERE_CONFIG_IS}
        reader = Git(self.root, sealed | seen)
        asked = ("config", "--null", "--show-scope", "--get-regexp", ALL_KEYS)
        records = reader.run(*asked, accept=(0, 1)).records
        pairs = zip(records[0::2], (r.partition("\n") for r in records[1::2]), strict=True)
        return tuple((scope, key, v if given else "true") for scope, (key, given, v) in pairs)

    def _is_own(self, state: str, path: str) -> bool:
        left = self.left_behind if state == "??" else ()
        return _among(path, (*self.own_paths, *left))


def _among(path: str, places: Iterable[str]) -> bool:
    """Whether it is one of these paths, lies below one, or matches one."""
    return any(
        path == place or path.startswith(place.rstrip("/") + "/") or fnmatchcase(path, place)
        for place in places
    )


_STALLED = (("http.lowSpeedLimit", "1000"), ("http.lowSpeedTime", "60"))
"""A transfer that stands still for a minute is given up."""


STAY = ("http.followRedirects", "false")
"""No redirect is followed: git binds a header to a URL when it starts, sends it along to whatever
host the first answer names, and libcurl takes it out of that first request only."""


def our_ref(git: Git, branch: str) -> str:
    """The full name of a branch of ours; `GitError` for any other name."""
    ref = f"refs/heads/{branch}"
    checked = git.run("check-ref-format", ref, accept=(0, 1))
    if checked.code or not branch.startswith(BRANCH_PREFIX):
        raise GitError(f"{branch!r} is not a branch that the bot may write")
    return ref


def insist_on_following(git: Git, branch: str, head: str | None, commit: str) -> None:
    """Refuse a commit that does not follow where the branch stands: git would overwrite that."""
    if (
        head is None
        or git.run("merge-base", "--is-ancestor", head, commit, accept=(0, 1, 128)).code == 0
    ):
        return
    raise GitError(
        f"The branch {branch} stands at {head[:12]}, which {commit[:12]} does not follow",
        next_step=f"Delete or rename {branch}, or have the change made anew: "
        "`repoagents retry N --fresh`.",
    )


def split_credentials(url: str) -> tuple[str, list[tuple[str, str]]]:
    """An http URL without its user and password, and the configuration that stands for them."""
    found = _HTTP.match(url)
    if not found:
        return url, []
    clean = found["scheme"] + found["rest"]
    user, colon, password = found["user"].partition(":")
    if not colon:
        return clean, [(f"credential.{clean}.username", unquote(user))]
    pair = f"{unquote(user)}:{unquote(password)}".encode()
    header = f"Authorization: Basic {base64.b64encode(pair).decode()}"
    return clean, [(f"http.{clean}.extraHeader", header), STAY]


def secrets_of(config: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """What the headers of a configuration must never show: the credential, and its password."""
    headers = (value for key, value in config if key.lower().endswith(".extraheader"))
    credentials = [value.split()[-1] for value in headers if value.strip()]
    return (*credentials, *filter(None, map(_password, credentials)))


def _password(credential: str) -> str:
    """The password of a Basic credential; empty when it is none."""
    try:
        pair = base64.b64decode(credential, validate=True)
    except ValueError:
        return ""
    return pair.partition(b":")[2].decode(errors="replace")


def render_config(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Configuration as the environment variables that git reads it from."""
    numbered = list(enumerate(pairs))
    variables = {f"GIT_CONFIG_KEY_{number}": key for number, (key, _) in numbered}
    variables |= {f"GIT_CONFIG_VALUE_{number}": value for number, (_, value) in numbered}
    return variables | {"GIT_CONFIG_COUNT": str(len(numbered))}
