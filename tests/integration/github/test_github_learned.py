"""What the bot logs in with is known as a secret before anybody else hears of it."""

from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from repoagents.domain.host_settings import AppSettings
from repoagents.domain.settings import TrackerSettings
from repoagents.github.auth import Surroundings
from repoagents.github.connection import connect
from repoagents.logs import HIDDEN, Redactor
from tests.fakes.clock import FakeClock
from tests.fakes.world import ListJournal
from tests.integration.github.stub import Reply, Seen, Stub

MINT = "/app/installations/12/access_tokens"


def test_a_token_that_gh_tells_is_learned_when_it_is_first_used(stub: Stub, tmp_path: Path) -> None:
    redactor = Redactor(("a-variable-of-this-machine",))
    around = Surroundings({}, tmp_path, lambda: "told-by-gh-0123456789", redactor.learn)
    settings = TrackerSettings(repo="octo/cat", api_url=stub.url)
    github = connect(settings, around, {}, FakeClock(), ListJournal())
    assert redactor.secrets == ("a-variable-of-this-machine",)
    assert github.source.current().token == "told-by-gh-0123456789"
    assert redactor.secrets == ("a-variable-of-this-machine", "told-by-gh-0123456789")
    assert redactor.redact("it is told-by-gh-0123456789!") == f"it is {HIDDEN}!"


def test_each_token_of_an_installation_is_learned(stub: Stub, tmp_path: Path) -> None:
    clock, redactor = FakeClock(), Redactor(())

    def mint(_seen: Seen) -> Reply:
        ends = clock.now() + timedelta(hours=1)
        body = {"token": f"minted-{len(stub.seen)}", "expires_at": f"{ends:%Y-%m-%dT%H:%M:%SZ}"}
        return Reply(body, 201)

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    place = tmp_path / "app.pem"
    place.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    place.chmod(0o600)
    stub.on("POST", MINT, mint)
    settings = TrackerSettings(
        repo="octo/cat", api_url=stub.url, app=AppSettings(11, place.name, 12)
    )
    around = Surroundings({}, tmp_path, lambda: "", redactor.learn)
    github = connect(settings, around, {}, clock, ListJournal())
    for count in (1, 2):
        github.git_config()
        github.git_config()
        assert redactor.secrets[-1] == f"minted-{count}"
        clock.advance(3600)
    assert redactor.secrets == ("minted-1", "minted-2")
