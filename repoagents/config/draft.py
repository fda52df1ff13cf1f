"""The text of a new `repoagents.yaml`: short, with everything that a beginner changes in sight."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from repoagents.config.document import scalar
from repoagents.config.presets import Preset, Proposal, render_yaml

GITHUB = """\
tracker:
  kind: github
  mode: rest
  repo: {repo}
  poll_interval_seconds: 300
"""
LOCAL = """\
tracker:
  kind: {kind}
  path: {path}
"""
REST = """
workspace:
  strategy: {strategy}
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
CHECKS = """
# The project's own checks: run by the bot on the base first, and then on every change.
"""
NO_CHECKS = """
# Without checks every change is reported as unverified. Name what proves one, for instance:
"""
SUGGESTED = """
# Proposed checks: take the leading `# ` away from those that prove a change here. Without any,
# every change is reported as unverified.
"""
EXAMPLE = Proposal("tests", "unit", "make test", "an example")
END = """
# Every key with its value and where it came from: repoagents config show
"""


@dataclass(frozen=True)
class Choices:
    """What the operator chose: `accepted` checks are set, `suggested` ones written as comments."""

    preset: Preset
    kind: str
    repo: str = ""
    path: str = ""
    strategy: str = "worktree"
    accepted: tuple[Proposal, ...] = ()
    suggested: tuple[Proposal, ...] = ()


def render_config(choices: Choices) -> str:
    """The whole file: tracker and safety first, then the preset's settings, then the checks."""
    if choices.kind == "github":
        tracker = GITHUB.format(repo=_word(choices.repo))
    else:
        tracker = LOCAL.format(kind=choices.kind, path=_word(choices.path))
    return "".join(
        (
            tracker,
            REST.format(strategy=choices.strategy),
            _preset(choices.preset),
            *_checks(choices.accepted, choices.suggested),
            END,
        )
    )


def _preset(preset: Preset) -> str:
    if not preset.settings:
        return ""
    return f"\n# Preset {preset.name}: {preset.description}.\n{render_yaml(preset.settings)}"


def _checks(accepted: Sequence[Proposal], suggested: Sequence[Proposal]) -> Iterable[str]:
    if accepted:
        yield CHECKS
        yield render_checks(accepted)
    if suggested:
        yield SUGGESTED
        yield _commented(render_checks(suggested))
    if not accepted and not suggested:
        yield NO_CHECKS
        yield _commented(render_checks([EXAMPLE]))


def render_checks(proposals: Iterable[Proposal]) -> str:
    """The `verify` section."""
    rows = [{"name": p.name, "kind": p.kind, "run": p.run} for p in proposals]
    return render_yaml({"verify": rows})


def _commented(text: str) -> str:
    return "".join(f"# {line}\n" for line in text.splitlines())


def _word(text: str) -> str:
    """A name or path as YAML, in quotes only where it needs them."""
    plain = re.fullmatch(r"[A-Za-z0-9_./-]+", text) and isinstance(scalar(text), str)
    return text if plain and not text.startswith("-") else json.dumps(text, ensure_ascii=False)
