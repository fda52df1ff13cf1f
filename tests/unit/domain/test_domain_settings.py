"""The settings' promises: defaults, bounds at both ends, engines by role, words for every key."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from repoagents.config.reference import json_schema
from repoagents.domain import settings as sections
from repoagents.domain.engines import EngineChoice, engine_for
from repoagents.domain.reports import Role
from repoagents.domain.settings import (
    AgentSettings,
    CodexSettings,
    EngineName,
    LlmSettings,
    RoleSettings,
    RolesSettings,
    Settings,
    VerifySettings,
)

ADAPTER = TypeAdapter(Settings)

DEFAULTS: dict[str, object] = {
    "tracker.kind": "github",
    "tracker.mode": "rest",
    "tracker.repo": "",
    "tracker.api_url": "https://api.github.com",
    "tracker.token_env": "GITHUB_TOKEN",
    "tracker.app.id": None,
    "tracker.app.private_key_path": "",
    "tracker.app.installation_id": None,
    "webhook.secret_env": "REPOAGENTS_WEBHOOK_SECRET",
    "webhook.host": "127.0.0.1",
    "webhook.port": 8787,
    "tracker.path": "",
    "tracker.fixtures_path": "",
    "tracker.smoke_fixture_path": "",
    "tracker.trigger_label": "repoagents",
    "tracker.stop_label": "repoagents-stop",
    "tracker.working_label": None,
    "tracker.waiting_label": None,
    "tracker.filters.labels": (),
    "tracker.filters.exclude_labels": (),
    "tracker.filters.authors": (),
    "tracker.filters.assignee": "",
    "tracker.filters.milestone": "",
    "tracker.allowed_bots": (),
    "tracker.comment_commands": False,
    "tracker.poll_interval_seconds": 300,
    "tracker.base_branch": "",
    "tracker.clone_url": "",
    "workspace.strategy": "worktree",
    "workspace.dirty_policy": "block",
    "workspace.sparse_paths": (),
    "workspace.hooks.after_create": "",
    "workspace.hooks.before_run": "",
    "workspace.hooks.after_run": "",
    "workspace.hooks.before_remove": "",
    "workspace.hooks.timeout_seconds": 60,
    "logging.json": True,
    "logging.file_enabled": True,
    "logging.level": "info",
    "llm.mode": "codex",
    "codex.command": "codex",
    "codex.model": "",
    "codex.sandbox": "workspace-write",
    "codex.extra_args": (),
    "command.argv": (),
    "merge_policy.mode": "human_approval",
    "safety.allow_write_comments": False,
    "safety.allow_open_pr": False,
    "safety.allow_merge": False,
    "approval.other_person": False,
    "agent.max_concurrent_runs": 1,
    "agent.role_timeout_seconds": 1800,
    "agent.idle_timeout_seconds": 600,
    "agent.run_timeout_seconds": 7200,
    "agent.retry_limit": 3,
    "agent.base_retry_seconds": 30,
    "agent.env": (),
    "agent.home": "operator",
    "roles.enabled": (Role.PLANNER, Role.BUILDER, Role.REVIEWER),
    **{
        f"roles.{role}.{key}": None
        for role in ("planner", "builder", "reviewer")
        for key in ("engine", "model", "effort", "timeout_seconds")
    },
    "verify": (),
    "guardrails.protected_paths": (),
    "guardrails.allowed_paths": (),
    "guardrails.max_files": 30,
    "guardrails.max_lines": 1500,
    "guardrails.max_file_bytes": 1_000_000,
    "guardrails.outside_plan": "revise",
    "limits.calls_per_hour": 100,
    "limits.tokens_per_run": 2_000_000,
    "limits.tokens_per_day": 10_000_000,
    "limits.cost_per_run": 10.0,
    "limits.cost_per_day": 50.0,
    "limits.open_pull_requests": 5,
    "commit.name": "repoagents",
    "commit.email": "repoagents@users.noreply.localhost",
    "commit.signoff": False,
    "commit.message_template": "{title}\n\nIssue: #{number}\n",
    "state.database_url": "",
    "retention.worktree_days": 14,
    "retention.artifact_days": 90,
    "retention.bundles": 30,
    "rollout.step_back": False,
}
"""Every key and what holds when nobody says otherwise: a promise to operators."""

DAY = 86_400
BOUNDS: dict[str, tuple[list[object], list[object]]] = {
    "tracker.poll_interval_seconds": ([5, 3600], [4, 3601]),
    "workspace.hooks.timeout_seconds": ([1, DAY], [0, DAY + 1]),
    "agent.max_concurrent_runs": ([1, 16], [0, 17]),
    "agent.role_timeout_seconds": ([1, DAY], [0, DAY + 1]),
    "agent.idle_timeout_seconds": ([1, DAY], [0, DAY + 1]),
    "agent.run_timeout_seconds": ([1, DAY], [0, DAY + 1]),
    "agent.retry_limit": ([1, 10], [0, 11]),
    "agent.base_retry_seconds": ([0, 3600], [-1, 3601]),
    **{
        f"roles.{role}.timeout_seconds": ([1, DAY, None], [0, DAY + 1])
        for role in ("planner", "builder", "reviewer")
    },
    "guardrails.max_files": ([1, 10**9], [0, -1]),
    "guardrails.max_lines": ([1, 10**9], [0, -1]),
    "guardrails.max_file_bytes": ([1, 10**12], [0, -1]),
    "limits.calls_per_hour": ([0, 10**9], [-1]),
    "limits.tokens_per_run": ([0, 10**12], [-1]),
    "limits.tokens_per_day": ([0, 10**12], [-1]),
    "limits.cost_per_run": ([0, 0.0, 0.01, 10**6], [-0.01, -1]),
    "limits.cost_per_day": ([0, 0.0, 0.01, 10**6], [-0.01, -1]),
    "limits.open_pull_requests": ([1, 10**3], [0, -1]),
    "tracker.token_env": (["X"], [""]),
    "tracker.app.id": ([1, None], [0]),
    "tracker.app.installation_id": ([1, None], [0]),
    "webhook.secret_env": (["X"], [""]),
    "webhook.host": (["::1"], [""]),
    "webhook.port": ([1, 65_535], [0, 65_536]),
    "retention.worktree_days": ([0.01, 1, 36_500], [0, 0.0, -1]),
    "retention.artifact_days": ([0.01, 1, 36_500], [0, 0.0, -1]),
    "retention.bundles": ([1, 10**6], [0, -1]),
    "codex.command": (["x"], [""]),
    "commit.name": (["x"], [""]),
    "commit.email": (["a@b"], ["a@", ""]),
    "commit.message_template": (["x"], [""]),
}
"""For every key with bounds: what is just accepted, and what is just refused."""


def read(document: object) -> Settings:
    """Validate as the loader does: JSON, strict."""
    return ADAPTER.validate_json(json.dumps(document), strict=True)


def document_with(key: str, value: object) -> dict[str, Any]:
    """A document that says one thing."""
    nested: Any = value
    for part in reversed(key.split(".")):
        nested = {part: nested}
    assert isinstance(nested, dict)
    return nested


def at(settings: object, key: str) -> object:
    for part in key.split("."):
        settings = getattr(settings, part)
    return settings


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every key of a settings value, sections opened."""
    if not dataclasses.is_dataclass(value):
        yield path, value
        return
    for field in dataclasses.fields(value):
        yield from leaves(getattr(value, field.name), f"{path}.{field.name}".lstrip("."))


SECTIONS = [
    each
    for each in vars(sections).values()
    if isinstance(each, type) and hasattr(each, "__pydantic_config__")
]


# --- defaults -------------------------------------------------------------------------------


def test_the_defaults_are_the_promised_ones_and_no_key_is_without_a_promise() -> None:
    assert dict(leaves(Settings())) == DEFAULTS


def test_an_empty_file_means_the_defaults() -> None:
    assert read({}) == Settings()
    sections_left_empty = {key.partition(".")[0]: {} for key in DEFAULTS if "." in key}
    assert read(sections_left_empty) == Settings()


def test_a_check_is_required_and_has_ten_minutes_unless_it_says_otherwise() -> None:
    (check,) = read({"verify": [{"name": "tests", "run": "make test"}]}).verify
    assert check == VerifySettings("tests", "make test", "custom", True, 600)
    for missing in ({"name": "tests"}, {"run": "make test"}):
        with pytest.raises(ValidationError, match="missing"):
            read({"verify": [missing]})


# --- bounds ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, (good, _) in BOUNDS.items() for value in good]
)
def test_a_value_on_the_edge_is_accepted(key: str, value: object) -> None:
    assert at(read(document_with(key, value)), key) == value


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, (_, bad) in BOUNDS.items() for value in bad]
)
def test_a_value_beyond_the_edge_is_refused_at_its_place(key: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        read(document_with(key, value))
    (problem,) = caught.value.errors()
    assert ".".join(str(part) for part in problem["loc"]).startswith(key)


@pytest.mark.parametrize(
    ("seconds", "fits"), [(1, True), (DAY, True), (0, False), (DAY + 1, False)]
)
def test_the_time_of_a_check_has_bounds(seconds: int, fits: bool) -> None:
    document = {"verify": [{"name": "tests", "run": "make", "timeout_seconds": seconds}]}
    if fits:
        assert read(document).verify[0].timeout_seconds == seconds
    else:
        with pytest.raises(ValidationError):
            read(document)


def test_every_number_has_a_lower_bound_that_is_tried_here() -> None:
    numbers = {
        key
        for key, value in DEFAULTS.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    assert numbers <= set(BOUNDS)


WHOLE = [k for k in BOUNDS if isinstance(DEFAULTS[k], int) and not k.startswith("retention.")]


@pytest.mark.parametrize("key", WHOLE)
def test_nothing_else_is_taken_for_a_whole_number(key: str) -> None:
    for value in ("5", True, 7.5, 7.0, [7], None):
        with pytest.raises(ValidationError):
            read(document_with(key, value))


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("tracker.kind", {"github", "local_file", "local_markdown"}),
        ("tracker.mode", {"rest", "fixture"}),
        ("workspace.strategy", {"worktree", "copy"}),
        ("workspace.dirty_policy", {"allow", "warn", "block"}),
        ("logging.level", {"debug", "info", "warning", "error"}),
        ("llm.mode", {"codex", "command", "rehearsal"}),
        ("codex.sandbox", {"workspace-write", "danger-full-access"}),
        ("merge_policy.mode", {"human_approval", "comment_only"}),
        ("roles.builder.engine", {"codex", "command", "rehearsal"}),
        ("roles.builder.effort", {"low", "medium", "high"}),
        ("guardrails.outside_plan", {"note", "revise"}),
        ("agent.home", {"operator", "isolated"}),
    ],
)
def test_a_choice_takes_its_words_as_they_are_spelled(key: str, words: set[str]) -> None:
    for word in words:
        assert at(read(document_with(key, word)), key) == word
        for near in (word.upper(), f" {word}", f"{word}s"):
            with pytest.raises(ValidationError):
                read(document_with(key, near))


@pytest.mark.parametrize(
    "section", [field.name for field in dataclasses.fields(Settings) if field.name != "verify"]
)
def test_a_section_takes_no_unknown_key(section: str) -> None:
    with pytest.raises(ValidationError, match="colour"):
        read({section: {"colour": "red"}})


# --- which engine a role gets ---------------------------------------------------------------

OWN = RoleSettings("command", "own-model", "high", 60)


@pytest.mark.parametrize(
    ("own", "default", "expected"),
    [
        (RoleSettings(), "codex", EngineChoice("codex", "house-model", None, 900)),
        (RoleSettings(), "command", EngineChoice("command", "", None, 900)),
        (RoleSettings(), "rehearsal", EngineChoice("rehearsal", "", None, 900)),
        (RoleSettings("codex"), "rehearsal", EngineChoice("codex", "house-model", None, 900)),
        (RoleSettings("command"), "codex", EngineChoice("command", "", None, 900)),
        (RoleSettings(model="m"), "codex", EngineChoice("codex", "m", None, 900)),
        (RoleSettings(model="m"), "command", EngineChoice("command", "m", None, 900)),
        (RoleSettings(model=""), "codex", EngineChoice("codex", "", None, 900)),
        (RoleSettings(effort="low"), "codex", EngineChoice("codex", "house-model", "low", 900)),
        (RoleSettings(timeout_seconds=1), "codex", EngineChoice("codex", "house-model", None, 1)),
        (OWN, "codex", EngineChoice("command", "own-model", "high", 60)),
    ],
)
@pytest.mark.parametrize("role", Role)
def test_what_a_role_says_goes_before_what_the_house_says(
    role: Role, own: RoleSettings, default: EngineName, expected: EngineChoice
) -> None:
    house = Settings(
        llm=LlmSettings(default),
        codex=CodexSettings(model="house-model"),
        agent=AgentSettings(role_timeout_seconds=900),
        roles=RolesSettings(**{role.value: own}),  # type: ignore[arg-type]
    )
    assert engine_for(role, house) == expected
    others = [other for other in Role if other is not role]
    unmoved = dataclasses.replace(house, roles=RolesSettings())
    assert [engine_for(o, house) for o in others] == [engine_for(o, unmoved) for o in others]


# --- words and values -----------------------------------------------------------------------


def test_every_key_and_every_section_is_explained() -> None:
    schema = json_schema()
    classes = {"Settings": schema, **schema["$defs"]}
    assert {cls.__name__ for cls in SECTIONS} <= set(classes)
    for cls in SECTIONS:
        for field in dataclasses.fields(cls):
            entry = classes[cls.__name__]["properties"][field.name]
            # Where a section's field says the same as its class, the schema keeps the class's.
            shared = classes.get(entry.get("$ref", "").rpartition("/")[2], {})
            words = entry.get("description") or shared.get("description", "")
            assert words.endswith("."), f"{cls.__name__}.{field.name} says nothing: {words!r}"
            assert words[0].isupper() or words[0] == "`", f"{cls.__name__}.{field.name}: {words!r}"


def test_every_section_refuses_keys_that_it_does_not_have() -> None:
    defs = {"Settings": ADAPTER.json_schema(), **ADAPTER.json_schema()["$defs"]}
    assert all(defs[cls.__name__]["additionalProperties"] is False for cls in SECTIONS)


def test_a_list_in_the_file_is_a_tuple_in_the_value() -> None:
    listed = {key for key, value in DEFAULTS.items() if isinstance(value, tuple)}
    assert read({"tracker": {"allowed_bots": [7]}}).tracker.allowed_bots == (7,)
    for key in listed - {"verify", "roles.enabled", "tracker.allowed_bots"}:
        assert at(read(document_with(key, ["a", "b"])), key) == ("a", "b")
    roles = read({"roles": {"enabled": ["planner", "builder"]}}).roles.enabled
    assert roles == (Role.PLANNER, Role.BUILDER)
    checks = read({"verify": [{"name": "t", "run": ["make", "test"]}]}).verify
    assert isinstance(checks, tuple)
    assert checks[0].run == ("make", "test")


def test_settings_can_be_compared_and_hashed_so_nothing_in_them_is_a_list() -> None:
    assert hash(Settings()) == hash(read({}))
    assert read({"agent": {"env": ["A"]}}) != Settings()


@pytest.mark.parametrize("cls", SECTIONS, ids=lambda cls: cls.__name__)
def test_no_section_can_be_changed_in_place(cls: type) -> None:
    value = cls("n", "r") if cls is VerifySettings else cls()
    for field in dataclasses.fields(cls):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, None)
