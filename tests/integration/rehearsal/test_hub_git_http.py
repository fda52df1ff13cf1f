"""Git over HTTP at the address that is derived from the API's: tokens, permissions, pushers."""

import base64
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CalledProcessError

import pytest

from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.loopback import BOT

Push = Callable[..., str]


def as_bearer(token: str) -> dict[str, str]:
    """Git's configuration by environment: the token stands in no argument list."""
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
        "GIT_TERMINAL_PROMPT": "0",
    }


@pytest.fixture
def url(hub: LoopbackGitHub) -> str:
    return f"{hub.site}/{hub.full_name}.git"


def test_anybody_may_fetch_what_is_public(
    hub: LoopbackGitHub, url: str, git: Callable[..., str], tmp_path: Path
) -> None:
    git(tmp_path, "clone", "--quiet", url, "there")
    assert git(tmp_path / "there", "rev-parse", "HEAD") == hub.heads["main"]
    assert hub.writes == ()


def test_a_push_is_known_by_its_token(
    hub: LoopbackGitHub, url: str, push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in as_bearer(hub.token_of(BOT)).items():
        monkeypatch.setenv(name, value)
    head = push("bot/1", "# one\n", url=url)
    assert hub.heads["bot/1"] == head
    hub.open_pull("One", head="bot/1", by=BOT)
    for name, value in as_bearer(hub.token_of("wren")).items():
        monkeypatch.setenv(name, value)
    second = push("bot/1", "# two\n", url=url)
    assert hub.pulls[0].pull.head_sha == second
    assert [(w.by, w.path.rpartition("/")[2]) for w in hub.writes] == [
        (BOT, "git-receive-pack"),
        ("wren", "git-receive-pack"),
    ]
    assert as_bearer(hub.token_of(BOT))["GIT_CONFIG_VALUE_0"] not in repr(hub.requests)


@pytest.mark.parametrize("who", ["stranger", "tom", "fine-grained", "unknown", ""])
def test_who_may_not_write_does_not_push(
    hub: LoopbackGitHub, url: str, push: Push, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    tokens = {
        "fine-grained": lambda: hub.fine_grained_token("wren", {"contents": "read"}),
        "unknown": lambda: "ghp_unknown",
    }
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")
    if who:
        token = tokens.get(who, lambda: hub.token_of(who))()
        for name, value in as_bearer(token).items():
            monkeypatch.setenv(name, value)
    with pytest.raises(CalledProcessError) as failed:
        push("bot/1", "# one\n", url=url)
    expected = "could not read Username" if who in ("unknown", "") else "403"
    assert expected in failed.value.stderr
    assert "bot/1" not in hub.heads


def test_a_private_repository_wants_a_token(
    hub: LoopbackGitHub,
    url: str,
    git: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    hub.make_private()
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")
    with pytest.raises(CalledProcessError):
        git(tmp_path, "ls-remote", url)
    for name, value in as_bearer(hub.token_of("stranger")).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CalledProcessError, match=r"ls-remote"):
        git(tmp_path, "ls-remote", url)
    for name, value in as_bearer(hub.token_of(BOT)).items():
        monkeypatch.setenv(name, value)
    assert hub.heads["main"] in git(tmp_path, "ls-remote", url)


def test_a_large_push_comes_in_chunks(
    hub: LoopbackGitHub, url: str, push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in as_bearer(hub.token_of(BOT)).items():
        monkeypatch.setenv(name, value)
    text = "".join(f"# {os.urandom(40).hex()}\n" for _ in range(30_000))
    head = push("bot/large", text, url=url)
    assert hub.heads["bot/large"] == head
    assert "chunked" in [write.headers.get("transfer-encoding") for write in hub.writes]
