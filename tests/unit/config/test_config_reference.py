"""The schema and the page say what the loader does."""

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from repoagents.config.keys import catalogue
from repoagents.config.reference import json_schema, render_reference

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_committed_page_is_the_generated_one(golden: Callable[[Path, str], None]) -> None:
    golden(PAGE, render_reference())


def test_every_key_has_a_row_and_a_sentence() -> None:
    page = render_reference()
    for key in catalogue():
        if not key.is_section:
            (row,) = (r for r in page.splitlines() if r.startswith(f"| `{key.name}` | "))
            value, _default, meaning = row.split(" | ")[1:4]
            assert value == key.expected
            assert meaning.endswith("."), key.name
        elif len(key.path) == 1:
            assert f"\n## {key.name}\n\n" in page
        if key.variable:
            assert f"`{key.variable}`" in page


def test_the_schema_accepts_and_refuses_as_the_loader_does() -> None:
    schema = json.loads(json.dumps(json_schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid({"tracker": {"kind": "local_file"}, "verify": []})
    assert validator.is_valid({"verify": [{"name": "a", "run": "x"}]})


@pytest.mark.parametrize(
    "tree",
    [
        {"trackr": {}},
        {"tracker": {"poll_interval_seconds": 4}},
        {"tracker": {"kind": "gitlab"}},
        {"safety": {"allow_open_pr": "false"}},
        {"verify": [{"name": "a"}]},
        {"verify": [{"name": "", "run": "x"}]},
        {"roles": {"enabled": ["boss"]}},
        {"agent": {"max_concurrent_runs": 17}},
        {"retention": {"worktree_days": 0}},
    ],
)
def test_the_schema_refuses(tree: object) -> None:
    assert not jsonschema.Draft202012Validator(json_schema()).is_valid(tree)
