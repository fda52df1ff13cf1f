"""The presets that come with the program: settings, checks to propose, and texts for agents."""

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from repoagents.config.document import Plain, parse_document
from repoagents.config.files import read_text, shipped
from repoagents.errors import ConfigError

NAMES = ("none", "python-library", "web-app", "docs-only", "research-project")
BASE = "none"
"""The preset that holds every text; the others add to it."""
TEXTS = ("roles", "prompts", "policies")


@dataclass(frozen=True)
class Proposal:
    """A verify command that a person may accept, and why it is proposed."""

    name: str
    kind: str
    run: str
    because: str


@dataclass(frozen=True)
class Preset:
    """What a kind of repository needs beyond the defaults.

    `settings` are sections of the configuration. `checks` are proposed where `when`, a glob from
    the repository's root, matches something.
    """

    name: str
    description: str
    settings: Mapping[str, Plain]
    checks: tuple[tuple[str, Proposal], ...]


def load_preset(name: str) -> Preset:
    """Read one preset; raises `ConfigError` when it is not one of ours or is damaged."""
    if name not in NAMES:
        raise ConfigError(f"there is no preset {name!r}", next_step=f"Known: {', '.join(NAMES)}")
    path = shipped(f"presets/{name}/preset.yaml")
    tree = parse_document(read_text(path, str(path)) or "", str(path)).tree
    settings, checks = tree.get("settings") or {}, tree.get("checks") or []
    if not isinstance(settings, dict) or not isinstance(checks, list):
        raise ConfigError(f"{path}: expected `settings` (a mapping) and `checks` (a list)")
    return Preset(name, str(tree["description"]), settings, tuple(map(_check, checks)))


def _check(row: Plain) -> tuple[str, Proposal]:
    if not isinstance(row, dict):
        raise ConfigError(f"a preset's check is not a mapping: {row!r}")
    when = str(row["when"])
    because = f"the repository has {when}"
    return when, Proposal(str(row["name"]), str(row["kind"]), str(row["run"]), because)


def preset_texts(name: str) -> dict[str, str]:
    """Every text of a preset by its path in the control plane: the base's, with its own below."""
    texts: dict[str, str] = {}
    for preset in dict.fromkeys((BASE, name)):
        for folder in TEXTS:
            for path in sorted((shipped(f"presets/{preset}") / folder).glob("*.md")):
                text = read_text(path, str(path)) or ""
                place = f"{folder}/{path.name}"
                texts[place] = f"{texts[place]}\n{text}" if place in texts else text
    return texts


def base_text(name: str) -> str:
    """A text of the base preset that does not go into the control plane, such as WORKFLOW.md."""
    path = f"presets/{BASE}/{name}"
    return read_text(shipped(path), path) or ""


class _Dumper(yaml.SafeDumper):
    """Lists are set in below their key, as people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002
        super().increase_indent(flow, False)


def render_yaml(tree: Mapping[str, object]) -> str:
    """Sections as the operator will read them, keys in the order given."""
    text: str = yaml.dump(
        dict(tree), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000
    )
    return text
