"""`doctor` on GitHub, against the loopback GitHub: in order, and each fault once."""

import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from repoagents.bootstrap import SystemClock
from repoagents.domain.run import RunStatus
from repoagents.domain.settings import SafetySettings, Settings
from repoagents.policy.safety import app_permissions
from repoagents.rehearsal.hub import LoopbackGitHub
from tests.e2e.conftest import AGENT, FILES, Project

REPO, LABEL, BOT = "example/adding", "repoagents", "repoagents-bot"
DOCS = Path(__file__).parents[2] / "docs"
OPEN = {"allow_write_comments": "true", "allow_open_pr": "true"}
LEAST = {"metadata": "read", "contents": "write", "issues": "write", "pull_requests": "write"}
LEAST |= {"checks": "read", "statuses": "read"}
ENGINE = f"""\
llm:
  mode: command
command:
  argv: [{sys.executable}, {AGENT}]
verify:
  - name: tests
    kind: unit
    run: [{sys.executable}, -m, unittest, -q]
"""

Row = Mapping[str, str]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test puts its clone, for the others to copy."""
    return tmp_path_factory.mktemp("template") / "clone"


@pytest.fixture
def source(
    template: Path, tmp_path: Path, git_repository: Callable[..., Path], git: Callable[..., str]
) -> Path:
    """A clone after `init --tracker-repo`, with an engine that needs no login."""
    root = tmp_path / "clone"
    if not template.exists():
        made = git_repository({"adding.py": FILES["adding.py"]}, name="template")
        project = Project(made, tmp_path / "calls.log")
        told = project.run("init", "--tracker-repo", REPO, "--yes").stdout
        assert "Then: repoagents doctor" in told
        project.configure("llm:\n  mode: codex\n", ENGINE)
        git(made, "add", "--all")
        git(made, "commit", "--quiet", "--message=Set up repoagents")
        shutil.copytree(made, template)
    shutil.copytree(template, root)
    return root


@pytest.fixture
def hub(tmp_path: Path, source: Path) -> Iterator[LoopbackGitHub]:
    """A repository of an organization, with an issue that Mia has labelled."""
    with LoopbackGitHub(tmp_path / "hub", SystemClock(), os.environ, REPO) as made:
        made.seed(source)
        made.add_account("mia", "write")
        made.create_label(LABEL)
        made.open_issue("add() subtracts", "", by="mia")
        made.label(1, LABEL, by="mia")
        yield made


@dataclass(frozen=True)
class Surgery(Project):
    """A clone that `init` has set up; `extra` is its environment."""

    extra: Mapping[str, str]

    def examine(self, code: int = 0, **extra: str) -> dict[str, Row]:
        """The checks by name, the worst of each, after a look at the exit code."""
        done = self.run("doctor", "--json", code=code, **{**self.extra, **extra})
        assert "Traceback" not in done.stderr
        worst: dict[str, Row] = {}
        for row in json.loads(done.stdout)["checks"]:
            known = worst.get(row["name"], row)
            order = ("ok", "warn", "error")
            if order.index(row["status"]) >= order.index(known["status"]):
                worst[row["name"]] = row
            if row["status"] == "error":
                assert row["fix"], row
        return worst


@pytest.fixture
def surgery(source: Path, tmp_path: Path, hub: LoopbackGitHub) -> Surgery:
    """The clone with the bot's token and every flag but the merge's open."""
    flags = {f"REPOAGENTS_SAFETY__{name.upper()}": value for name, value in OPEN.items()}
    places = {"API_URL": hub.url, "CLONE_URL": hub.clone_url}
    extra = {f"REPOAGENTS_TRACKER__{name}": value for name, value in places.items()}
    token = {"GITHUB_TOKEN": hub.token_of(BOT)}
    return Surgery(source, tmp_path / "calls.log", {**flags, **extra, **token})


def faults(rows: Mapping[str, Row]) -> dict[str, str]:
    """What is not in order, by name."""
    return {name: row["status"] for name, row in rows.items() if row["status"] != "ok"}


def asked(hub: LoopbackGitHub) -> list[str]:
    """Every request, its repository left out."""
    short = [f"{s.method} {s.path.replace(f'/repos/{REPO}', '')}" for s in hub.requests]
    assert hub.writes == (), "doctor only reads"
    return short


def test_a_right_token_is_all_green(surgery: Surgery, hub: LoopbackGitHub) -> None:
    rows = surgery.examine()
    assert faults(rows) == {}
    assert rows["GitHub"]["message"].startswith(f"{BOT}, by a classic token (the variable GITHUB_")
    assert rows["tracker"]["message"] == "1 open with the label repoagents"
    assert len(asked(hub)) == 4
    shown = surgery.run("doctor", **surgery.extra)
    assert "ready: 0 in error" in shown.stdout
    assert surgery.extra["GITHUB_TOKEN"] not in shown.stdout + shown.stderr


def test_a_fine_grained_token_with_just_enough_is_green(
    surgery: Surgery, hub: LoopbackGitHub
) -> None:
    rows = surgery.examine(GITHUB_TOKEN=hub.fine_grained_token(BOT, LEAST))
    assert faults(rows) == {}
    assert "contents: write" in rows["permissions"]["message"]
    assert len(asked(hub)) == 6


def test_a_fine_grained_token_that_lacks_something(surgery: Surgery, hub: LoopbackGitHub) -> None:
    less = {name: level for name, level in LEAST.items() if name != "pull_requests"}
    rows = surgery.examine(1, GITHUB_TOKEN=hub.fine_grained_token(BOT, less))
    assert faults(rows) == {"permissions": "error"}
    assert "may not read pull_requests" in rows["permissions"]["message"]
    assert "pull_requests: write" in rows["permissions"]["fix"]
    closed = dict.fromkeys((k for k in surgery.extra if "SAFETY" in k), "false")
    only = hub.fine_grained_token(BOT, {"issues": "read", "contents": "read"})
    assert faults(surgery.examine(GITHUB_TOKEN=only, **closed)) == {}, "enough to observe"
    nothing = hub.fine_grained_token(BOT, {})
    rows = surgery.examine(1, GITHUB_TOKEN=nothing, **closed)
    assert faults(rows) == {"tracker": "error"}
    assert "Resource not accessible" in rows["tracker"]["message"]


def test_a_revoked_token(surgery: Surgery, hub: LoopbackGitHub) -> None:
    hub.revoke(surgery.extra["GITHUB_TOKEN"])
    rows = surgery.examine(1)
    assert faults(rows) == {"GitHub": "error"}
    assert "Bad credentials" in rows["GitHub"]["message"]
    assert len(asked(hub)) == 1, "who is refused does not go on asking"
    assert "worker" in rows, "every other check is made"


def test_no_credential_names_the_three_ways(surgery: Surgery, hub: LoopbackGitHub) -> None:
    rows = surgery.examine(1, GITHUB_TOKEN="")
    assert faults(rows) == {"GitHub": "error"}
    for way in ("GITHUB_TOKEN", "gh auth login", "tracker.app"):
        assert way in rows["GitHub"]["fix"]
    assert asked(hub) == []


def test_an_account_that_only_reads(surgery: Surgery, hub: LoopbackGitHub) -> None:
    hub.add_account("guest", "read")
    rows = surgery.examine(1, GITHUB_TOKEN=hub.token_of("guest"))
    assert faults(rows) == {"permissions": "error", "who may ask": "error"}
    assert "guest has the role read" in rows["permissions"]["message"]
    assert "Must have push access" in rows["who may ask"]["message"]
    assert "push access" in rows["who may ask"]["fix"]


def test_nothing_labelled(surgery: Surgery, hub: LoopbackGitHub) -> None:
    hub.unlabel(1, LABEL, by="mia")
    hub.open_issue("More", "", by="mia")
    rows = surgery.examine()
    assert faults(rows) == {}
    assert rows["tracker"]["message"] == "2 open, 0 labelled repoagents"
    assert rows["tracker"]["fix"].startswith("gh issue edit 2 ")
    assert rows["tracker"]["fix"].endswith(" --add-label repoagents")
    assert len(asked(hub)) == 6


def test_a_label_that_is_not_there(surgery: Surgery, hub: LoopbackGitHub) -> None:
    rows = surgery.examine(REPOAGENTS_TRACKER__TRIGGER_LABEL="to do")
    assert faults(rows) == {"label": "warn"}
    assert rows["label"]["fix"].startswith("gh label create 'to do' ")
    assert rows["tracker"]["message"] == "1 open, 0 labelled to do"
    assert asked(hub)[-1] == "GET /labels/to do"


def test_an_archived_repository(surgery: Surgery, hub: LoopbackGitHub) -> None:
    hub.archive()
    rows = surgery.examine(1)
    assert faults(rows) == {"repository": "error"}
    assert "archived" in rows["repository"]["message"]


def test_a_renamed_repository(surgery: Surgery, hub: LoopbackGitHub) -> None:
    hub.rename("example/sums")
    rows = surgery.examine()
    assert faults(rows) == {"repository": "warn"}
    assert rows["repository"]["fix"] == "set tracker.repo: example/sums"


def test_a_checkout_of_something_else(surgery: Surgery, git: Callable[..., str]) -> None:
    git(surgery.root, "remote", "add", "origin", "git@github.com:example/other.git")
    rows = surgery.examine(1)
    assert faults(rows) == {"origin": "error"}
    assert "example/other" in rows["origin"]["message"]


def test_a_network_that_is_down(surgery: Surgery) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        rows = surgery.examine(1, REPOAGENTS_TRACKER__API_URL=url)
    assert faults(rows) == {"GitHub": "error"}
    assert "no whole answer" in rows["GitHub"]["message"]
    assert "tracker.api_url" in rows["GitHub"]["fix"]


@pytest.mark.parametrize("granted", ["write", "read"])
def test_a_github_app(surgery: Surgery, hub: LoopbackGitHub, tmp_path: Path, granted: str) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    app = hub.install_app(
        "adder", public.decode(), {**LEAST, "actions": "read", "contents": granted}
    )
    place = tmp_path / "app.pem"
    place.touch(0o600)
    form = (Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    place.write_bytes(key.private_bytes(*form))
    values = {"ID": app.id, "INSTALLATION_ID": app.installation, "PRIVATE_KEY_PATH": place}
    extra = {f"REPOAGENTS_TRACKER__APP__{name}": str(value) for name, value in values.items()}
    rows = surgery.examine(0 if granted == "write" else 1, **extra)
    if granted == "write":
        assert faults(rows) == {}
        assert rows["GitHub"]["message"].startswith("adder[bot], by a GitHub App (GitHub App ")
        assert "contents: write" in rows["GitHub"]["message"]
        assert len(asked(hub)) == 5
    else:
        assert faults(rows) == {"GitHub": "error"}
        assert "contents: write" in rows["GitHub"]["fix"]


def readme_block() -> list[str]:
    """The first use on GitHub, line by line."""
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    _, _, section = text.partition("\n## On GitHub\n")
    return section.partition("```sh\n")[2].partition("```")[0].splitlines()


def test_the_first_use_is_as_the_readme_has_it(hub: LoopbackGitHub, surgery: Surgery) -> None:
    lines = readme_block()
    ours = [line.removeprefix("repoagents ") for line in lines if line.startswith("repoagents ")]
    assert [line.split()[0] for line in ours] == ["init", "doctor", "run"]
    init, doctor, run = (line.replace("OWNER/REPO", REPO).split() for line in ours)
    shutil.rmtree(surgery.root / ".ai-repoagents")
    closed = dict.fromkeys((name for name in surgery.extra if "SAFETY" in name), "false")
    extra = {**surgery.extra, **closed, "REPOAGENTS_AGENT__ENV": "[CALL_LOG]"}
    hub.unlabel(1, LABEL, by="mia")
    del hub.forge.repository.labels[LABEL]
    told = surgery.run(*init, **extra).stdout
    surgery.configure("llm:\n  mode: codex\n", ENGINE.partition("verify:")[0])
    shown = surgery.run(*doctor, **extra).stdout
    for command in (line for line in lines if line.startswith("gh ")):
        # `gh` wants the address where it is not github.com; everything else is as we advise.
        words = command.replace("OWNER/REPO", f"{hub.site}/{REPO}")
        assert words in shown
        assert words in told
    assert "its label: 1 open, 0 labelled repoagents" in told
    hub.create_label(LABEL)
    hub.label(1, LABEL, by="mia")
    surgery.run(*run, **extra)
    made = surgery.latest()
    assert made is not None
    assert (made.status, made.asked_by) == (RunStatus.COMPLETED, "mia")
    assert hub.writes == (), "all flags are off"


PHASES = {
    "observe": SafetySettings(),
    "comment": SafetySettings(allow_write_comments=True),
    "draft-pr": SafetySettings(allow_write_comments=True, allow_open_pr=True),
    "merge": SafetySettings(allow_write_comments=True, allow_open_pr=True, allow_merge=True),
}


def table() -> dict[str, dict[str, str]]:
    """The permissions that the guide adds in each phase."""
    text = (DOCS / "how-to" / "set-up-github.md").read_text(encoding="utf-8")
    section = text.partition("\n## Least permissions\n")[2].partition("\n## ")[0]
    added: dict[str, dict[str, str]] = {}
    phase: dict[str, str] = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) != 6 or set(cells[1]) == {"-"} or cells[1] == "phase":
            continue
        phase = added.setdefault(cells[1], {}) if cells[1] else phase
        name, _, level = cells[3].removeprefix("commit ").partition(": ")
        phase |= {name.replace(" ", "_"): level} if level else {}
    return added


def test_the_table_of_permissions_is_what_the_program_asks_for() -> None:
    added, held = table(), dict[str, str]()
    assert list(added) == list(PHASES)
    for phase, flags in PHASES.items():
        held |= added[phase]
        needed = {name: level for name, level in held.items() if "optional" not in level}
        assert needed == app_permissions(Settings(safety=flags)), phase
    assert held["actions"] == "read (optional)"
