"""Odd files and odd environments: each is read as it is meant, or refused in one plain sentence."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.config.document import parse_document, parse_value
from repoagents.config.loader import load
from repoagents.errors import ConfigError

LOCAL = "tracker: {kind: local_markdown}\n"
YAML = ".ai-repoagents/repoagents.yaml"
ENV = ".ai-repoagents/repoagents.env"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a control plane whose configuration is in order."""
    (tmp_path / ".ai-repoagents").mkdir()
    (tmp_path / YAML).write_text(LOCAL)
    return tmp_path


def refusal(root: Path, environ: dict[str, str] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(root, environ or {})
    return caught.value


def said_about(text: str) -> str:
    """The refusal of a document; what was read instead can be written as JSON."""
    try:
        document = parse_document(text, "f")
    except ConfigError as error:
        return str(error)
    json.dumps(document.tree, ensure_ascii=document.problems != ()).encode()
    return "\n".join(map(str, document.problems))


def env_file(root: Path, content: bytes) -> None:
    (root / ENV).write_bytes(content)
    (root / ENV).chmod(0o600)


# --- the configuration file -----------------------------------------------------------------


def test_a_mark_at_the_start_and_foreign_line_ends_are_read(root: Path) -> None:
    text = "\ufefftracker:\r\n  kind: local_file\r\nagent:\r\n  retry_limit: 4\r\n"
    (root / YAML).write_bytes(text.encode())
    loaded = load(root, {})
    assert loaded.settings.agent.retry_limit == 4
    rows = {row.key: row.origin for row in loaded.origins}
    assert rows["agent.retry_limit"] == f"{YAML}:4"


def test_a_link_to_a_file_is_followed_and_one_to_nowhere_is_no_file(root: Path) -> None:
    (root / "elsewhere.yaml").write_text(LOCAL + "agent: {retry_limit: 2}\n")
    (root / YAML).unlink()
    (root / YAML).symlink_to(root / "elsewhere.yaml")
    assert load(root, {}).settings.agent.retry_limit == 2
    for target in ("nowhere", "repoagents.yaml"):
        (root / YAML).unlink()
        (root / YAML).symlink_to(target)
        assert refusal(root).next_step == "repoagents init"


@pytest.mark.parametrize("name", [YAML, ENV])
def test_a_pipe_is_refused_without_waiting_for_its_writer(name: str, root: Path) -> None:
    (root / name).unlink(missing_ok=True)
    os.mkfifo(root / name)
    error = refusal(root)
    assert str(error) == f"{name} is not a file"
    assert error.next_step == f"Move {name} out of the way."


@pytest.mark.parametrize("opened", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_one_sentence(opened: str, root: Path) -> None:
    for depth in (60, 400, 10_000):
        (root / YAML).write_text(LOCAL + "agent: " + opened * depth)
        message = str(refusal(root))
        assert "broken YAML" in message
        assert len(message) < 300


def test_no_deeper_than_needed_is_read(root: Path) -> None:
    assert parse_document("a: " + "[" * 40 + "]" * 40, "f").tree.keys() == {"a"}
    with pytest.raises(ConfigError, match="f:2: broken YAML: nested too deeply"):
        parse_document("a:\n  " + "[" * 60 + "]" * 60, "f")


@given(text=st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert all(line.startswith("f:") for line in said_about(text).splitlines()[:1])


@given(text=st.text("[]{},:-?&*!|>'\"%@`# \n\tab1.~<", max_size=40))
def test_any_mixture_of_marks_is_read_or_refused(text: str) -> None:
    assert all(line.startswith("f:") for line in said_about(text).splitlines()[:1])


# --- variables ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AGENT__RETRY_LIMIT", "", "expected a whole number from 1 to 10, given null"),
        ("AGENT__RETRY_LIMIT", "3.0", "expected a whole number from 1 to 10, given 3.0"),
        ("AGENT__RETRY_LIMIT", "0x3", 'given "0x3"'),
        ("AGENT__RETRY_LIMIT", "!!int 3", "expected a whole number"),
        ("AGENT__RETRY_LIMIT", "!!python/name:x 3", "expected a whole number"),
        ("AGENT__ENV", "A", 'expected a list of text, given "A"'),
        ("AGENT__ENV", "{a: 1, a: 2}", "expected a list of text"),
        ("AGENT__ENV", "[A, &x B, *x]", "expected a list of text"),
        ("AGENT__ENV", '["A\\0"]', "expected a list of text"),
        ("AGENT__ENV", "[" * 20_000, "expected a list of text"),
        ("SAFETY__ALLOW_OPEN_PR", "", "expected true or false, given null"),
        ("SAFETY__ALLOW_OPEN_PR", "1", "expected true or false, given 1"),
        ("SAFETY__ALLOW_OPEN_PR", "yes", 'expected true or false, given "yes"'),
        ("SAFETY__ALLOW_OPEN_PR", '"true"', "(in quotes, so text)"),
        ("CODEX__MODEL", "\udcff", "expected text"),
        ("CODEX__EXTRA_ARGS", "[\udcff]", "expected a list of text"),
        ("TRACKER__KIND", "gitlab", "expected one of github, local_file, local_markdown"),
        ("TRACKER__TRIGGER_LABEL", " ", "trigger_label is empty"),
        ("VERIFY__0__RUN", "x", "no key has this variable"),
        ("__AGENT__RETRY_LIMIT", "3", "no key has this variable; the nearest is REPOAGENTS_AGENT"),
    ],
)
def test_a_variable_of_the_wrong_kind_is_named(
    name: str, value: str, said: str, root: Path
) -> None:
    message = str(refusal(root, {f"REPOAGENTS_{name}": value}))
    assert message.startswith(f"REPOAGENTS_{name}: ")
    assert said in message
    assert len(message) < 300


@pytest.mark.parametrize("value", ["true", "True", "TRUE", " true ", "true # for now"])
def test_true_has_few_spellings(value: str, root: Path) -> None:
    loaded = load(root, {"REPOAGENTS_SAFETY__ALLOW_OPEN_PR": value})
    assert loaded.settings.safety.allow_open_pr is True


@pytest.mark.parametrize("name", ["REPOAGENTS_VERIFY", "REPOAGENTS_TRACKER", "REPOAGENTS_ROLES"])
def test_a_whole_section_in_a_variable_is_a_warning(name: str, root: Path) -> None:
    (warning,) = load(root, {name: "[]"}).warnings
    assert warning.startswith(f"{name} is not read")


def test_what_agents_and_commands_are_told_is_no_warning(root: Path) -> None:
    names = ("ROLE", "RUN_ID", "ISSUE", "SCHEMA", "RESULT", "WEBHOOK_SECRET")
    assert load(root, {f"REPOAGENTS_{name}": "x" for name in names}).warnings == ()


def test_a_list_may_be_written_in_lines(root: Path) -> None:
    assert load(root, {"REPOAGENTS_AGENT__ENV": "- CC\n- CFLAGS"}).settings.agent.env == (
        "CC",
        "CFLAGS",
    )


@given(text=st.text(max_size=30))
def test_a_value_is_read_or_is_none(text: str) -> None:
    try:
        value = parse_value(text)
    except ValueError:
        value = None
    assert value is None or json.dumps(value).encode()


# --- the env file ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (b"A=b", {"A": "b"}),
        (b"\xef\xbb\xbfA=b\n", {"A": "b"}),
        (b'A="b"\r\nexport B=c\r\n', {"A": "b", "B": "c"}),
        (b"A=b\nA=c\n", {"A": "c"}),
        (b"  A=b  \n\n\t# note\nexport\tB= c\n", {"A": "b", "B": "c"}),
        (b"A='it''s'\n", {"A": "it''s"}),
        (b'A= "b c" # note\n', {"A": "b c"}),
        (b'A="a\\"b"\nB=$HOME/`id`\n', {"A": 'a\\"b', "B": "$HOME/`id`"}),
        ("A=x\u2028y\x0cz\u0085\n".encode(), {"A": "x\u2028y\x0cz"}),
        (b"A=it's\n", {"A": "it's"}),
        (b"A=b=c==\n", {"A": "b=c=="}),
        (b"", {}),
    ],
)
def test_an_env_file_is_read_as_it_stands(
    content: bytes, values: dict[str, str], root: Path
) -> None:
    env_file(root, content)
    loaded = load(root, {})
    assert loaded.environment == values
    assert loaded.warnings == ()


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (b"A=b\nexport B\n", 2, "expected NAME=value"),
        (b"A = b\n", 1, "expected NAME=value"),
        (b"1A=b\n", 1, "expected NAME=value"),
        (b"A-B=c\n", 1, "expected NAME=value"),
        (b"\nA=se\0cret\n", 2, "expected NAME=value"),
        (b'KEY="-----BEGIN secret\nsecret\n-----END"\n', 1, "quote does not end"),
        (b"A='secret\n", 1, "quote does not end"),
        (b'A="secret"more\n', 1, "quote does not end"),
    ],
)
def test_a_line_that_says_nothing_certain_is_refused_and_not_quoted(
    content: bytes, line: int, said: str, root: Path
) -> None:
    env_file(root, content)
    error = refusal(root)
    assert str(error).startswith(f"{ENV}:{line}: ")
    assert said in str(error)
    assert "secret" not in f"{error}{error.next_step}"


def test_the_mode_of_what_a_link_points_to_counts(root: Path) -> None:
    target = root / "secrets"
    target.write_text("A=b\n")
    (root / ENV).symlink_to(target)
    target.chmod(0o644)
    assert refusal(root).next_step == f"chmod 600 {ENV}"
    target.chmod(0o600)
    assert load(root, {}).environment == {"A": "b"}
    target.unlink()
    assert load(root, {}).environment == {}


def test_an_override_in_the_env_file_that_names_no_key_is_refused(root: Path) -> None:
    env_file(root, b"REPOAGENTS_AGENT__RETRY_LIMT=3\n")
    assert "the nearest is REPOAGENTS_AGENT__RETRY_LIMIT" in str(refusal(root))
