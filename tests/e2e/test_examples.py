"""Every example is tried as its README says: copied, made a repository, and typed through.

Lines after `$ ` in a block marked `console` are run in order; each must succeed. What is no more
than one of our commands needs no shell; `export` lasts until the end of the page.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from repoagents.config.presets import BASE, load_preset
from repoagents.config.proposals import propose_checks
from repoagents.config.smoke_fixture import read_fixture
from repoagents.domain.smoke import Level
from tests.prepared import run_prepared

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
NAMES = (
    *("docs-only", "live-github-ops", "local-file-inbox", "local-markdown-inbox", "python-lib"),
    *("qa-role-pack", "research-project", "sandbox-rollout", "web-app", "webhook-receiver"),
)
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SHELL = frozenset("|&;<>$`*?~!=")
PHASES = ("observe", "comment", "draft-pr", "merge")


def commands(name: str) -> list[str]:
    """What a reader would type, in the page's order."""
    text = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    lines = "\n".join(body for found, body in BLOCK.findall(text) if found == "console")
    return [line.removeprefix("$ ") for line in lines.splitlines() if line.startswith("$ ")]


@dataclass
class Shell:
    """A terminal in the copy of an example."""

    folder: Path
    environment: dict[str, str] = field(
        default_factory=lambda: {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
    )

    def type(self, line: str) -> str:
        """Run one line, which must succeed; returns what it printed."""
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            self.environment[name] = value
            return ""
        if line.startswith("repoagents ") and not SHELL.intersection(line):
            arguments = shlex.split(line)[1:]
            done = run_prepared(arguments, cwd=self.folder, env=self.environment)
        else:
            done = subprocess.run(
                ["bash", "-c", line],
                cwd=self.folder,
                env=self.environment,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def runs(self) -> dict[int, tuple[str, bool]]:
        """Status of each issue's run, and whether its change was verified."""
        rows = json.loads(self.type("repoagents status --json"))["runs"]
        return {row["issue"]: (row["status"], row["verified"]) for row in rows}


@pytest.fixture
def shell(tmp_path: Path, request: pytest.FixtureRequest) -> Shell:
    """A terminal in a copy of the example that the test is for."""
    folder = tmp_path / "copy"
    shutil.copytree(
        EXAMPLES / request.node.callspec.params["name"],
        folder,
        ignore=shutil.ignore_patterns("__pycache__", ".ruff_cache"),
    )
    return Shell(folder)


RUNS = {
    "docs-only": {1: ("completed", True)},
    "local-file-inbox": {7: ("completed", False)},
    "local-markdown-inbox": {1: ("completed", False), 4: ("completed", False)},
    "qa-role-pack": {1: ("completed", True)},
    "research-project": {1: ("completed", True)},
    "sandbox-rollout": {},
    "web-app": {1: ("completed", True)},
    "webhook-receiver": {},
}
"""What the bot has done when a page is typed through."""


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_an_example_does_what_its_page_says(name: str, shell: Shell) -> None:
    for line in commands(name):
        shell.type(line)
    assert shell.runs() == RUNS[name]
    if any("git apply" in line for line in commands(name)):
        assert shell.type("git diff --stat")


@pytest.mark.parametrize("name", ["docs-only", "research-project", "web-app"])
def test_an_example_uses_the_preset_that_it_is_for(name: str) -> None:
    assert [line for line in commands(name) if f"repoagents init --preset {name} " in line]
    assert (ROOT / "presets" / name).is_dir()


@pytest.mark.parametrize("name", ["docs-only", "qa-role-pack", "research-project", "web-app"])
def test_an_example_is_proven_by_what_every_machine_has(name: str) -> None:
    """A reader's Python need not have pytest."""
    proposed = propose_checks(EXAMPLES / name, load_preset(BASE))
    assert [check.run for check in proposed] == ["make test"]


def test_the_index_names_every_example() -> None:
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
    assert folders == set(NAMES)
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| \[([a-z-]+)\]\(\1/README.md\) ", text, re.MULTILINE)) == folders


def test_links_of_the_pages_lead_somewhere() -> None:
    pages = [
        *EXAMPLES.glob("README.md"),
        *EXAMPLES.glob("*/README.md"),
        *EXAMPLES.glob("*/ops/*.md"),
    ]
    assert len(pages) > len(NAMES)
    for page in pages:
        text = BLOCK.sub("", page.read_text(encoding="utf-8"))
        links = [target.partition("#")[0] for target in LINK.findall(text) if "://" not in target]
        assert [link for link in links if not (page.parent / link).exists()] == [], page


@pytest.mark.parametrize("name", PHASES)
def test_each_phase_has_a_fixture_in_which_nothing_is_wrong(name: str) -> None:
    smoke = read_fixture(EXAMPLES / "sandbox-rollout", f"phases/{name}.json")
    assert {part.status for _, part in smoke.parts()} == {Level.OK}
    assert smoke.publish.comment_writes_ready is (name != "observe")
    assert smoke.publish.pr_writes_ready is (name in ("draft-pr", "merge"))


class TestTheJob:
    @pytest.fixture
    def job(self) -> dict[str, object]:
        """The workflow as it is read; YAML 1.1 takes the key `on` for true."""
        text = (EXAMPLES / "sandbox-rollout/workflow/repoagents.yml").read_text(encoding="utf-8")
        found: dict[str, object] = {
            "on" if key is True else key: value for key, value in yaml.safe_load(text).items()
        }
        return found

    @pytest.fixture
    def steps(self, job) -> list[dict[str, object]]:
        """Its steps."""
        found: list[dict[str, object]] = job["jobs"]["run-once"]["steps"]
        return found

    def test_no_stranger_starts_it(self, job) -> None:
        assert set(job["on"]) == {"schedule", "workflow_dispatch"}
        assert job["permissions"] == {"contents": "read", "issues": "read"}
        assert job["concurrency"]["cancel-in-progress"] is False
        assert "github.repository ==" in job["jobs"]["run-once"]["if"]

    def test_a_secret_is_seen_by_the_step_that_needs_it(self, job, steps) -> None:
        holders = {step["name"] for step in steps if "secrets." in str(step.get("env"))}
        assert holders == {"Unpack it", "Work", "Pack the state"}
        assert "secrets." not in str(job["jobs"]["run-once"]["env"])
        assert not [step for step in steps if "${{" in str(step.get("run"))]
        checkout = next(step for step in steps if "checkout" in str(step.get("uses")))
        assert checkout["with"]["persist-credentials"] is False

    def test_the_state_comes_back_as_it_was(self, steps, job, tmp_path: Path) -> None:
        kept = job["jobs"]["run-once"]["env"]["KEPT"]
        scripts = {step.get("name"): step["run"] for step in steps if "run" in step}
        (tmp_path / ".ai-repoagents/state").mkdir(parents=True)
        state = tmp_path / ".ai-repoagents/state/repoagents.sqlite"
        state.write_text("the state")
        environment = {**os.environ, "KEPT": kept, "STATE_KEY": "0" * 64}

        def step(name: str) -> None:
            argv = ["bash", "-c", scripts[name]]
            subprocess.run(argv, cwd=tmp_path, env=environment, check=True, capture_output=True)

        step("Pack the state")
        assert b"the state" not in (tmp_path / "repoagents-state.enc").read_bytes()
        shutil.rmtree(tmp_path / ".ai-repoagents")
        step("Unpack it")
        assert state.read_text() == "the state"
        assert not (tmp_path / "repoagents-state.enc").exists()
        step("Unpack it")  # and where none is kept yet
