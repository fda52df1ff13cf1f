"""No secret passes the log door: not by value in any form, not by shape."""

import base64
import json
import subprocess
import sys
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.logs import HIDDEN, LEARNED, Redactor, secret_values
from repoagents.views.html import embed, render_page
from repoagents.views.markdown import neutral, table

BODY = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
KEY = "\n".join(
    [
        "-----BEGIN RSA PRIVATE KEY-----",
        "MIIEpAIBAAKCAQEA" * 4,
        "abcd+/==",
        "-----END RSA PRIVATE KEY-----",
    ]
)
SHAPES = [
    *(f"gh{letter}_{BODY}" for letter in "pousr"),
    f"github_pat_11ABCDEFG_{BODY}",
    f"sk-{BODY}",
    f"sk-proj-{BODY}_x-y",
    f"sk-ant-api03-{BODY}-x_y",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "xoxb-123456789012-abcdefABCDEF",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    KEY,
    KEY.replace("\n", "\\n"),
    KEY.replace("RSA ", ""),
]


@pytest.mark.parametrize("secret", SHAPES)
@pytest.mark.parametrize("around", ["{}", "x={} y", '{{"k": "{}"}}', "({}).", "a\n{}\nb"])
def test_known_shapes_are_hidden(secret: str, around: str) -> None:
    shown = Redactor(()).redact(around.format(secret))
    assert HIDDEN in shown
    for part in (BODY, "IOSFODNN7EXAMPLE", "abcdefABCDEF", "dozjgNryP4J3", "MIIEpAIBAAKC", "eyJhb"):
        assert part not in shown
    assert shown.replace(HIDDEN, "").strip("\n ") == around.format("").strip("\n ")


def test_a_key_that_was_cut_off_is_hidden_as_far_as_it_goes() -> None:
    begin = KEY.partition("-----END")[0]
    assert Redactor(()).redact(f"{begin}\n--- and more") == f"{HIDDEN}--- and more"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc123def456", f"Authorization: Bearer {HIDDEN}"),
        ("authorization: token abc123def456", f"authorization: token {HIDDEN}"),
        ("'Authorization': 'Basic dXNlcjpwdw=='", f"'Authorization': 'Basic {HIDDEN}'"),
        ('"authorization": "abcdefghij"', f'"authorization": "{HIDDEN}"'),
        ("curl -H bearer\tabc.def-123", f"curl -H bearer\t{HIDDEN}"),
        ("https://me:hunter2@host/x", f"https://{HIDDEN}@host/x"),
        ("https://me:p@ss:w@host:8080/x?y=a@b", f"https://{HIDDEN}@host:8080/x?y=a@b"),
        ("postgresql://:pw@[::1]/db", f"postgresql://{HIDDEN}@[::1]/db"),
        ("git clone https://a-token@host/x", f"git clone https://{HIDDEN}@host/x"),
    ],
)
def test_credentials_are_hidden_where_they_travel(text: str, shown: str) -> None:
    assert Redactor(()).redact(text) == shown
    assert Redactor(()).redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "sk-learn-compatible-estimators-for-everyone",
        "the task-force-of-2026-was-here",
        "ghp_short",
        "ssh://git@example.invalid/repo.git",
        "https://example.invalid:8080/a@b",
        "bearer certificates of the company",
        "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
        "commit 0123456789abcdef0123456789abcdef01234567",
        "eyJ is how JSON begins in base64",
        "def authorization(request): ...",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert Redactor(["shorty", "", "1"]).redact(text) == text


secrets = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=8).filter(
    lambda value: len(value.strip()) >= 8
)


@given(secret=secrets, before=st.binary(max_size=5), after=st.binary(max_size=5))
def test_a_value_is_hidden_in_every_form(secret: str, before: bytes, after: bytes) -> None:
    value = secret.strip()
    raw = value.encode()
    redact = Redactor([secret]).redact
    forms = [
        value,
        json.dumps(value),
        json.dumps(json.dumps(value)),
        quote(value, safe=""),
        quote_plus(value),
        raw.hex(),
        raw.hex().upper(),
    ]
    for form in forms:
        assert form not in redact(f"<{form}>")
    # In base64 the first and the last characters depend on what stands around the value.
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(before + raw + after).decode()
        first, last = -(-len(before) * 4 // 3), (len(before) + len(raw)) * 4 // 3
        assert encoded[first:last] not in redact(encoded)


HEADERS = ("Bearer abc12345678", "BEARER ", "Authorization: Basic ", "aUTHORIZATION=", "a1b2c3d4")
NEARLY = ("://user:", "word@host", " ", "\n", "bear", "sk-", "\u0130", "ghp_")


def test_a_value_is_hidden_as_pages_spell_it() -> None:
    secret = """a<b>&c"d'e@f|g"""
    redact = Redactor([secret]).redact
    shown = render_page("page.html", {"rehearsal": f"({secret})"})
    assert f'role="note">({HIDDEN})</p>' in redact(shown)
    assert f"<!-- ({HIDDEN}) -->" in redact(shown)
    assert redact(str(embed([secret]))) == f'["{HIDDEN}"]'
    assert redact(table(("x",), [(neutral(secret),)])).endswith(f"| {HIDDEN} |")


PIECES = st.sampled_from((*SHAPES, *HEADERS, *NEARLY))


@given(st.lists(PIECES, max_size=12).map("".join))
def test_what_is_looked_for_first_leaves_no_pattern_out(text: str) -> None:
    redactor = Redactor(())
    plain = redactor._shapes.sub(HIDDEN, text)
    plain = redactor._headers.sub(lambda found: f"{found[1] or found[2]}{HIDDEN}", plain)

    assert redactor.redact(text) == redactor._credentials.sub(rf"\1{HIDDEN}", plain)


@given(st.lists(secrets, max_size=3), st.text())
def test_redacting_twice_changes_nothing(values: list[str], text: str) -> None:
    redact = Redactor(values).redact
    once = redact("".join([text, *values, text]))
    if not any(value.strip() in HIDDEN for value in values):
        assert redact(once) == once


def test_the_longest_value_wins() -> None:
    assert Redactor(["password", "password-and-more"]).redact("password-and-more") == HIDDEN


def test_lines_of_a_secret_are_secrets() -> None:
    value = "-----BEGIN SOMETHING-----\nfirst-long-line-of-it\nsecond-long-line-of-it\nx\n"
    shown = Redactor([value]).redact("only second-long-line-of-it, and x")
    assert shown == f"only {HIDDEN}, and x"


def test_each_of_two_secrets_in_one_variable_is_a_secret() -> None:
    both = "the-old-webhook-secret, the-new-webhook-secret"
    found = secret_values({"REPOAGENTS_WEBHOOK_SECRET": both, "PASSPHRASE": "words of a phrase"})
    assert Redactor(found).redact("it was the-old-webhook-secret") == f"it was {HIDDEN}"
    assert "words" not in found, "a word of a phrase stands everywhere"


def test_a_large_text_is_quick() -> None:
    import time

    text = ("-----BEGIN PRIVATE KEY----- " + "x" * 900 + " bearer eyJ sk- ://a:b\n") * 2000
    began = time.process_time()
    Redactor([f"secret-value-{n}" for n in range(50)]).redact(text)
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    "name",
    [
        "GITHUB_TOKEN",
        "OPENAI_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "DB_PASSWORD",
        "MYSQL_PWD",
        "npm_config__auth",
        "GH_PAT",
        "SIGNING_KEY",
        "GPG_PASSPHRASE",
        "apikey",
        "SESSION_COOKIE",
        "GOOGLE_CREDENTIALS",
        "REPOAGENTS_WEBHOOK_SECRET",
    ],
)
def test_a_name_tells_a_secret(name: str) -> None:
    assert secret_values({name: "the-value"}) == ("the-value",)


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "PWD",
        "OLDPWD",
        "KEYBOARD",
        "MONKEY",
        "SSH_AUTH_SOCK",
        "TOKEN_FILE",
        "LANG",
        "AUTHOR",
    ],
)
def test_other_names_tell_nothing(name: str) -> None:
    assert secret_values({name: "the-value"}) == ()


def test_passwords_in_urls_are_secrets_too() -> None:
    found = secret_values({"DATABASE_URL": "postgresql://me:p%40ssword@host/db", "X": "//a:b@c"})
    assert found == ("p%40ssword", "p@ssword")


def test_importing_the_log_is_cheap() -> None:
    code = "import sys, repoagents.logs; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & {"structlog", "logging", "asyncio", "traceback"} == set()


@pytest.mark.parametrize(
    "text",
    [
        "://" + "a:" * 100_000,
        "://a:b" * 40_000,
        "sk-" * 70_000,
        "-----BEGIN PRIVATE KEY-----!" * 8_000,
        "-----BEGIN " + "A " * 100_000,
        "eyJaaaaaaaa." * 20_000,
        "authorization " * 15_000,
    ],
    ids=["colons", "urls", "dashes", "keys", "blanks", "dots", "headers"],
)
def test_no_text_of_an_agent_takes_long(text: str) -> None:
    import time

    began = time.process_time()
    Redactor(["a-secret-value"]).redact(text)
    assert time.process_time() - began < 15


def test_a_key_ends_at_its_own_end_mark() -> None:
    body = "Proc-Type: 4,ENCRYPTED\n\nab-cd"
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----"
    assert Redactor([]).redact(f"{key} and {key}!") == f"{HIDDEN} and {HIDDEN}!"


def test_what_is_learned_later_is_hidden_too_and_the_newest_are_remembered() -> None:
    redactor = Redactor(("given-from-the-start",))
    for number in range(LEARNED + 1):
        redactor.learn(f"learned-later-{number}")
        redactor.learn(f"learned-later-{number}")
    redactor.learn("given-from-the-start")
    kept = tuple(f"learned-later-{number}" for number in range(1, LEARNED + 1))
    assert redactor.secrets == ("given-from-the-start", *kept)
    told = f"given-from-the-start {base64.b64encode(kept[-1].encode()).decode()}"
    assert "given" not in redactor.redact(told)
    assert told[-10:] not in redactor.redact(told)
    assert redactor.redact("learned-later-0") == "learned-later-0"
