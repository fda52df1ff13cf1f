"""Where git finds a repository on GitHub, and how it gets the credential: by its environment."""

import base64
from urllib.parse import urlsplit

from repoagents.github.address import origin_of
from repoagents.github.auth import Credential

USER = "x-access-token"
"""The user name that GitHub takes with any kind of token."""


def web_url(api_url: str) -> str:
    """GitHub's own pages: https://github.com, https://NAME.ghe.com, or the Enterprise Server."""
    parts = urlsplit(api_url)
    return f"{parts.scheme}://{parts.netloc.lower().removeprefix('api.')}"


def clone_url(api_url: str, repo: str) -> str:
    """The default remote of OWNER/REPO."""
    return f"{web_url(api_url)}/{repo}.git"


def git_config(api_url: str, remote: str, credential: Credential) -> tuple[tuple[str, str], ...]:
    """Configuration pairs that give git the credential, for this remote alone; secrets.

    None for a remote that is not on the API's own host: its host gets no credential of ours.
    """
    if origin_of(remote) != origin_of(web_url(api_url)):
        return ()
    pair = base64.b64encode(f"{USER}:{credential.token}".encode()).decode()
    return ((f"http.{remote}.extraHeader", f"Authorization: Basic {pair}"),)
