"""The GitHub App: signed assertions, installation tokens, granular permissions."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from github import Auth, Github, GithubException

from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.accounts import App
from tests.fakes.clock import FakeClock

Ask = Callable[..., requests.Response]
ISSUES = "/repos/example/python-lib/issues"
GRANTED = {"issues": "write", "contents": "read", "pull_requests": "write"}


@pytest.fixture(scope="module")
def keys() -> tuple[str, str]:
    """Private and public key, PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


@pytest.fixture
def app(hub: LoopbackGitHub, keys: tuple[str, str]) -> App:
    return hub.install_app("busy-bee", keys[1], GRANTED)


@pytest.fixture
def auth(hub: LoopbackGitHub, app: App, keys: tuple[str, str]) -> Auth.AppAuth:
    return Auth.AppAuth(app.id, keys[0])


def test_an_app_works_by_an_installation_token(
    hub: LoopbackGitHub, app: App, auth: Auth.AppAuth, client: Callable[..., Github], ask: Ask
) -> None:
    number = hub.open_issue("One", by="maya")
    auth_of_installation = auth.get_installation_auth(app.installation)
    made = client(auth=auth_of_installation).get_repo(hub.full_name).get_issue(number)
    made.create_comment("by the App")
    said = hub.comments(number)[0]
    assert said.by == "busy-bee[bot]"
    (payload,) = ask("GET", f"{ISSUES}/{number}/comments").json()
    assert payload["user"]["type"] == "Bot"
    assert payload["performed_via_github_app"]["slug"] == "busy-bee"
    assert hub.writes[-1].body == {"body": "by the App"}, "asking for a token is no write"


def test_a_token_reaches_what_was_asked_for_and_no_more(
    hub: LoopbackGitHub, app: App, auth: Auth.AppAuth, ask: Ask
) -> None:
    number = hub.open_issue("One", by="maya")
    path = f"/app/installations/{app.installation}/access_tokens"
    bearer = {"Authorization": f"Bearer {auth.token}"}
    asked = {"permissions": {"issues": "read"}}
    narrow = ask("POST", path, None, json=asked, headers=bearer).json()
    assert narrow["permissions"] == {"issues": "read", "metadata": "read"}
    refused = ask("POST", f"{ISSUES}/{number}/comments", narrow["token"], json={"body": "x"})
    assert (refused.status_code, refused.json()["message"]) == (
        403,
        "Resource not accessible by integration",
    )
    assert ask("GET", f"{ISSUES}/{number}", narrow["token"]).status_code == 200
    more = {"permissions": {"contents": "write"}}
    assert ask("POST", path, None, json=more, headers=bearer).status_code == 422
    whole = ask("POST", path, None, json={"permissions": {}}, headers=bearer).json()
    assert whole["permissions"] == {**GRANTED, "metadata": "read"}
    assert ask("GET", "/user", whole["token"]).status_code == 403


def claims(app: App, issued: float, life: float) -> dict[str, object]:
    return {"iss": str(app.id), "iat": int(issued), "exp": int(issued + life)}


@pytest.mark.parametrize(
    ("shift", "life", "said"),
    [(-900, 300, "must be in the future"), (0, 3600, "too far"), (900, 300, "too far")],
)
def test_an_assertion_at_the_wrong_time_is_refused(
    app: App, ask: Ask, keys: tuple[str, str], shift: int, life: int, said: str
) -> None:
    now = datetime.now(UTC).timestamp()
    signed = jwt.encode(claims(app, now + shift, life), keys[0], algorithm="RS256")
    reply = ask("GET", "/app", signed)
    assert reply.status_code == 401
    assert said in reply.json()["message"]


def test_an_assertion_of_the_wrong_key_is_refused(app: App, ask: Ask) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = datetime.now(UTC).timestamp()
    assert ask("GET", "/app", jwt.encode(claims(app, now, 300), other, "RS256")).status_code == 401
    stranger = {**claims(app, now, 300), "iss": "1"}
    assert ask("GET", "/app", jwt.encode(stranger, other, "RS256")).status_code == 404
    assert ask("GET", "/app", "a.b.c").status_code == 401
    assert ask("GET", "/app").status_code == 401


def test_an_installation_token_ends_after_an_hour(tmp_path: Path, keys: tuple[str, str]) -> None:
    clock = FakeClock()
    with LoopbackGitHub(tmp_path, clock, os.environ) as hub:
        app = hub.install_app("busy-bee", keys[1], GRANTED)
        token = hub.forge.accounts.installation_token(app, {})
        headers = {"Authorization": f"token {token.value}"}
        url = f"{hub.url}{ISSUES}"
        clock.advance(3599)
        assert requests.get(url, headers=headers, timeout=100).status_code == 200
        clock.advance(1)
        assert requests.get(url, headers=headers, timeout=100).status_code == 401


def test_a_fine_grained_token_reaches_what_it_says(
    hub: LoopbackGitHub, client: Callable[..., Github], ask: Ask
) -> None:
    number = hub.open_issue("One", by="maya")
    token = hub.fine_grained_token("wren", {"issues": "read", "contents": "read"})
    theirs = client(token).get_repo(hub.full_name)
    assert theirs.get_issue(number).title == "One"
    with pytest.raises(GithubException, match="not accessible by personal access token"):
        theirs.get_issue(number).create_comment("no")
    assert ask("GET", "/user", token).json()["login"] == "wren"


def test_pull_request_permission_is_enough_below_a_pull_request(
    hub: LoopbackGitHub, ask: Ask
) -> None:
    issue = hub.open_issue("One", by="maya")
    hub.commit_on("side", by="wren")
    pull = hub.open_pull("Two", head="side", by="wren")
    token = hub.fine_grained_token("wren", {"pull_requests": "write"})
    said = {"body": "x"}
    codes = [
        ask("POST", f"{ISSUES}/{n}/comments", token, json=said).status_code for n in (issue, pull)
    ]
    assert codes == [403, 201]


def test_a_revoked_token_is_unknown(hub: LoopbackGitHub, ask: Ask) -> None:
    token = hub.fine_grained_token("wren", {"issues": "read"})
    assert ask("GET", ISSUES, token).status_code == 200
    hub.revoke(token)
    assert ask("GET", ISSUES, token).json()["message"] == "Bad credentials"


@pytest.mark.parametrize("login", ["busy-bee[bot]", "nobody"])
def test_a_bot_is_no_user(app: App, ask: Ask, login: str) -> None:
    reply = ask("GET", f"/repos/example/python-lib/collaborators/{login}/permission")
    assert (reply.status_code, reply.json()["message"]) == (404, f"{login} is not a user")


def test_only_those_who_may_push_may_ask_who_may(hub: LoopbackGitHub, ask: Ask) -> None:
    path = "/repos/example/python-lib/collaborators/{}/permission"
    assert ask("GET", path.format("maya"), hub.token_of("tom")).status_code == 403
    hub.add_account("evil", "write", kind="Bot")
    assert ask("GET", path.format("evil")).json()["user"]["type"] == "Bot"
    assert ask("GET", path.format("stranger")).json()["permission"] == "read"
    hub.add_account("maya", "maintain")
    told = ask("GET", path.format("MAYA")).json()
    assert (told["permission"], told["role_name"]) == ("write", "maintain")
