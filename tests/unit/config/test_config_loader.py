"""The loader: strict, complete in its complaints, and open about where values came from."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repoagents.config.keys import ITEM, Key, catalogue
from repoagents.config.loader import Loaded, find_root, load
from repoagents.domain.reports import Role
from repoagents.domain.settings import Settings
from repoagents.errors import ConfigError

LOCAL = "tracker: {kind: local_markdown}\n"
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write `.ai-repoagents/repoagents.yaml` and return the root."""

    def _write(text: str, env: str | None = None, mode: int = 0o600) -> Path:
        control = tmp_path / ".ai-repoagents"
        control.mkdir(exist_ok=True)
        (control / "repoagents.yaml").write_bytes(text.encode())
        if env is not None:
            (control / "repoagents.env").write_text(env)
            (control / "repoagents.env").chmod(mode)
        return tmp_path

    return _write


def refusal(root: Path, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(root, environ or {})
    return str(caught.value)


def origin(loaded: Loaded, key: str) -> str:
    return next(row.origin for row in loaded.origins if row.key == key)


def shown(loaded: Loaded, key: str) -> object:
    return next(row.value for row in loaded.origins if row.key == key)


# --- what is accepted -----------------------------------------------------------------------


def test_a_local_tracker_with_defaults(write: Write) -> None:
    loaded = load(write(LOCAL), {})
    assert loaded.settings.tracker.trigger_label is None
    assert loaded.settings.tracker.path == "issues"
    assert loaded.settings.safety == Settings().safety
    assert loaded.database == loaded.control / "state/repoagents.sqlite"


def test_a_local_tracker_keeps_a_label_that_was_given(write: Write) -> None:
    loaded = load(write("tracker: {kind: local_file, trigger_label: bot}\n"), {})
    assert loaded.settings.tracker.trigger_label == "bot"
    assert loaded.settings.tracker.path == "issues.json"


def test_github_keeps_its_label(write: Write) -> None:
    loaded = load(write("tracker: {repo: octo/cat}\n"), {})
    assert loaded.settings.tracker.trigger_label == "repoagents"
    assert loaded.settings.tracker.path == ""


def test_a_section_with_all_its_keys_commented_out_means_defaults(write: Write) -> None:
    loaded = load(write(LOCAL + "safety:\n  # allow_open_pr: true\nroles:\n  planner:\n"), {})
    assert loaded.settings.safety.allow_open_pr is False


SAMPLES: dict[str, object] = {
    "tracker.kind": "local_file",
    "tracker.repo": "octo/cat",
    "tracker.path": "notes/issues.json",
    "tracker.fixtures_path": "fixtures.json",
    "tracker.trigger_label": "please",
    "tracker.allowed_bots": [41898282],
    "roles.enabled": ["planner", "builder"],
    "state.database_url": "postgresql://host/db",
    "verify": [{"name": "unit", "run": ["pytest", "-q"], "kind": "unit"}],
    "guardrails.allowed_paths": ["docs/**"],
    "command.argv": ["fixer", "--json"],
    "commit.message_template": "{title} (#{number})",
}
WORDS = {"a whole number": 77, "a number": 7.5, "true or false": None, "text": "some text"}


def other_value(key: Key) -> object:
    """A value that is not the key's default."""
    if key.name in SAMPLES:
        return SAMPLES[key.name]
    if key.expected.startswith("one of "):
        options = key.expected.removeprefix("one of ").removesuffix(" or null").split(", ")
        return next(o for o in options if o not in (key.default, "command"))
    if key.expected == "true or false":
        return not key.default
    if key.expected.startswith("a list"):
        return ["A_NAME"]
    if key.expected.startswith("a number"):
        return 7.5
    return 7 if key.expected.startswith("a whole") else "some text"


def at(settings: object, path: tuple[str, ...]) -> object:
    for part in path:
        settings = getattr(settings, part)
    return settings


def document(path: tuple[str, ...], value: object) -> str:
    tree: object = value
    for part in reversed(path):
        tree = {part: tree}
    base = {"tracker": {"kind": "local_markdown", "fixtures_path": "f.json"}}
    assert isinstance(tree, dict)
    if "tracker" in tree:
        base["tracker"] |= tree.pop("tracker")
    return json.dumps(base | tree)


VALUES = [key for key in catalogue() if key.is_value]


@pytest.mark.parametrize("key", VALUES, ids=lambda key: key.name)
def test_every_key_is_read_from_the_file(key: Key, write: Write) -> None:
    value = other_value(key)
    assert value != key.default
    loaded = load(write(document(key.path, value)), {})
    got = at(loaded.settings, key.path)
    if key.name == "verify":
        assert loaded.settings.verify[0].run == ("pytest", "-q")
    else:
        assert got == (tuple(value) if isinstance(value, list) else value)
    assert origin(loaded, key.name) == ".ai-repoagents/repoagents.yaml:1"
    assert shown(loaded, key.name) == value


@pytest.mark.parametrize("key", [k for k in VALUES if k.variable], ids=lambda key: key.name)
def test_every_key_in_a_section_is_read_from_the_environment(key: Key, write: Write) -> None:
    value = other_value(key)
    text = value if isinstance(value, str) else json.dumps(value)
    assert key.variable
    loaded = load(write(document(key.path, key.default)), {key.variable: text})
    got = at(loaded.settings, key.path)
    assert got == (tuple(value) if isinstance(value, list) else value)
    assert origin(loaded, key.name) == key.variable


def test_every_row_of_the_catalogue_is_a_field_of_the_settings(write: Write) -> None:
    loaded = load(write(LOCAL), {})
    assert [row.key for row in loaded.origins] == [key.name for key in VALUES]
    assert len(VALUES) > 50


# --- what is refused ------------------------------------------------------------------------


def test_the_three_errors_about_the_file_itself_differ(write: Write, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"there is no \.ai-repoagents/repoagents\.yaml"
    ) as missing:
        load(tmp_path, {})
    assert missing.value.next_step == "repoagents init"
    assert "repoagents.yaml:2: broken YAML" in refusal(write("a: 1\n b: [\n"))
    assert "must be a mapping" in refusal(write("- a\n- b\n"))
    assert "must be a mapping" in refusal(write("just words\n"))


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        (
            "tracker:\n  kind: local_file\n  poll_interval_seconds: 4\n",
            3,
            "from 5 to 3600, given 4",
        ),
        ("tracker:\n  kind: lokal_file\n  repo: a/b\n", 2, "expected one of github, local_file"),
        (LOCAL + "safety:\n  allow_open_pr: 'false'\n", 3, 'given "false" (in quotes, so text)'),
        (LOCAL + "safety: {allow_open_pr: yes}\n", 2, 'expected true or false, given "yes"'),
        (LOCAL + "agent: {retry_limit: '3'}\n", 2, 'given "3" (in quotes'),
        (LOCAL + "agent: {retry_limit: 3.0}\n", 2, "expected a whole number from 1 to 10"),
        (LOCAL + "agent: {retry_limit: true}\n", 2, "given true"),
        (LOCAL + "limits: {cost_per_run: 1e999}\n", 2, "expected a number"),
        (LOCAL + "agent: []\n", 2, "agent: expected a section"),
        (LOCAL + "agent:\n  env:\n    - OK\n    - 3\n", 5, "agent.env[1]: expected a list of text"),
        (LOCAL + "verify:\n  - run: x\n", 3, "verify[0].name is missing: expected text"),
        (LOCAL + "verify:\n  - name: a\n    run: 3\n", 4, "verify[0].run: expected text or a list"),
        (LOCAL + "verify: [{name: a, run: [x, 3]}]\n", 2, "verify[0].run: expected text or"),
        (LOCAL + "verify: [{name: a, run: x, knd: lint}]\n", 2, "the nearest is verify[].kind"),
        (LOCAL + "verify: [{name: a, run: x}, {name: a, run: y}]\n", 2, "is already verify[0]"),
        (LOCAL + "verify: [{name: a, run: []}]\n", 2, "verify[0].run is empty"),
        (LOCAL + "verify: [{name: a, run: ' '}]\n", 2, "verify[0].run is empty"),
        (LOCAL + "verify: [{name: a, run: ['']}]\n", 2, "verify[0].run is empty"),
        (
            LOCAL + "verify:\n- name: a\n  run:\n  - x\n  - ''\n",
            6,
            "verify[0].run: item 2 is empty",
        ),
        (LOCAL + "command: {argv: ['']}\n", 2, "command.argv is empty"),
        (LOCAL + "command:\n  argv:\n    - ' '\n    - x\n", 4, "command.argv: item 1 is empty"),
        (LOCAL + "command:\n  argv:\n    - x\n    - ''\n", 5, "command.argv: item 2 is empty"),
        (LOCAL + "agent: {env: ['']}\n", 2, "the name of a variable"),
        (LOCAL + "workspace: {sparse_paths: ['']}\n", 2, "path inside the repository, given ''"),
        ("tracker: {kind: local_file, path: ' '}\n", 1, "path inside the repository, given ' '"),
        ("tracker: {kind: local_file, path: 'a '}\n", 1, "path inside the repository, given 'a '"),
        ("tracker:\n  kind: local_file\n  mode: fixture\n", 1, "tracker.fixtures_path is missing"),
        (LOCAL[:-2] + ", trigger_label: ''}\n", 1, "trigger_label is empty: write null"),
        (LOCAL[:-2] + ", working_label: ' '}\n", 1, "working_label is empty: write null for none"),
        (
            LOCAL[:-2] + ", trigger_label: Bot, working_label: ' bot '}\n",
            1,
            "tracker.working_label: ' bot ' is tracker.trigger_label already",
        ),
        (
            LOCAL[:-2] + ", waiting_label: repoagents-stop}\n",
            1,
            "tracker.waiting_label: 'repoagents-stop' is tracker.stop_label already",
        ),
        (
            LOCAL[:-2] + ", waiting_label: busy, working_label: busy}\n",
            1,
            "tracker.waiting_label: 'busy' is tracker.working_label already",
        ),
        (
            LOCAL[:-2] + ", working_label: wip, filters: {exclude_labels: [Wip]}}\n",
            1,
            "tracker.working_label: 'wip' is tracker.filters.exclude_labels already",
        ),
        (
            LOCAL[:-2] + ", working_label: ok, filters: {labels: [ok]}}\n",
            1,
            "tracker.working_label: 'ok' is tracker.filters.labels already",
        ),
        (LOCAL + 'codex: {model: "a\\0b"}\n', 2, "holds a NUL or half a character"),
        (LOCAL + 'codex: {model: "\\uD83D"}\n', 2, "holds a NUL or half a character"),
        (LOCAL + 'commit: {name: "a\\nb"}\n', 2, "'a\\nb' cannot stand in a commit"),
        (LOCAL + "commit: {name: ' . '}\n", 2, "' . ' cannot stand in a commit"),
        (LOCAL + "commit: {email: a@<b}\n", 2, "commit.email: 'a@<b' cannot stand in a commit"),
        (LOCAL + "verify:\n  - x\n\t- y\n", 4, "found character '\\t' that cannot start any token"),
        (LOCAL + "agent:\n  <<: {retry_limit: 2}\n", 3, "agent.<< is not a known key"),
        (
            LOCAL + "roles:\n  planner:\n    model: a\n    model: b\n",
            5,
            "is given twice, first in line 4",
        ),
        (
            LOCAL + "agent: {retry_limit: 99999999999999999999}\n",
            2,
            "expected a whole number from 1",
        ),
        (LOCAL + "limits: {cost_per_run: .nan}\n", 2, "expected a number"),
        (LOCAL + "limits: {tokens_per_run: 2_000}\n", 2, 'given "2_000"'),
        (LOCAL + "? [a, b]\n: 3\n", 2, "is not a known key"),
        (LOCAL + "agent: " + "[" * 60 + "]" * 60 + "\n", 2, "broken YAML: nested too deeply"),
        (LOCAL + "retry_limit: 3\n", 2, "the nearest is agent.retry_limit"),
        (LOCAL + "qqq: 3\n", 2, "qqq is not a known key; the nearest is verify"),
        (LOCAL + "agent: {1: 2}\n", 2, "agent.1 is not a known key; the nearest is "),
        (LOCAL + "agent: {[a]: 2}\n", 2, "is not a known key; the nearest is "),
        (LOCAL + "agent: {a: &x 1, b: *x}\n", 2, "aliases (*name) are not read here"),
        (LOCAL + "agent: !!python/name:os.system {}\n", 2, "is not read here"),
        (LOCAL + "commit: {name: a}\ncommit: {name: b}\n", 3, "commit is given twice, first in"),
        (LOCAL + "roles: {enabled: [planner]}\n", 2, "builder is missing"),
        (LOCAL + "roles: {enabled: [planner, builder, builder]}\n", 2, "named twice"),
        (LOCAL + "llm: {mode: command}\n", 2, "llm.mode: `command` needs command.argv"),
        (
            LOCAL + "roles: {builder: {engine: command}}\n",
            2,
            "roles.builder.engine: `command` needs",
        ),
        (LOCAL + "state: {database_url: mysql://h/d}\n", 2, "postgresql:// URL"),
        (LOCAL + "agent: {env: [A=b]}\n", 2, "the name of a variable without a value"),
        (LOCAL + "agent: {env: [GITHUB_TOKEN]}\n", 2, "never get GITHUB_TOKEN"),
        (LOCAL + "webhook: {secret_env: HOOK}\nagent: {env: [HOOK]}\n", 3, "never get HOOK"),
        (LOCAL + "commit: {message_template: '{titel}'}\n", 2, "{titel} is not one of {title}"),
        (LOCAL + "commit: {message_template: 'a }'}\n", 2, "write a brace"),
        (LOCAL + "workspace: {sparse_paths: [docs, ../x]}\n", 2, "path inside the repository"),
        ("tracker: {kind: local_file, path: ../issues.json}\n", 1, "path inside the repository"),
        ("tracker: {kind: local_file, path: /etc/passwd}\n", 1, "path inside the repository"),
        ("tracker: {kind: local_markdown, path: .}\n", 1, "path inside the repository"),
        ("tracker: {kind: local_markdown, path: .git/x}\n", 1, "path inside the repository"),
        ("tracker:\n  repo: just-a-name\n", 2, "expected OWNER/REPO, given 'just-a-name'"),
        ("tracker:\n  repo: a/..\n", 2, "expected OWNER/REPO"),
        ("tracker:\n  kind: github\n", 1, "tracker.repo is missing"),
        ("tracker:\n  repo: a/b\n  mode: fixture\n", 1, "tracker.fixtures_path is missing"),
    ],
)
def test_a_refusal_names_the_line_and_what_was_expected(
    text: str, where: int, words: str, write: Write
) -> None:
    message = refusal(write(text))
    assert f".ai-repoagents/repoagents.yaml:{where}: " in message
    assert words in message


def test_a_folder_that_links_out_of_the_repository_is_outside(
    write: Write, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = write(LOCAL)
    (root / "issues").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    assert "expected a path inside the repository" in refusal(root)


def test_all_problems_are_told_at_once_in_the_order_of_the_file(write: Write) -> None:
    message = refusal(
        write("trackr: {}\ntracker:\n  repo: a/b\nagent:\n  retry_limit: 0\n  env: x\n"),
        {"REPOAGENTS_AGENT__RETRY_LIMT": "3"},
    )
    assert message.splitlines()[0] == "the configuration has 4 problems:"
    order = ["yaml:1: trackr", "yaml:5: agent.retry_limit", "yaml:6: agent.env", "RETRY_LIMT: no"]
    for part, line in zip(order, message.splitlines()[1:], strict=True):
        assert part in line


def test_empty_and_unreadable_shapes(write: Write) -> None:
    assert "tracker.repo is missing" in refusal(write(""))
    assert "tracker.repo is missing" in refusal(write("# only a comment\n"))
    assert "broken YAML" in refusal(write("a: b\x00\n"))
    assert "broken YAML: nested too deeply" in refusal(write("a: " + "[" * 100_000))
    assert "expected a single document" in refusal(write("a: 1\n---\nb: 2\n"))
    root = write(LOCAL)
    (root / ".ai-repoagents/repoagents.yaml").write_bytes(b"tracker: \xff\n")
    assert "is not UTF-8 text (byte 9)" in refusal(root)
    (root / ".ai-repoagents/repoagents.yaml").write_text("#" * 1_000_001)
    assert "is larger than 1,000,000 bytes" in refusal(root)
    (root / ".ai-repoagents/repoagents.yaml").chmod(0o200)
    assert "repoagents.yaml is not readable" in refusal(root)
    (root / ".ai-repoagents/repoagents.yaml").unlink()
    (root / ".ai-repoagents/repoagents.yaml").mkdir()
    assert "is not a file" in refusal(root)


KNOWN_NAMES = {key.name for key in catalogue()}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_misspelt_key_is_refused_naming_a_known_one(data: st.DataObject, write: Write) -> None:
    key = data.draw(st.sampled_from([k for k in catalogue() if ITEM not in k.path]))
    position = data.draw(st.integers(0, len(key.path[-1])))
    letter = data.draw(st.sampled_from("abcxyz_-Q7"))
    cut = data.draw(st.integers(0, 1))
    leaf = key.path[-1][:position] + letter + key.path[-1][position + cut :]
    siblings = {k.path[-1] for k in catalogue() if k.path[:-1] == key.path[:-1]}
    if leaf in siblings:
        return
    message = refusal(write(document((*key.path[:-1], leaf), None)))
    assert f"{'.'.join((*key.path[:-1], leaf))} is not a known key" in message
    named = message.split("the nearest is ")[1].split("\n")[0]
    assert named in KNOWN_NAMES


# --- the environment ------------------------------------------------------------------------


def test_environment_values_are_yaml_and_text_stays_text(write: Write) -> None:
    loaded = load(
        write(LOCAL + "agent: {retry_limit: 2}\n"),
        {
            "REPOAGENTS_AGENT__RETRY_LIMIT": "5",
            "REPOAGENTS_AGENT__ENV": "[CC, CFLAGS]",
            "REPOAGENTS_ROLES__ENABLED": "[planner, builder]",
            "REPOAGENTS_ROLES__PLANNER__EFFORT": "high",
            "REPOAGENTS_COMMIT__MESSAGE_TEMPLATE": "{title}",
            "REPOAGENTS_CODEX__MODEL": "5",
            "REPOAGENTS_TRACKER__TRIGGER_LABEL": "null",
            "REPOAGENTS_ROLE": "builder",
            "REPOAGENTS_RUN_ID": "x",
            "REPOAGENTS_WEBHOOK_SECRET": "s",
        },
    )
    assert loaded.settings.agent.retry_limit == 5
    assert loaded.settings.agent.env == ("CC", "CFLAGS")
    assert loaded.settings.roles.enabled == (Role.PLANNER, Role.BUILDER)
    assert loaded.settings.roles.planner.effort == "high"
    assert loaded.settings.commit.message_template == "{title}"
    assert loaded.settings.codex.model == "5"
    assert loaded.settings.tracker.trigger_label is None
    assert loaded.warnings == ()


def test_a_bad_value_in_the_environment_names_the_variable(write: Write) -> None:
    root = write(LOCAL)
    assert refusal(root, {"REPOAGENTS_AGENT__RETRY_LIMIT": "many"}) == (
        "REPOAGENTS_AGENT__RETRY_LIMIT: agent.retry_limit: "
        'expected a whole number from 1 to 10, given "many"'
    )
    assert refusal(root, {"REPOAGENTS_AGENT__ENV": "[a"}).startswith("REPOAGENTS_AGENT__ENV: ")


def test_an_unknown_variable_is_refused_with_the_nearest(write: Write) -> None:
    message = refusal(write(LOCAL), {"REPOAGENTS_TRACKER__REPOS": "a/b"})
    assert message == (
        "REPOAGENTS_TRACKER__REPOS: no key has this variable; "
        "the nearest is REPOAGENTS_TRACKER__REPO"
    )
    assert "nearest" in refusal(write(LOCAL), {"REPOAGENTS_ROLES__PLANNER": "{}"})


def test_one_underscore_too_few_is_a_warning(write: Write) -> None:
    loaded = load(write(LOCAL), {"REPOAGENTS_AGENT_RETRY_LIMIT": "5"})
    assert "REPOAGENTS_AGENT__RETRY_LIMIT" in loaded.warnings[0]


def test_a_password_is_refused_in_the_file_and_hidden_from_the_environment(write: Write) -> None:
    url = "postgresql://bot:hunter22@db/state"
    root = write(LOCAL + f"state:\n  database_url: {url}\n")
    message = refusal(root)
    assert "yaml:3: state.database_url: a password does not belong" in message
    assert "hunter22" not in message
    assert "a password does not belong" in refusal(root, {"REPOAGENTS_STATE__DATABASE_URL": ""})
    root = write(LOCAL + "state: {database_url: 'postgresql://db/state?password=hunter22'}\n")
    assert "hunter22" not in refusal(root)
    loaded = load(write(LOCAL), {"REPOAGENTS_STATE__DATABASE_URL": url})
    assert loaded.settings.state.database_url == url
    assert shown(loaded, "state.database_url") == "postgresql://[redacted]@db/state"
    assert loaded.database is None
    assert "hunter22" not in repr(loaded.origins)


def test_the_value_of_a_secret_variable_is_hidden_wherever_it_stands(write: Write) -> None:
    loaded = load(
        write(LOCAL + "command: {argv: [fix, topsecret123, --api-key=abc]}\n"),
        {"VENDOR_TOKEN": "topsecret123"},
    )
    assert shown(loaded, "command.argv") == ["fix", "[redacted]", "--api-key=[redacted]"]


# --- the env file ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["", "...", "'...'", '"<token>"', "<your token>", "changeme", "…", "... # here"]
)
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_placeholder_is_a_warning_whatever_the_mode(value: str, mode: int, write: Write) -> None:
    loaded = load(write(LOCAL, f"export GITHUB_TOKEN={value}\n", mode), {})
    assert loaded.warnings == (
        ".ai-repoagents/repoagents.env holds only a placeholder for GITHUB_TOKEN: not set",
    )
    assert "GITHUB_TOKEN" not in loaded.environment


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620, 0o602, 0o777])
def test_a_real_value_that_others_can_reach_is_refused(mode: int, write: Write) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(LOCAL, "OTHER=...\nGITHUB_TOKEN=ghp_real\n", mode), {})
    assert caught.value.next_step == "chmod 600 .ai-repoagents/repoagents.env"
    assert "GITHUB_TOKEN" in str(caught.value)
    assert "ghp_real" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_private_env_file_fills_what_is_unset(mode: int, write: Write) -> None:
    text = (
        "# secrets\n\nexport GITHUB_TOKEN='ghp_real # not a comment'  # a comment\r\n"
        'A="b"\nB=plain # comment\nC=a#b\nPATH=/nope\nREPOAGENTS_AGENT__RETRY_LIMIT=7\n'
        "D=$(touch pwned)\n"
    )
    loaded = load(write(LOCAL, text, mode), {"PATH": "/bin"})
    assert loaded.environment["GITHUB_TOKEN"] == "ghp_real # not a comment"
    assert loaded.environment["A"] == "b"
    assert loaded.environment["B"] == "plain"
    assert loaded.environment["C"] == "a#b"
    assert loaded.environment["D"] == "$(touch pwned)"
    assert loaded.environment["PATH"] == "/bin"
    assert loaded.settings.agent.retry_limit == 7
    file = ".ai-repoagents/repoagents.env"
    assert origin(loaded, "agent.retry_limit") == f"REPOAGENTS_AGENT__RETRY_LIMIT in {file}:8"
    assert origin(loaded, "$GITHUB_TOKEN") == f"GITHUB_TOKEN in {file}:3"
    assert origin(loaded, "$PATH") == "the environment"
    assert "ghp_real" not in repr(loaded.origins)
    assert "ghp_real" not in repr(loaded)


def test_the_environment_wins_over_the_env_file(write: Write) -> None:
    variable = "REPOAGENTS_AGENT__RETRY_LIMIT"
    loaded = load(write(LOCAL, f"{variable}=7\n"), {variable: "4"})
    assert loaded.settings.agent.retry_limit == 4
    assert origin(loaded, "agent.retry_limit") == variable


def test_a_line_of_the_env_file_that_cannot_be_read_is_never_quoted(write: Write) -> None:
    message = refusal(write(LOCAL, "A=b\nghp_secretsecret\n"))
    assert message == ".ai-repoagents/repoagents.env:2: expected NAME=value"


def test_an_env_file_that_cannot_be_read(write: Write) -> None:
    with pytest.raises(ConfigError, match=r"repoagents\.env is not readable") as caught:
        load(write(LOCAL, "A=b\n", 0o000), {})
    assert caught.value.next_step == "chmod u+r .ai-repoagents/repoagents.env"
    root = write(LOCAL)
    (root / ".ai-repoagents/repoagents.env").chmod(0o600)
    (root / ".ai-repoagents/repoagents.env").write_bytes(b"A=\xff\n")
    assert "repoagents.env is not UTF-8 text" in refusal(root)


def test_an_env_file_that_is_not_a_file(write: Write) -> None:
    root = write(LOCAL)
    (root / ".ai-repoagents/repoagents.env").mkdir()
    assert "repoagents.env is not a file" in refusal(root)


# --- places ---------------------------------------------------------------------------------


def test_location_is_written_once_and_only_when_it_changes(write: Write) -> None:
    root = write(LOCAL)
    load(root, {})
    path = root / ".ai-repoagents/state/location.json"
    assert json.loads(path.read_text()) == {"version": 1, "database": "state/repoagents.sqlite"}
    before = path.stat()
    load(root, {})
    assert path.stat().st_ino == before.st_ino
    load(root, {"REPOAGENTS_STATE__DATABASE_URL": "postgresql://h/d"})
    assert json.loads(path.read_text()) == {"version": 1, "database": None}
    assert sorted(p.name for p in path.parent.iterdir()) == ["location.json"]
    path.write_bytes(b"\xff\xfe")
    load(root, {})
    assert json.loads(path.read_text())["database"] == "state/repoagents.sqlite"


def test_a_place_that_cannot_be_written_does_not_stop_readers(write: Write) -> None:
    root = write(LOCAL)
    (root / ".ai-repoagents/state").write_text("a file in the way")
    assert load(root, {}).settings.tracker.kind == "local_markdown"


def test_the_root_is_found_from_below_and_never_beyond_a_repository(
    write: Write, tmp_path: Path
) -> None:
    root = write(LOCAL)
    inner = root / "src/deep"
    inner.mkdir(parents=True)
    assert find_root(inner) == root.resolve()
    (root / "src/.git").write_text("gitdir: elsewhere")
    with pytest.raises(ConfigError, match=r"has no \.ai-repoagents folder") as caught:
        find_root(inner)
    assert caught.value.next_step == "repoagents init"


def test_no_repository_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no git repository and no \.ai-repoagents"):
        find_root(tmp_path)


def test_the_process_environment_is_read_when_none_is_given(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPOAGENTS_AGENT__RETRY_LIMIT", "9")
    assert load(write(LOCAL)).settings.agent.retry_limit == 9
