"""Presets differ in what they do, each one loads, and all share one set of texts."""

from pathlib import Path

import pytest

from repoagents.config.document import parse_document
from repoagents.config.draft import Choices, render_config
from repoagents.config.loader import load
from repoagents.config.presets import BASE, NAMES, Proposal, load_preset, preset_texts
from repoagents.domain.change import ChangeKind, ChangeSet, FileChange
from repoagents.domain.settings import GuardrailSettings, Settings
from repoagents.errors import ConfigError
from repoagents.policy.guardrails import inspect

STEP_3 = """\
tracker:
  kind: github
  mode: rest
  repo: OWNER/REPO
  poll_interval_seconds: 300

workspace:
  strategy: worktree
  dirty_policy: block

logging:
  json: true
  file_enabled: true

llm:
  mode: codex

merge_policy:
  mode: human_approval

safety:
  allow_write_comments: false
  allow_open_pr: false
"""


def settings_of(preset: str, root: Path) -> Settings:
    control = root / ".ai-repoagents"
    control.mkdir(exist_ok=True)
    choices = Choices(load_preset(preset), "local_markdown", path="issues")
    (control / "repoagents.yaml").write_text(render_config(choices))
    return load(root, {}).settings


def rules(path: str, guardrails: GuardrailSettings, size: int = 10, lines: int = 1) -> set[str]:
    file = FileChange(path, ChangeKind.ADDED, added=lines, deleted=0, size=size, new_mode="100644")
    patch = f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n"
    patch += f"@@ -0,0 +1,{lines} @@\n" + "+x\n" * lines
    return {
        finding.rule for finding in inspect(ChangeSet("0", "0", (file,), patch), None, guardrails)
    }


def test_the_file_for_github_begins_with_the_promised_lines() -> None:
    for name in NAMES:
        text = render_config(Choices(load_preset(name), "github", repo="OWNER/REPO"))
        assert text.startswith(STEP_3)


def test_the_promised_lines_are_the_defaults(tmp_path: Path) -> None:
    control = tmp_path / ".ai-repoagents"
    control.mkdir()
    (control / "repoagents.yaml").write_text(STEP_3)
    given = load(tmp_path, {}).settings
    (control / "repoagents.yaml").write_text("tracker: {repo: OWNER/REPO}\n")
    assert given == load(tmp_path, {}).settings


def test_guardrails_differ_between_all_presets(tmp_path: Path) -> None:
    seen = [settings_of(name, tmp_path).guardrails for name in NAMES]
    assert len(set(seen)) == len(NAMES)
    assert seen[0] == GuardrailSettings()


@pytest.mark.parametrize(
    ("path", "stopped_by"),
    [
        ("pyproject.toml", {"python-library", "docs-only"}),
        ("src/pkg/_version.py", {"python-library", "docs-only"}),
        ("app/migrations/0001_a.py", {"web-app", "docs-only"}),
        ("frontend/pnpm-lock.yaml", {"web-app", "docs-only"}),
        (".env.production", {"web-app", "docs-only"}),
        ("data/raw.txt", {"research-project", "docs-only"}),
        ("tables/a.csv", {"research-project", "docs-only"}),
        ("src/pkg/core.py", {"docs-only"}),
        ("docs/guide.md", set()),
        ("README.md", set()),
        ("docs/img/flow.svg", set()),
    ],
)
def test_presets_stop_different_changes(path: str, stopped_by: set[str], tmp_path: Path) -> None:
    place = {"protected_path", "not_allowed_path"}
    found = {n for n in NAMES if rules(path, settings_of(n, tmp_path).guardrails) & place}
    assert found == stopped_by


def test_presets_cap_size_differently(tmp_path: Path) -> None:
    big = {n: rules("docs/a.ipynb", settings_of(n, tmp_path).guardrails, 150_000) for n in NAMES}
    assert {name for name, found in big.items() if "too_large" in found} == {"research-project"}
    long = {n: rules("docs/a.md", settings_of(n, tmp_path).guardrails, 10, 1000) for n in NAMES}
    assert {name for name, found in long.items() if "too_large" in found} == {
        "python-library",
        "docs-only",
        "research-project",
    }


def test_every_preset_has_the_same_texts_and_says_more_than_the_base() -> None:
    base = preset_texts(BASE)
    assert {"roles/planner.md", "prompts/builder.md", "policies/changes.md"} <= base.keys()
    for name in NAMES[1:]:
        texts = preset_texts(name)
        assert texts.keys() == base.keys()
        assert all(texts[path].startswith(base[path]) for path in base)
        assert {path for path in base if texts[path] != base[path]} == {
            "roles/planner.md",
            "roles/builder.md",
            "roles/reviewer.md",
            "policies/changes.md",
        }


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        load_preset("../none")
    assert "python-library" in caught.value.next_step


CHECK = Proposal("unit tests", "unit", "pytest -q # 'all' \"of\" it: yes", "why")


def test_accepted_checks_are_set_and_suggested_ones_are_comments(tmp_path: Path) -> None:
    control = tmp_path / ".ai-repoagents"
    control.mkdir()
    preset = load_preset("web-app")
    choices = Choices(preset, "local_file", path="a b/123.json", accepted=(CHECK,))
    (control / "repoagents.yaml").write_text(render_config(choices))
    settings = load(tmp_path, {}).settings
    assert [(v.name, v.kind, v.run) for v in settings.verify] == [(CHECK.name, "unit", CHECK.run)]
    assert settings.tracker.path == "a b/123.json"
    text = render_config(Choices(preset, "local_file", path="123", suggested=(CHECK,)))
    assert parse_document(text, "x").tree["tracker"] == {"kind": "local_file", "path": "123"}
    assert "verify" not in parse_document(text, "x").tree
    # Taking the marks away, as the comment says, gives the accepted form.
    lines = text[text.index("# verify:") :].splitlines()
    uncommented = "\n".join(line.removeprefix("# ") for line in lines if line.startswith("# "))
    checks = parse_document(uncommented.rpartition("\n")[0], "x").tree
    assert checks == {"verify": [{"name": CHECK.name, "kind": "unit", "run": CHECK.run}]}
