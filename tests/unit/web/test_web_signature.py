"""Signatures: SHA-256 over the bytes as they came, one of two secrets, and nothing else."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.errors import ConfigError
from repoagents.web.signature import genuine, parse_secrets, require_secrets

SECRET, OLD = "n" * 32, "o" * 32
BODY = b"Hello, World!"
VARIABLE = "REPOAGENTS_WEBHOOK_SECRET"
LOOPBACK = ("127.0.0.1", "127.8.8.8", "::1", "localhost")


def sign(body: bytes, secret: str = SECRET, digest: str = "sha256") -> str:
    return f"{digest}={hmac.new(secret.encode(), body, digest).hexdigest()}"


def test_the_vector_of_githubs_documentation_passes() -> None:
    published = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert genuine(f"sha256={published}", BODY, ("It's a Secret to Everybody",))


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_only_the_signed_bytes_pass(signed: bytes, received: bytes) -> None:
    assert genuine(sign(signed), received, (SECRET,)) is (signed == received)


def test_either_of_two_secrets_passes_and_no_third() -> None:
    both = (SECRET, OLD)
    assert genuine(sign(BODY, SECRET), BODY, both)
    assert genuine(sign(BODY, OLD), BODY, both)
    assert not genuine(sign(BODY, "x" * 32), BODY, both)


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "sha256=",
        sign(BODY).removeprefix("sha256="),
        sign(BODY)[:-1],
        sign(BODY) + "0",
        sign(BODY) + "\n",
        sign(BODY).upper(),
        "sha256=" + sign(BODY).removeprefix("sha256=").upper(),
        f"{sign(BODY)}, {sign(BODY)}",
        sign(BODY, digest="sha1"),
        sign(BODY, digest="sha512"),
        sign(BODY).replace("sha256=", "sha1="),
        "sha256=" + "\N{ARABIC-INDIC DIGIT ONE}" * 64,
        "sha256=" + "ü" * 64,
        "sha256=" + "0" * 64,
    ],
)
def test_whatever_is_not_that_signature_does_not_pass(signature: str | None) -> None:
    assert not genuine(signature, BODY, (SECRET,))


@given(st.text(max_size=80))
def test_no_text_makes_it_fall_over(signature: str) -> None:
    assert not genuine(signature, BODY, (SECRET,))


def test_without_a_secret_nothing_is_genuine() -> None:
    assert not genuine(sign(BODY, ""), BODY, ())


def test_sha1_in_the_new_header_is_what_the_library_would_take() -> None:
    """The hole is real: without the check of the shape, this one would pass."""
    from gidgethub.sansio import validate_event

    validate_event(BODY, signature=sign(BODY, digest="sha1"), secret=SECRET)
    assert hashlib.sha1(BODY).digest_size == 20


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ("", ()),
        (" , \n", ()),
        (SECRET, (SECRET,)),
        (f"  {SECRET}\n", (SECRET,)),
        (f"{SECRET} {OLD}", (SECRET, OLD)),
        (f"{SECRET},{OLD}", (SECRET, OLD)),
        (f"{SECRET}, {OLD},", (SECRET, OLD)),
        (f"{SECRET}\t{SECRET}", (SECRET,)),
    ],
)
def test_a_variable_holds_up_to_two_secrets(text: str, secrets: tuple[str, ...]) -> None:
    assert parse_secrets(text, VARIABLE) == secrets


@pytest.mark.parametrize("text", [f"{SECRET} {OLD} {'x' * 32}", "too short", SECRET + " short"])
def test_secrets_that_cannot_be_meant_are_refused_without_being_told(text: str) -> None:
    with pytest.raises(ConfigError, match=VARIABLE) as refused:
        parse_secrets(text, VARIABLE)
    assert not any(word in str(refused.value) for word in (SECRET, OLD, "short "))


def test_a_secret_that_is_no_text_is_refused_before_anybody_signs_with_it() -> None:
    """As the environment gives bytes that are not UTF-8: nothing could be compared with it."""
    secret = (b"\xfc" * 32).decode(errors="surrogateescape")
    with pytest.raises(ConfigError, match=f"{VARIABLE} holds .* UTF-8"):
        parse_secrets(f"{SECRET} {secret}", VARIABLE)


def test_the_secret_comes_from_the_named_variable() -> None:
    environment = {"MINE": SECRET, VARIABLE: OLD}
    assert require_secrets(environment, "MINE", "0.0.0.0", allow_unsigned=False) == (SECRET,)


@pytest.mark.parametrize("host", [*LOOPBACK, "0.0.0.0", "example.org"])
def test_without_a_secret_the_way_to_one_is_told(host: str) -> None:
    with pytest.raises(ConfigError, match=f"{VARIABLE} is not set") as refused:
        require_secrets({}, VARIABLE, host, allow_unsigned=False)
    assert "openssl rand -hex 32" in refused.value.next_step
    assert "secrets.token_hex(32)" in refused.value.next_step


@pytest.mark.parametrize("host", LOOPBACK)
def test_on_a_loopback_address_unsigned_may_be_allowed(host: str) -> None:
    assert require_secrets({}, VARIABLE, host, allow_unsigned=True) == ()


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.4", "localhost.example.org", "127.0.0.1.nip.io", "", "*"]
)
def test_anywhere_else_unsigned_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="--allow-unsigned needs a loopback address"):
        require_secrets({}, VARIABLE, host, allow_unsigned=True)


def test_a_secret_that_is_there_is_used_whatever_is_allowed() -> None:
    assert require_secrets({VARIABLE: SECRET}, VARIABLE, "::1", allow_unsigned=True) == (SECRET,)
