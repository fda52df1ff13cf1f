"""The repository that branches are published to, when that is not the operator's checkout.

What the bot logs in with goes to git by the environment alone, asked for anew before each use.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from repoagents.domain.effect import BRANCH_PREFIX
from repoagents.errors import GitError, RepoAgentsError
from repoagents.git.checkout import (
    CONNECTION,
    ELSEWHERE,
    PERSONAL,
    REMOTE_KEYS,
    STAY,
    Checkout,
    Source,
    insist_on_following,
    our_ref,
    split_credentials,
)
from repoagents.git.command import Git, redact

Pairs = tuple[tuple[str, str], ...]
LOOK_SECONDS = 120.0

_HTTP = re.compile(r"https?://", re.IGNORECASE)
_REDIRECTS = re.compile(r"http\.(.*\.)?followredirects", re.IGNORECASE | re.DOTALL)
_LOGIN = re.compile(r"(credential|url)\..*", re.IGNORECASE | re.DOTALL)
_HEADER = re.compile(r"http\.(.*\.)?extraheader", re.IGNORECASE | re.DOTALL)
_REFUSED = re.compile(r"^!\t[^\t]*\t\[[a-z ]+\] \((?P<why>.*)\)$", re.MULTILINE)
_LONGEST_QUOTE = 600

_ADVICE = {
    "failed to report status": (
        "unreachable",
        "Look at the branch on the remote, then retry.",
    ),
    "exists; cannot create": (
        "failed",
        f"Rename or delete the branch {BRANCH_PREFIX.rstrip('/')}: it stands in the way.",
    ),
    "(stale info|cannot lock ref|failed to update ref|already exists|fetch first)": (
        "failed",
        "Somebody moved the branch at the same time: look at it, then retry.",
    ),
    "workflow.*(permission|scope)": (
        "auth",
        "Give the bot's credential the permission that is named, or take the workflow file out of"
        " the change.",
    ),
    "(cannot contain secrets|GH009)": (
        "failed",
        "Look at what was found: take it out of the change, or allow it on the remote.",
    ),
    "(GH006|GH013|protected branch|rule violations)": (
        "failed",
        f"Let the bot's account create and update branches below {BRANCH_PREFIX}: change the branch"
        " protection or the ruleset of the repository, then retry.",
    ),
    "(GH007|email privacy)": (
        "failed",
        "Set commit.email to an address that may be published, then retry.",
    ),
}
"""What a refusal means: a sign in the remote's words, the kind of the error, and what to do."""


@dataclass(frozen=True)
class Remote:
    """Where the base comes from and branches go: a URL, or a path seen from the checkout.

    `config` gives git's configuration for the bot's own login at the moment of use, such as
    `http.https://HOST/.extraHeader`; when it gives none, the operator's own ways to log in count.
    """

    url: str
    config: Callable[[], Pairs] = field(default=tuple, repr=False)


@dataclass(frozen=True)
class RemoteBranches:
    """The branches of a remote, reached over the connection that the checkout's owner has."""

    remote: Remote
    checkout: Checkout

    def source(self) -> Source:
        """The remote as a source, with a login that is fresh."""
        sight, url = self.checkout.look(), self.remote.url
        if not ELSEWHERE.match(url):
            return self.checkout.nearby(sight, url)
        clean, secret = split_credentials(url)
        # Only git over HTTP reads these keys; another transport's programs need not see them.
        login = self.remote.config() if _HTTP.match(clean) else ()
        operators = [pair for pair in sight.keys(REMOTE_KEYS) if not _REDIRECTS.fullmatch(pair[0])]
        if login:
            config = (*_without_login(operators), *login, STAY)
            return self.checkout.faraway(clean, CONNECTION, config)
        return self.checkout.faraway(clean, PERSONAL, (*operators, *secret, STAY))

    def home(self) -> Source:
        """Where branches are published: the remote."""
        return self.source()

    def branch_head(self, branch: str) -> str | None:
        """The commit that a branch of the remote names now, or None."""
        ref, source = f"refs/heads/{branch}", self.source()
        with _trying(f"read the branch {branch} of {self._name}"):
            answer = source.git.at(Path("/")).run(
                "ls-remote",
                f"--upload-pack={source.upload_pack}",
                "--",
                source.url,
                ref,
                seconds=LOOK_SECONDS,
            )
        lines = (line.partition("\t") for line in answer.line.split("\n"))
        return next((name for name, _, found in lines if found == ref), None)

    def receive(self, mirror: Git, branch: str, commit: str, expected: str | None) -> str:
        """Bring a commit of the bot's clone to the remote as a branch; returns where it is.

        Only a branch that is absent or at `expected` is written: the remote itself compares at the
        moment of writing.
        """
        ref = our_ref(mirror, branch)
        head = self.branch_head(branch)
        if head not in (None, expected, commit):
            raise GitError(
                f"The branch {branch} of {self._name} holds another commit: {head[:12]}",
                next_step=f"Look at the branch; rename or delete {branch}, then retry.",
            )
        if head != commit:
            insist_on_following(mirror, branch, head, commit)
            try:
                self._push(mirror, branch, f"{commit}:{ref}", f"{ref}:{expected or ''}")
            except GitError:
                # It may have been done, and only the answer was lost.
                if not self._arrived(branch, commit):
                    raise
        return self._location(branch)

    @property
    def _name(self) -> str:
        return redact(self.remote.url)

    def _push(self, mirror: Git, branch: str, what: str, lease: str) -> None:
        source = self.source()
        git = source.git.at(mirror.folder).told(GIT_DIR=mirror.folder)
        with _trying(f"bring the branch {branch} to {self._name}"):
            answer = git.run(
                "push",
                "--porcelain",
                f"--receive-pack={source.receive_pack}",
                f"--force-with-lease={lease}",
                "--",
                source.url,
                what,
                accept=(0, 1),
            )
            refused = _REFUSED.search(answer.line)
            if answer.code and not refused:
                raise git.failure("push", answer)
        if refused:
            reason = _quote(answer.complaint, redact(refused["why"], git.secrets))
            kind, next_step = _advise(reason)
            message = f"{self._name} refused the branch {branch}: {reason}"
            raise GitError(message, kind=kind, next_step=next_step)

    def _arrived(self, branch: str, commit: str) -> bool:
        try:
            return self.branch_head(branch) == commit
        except RepoAgentsError:  # not even a login may be had any more
            return False

    def _location(self, branch: str) -> str:
        clean = split_credentials(self.remote.url)[0]
        if not _HTTP.match(clean):
            return f"branch {branch} in {redact(clean)}"
        return f"{clean.rstrip('/').removesuffix('.git')}/tree/{quote(branch)}"


@contextmanager
def _trying(what: str) -> Iterator[None]:
    """Say of git's own trouble what it came from."""
    try:
        yield
    except GitError as error:
        message = f"Could not {what}: {error}"
        raise GitError(message, kind=error.kind, next_step=error.next_step) from error


def _quote(complaint: str, why: str) -> str:
    """The remote's own words in one line, and what git made of them."""
    lines = (
        line.removeprefix("remote:").strip()
        for line in complaint.split("\n")
        if line.startswith("remote:")
    )
    said = " ".join(filter(None, lines)).removeprefix("error: ")[:_LONGEST_QUOTE]
    quote = f"{said} ({why})" if said else why
    return "".join(c if c.isprintable() else "?" for c in quote)


def _advise(reason: str) -> tuple[str, str]:
    """The kind of a refusal and what the operator can do."""
    found = (advice for sign, advice in _ADVICE.items() if re.search(sign, reason, re.IGNORECASE))
    return next(found, ("failed", "Fix what the remote names, or its hook, then retry."))


def _without_login(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The operator's configuration without what they log in with.

    Their helper would be asked for another login when ours is refused, and told to forget it when
    that is refused too; their rewritten URLs lead to their own account.
    """
    return [
        (key, value)
        for key, value in pairs
        if not _LOGIN.fullmatch(key)
        and not (_HEADER.fullmatch(key) and value.lower().startswith("authorization:"))
    ]
