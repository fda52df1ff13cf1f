"""The fixture in GitHub's place: taken whole, or refused with what is wrong in it."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repoagents.config.loader import load
from repoagents.config.smoke_fixture import KEY, parse_fixture, read_fixture
from repoagents.domain.settings import Settings, TrackerSettings
from repoagents.domain.smoke import Smoke, stands_in, worst
from repoagents.errors import ConfigError
from repoagents.views.smoke import render_smoke, smoke_row

EXAMPLE = Path(__file__).parents[3] / "examples/live-github-ops/ops/github-smoke.fixture.json"
TREE: dict[str, Any] = json.loads(EXAMPLE.read_text(encoding="utf-8"))
NAME = "ops/github-smoke.fixture.json"

Change = Callable[[dict[str, Any]], object]


def read(root: Path, tree: object) -> Smoke:
    path = root / NAME
    path.parent.mkdir(exist_ok=True)
    path.write_text(tree if isinstance(tree, str) else json.dumps(tree), encoding="utf-8")
    return read_fixture(root, NAME)


def refusal(root: Path, tree: object) -> str:
    with pytest.raises(ConfigError) as caught:
        read(root, tree)
    assert caught.value.next_step
    return str(caught.value)


def test_the_example_is_a_valid_fixture() -> None:
    smoke = read_fixture(EXAMPLE.parents[1], NAME)
    assert smoke.summary.status == "attention"
    assert smoke.sampled_issue is not None


def test_a_live_report_is_a_fixture(tmp_path: Path) -> None:
    smoke = read(tmp_path, TREE)
    assert read(tmp_path, smoke_row(smoke)) == smoke


@pytest.mark.parametrize("section", list(TREE))
def test_every_section_has_to_be_there(tmp_path: Path, section: str) -> None:
    tree = {name: value for name, value in TREE.items() if name != section}
    said = refusal(tmp_path, tree)
    assert f"{section} is missing: expected an object" in said
    assert said.startswith(f"{KEY}: {NAME}: ")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t["auth"].pop("token_kind"), "auth.token_kind is missing: expected text"),
        (
            lambda t: t["auth"].update(sorce="x"),
            "auth.sorce is not a known key; the nearest is auth.source",
        ),
        (
            lambda t: t.update(orgin={}),
            "orgin is not a known key; the nearest is origin",
        ),
        (
            lambda t: t["sampled_issue"].update(titel="x"),
            "the nearest is sampled_issue.title",
        ),
        (
            lambda t: t["issues"].update(count=-1),
            "issues.count: expected a whole number, 0 or more, given -1",
        ),
        (lambda t: t["issues"].update(count="2"), 'expected a whole number, 0 or more, given "2"'),
        (
            lambda t: t["repo_access"].update(private="no"),
            'repo_access.private: expected true or false or null, given "no"',
        ),
        (lambda t: t["origin"].update(status="fine"), "expected one of ok, warn, issues"),
        (
            lambda t: t["auth"]["warnings"][0].update(level=1),
            "auth.warnings[0].level: expected one of ok, warn, issues, given 1",
        ),
        (
            lambda t: t["auth"].update(warnings="none"),
            'auth.warnings: expected a list of objects, given "none"',
        ),
        (
            lambda t: t["branch_policy"].update(required_checks="ci"),
            'branch_policy.required_checks: expected a list of text or null, given "ci"',
        ),
        (
            lambda t: t["auth"].update(expires_at="soon"),
            "auth.expires_at: expected a time such as 2030-01-31T12:00:00Z or null",
        ),
        (
            lambda t: t["auth"].update(expires_at="2030-01-31T12:00:00"),
            "auth.expires_at: expected a time with its offset",
        ),
        (
            lambda t: t["meta"].update(kind="smoke"),
            'meta.kind: expected one of github-smoke, given "smoke"',
        ),
        (
            lambda t: t["auth"].update(status="ok"),
            "auth.status: ok is milder than its warnings, one is warn",
        ),
        (lambda t: t.update(publish=[]), "publish: expected an object, given []"),
        (lambda t: t.update(sampled_issue=3), "sampled_issue: expected an object or null"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: Change, said: str) -> None:
    tree = copy.deepcopy(TREE)
    change(tree)
    assert said in refusal(tmp_path, tree)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("{", "not JSON: EOF while parsing an object at line 1"),
        ("[]", "the whole: expected an object, given []"),
        ("null", "the whole: expected an object, given null"),
        ("[" * 100_000, "not JSON"),
        ('{"meta": "\\ud800"}', "not JSON"),
    ],
)
def test_what_is_no_report_at_all(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


def test_several_problems_are_told_together(tmp_path: Path) -> None:
    said = refusal(tmp_path, {})
    assert said.count("is missing") == 5
    assert said.endswith("and 4 more")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"{KEY}: there is no {NAME}")) as caught:
        read_fixture(tmp_path, NAME)
    assert "delete smoke_fixture_path" in caught.value.next_step


# --- anything at all ------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)


def places(tree: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    inner: list[tuple[Any, object]] = list(tree.items()) if isinstance(tree, dict) else []
    inner += list(enumerate(tree)) if isinstance(tree, list) else []
    found = [path] if path else []
    for name, value in inner:
        found += places(value, (*path, name))
    return found


PLACES = places(TREE)


def outcome(text: str) -> tuple[Smoke | None, str]:
    """The report, or why there is none."""
    try:
        return parse_fixture(text, NAME), ""
    except ConfigError as error:
        return None, str(error)


@settings(max_examples=150)
@given(place=st.sampled_from(PLACES), value=VALUES, act=st.sampled_from(["put", "drop", "add"]))
def test_a_changed_fixture_is_refused_in_words_or_is_valid(
    place: tuple[Any, ...], value: Any, act: str
) -> None:
    tree = copy.deepcopy(TREE)
    node = tree
    for part in place[:-1]:
        node = node[part]
    if act == "put":
        node[place[-1]] = value
    elif act == "drop":
        del node[place[-1]]
    elif isinstance(node, dict):
        node[str(value)] = value
    smoke, said = outcome(json.dumps(tree))
    if smoke is None:
        assert re.match(rf"{re.escape(KEY)}: {re.escape(NAME)}(:| cannot)", said)
        assert re.search("expected |nearest|not JSON|milder", said)
        return
    assert render_smoke(smoke).startswith("# GitHub")
    assert json.loads(json.dumps(smoke_row(smoke)))["meta"]["kind"] == "github-smoke"
    for _, part in smoke.parts():
        assert worst((part.status, *(point.level for point in part.warnings))) is part.status


# --- what the configuration says of it ------------------------------------------------------


@pytest.mark.parametrize(
    ("tracker", "stands"),
    [
        (TrackerSettings(smoke_fixture_path=NAME), True),
        (TrackerSettings(smoke_fixture_path=NAME, mode="fixture"), True),
        (TrackerSettings(smoke_fixture_path=NAME, kind="local_file"), False),
        (TrackerSettings(), False),
    ],
)
def test_a_fixture_stands_in_for_github_alone(tracker: TrackerSettings, stands: bool) -> None:
    assert stands_in(Settings(tracker=tracker)) is stands


def configured(root: Path, *lines: str) -> Path:
    control = root / ".ai-repoagents"
    control.mkdir()
    text = "\n".join(["tracker:", "  repo: octo/cat", *lines])
    (control / "repoagents.yaml").write_text(f"{text}\n")
    return root


def test_the_line_to_delete_is_named(tmp_path: Path) -> None:
    loaded = load(configured(tmp_path, f"  smoke_fixture_path: {NAME}"), {})
    assert (
        loaded.fixture_step
        == "delete `smoke_fixture_path` in .ai-repoagents/repoagents.yaml:3 to go live"
    )
    (warning,) = loaded.warnings
    assert warning.startswith("GitHub is not asked for anything while tracker.smoke_fixture_path")
    assert warning.endswith(loaded.fixture_step)


def test_or_the_variable_to_unset(tmp_path: Path) -> None:
    variable = "REPOAGENTS_TRACKER__SMOKE_FIXTURE_PATH"
    root = configured(tmp_path)
    assert load(root, {}).fixture_step == ""
    assert load(root, {variable: NAME}).fixture_step == f"unset {variable} to go live"
    path = root / ".ai-repoagents/repoagents.env"
    path.write_text(f"\n{variable}={NAME}\n")
    path.chmod(0o600)
    place = ".ai-repoagents/repoagents.env:2"
    assert load(root, {}).fixture_step == f"delete {variable} in {place} to go live"


@pytest.mark.parametrize("path", ["/etc/smoke.json", "../smoke.json", ".git/smoke.json"])
def test_the_file_lies_in_the_repository(tmp_path: Path, path: str) -> None:
    (tmp_path / ".git").mkdir()
    root = configured(tmp_path, f"  smoke_fixture_path: {path}")
    with pytest.raises(ConfigError, match=r"smoke_fixture_path: expected a path inside"):
        load(root, {})
