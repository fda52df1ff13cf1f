"""Whose repository a checkout is, by its address."""

import pytest

from repoagents.domain.settings import Settings, TrackerSettings
from repoagents.policy.access import judge_origin, parse_host, web_host

API = "https://api.github.com"
SERVER = "https://git.example.com:8443/api/v3"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://github.com/octo/cat.git", "github.com"),
        ("HTTPS://me:secret@GitHub.com/octo/cat", "github.com"),
        ("https://git.example.com:8443/octo/cat", "git.example.com:8443"),
        ("ssh://git@github.com:22/octo/cat.git", "github.com"),
        ("git@github.com:octo/cat.git", "github.com"),
        ("work:octo/cat", "work"),
        ("/srv/git/octo/cat.git", ""),
        ("../octo/cat.git", ""),
        ("", ""),
    ],
)
def test_the_host_in_an_address(url: str, host: str) -> None:
    assert parse_host(url) == host


@pytest.mark.parametrize(
    ("api", "host"),
    [(API, "github.com"), (SERVER, "git.example.com:8443"), ("https://api.x.ghe.com", "x.ghe.com")],
)
def test_the_pages_beside_an_api(api: str, host: str) -> None:
    assert web_host(TrackerSettings(api_url=api)) == host


@pytest.mark.parametrize(
    ("origin", "api", "status", "said"),
    [
        ("https://github.com/octo/cat", API, "ok", "is octo/cat"),
        ("ssh://git@ssh.github.com:443/Octo/Cat.git", API, "ok", "is octo/cat"),
        ("https://git.example.com:8443/octo/cat", SERVER, "ok", "is octo/cat"),
        ("https://gitlab.com/octo/cat", API, "error", "is on gitlab.com"),
        ("https://github.com/octo/cat", SERVER, "error", "the API of git.example.com:8443"),
        ("git@github-work:octo/cat", API, "warn", "is on github-work"),
        ("https://github.com/octo/dog", API, "error", "origin is octo/dog"),
    ],
)
def test_host_and_name_are_compared(origin: str, api: str, status: str, said: str) -> None:
    settings = Settings(tracker=TrackerSettings(repo="octo/cat", api_url=api))
    (check,) = judge_origin(origin, settings)
    assert (check.status, said in check.message) == (status, True), check


@pytest.mark.parametrize("origin", ["", "/srv/git/octo/dog.git", "../dog"])
def test_a_path_is_compared_with_nothing(origin: str) -> None:
    assert judge_origin(origin, Settings()) == []
