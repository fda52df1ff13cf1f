"""Credentials: where they come from, how an App's tokens are made and renewed, who we are."""

import base64
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from repoagents.domain.effect import SetLabel
from repoagents.domain.host_settings import AppSettings
from repoagents.domain.issue import Issue
from repoagents.domain.people import AccountKind
from repoagents.domain.settings import (
    MergePolicySettings,
    SafetySettings,
    Settings,
    TrackerSettings,
)
from repoagents.errors import (
    ConfigError,
    Forbidden,
    GitHubError,
    NotFound,
    RateLimited,
    Unavailable,
)
from repoagents.github.auth import CredentialSource, Surroundings, choose_source
from repoagents.github.client import Door
from repoagents.github.connection import connect
from repoagents.policy.safety import app_permissions
from tests.fakes.clock import FakeClock
from tests.fakes.world import ListJournal
from tests.integration.github.stub import ME, REPO, ROOT, TOKEN, Bed, Reply, Seen, Stub, build

MINT = "/app/installations/12/access_tokens"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
READ = {"metadata": "read", "contents": "read", "issues": "read"}


def no_gh() -> str:
    return ""


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "app.pem"
    path.write_bytes(PEM)
    path.chmod(0o600)
    return path


@pytest.fixture
def door(stub: Stub, clock: FakeClock) -> Iterator[Door]:
    made = Door(stub.url, clock)
    yield made
    made.close()


def choose(
    door: Door,
    clock: FakeClock,
    environment: Mapping[str, str],
    *,
    root: Path = Path("/nowhere"),
    gh: Callable[[], str] = no_gh,
    **tracker: Any,
) -> CredentialSource:
    settings = TrackerSettings(repo=REPO, **tracker)
    return choose_source(settings, Surroundings(environment, root, gh), READ, door, clock)


def app(door: Door, clock: FakeClock, key: Path) -> CredentialSource:
    settings = AppSettings(11, key.name, 12)
    return choose(door, clock, {}, root=key.parent, app=settings)


def token(clock: FakeClock, name: str = "ghs_1", hours: float = 1.0) -> Reply:
    ends = clock.now() + timedelta(hours=hours)
    body = {"token": name, "expires_at": f"{ends:%Y-%m-%dT%H:%M:%SZ}", "permissions": READ}
    return Reply(body, 201)


# --- where it comes from ----------------------------------------------------------------------


def test_the_variable_that_the_configuration_names_comes_first(
    door: Door, clock: FakeClock
) -> None:
    environment = {"GITHUB_TOKEN": TOKEN, "MINE": "github_pat_" + "b2" * 20}
    plain = choose(door, clock, environment, gh=lambda: "gho_x").current()
    assert (plain.kind, plain.token) == ("token", TOKEN)
    assert plain.source == "the variable GITHUB_TOKEN"
    mine = choose(door, clock, environment, token_env="MINE").current()
    assert (mine.kind, mine.source) == ("fine_grained", "the variable MINE")
    actions = choose(door, clock, {"GITHUB_TOKEN": "ghs_" + "c3" * 18}).current()
    assert actions.kind == "actions"


def test_gh_is_asked_when_the_variable_is_unset(door: Door, clock: FakeClock) -> None:
    source = choose(door, clock, {"GITHUB_TOKEN": "  "}, gh=lambda: "gho_" + "d4" * 18)
    assert source.current().kind == "gh"
    assert source.current().source == "gh auth token"


def test_without_any_the_ways_to_one_are_named(door: Door, clock: FakeClock) -> None:
    with pytest.raises(ConfigError, match="no GitHub credential: MINE is not set") as caught:
        choose(door, clock, {}, token_env="MINE")
    for way in ("MINE", "gh auth login", "tracker.app"):
        assert way in caught.value.next_step


@pytest.mark.parametrize("value", ["ghp_a b", "ghp_a\nX-Evil: 1", "ghp_ü", '"ghp_x"\t'])
def test_what_cannot_stand_in_a_header_is_refused_unshown(
    door: Door, clock: FakeClock, value: str
) -> None:
    with pytest.raises(ConfigError, match="GITHUB_TOKEN is no token") as caught:
        choose(door, clock, {"GITHUB_TOKEN": value})
    assert "ghp_" not in str(caught.value)


def test_no_secret_is_in_a_repr(door: Door, clock: FakeClock, key: Path) -> None:
    around = Surroundings({"GITHUB_TOKEN": TOKEN}, key.parent, no_gh)
    credential = choose(door, clock, {"GITHUB_TOKEN": TOKEN}).current()
    assert TOKEN not in repr(credential) + repr(around) + str(credential)


def test_gh_is_asked_anew_when_github_refuses_its_token(stub: Stub, clock: FakeClock) -> None:
    told = ["gho_old", "gho_new"]
    door = Door(stub.url, clock)
    source = choose(door, clock, {}, gh=lambda: told.pop(0) if len(told) > 1 else told[0])
    bed = build(stub, clock, source)
    stub.get("/user", Reply({"message": "Bad credentials"}, 401), Reply(ME))
    assert bed.client.get("/user")["id"] == 42
    assert [s.headers["authorization"] for s in stub.seen] == ["Bearer gho_old", "Bearer gho_new"]
    stub.get("/user", Reply({"message": "Bad credentials"}, 401))
    with pytest.raises(Forbidden):
        bed.client.get("/user")
    door.close()
    bed.door.close()


def test_a_refused_token_is_not_tried_again(bed: Bed) -> None:
    bed.stub.get("/user", Reply({"message": "Bad credentials"}, 401))
    with pytest.raises(Forbidden) as caught:
        bed.client.get("/user")
    assert caught.value.kind == "auth"
    assert len(bed.stub.seen) == 1
    assert TOKEN not in str(caught.value)


def test_scopes_and_the_end_are_told_by_answers(bed: Bed) -> None:
    assert bed.client.credential().scopes == ()
    headers = {
        "X-OAuth-Scopes": "repo, read:org",
        "GitHub-Authentication-Token-Expiration": "2026-05-06 07:08:09 UTC",
    }
    bed.stub.get("/user", Reply(ME, headers=headers))
    bed.client.get("/user")
    credential = bed.client.credential()
    assert credential.scopes == ("repo", "read:org")
    assert credential.expires_at == datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
    headers["GitHub-Authentication-Token-Expiration"] = "2026-05-06 07:08:09 +0200"
    bed.stub.get("/user", Reply(ME, headers=headers))
    bed.client.get("/user")
    assert bed.client.credential().expires_at == datetime(2026, 5, 6, 5, 8, 9, tzinfo=UTC)


# --- the App ----------------------------------------------------------------------------------


def decoded(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def test_the_app_signs_for_less_than_ten_minutes(
    stub: Stub, door: Door, clock: FakeClock, key: Path
) -> None:
    stub.on("POST", MINT, token(clock))
    app(door, clock, key).current()
    (seen,) = stub.seen
    scheme, _, jwt = seen.headers["authorization"].partition(" ")
    head, body, signature = jwt.split(".")
    assert scheme == "Bearer"
    assert decoded(head) == {"alg": "RS256", "typ": "JWT"}
    claims, now = decoded(body), int(clock.now().timestamp())
    assert claims == {"iat": now - 60, "exp": now + 540, "iss": "11"}
    assert claims["exp"] - claims["iat"] <= 600
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    KEY.public_key().verify(raw, f"{head}.{body}".encode(), PKCS1v15(), SHA256())


def test_a_token_is_narrowed_to_the_repository_and_the_permissions(
    stub: Stub, door: Door, clock: FakeClock, key: Path
) -> None:
    stub.on("POST", MINT, token(clock))
    credential = app(door, clock, key).current()
    assert stub.seen[0].body == {"permissions": READ, "repositories": ["cat"]}
    assert (credential.kind, credential.token) == ("app", "ghs_1")
    assert credential.scopes == ("contents: read", "issues: read", "metadata: read")
    assert credential.source == "GitHub App 11, installation 12"
    assert credential.expires_at == clock.now() + timedelta(hours=1)


def test_permissions_follow_the_flags() -> None:
    assert app_permissions(Settings()) == READ
    comments = Settings(safety=SafetySettings(allow_write_comments=True))
    assert app_permissions(comments) == {**READ, "issues": "write"}
    published = {"contents": "write", "pull_requests": "write", "checks": "read"}
    published["statuses"] = "read"
    both = Settings(safety=SafetySettings(allow_write_comments=True, allow_open_pr=True))
    assert app_permissions(both) == {**READ, "issues": "write", **published}
    merging = Settings(safety=SafetySettings(allow_merge=True))
    assert app_permissions(merging) == {**READ, **published}
    silent = replace(both, merge_policy=MergePolicySettings(mode="comment_only"))
    assert app_permissions(silent) == {**READ, "issues": "write"}


def test_what_reads_logs_is_asked_for_and_done_without(
    stub: Stub, door: Door, clock: FakeClock, key: Path
) -> None:
    settings = TrackerSettings(repo=REPO, app=AppSettings(11, key.name, 12))
    around = Surroundings({}, key.parent, no_gh)
    needed = {**READ, "checks": "read"}
    source = choose_source(settings, around, needed, door, clock)
    lacking = "The permissions requested are not granted to this installation."
    stub.on("POST", MINT, Reply({"message": lacking}, 422), token(clock))
    assert source.current().token == "ghs_1"
    asked = [seen.body["permissions"] for seen in stub.seen]
    assert asked == [{**needed, "actions": "read"}, needed]
    clock.advance(3600)
    stub.on("POST", MINT, token(clock, "ghs_2"))
    assert source.current().token == "ghs_2"
    assert stub.seen[-1].body["permissions"] == needed, "not asked for again"


def test_a_token_is_renewed_five_minutes_before_its_end(
    stub: Stub, door: Door, clock: FakeClock, key: Path
) -> None:
    stub.on("POST", MINT, lambda seen: token(clock, f"ghs_{len(stub.seen)}"))
    source = app(door, clock, key)
    assert source.current().token == "ghs_1"
    clock.advance(55 * 60 - 1)
    assert source.current().token == "ghs_1"
    clock.advance(2)
    assert source.current().token == "ghs_2"


def test_threads_that_start_cold_make_one_token(
    stub: Stub, door: Door, clock: FakeClock, key: Path
) -> None:
    def slow(seen: Seen) -> Reply:
        time.sleep(0.05)
        return token(clock)

    stub.on("POST", MINT, slow)
    source = app(door, clock, key)
    threads = [threading.Thread(target=source.current) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stub.count("POST") == 1


def test_a_token_that_several_were_refused_with_is_replaced_once(
    stub: Stub, door: Door, clock: FakeClock, key: Path
) -> None:
    stub.on("POST", MINT, lambda seen: token(clock, f"ghs_{len(stub.seen)}"))
    source = app(door, clock, key)
    refused = source.current()
    assert source.renew(refused)
    assert source.current().token == "ghs_2"
    assert source.renew(refused), "the slower of two threads"
    assert source.current().token == "ghs_2"


def test_a_new_token_may_be_unknown_for_a_moment(
    stub: Stub, door: Door, clock: FakeClock, key: Path
) -> None:
    stub.on("POST", MINT, token(clock))
    bed = build(stub, clock, app(door, clock, key))
    refused = Reply({"message": "Bad credentials"}, 401)
    stub.get(ROOT, refused, refused, Reply({"id": 1}))
    assert bed.client.get(ROOT) == {"id": 1}
    assert clock.slept == [1.0]
    not_yet = Reply({"message": "Resource not accessible by integration"}, 403)
    stub.get(f"{ROOT}/issues/1", not_yet, Reply({"number": 1}))
    assert bed.client.get(f"{ROOT}/issues/1") == {"number": 1}
    clock.advance(60)
    stub.get(f"{ROOT}/issues/2", not_yet, Reply({"number": 2}))
    with pytest.raises(Forbidden):
        bed.client.get(f"{ROOT}/issues/2")
    bed.door.close()


def test_a_token_that_dies_on_the_way_is_replaced_for_reads_and_writes(
    stub: Stub, door: Door, clock: FakeClock, key: Path
) -> None:
    stub.on("POST", MINT, lambda seen: token(clock, f"ghs_{stub.count('POST', MINT)}"))

    def known(seen: Seen) -> Reply:
        alive = seen.headers["authorization"] == f"Bearer ghs_{stub.count('POST', MINT)}"
        return Reply({"id": 1}, 201) if alive and stub.count("POST", MINT) > 1 else died

    died = Reply({"message": "Bad credentials"}, 401)
    bed = build(stub, clock, app(door, clock, key))
    path = f"{ROOT}/issues/1/comments"
    stub.on("POST", path, known)
    assert bed.client.write("POST", path, {"body": "x"}) == {"id": 1}
    assert stub.count("POST", path) == 2
    assert stub.count("POST", MINT) == 2
    bed.door.close()


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_a_refused_installation_says_where_to_look(
    stub: Stub, door: Door, clock: FakeClock, key: Path, status: int
) -> None:
    stub.on("POST", MINT, Reply({"message": "Integration not found"}, status))
    with pytest.raises(GitHubError, match="Integration not found") as caught:
        app(door, clock, key).current()
    for place in ("tracker.app.id", "clock", "issues: read"):
        assert place in caught.value.next_step


@pytest.mark.parametrize("status", [403, 429])
def test_a_limit_on_new_tokens_is_a_limit_on_everything(
    stub: Stub, clock: FakeClock, key: Path, status: int
) -> None:
    limited = Reply({"message": "You have exceeded a secondary rate limit."}, status)
    stub.on("POST", MINT, limited)
    settings = TrackerSettings(repo=REPO, api_url=stub.url, app=AppSettings(11, key.name, 12))
    around = Surroundings({}, key.parent, no_gh)
    github = connect(settings, around, READ, clock, ListJournal())
    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            github.client.get(ROOT)
    assert caught.value.retry_at == clock.now() + timedelta(seconds=60)
    assert stub.count("POST", MINT) == 1, "whoever goes on asking may be banned"


def test_a_token_that_cannot_be_had_now_is_no_fault_of_the_operator(
    stub: Stub, door: Door, clock: FakeClock, key: Path
) -> None:
    stub.on("POST", MINT, Reply({"message": "Server Error"}, 502))
    with pytest.raises(Unavailable) as caught:
        app(door, clock, key).current()
    assert "tracker.app.id" not in caught.value.next_step


def test_the_apps_own_account_is_its_bot(
    stub: Stub, door: Door, clock: FakeClock, key: Path
) -> None:
    stub.on("POST", MINT, token(clock))
    stub.get("/app", Reply({"slug": "my-app"}))
    stub.get("/users/my-app%5Bbot%5D", Reply({"login": "my-app[bot]", "id": 77, "type": "Bot"}))
    bed = build(stub, clock, app(door, clock, key))
    for _ in range(2):
        me = bed.people.viewer()
    assert (me.login, me.id, me.kind) == ("my-app[bot]", 77, AccountKind.BOT)
    asked = {seen.path: seen.headers["authorization"] for seen in stub.seen}
    assert asked["/app"].count(".") == 2, "signed by the App itself"
    assert asked["/users/my-app%5Bbot%5D"] == "Bearer ghs_1"
    assert stub.count("GET") == 2
    bed.door.close()


def test_the_account_of_an_actions_token_is_asked_by_a_query(
    stub: Stub, door: Door, clock: FakeClock
) -> None:
    viewer = {"login": "github-actions[bot]", "databaseId": 41898282}
    stub.on("POST", "/graphql", Reply({"data": {"viewer": viewer}}))
    bed = build(stub, clock, choose(door, clock, {"GITHUB_TOKEN": "ghs_" + "c3" * 18}))
    me = bed.people.viewer()
    assert (me.id, me.kind) == (41898282, AccountKind.BOT)
    assert "mutation" not in json.dumps([seen.body for seen in stub.seen])
    bed.door.close()


# --- the key ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_key_that_others_can_read_is_refused(
    door: Door, clock: FakeClock, key: Path, mode: int
) -> None:
    key.chmod(mode)
    with pytest.raises(ConfigError, match="others can read") as caught:
        app(door, clock, key)
    assert caught.value.next_step == f"chmod 600 {key}"


def pem_of(curve: bool) -> bytes:
    made = ec.generate_private_key(ec.SECP256R1())
    pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem if curve else PEM[:200]


@pytest.mark.parametrize("content", [b"", b"-----BEGIN RSA PRIVATE KEY-----\nMIIE", pem_of(True)])
def test_what_is_no_rsa_key_is_refused_unshown(
    door: Door, clock: FakeClock, key: Path, content: bytes
) -> None:
    key.write_bytes(content)
    with pytest.raises(ConfigError, match="no RSA private key") as caught:
        app(door, clock, key)
    assert "MIIE" not in str(caught.value)


def test_a_missing_key_is_named(door: Door, clock: FakeClock, key: Path) -> None:
    key.unlink()
    with pytest.raises(ConfigError, match=r"app\.pem cannot be read"):
        app(door, clock, key)


def test_a_key_may_lie_in_the_home(door: Door, clock: FakeClock, key: Path) -> None:
    settings = AppSettings(11, f"~/{key.name}", 12)
    home = {"HOME": str(key.parent), "GITHUB_TOKEN": TOKEN}
    source = choose(door, clock, home, app=settings)
    assert not hasattr(source, "_credential") or source._credential is None


@pytest.mark.parametrize(
    "settings", [AppSettings(11), AppSettings(11, "x.pem"), AppSettings(None, "x.pem", 12)]
)
def test_half_an_app_is_refused(door: Door, clock: FakeClock, settings: AppSettings) -> None:
    with pytest.raises(ConfigError, match="not whole"):
        choose(door, clock, {"GITHUB_TOKEN": TOKEN}, app=settings)


# --- who somebody is --------------------------------------------------------------------------


def label_event(kind: str, name: str, actor: Any, **more: Any) -> dict[str, Any]:
    at = "2026-03-04T12:00:00Z"
    return {"event": kind, "label": {"name": name}, "actor": actor, "created_at": at, **more}


NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
ANN = {"login": "ann", "id": 7, "type": "User"}
BEN = {"login": "ben", "id": 8, "type": "User"}
BOT = {"login": "evil", "id": 9, "type": "Bot"}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], None),
        ([label_event("labeled", "RepoAgents ", ANN)], ("ann", 7, AccountKind.USER)),
        ([label_event("labeled", "other", ANN)], None),
        (
            [
                label_event("labeled", "repoagents", ANN),
                label_event("unlabeled", "repoagents", BEN),
            ],
            None,
        ),
        (
            [
                label_event("labeled", "repoagents", ANN),
                label_event("unlabeled", "repoagents", ANN),
                label_event("labeled", "repoagents", BEN),
                {"event": "commented", "actor": ANN},
            ],
            ("ben", 8, AccountKind.USER),
        ),
        ([label_event("labeled", "repoagents", BOT)], ("evil", 9, AccountKind.BOT)),
        ([label_event("labeled", "repoagents", None)], ("", 0, AccountKind.USER)),
        (
            [label_event("labeled", "repoagents", ANN, performed_via_github_app={"slug": "x"})],
            ("ann", 7, AccountKind.BOT),
        ),
    ],
)
def test_who_set_the_label_is_the_last_who_did(bed: Bed, events: Any, expected: Any) -> None:
    bed.stub.get(f"{ROOT}/issues/1/timeline", Reply(events))
    found = bed.people.labelled_by(1, "repoagents")
    assert (found and (found.by.login, found.by.id, found.by.kind, found.at)) == (
        expected and (*expected, NOON)
    )


def test_a_label_of_no_time_is_nobodys(bed: Bed) -> None:
    timeless = {**label_event("labeled", "repoagents", ANN), "created_at": None}
    bed.stub.get(f"{ROOT}/issues/1/timeline", Reply([timeless]))
    assert bed.people.labelled_by(1, "repoagents") is None


ISSUE = Issue(1, "Title", "Body")
EDITOR = {"__typename": "User", "login": "ann", "databaseId": 7}


def history(**over: object) -> Reply:
    """What GraphQL tells of issue 1: nobody has edited it, unless said otherwise."""
    told = {
        "title": "Title",
        "body": "Body",
        "lastEditedAt": None,
        "editor": None,
        "userContentEdits": {"pageInfo": {"hasNextPage": False}, "nodes": []},
        "timelineItems": {"pageInfo": {"hasNextPage": False}, "nodes": []},
    }
    return Reply({"data": {"repository": {"issue": told | over}}})


def edited(editor: object, at: str = "2026-03-04T12:00:00Z") -> dict[str, object]:
    """The connection that has one edit of the body."""
    return {"pageInfo": {"hasNextPage": False}, "nodes": [{"editedAt": at, "editor": editor}]}


@pytest.mark.parametrize(
    ("editor", "expected"),
    [
        (EDITOR, ("ann", 7, AccountKind.USER)),
        (
            {"__typename": "Bot", "login": "tidy", "databaseId": 9},
            ("tidy[bot]", 9, AccountKind.BOT),
        ),
        ({"__typename": "Mannequin", "login": "old"}, ("old", 0, AccountKind.BOT)),
        (None, ("", 0, AccountKind.USER)),
    ],
)
def test_who_edited_is_told_by_graphql(bed: Bed, editor: object, expected: object) -> None:
    bed.stub.on("POST", "/graphql", history(userContentEdits=edited(editor)))
    (act,) = bed.people.edits_since(ISSUE, NOON)
    assert (act.by.login, act.by.id, act.by.kind) == expected
    assert act.at == NOON


def test_an_edit_of_that_very_second_counts_and_one_before_does_not(bed: Bed) -> None:
    bed.stub.on("POST", "/graphql", history(userContentEdits=edited(EDITOR)))
    assert bed.people.edits_since(ISSUE, NOON + timedelta(seconds=1)) == ()
    assert len(bed.people.edits_since(ISSUE, NOON)) == 1


def test_the_last_edit_counts_also_where_no_history_is_told(bed: Bed) -> None:
    last = {"lastEditedAt": "2026-03-04T12:00:00Z", "editor": EDITOR, "userContentEdits": None}
    bed.stub.on("POST", "/graphql", history(**last))
    assert [act.by.login for act in bed.people.edits_since(ISSUE, NOON)] == ["ann"]


LONG = {"pageInfo": {"hasNextPage": True}, "nodes": []}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (history(userContentEdits=LONG), "too often"),
        (history(timelineItems=LONG), "too often"),
        (history(userContentEdits=edited(EDITOR, "yesterday")), "does not say when"),
        (history(body="Another text."), "while it was read"),
        (Reply({"data": {"repository": {"issue": None}}}), "while it was read"),
        (Reply({"data": None, "errors": [{"type": "FORBIDDEN"}]}), "FORBIDDEN"),
        (Reply({"message": "no"}, 502), "502"),
    ],
)
def test_what_is_not_told_of_edits_is_raised(bed: Bed, answer: Reply, words: str) -> None:
    bed.stub.on("POST", "/graphql", answer)
    with pytest.raises(GitHubError, match=words):
        bed.people.edits_since(ISSUE, NOON)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"permission": "admin", "role_name": "admin"}, "admin"),
        ({"permission": "write", "role_name": "maintain"}, "maintain"),
        ({"permission": "read", "role_name": "triage"}, "triage"),
        ({"permission": "write", "role_name": "our-own-role"}, "write"),
        ({"permission": "read"}, "read"),
        ({"permission": "none", "role_name": ""}, "none"),
        ({}, "none"),
        ({"permission": "everything"}, "none"),
    ],
)
def test_permissions_are_read_by_their_role(bed: Bed, told: Any, expected: str) -> None:
    bed.stub.get(f"{ROOT}/collaborators/ann/permission", Reply(told))
    assert bed.people.permission("ann") == expected


def test_a_permission_that_cannot_be_read_is_an_error(bed: Bed) -> None:
    refused = Reply({"message": "Must have push access to view collaborator permission."}, 403)
    bed.stub.get(f"{ROOT}/collaborators/ann/permission", refused)
    with pytest.raises(Forbidden, match="Must have push access") as caught:
        bed.people.permission("ann")
    assert "push access" in caught.value.next_step
    assert bed.people.permission("nobody") == "none"


def test_a_login_cannot_lead_elsewhere(bed: Bed) -> None:
    assert bed.people.permission("../../evil?x=/y#") == "none"
    (path,) = {seen.path for seen in bed.stub.seen}
    assert path == f"{ROOT}/collaborators/..%2F..%2Fevil%3Fx%3D%2Fy%23/permission"


def test_an_account_that_is_not_told_is_an_error(bed: Bed) -> None:
    bed.stub.get("/user", Reply({"login": "x"}))
    with pytest.raises(GitHubError, match="whose credential"):
        bed.people.viewer()
    bed.stub.get("/user", Reply({"message": "x"}, 404))
    with pytest.raises(NotFound):
        bed.people.viewer()


def test_gh_itself_is_asked_by_the_composition_root(
    tmp_path: Path, git: Callable[..., str], stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from repoagents.bootstrap import open_premises

    programs = tmp_path / "programs"
    programs.mkdir()
    script = programs / "gh"
    script.write_text('#!/bin/sh\necho "$@" > "$0.argv"\necho gho_0123456789abcdef0123456789\n')
    script.chmod(0o755)
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--quiet")
    (root / ".ai-repoagents").mkdir()
    (root / ".ai-repoagents" / "repoagents.yaml").write_text(
        f"tracker: {{kind: github, repo: {REPO}, api_url: '{stub.url}'}}\n"
    )
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    stub.get(f"{ROOT}/issues", Reply([]))
    premises = open_premises(root, terminal=True)
    assert premises.bench().tracker.read_issues() == ()
    assert "gho_0123456789abcdef0123456789" in premises.bench().sensitive()
    assert stub.seen[0].headers["authorization"] == "Bearer gho_0123456789abcdef0123456789"
    host = stub.url.removeprefix("http://")
    assert script.with_name("gh.argv").read_text().split() == ["auth", "token", "--hostname", host]
    script.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(ConfigError, match="no GitHub credential"):
        open_premises(root, terminal=True).bench().tracker.read_issues()
    assert subprocess.run(["git", "-C", str(root), "status"], check=True).returncode == 0


# --- while a fixture stands in GitHub's place ---------------------------------------------------


@pytest.mark.parametrize("kind", ["token", "app"])
def test_a_smoke_fixture_closes_the_door(
    stub: Stub, clock: FakeClock, key: Path, kind: str
) -> None:
    app = AppSettings(11, key.name, 12) if kind == "app" else AppSettings()
    settings = TrackerSettings(
        repo=REPO, api_url=stub.url, app=app, smoke_fixture_path="ops/smoke.json"
    )
    around = Surroundings({"GITHUB_TOKEN": TOKEN}, key.parent, lambda: TOKEN)
    github = connect(settings, around, READ, clock, ListJournal(), receives=True)
    assert github.tracker.hooks is None, "nothing is asked to be sent again"
    inspection = github.tracker.inspection
    assert inspection is not None
    attempts: list[Callable[[], object]] = [
        github.tracker.read_issues,
        lambda: github.tracker.read_issue(1),
        lambda: github.tracker.perform(SetLabel("run-1", 1, "bug", on=True)),
        inspection.inspect,
        inspection.backlog,
        github.people.viewer,
        github.git_config,
        github.source.choose,
        lambda: github.client.as_app("/app"),
    ]
    for attempt in attempts:
        with pytest.raises(ConfigError, match=r"not asked for anything while tracker\.smoke_fix"):
            attempt()
    assert stub.seen == []
