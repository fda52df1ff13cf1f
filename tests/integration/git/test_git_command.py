"""The door to git: environment, limits, messages."""

import os
from pathlib import Path

import pytest

from repoagents.errors import GitError
from repoagents.git.command import Git, classify, redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:pw@host/x.git", "https://host/x.git"),
        ("'https://x-access-token:ghp_1@github.com/o/r/'", "'https://github.com/o/r/'"),
        ("https://token@host", "https://host"),
        ("https://u:p@ss@host/x", "https://host/x"),
        ("ssh://git:pw@host:22/x", "ssh://host:22/x"),
        ("git@host:x.git and https://host/a@b", "git@host:x.git and https://host/a@b"),
        ("two https://a:b@c/ http://d:e@f/", "two https://c/ http://f/"),
    ],
)
def test_credentials_of_urls_are_taken_out(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_secrets_are_taken_out_by_value() -> None:
    assert redact("a b ab https://u:p@h/", ("ab", "b")) == "a *** *** https://h/"


@pytest.mark.parametrize(
    ("complaint", "kind"),
    [
        ("fatal: Authentication failed for 'https://host/'", "auth"),
        ("fatal: could not read Username for 'https://host': terminal prompts disabled", "auth"),
        ("git@host: Permission denied (publickey).\nCould not read from remote repo", "auth"),
        ("Host key verification failed.\nfatal: Could not read from remote repository.", "auth"),
        ("The requested URL returned error: 403", "auth"),
        ("fatal: unable to access 'https://h/': Could not resolve host: h", "unreachable"),
        ("Failed to connect to h port 443: Connection refused", "unreachable"),
        ("ssh: connect to host h port 22: No route to host", "unreachable"),
        ("The requested URL returned error: 502", "unreachable"),
        ("fatal: '/x' does not appear to be a git repository", "unreachable"),
        ("ERROR: Permission to o/r.git denied to key.\nCould not read from remote", "auth"),
        ("The requested URL returned error: 429", "unreachable"),
        ("The requested URL returned error: 408", "unreachable"),
        ("The requested URL returned error: 301", "failed"),
        ("fatal: repository 'https://h/o/r.git/' not found", "failed"),
        ("error: RPC failed; curl 92 HTTP/2 stream 5 was not closed cleanly", "unreachable"),
        ("error: RPC failed; HTTP 413\nThe requested URL returned error: 413", "failed"),
        ("fatal: early EOF", "unreachable"),
        ("gnutls_handshake() failed: The TLS connection was terminated", "unreachable"),
        ("OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to h:443", "unreachable"),
        ("fatal: the remote end hung up unexpectedly", "unreachable"),
        ("fatal: bad object", "failed"),
        (
            "remote: This repository was archived so it is read-only.\n"
            "The requested URL returned error: 403",
            "failed",
        ),
    ],
)
def test_complaints_are_classed(complaint: str, kind: str) -> None:
    assert classify(complaint) == kind


def test_the_environment_is_ours(tmp_path: Path) -> None:
    outside = {
        "PATH": os.environ["PATH"],
        "TMPDIR": "/tmp",
        "HOME": "/root",
        "GIT_DIR": "/elsewhere",
        "GITHUB_TOKEN": "secret",
        "LC_ALL": "ko_KR.UTF-8",
        "GIT_CONFIG_GLOBAL": "/elsewhere",
    }
    git = Git.sealed(tmp_path, outside)
    shown = git.run("-c", "alias.env=!env", "env").out.decode().splitlines()
    seen = dict(line.split("=", 1) for line in shown)
    for name in ("HOME", "GITHUB_TOKEN", "GIT_DIR"):
        assert name not in seen
    assert seen["GIT_CONFIG_GLOBAL"] == os.devnull
    assert seen["GIT_CONFIG_NOSYSTEM"] == "1"
    assert seen["GIT_TERMINAL_PROMPT"] == "0"
    assert seen["GIT_NO_REPLACE_OBJECTS"] == "1"
    assert seen["LC_ALL"] == "C"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("core.hooksPath", os.devnull),
        ("core.fsmonitor", "false"),
        ("protocol.ext.allow", "never"),
        ("gc.auto", "0"),
    ],
)
def test_settings_that_could_run_something_are_off(tmp_path: Path, key: str, value: str) -> None:
    assert Git.sealed(tmp_path, os.environ).run("config", "--get", key).line == value


def test_nobody_is_asked_on_the_terminal(tmp_path: Path) -> None:
    git = Git.sealed(tmp_path, os.environ)
    assert git.run("-c", "alias.x=!cat; ps -o tty= -p $$", "x").line.strip() == "?"


def test_an_error_says_what_was_run_where_and_why(tmp_path: Path) -> None:
    with pytest.raises(GitError) as caught:
        Git.sealed(tmp_path, os.environ).run("cat-file", "-p", "https://u:secret@h/x")
    assert "git cat-file failed in" in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "https://h/x" in str(caught.value) or "not a git repository" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.kind == "failed"


def test_a_missing_git_is_told(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="could not be started") as caught:
        Git.sealed(tmp_path, {"PATH": str(tmp_path)}).run("status")
    assert "Install git" in caught.value.next_step


def test_accepted_exit_codes_are_answers(tmp_path: Path) -> None:
    answer = Git.sealed(tmp_path, os.environ).run("config", "--get", "no.such", accept=(0, 1))
    assert (answer.code, answer.out, answer.line, answer.records) == (1, b"", "", [])


def test_large_input_and_output_do_not_block(tmp_path: Path) -> None:
    text = b"line\n" * 400_000
    git = Git.sealed(tmp_path, os.environ)
    assert git.run("stripspace", stdin=text).out == text
