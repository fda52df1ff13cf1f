"""`docs/walkthrough.md` as an operator types it, against a GitHub on this machine.

The page itself is what is run: its blocks, in their order, in one shell. OWNER/REPO, the path of
the checkout, the clone's address and the token are put in; the agent is a scripted one, named by
variables, so that the configuration stays as the page has it.
"""

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from repoagents.bootstrap import SystemClock
from repoagents.domain.run import RunStatus
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.store.reader import open_reader
from tests.e2e.conftest import AGENT, FILES
from tests.e2e.terminal import Terminal

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/walkthrough.md"
REPO = "octo/adding"
SMOKE = "smoke_fixture_path: ops/github-smoke.fixture.json"
SECTIONS = {"meta", "summary", "auth", "repo_access", "branch_policy", "origin", "publish"} | {
    "issues",
    "sampled_issue",
}
REPORTS = ("github-smoke", "ops-status", "ops-brief")


@dataclass(frozen=True)
class Step:
    """One section of the page: its heading, its text, and its blocks by language, in order."""

    heading: str
    text: str

    @property
    def blocks(self) -> list[tuple[str, str]]:
        """Language and text of each fenced block."""
        return re.findall(r"^```(\w*)\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL)

    def of(self, language: str) -> list[str]:
        """The blocks of one language."""
        return [text for found, text in self.blocks if found == language]


def steps(page: Path) -> list[Step]:
    """The page's sections."""
    parts = page.read_text(encoding="utf-8").split("\n## ")[1:]
    return [Step(part.partition("\n")[0], part) for part in parts]


def step(number: int) -> Step:
    """The section with this number."""
    return next(each for each in steps(PAGE) if each.heading.startswith(f"{number}. "))


def test_the_korean_page_has_the_same_commands() -> None:
    korean, english = steps(ROOT / "docs/ko/walkthrough.md"), steps(PAGE)
    assert [each.blocks for each in korean] == [each.blocks for each in english]
    numbers = [re.match(r"\d+\.|", each.heading) for each in korean]
    assert numbers.count(None) == 0
    assert [each.heading[:3] for each in korean if each.heading[0].isdigit()] == [
        each.heading[:3] for each in english if each.heading[0].isdigit()
    ]


@pytest.fixture
def hub(tmp_path: Path, git_repository: Callable[..., Path]) -> Iterator[LoopbackGitHub]:
    """A repository with many issues; Mia, who may write, has labelled number 123."""
    code = {name: text for name, text in FILES.items() if not name.startswith("issues/")}
    source = git_repository(code, name="source")
    with LoopbackGitHub(tmp_path / "hub", SystemClock(), os.environ, REPO) as made:
        made.seed(source)
        made.add_account("mia", "write")
        made.create_label("repoagents")
        for number in range(1, 123):
            made.open_issue(f"Another thing, {number}", "Some day.", by="mia")
        number = made.open_issue("add() subtracts", "add(2, 2) gives 0, not 4.", by="mia")
        made.label(number, "repoagents", by="mia")
        assert number == 123
        yield made


@dataclass(frozen=True)
class Evening:
    """An operator with the page, a terminal, and a GitHub."""

    hub: LoopbackGitHub
    terminal: Terminal
    clone: Path

    @property
    def control(self) -> Path:
        """The control plane's folder."""
        return self.clone / ".ai-repoagents"

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.control / "repoagents.yaml"

    def put_in(self, text: str) -> str:
        """What the operator types for the page's placeholders."""
        for placeholder, real in (
            ("git@github.com:OWNER/REPO.git", self.hub.clone_url),
            ("OWNER/REPO", REPO),
            ("cd REPO", "cd adding"),
            ("/path/to/RepoAgents", str(ROOT)),
            ("GITHUB_TOKEN=...", f"GITHUB_TOKEN={self.hub.token_of('repoagents-bot')}"),
        ):
            text = text.replace(placeholder, real)
        return text

    def type(self, number: int) -> str:
        """Type all commands of a step; what was printed."""
        return "".join(self.terminal.type(self.put_in(text)) for text in step(number).of("sh"))

    def edit(self, old: str, new: str) -> None:
        """Edit the configuration."""
        text = self.config.read_text(encoding="utf-8")
        assert old in text
        self.config.write_text(text.replace(old, new), encoding="utf-8")

    def status(self, issue: int) -> RunStatus | None:
        """Where the newest run of an issue stands."""
        run = next(iter(open_reader(self.control).runs(issue=issue, limit=1)), None)
        return run and run.status


@pytest.fixture
def evening(tmp_path: Path, hub: LoopbackGitHub) -> Iterator[Evening]:
    """An empty folder to clone into; the scripted agent stands in for codex."""
    variables = {
        "REPOAGENTS_TRACKER__API_URL": hub.url,
        "REPOAGENTS_TRACKER__CLONE_URL": hub.clone_url,
        "REPOAGENTS_LLM__MODE": "command",
        "REPOAGENTS_COMMAND__ARGV": f"[{sys.executable}, {AGENT}]",
        "REPOAGENTS_AGENT__ENV": "[CALL_LOG]",
        "CALL_LOG": str(tmp_path / "calls.log"),
    }
    with Terminal(tmp_path, variables) as terminal:
        yield Evening(hub, terminal, tmp_path / "adding")


@pytest.mark.slow
def test_the_twelve_steps_as_they_are_written(evening: Evening) -> None:
    clone_and_set_up(evening)
    ask_the_doctor(evening)
    rehearse_the_handoff(evening)
    look_at_a_plan(evening)
    work_on_one_issue(evening)
    run_the_loop(evening)
    draw_the_dashboard(evening)
    fail_and_recover(evening)
    assert evening.hub.writes == (), "both flags are off"
    open_the_writes(evening)
    try_a_webhook_out(evening)
    left = evening.terminal.type("git status --short").split()
    assert left[1::2] == [".ai-repoagents/", "AGENTS.md", "WORKFLOW.md", "ops/"]


def clone_and_set_up(evening: Evening) -> None:
    """Steps 1 to 4."""
    assert evening.type(1).endswith("done.\n"), "git status says nothing"
    said = evening.type(2)
    for name in ("repoagents.yaml", "roles", "prompts", "policies"):
        assert (evening.control / name).exists()
        assert f"created   .ai-repoagents/{name}" in said
    assert (evening.clone / "AGENTS.md").exists()
    assert (evening.clone / "WORKFLOW.md").exists()
    recommended, verify = step(3).of("yaml")
    assert evening.config.read_text("utf-8").startswith(evening.put_in(recommended))
    evening.config.write_text(f"{evening.config.read_text('utf-8')}\n{verify}", encoding="utf-8")
    evening.type(4)
    assert (evening.control / "repoagents.env").exists()


def ask_the_doctor(evening: Evening) -> None:
    """Step 5."""
    said = evening.type(5)
    assert re.search(r"^ready: 0 in error", said, re.MULTILINE)
    rows = dict(re.findall(r"^(?:ok|warn) +([\w ]+): (.*)$", said, re.MULTILINE))
    points = "".join(re.findall(r"^- .*$", step(5).text, re.MULTILINE))
    named = re.findall(r"`([\w ]+)` (?:is|are|names|says)", points)
    assert len(named) >= 7
    assert set(named) <= set(rows)
    assert rows["checkout"] == "clean"
    assert "not committed yet" in rows["control plane"]


def rehearse_the_handoff(evening: Evening) -> None:
    """Step 6: nothing is asked of GitHub, and everything says so."""
    (line,) = (yaml.safe_load(text) for text in step(6).of("yaml"))
    assert line == {"tracker": yaml.safe_load(SMOKE)}
    evening.edit("  mode: rest\n", f"  mode: rest\n  {SMOKE}\n")
    asked = len(evening.hub.requests)
    said = evening.type(6)
    assert "copied: ops/github-smoke.fixture.json" in said
    assert len(evening.hub.requests) == asked
    reports = evening.control / "reports"
    (bundle,) = (path.parent for path in reports.glob("ops/*/index.html"))
    assert {"README.md", "index.html", "dashboard.html"} <= {path.name for path in bundle.iterdir()}
    assert bundle.with_name(f"{bundle.name}.zip").is_file()
    for folder, names in ((reports, REPORTS), (bundle, (*REPORTS, "doctor", "bundle"))):
        for name in names:
            assert json.loads((folder / f"{name}.json").read_text("utf-8"))
            assert (folder / f"{name}.md").is_file()
    for page in (*reports.glob("*.md"), *bundle.glob("*.md"), *bundle.glob("*.html")):
        assert "rehearsal" in first_line(page).lower(), page
    smoke = json.loads((reports / "github-smoke.json").read_text("utf-8"))
    assert set(smoke) >= SECTIONS
    assert (smoke["meta"]["source"], smoke["meta"]["tracker_repo"]) == ("fixture", REPO)
    refused = evening.terminal.type("repoagents doctor", code=1)
    assert "delete `smoke_fixture_path` in .ai-repoagents/repoagents.yaml" in refused
    assert "ok    checkout: clean" in refused, "the copy in ops/ is no change"
    evening.edit(f"  {SMOKE}\n", "")


def first_line(path: Path) -> str:
    """The first line that a reader sees."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        text = re.sub(r"<[^>]*>", "\n", text.partition("<body")[2].partition(">")[2])
    return next(line for line in text.splitlines() if line.strip())


def look_at_a_plan(evening: Evening) -> None:
    """Step 7: both dry runs leave no run."""
    said = evening.type(7)
    for part in ("#123: add() subtracts", "eligible: yes", "adding.py", "safety.allow_open_pr"):
        assert part in said
    roles = re.findall(r"^  (planner|builder|reviewer) +command", said, re.MULTILINE)
    assert roles == ["planner", "builder", "reviewer"] * 2
    assert "yes issue 123: add() subtracts" in said
    assert evening.status(123) is None


def work_on_one_issue(evening: Evening) -> None:
    """Step 8."""
    said = evening.type(8)
    assert re.search(r"^status +completed$", said, re.MULTILINE)
    assert "withheld by safety.allow_open_pr" in said
    (run,) = (path.parent for path in evening.control.glob("artifacts/issue-123/*/handoff.md"))
    made = {path.name for path in run.iterdir()}
    roles = ("planner", "builder", "reviewer")
    suffixes = (".json", ".md", ".prompt.md")
    assert {f"{role}{suffix}" for role in roles for suffix in suffixes} <= made
    assert {"changes.patch", "decision.json"} <= made
    assert (evening.control / "workspaces/issue-123" / run.name / "repo").is_dir()
    exported = json.loads((evening.control / "state/runs.json").read_text("utf-8"))
    assert [row["id"] for row in exported["runs"]] == [run.name]
    lines = (evening.control / "logs/repoagents.jsonl").read_text("utf-8").splitlines()
    assert {"run_queued", "run_settled"} <= {json.loads(line)["code"] for line in lines}


def run_the_loop(evening: Evening) -> None:
    """Step 9: the loop takes up what a maintainer labels, until it is told to end."""
    number = evening.hub.open_issue("Subtracts", "add(1, 1) is 0.", by="mia")
    evening.hub.label(number, "repoagents", by="mia")
    (typed,) = step(9).of("sh")
    line = f"{evening.put_in(typed).strip()} >../loop.log 2>&1 & echo $!"
    worker = int(evening.terminal.type(line))
    try:
        until(lambda: evening.status(number) is RunStatus.COMPLETED)
    finally:
        os.kill(worker, signal.SIGTERM)
    evening.terminal.type(f"wait {worker}", code=130)
    log = (evening.clone.parent / "loop.log").read_text(encoding="utf-8")
    assert "2 labelled repoagents; 1 queued" in log


def draw_the_dashboard(evening: Evening) -> None:
    """Step 10: by the script and directly; the page needs no network."""
    assert evening.type(10).split() == [".ai-repoagents/dashboard/index.html"] * 2
    page = (evening.control / "dashboard/index.html").read_text(encoding="utf-8")
    assert "Content-Security-Policy" in page
    assert re.search(r"<(?:script|link|img)[^>]+(?:src|href)=.?(?:https?:)?//", page) is None
    assert "add() subtracts" in page
    assert re.search(r"<option value=\"30\"[^>]* selected", page)


def fail_and_recover(evening: Evening) -> None:
    """Step 11: an edited issue whose agent ends with an error, then the page's way out."""
    evening.hub.edit_issue(123, body="add(2, 2) gives 0. It should give 4.", by="mia")
    broken = "REPOAGENTS_COMMAND__ARGV=\"['false']\" REPOAGENTS_AGENT__RETRY_LIMIT=1"
    evening.terminal.type(f"{broken} repoagents trigger 123", code=1)
    assert evening.status(123) is RunStatus.FAILED
    said = evening.type(11)
    assert re.search(r"^status +failed$", said, re.MULTILINE)
    assert evening.status(123) is RunStatus.COMPLETED
    assert "1 removed" in said, "the run of the text before the edit; the newest is kept"
    for number in (123, 124):
        (kept,) = evening.control.glob(f"workspaces/issue-{number}/*/repo")
        assert (kept / "adding.py").exists()


def open_the_writes(evening: Evening) -> None:
    """Step 12: with the flags on, what was proven is published, and no agent is asked again."""
    (flags,) = (yaml.safe_load(text) for text in step(12).of("yaml"))
    assert flags == {"safety": {"allow_write_comments": True, "allow_open_pr": True}}
    for flag in flags["safety"]:
        evening.edit(f"{flag}: false", f"{flag}: true")
    calls = Path(evening.clone.parent / "calls.log").read_text(encoding="utf-8")
    evening.terminal.type("repoagents github smoke --require-write-ready")
    said = evening.type(12)
    (pull,) = evening.hub.pulls
    assert pull.pull is not None
    assert pull.pull.draft
    assert f"/pull/{pull.number}" in said
    (comment,) = evening.hub.comments(123)
    assert comment.by == "repoagents-bot"
    assert Path(evening.clone.parent / "calls.log").read_text(encoding="utf-8") == calls


def try_a_webhook_out(evening: Evening) -> None:
    """The optional step: a payload as GitHub shows it."""
    payload = {
        "action": "labeled",
        "issue": {"number": 123},
        "label": {"name": "repoagents"},
        "repository": {"full_name": REPO},
        "sender": {"login": "mia"},
    }
    (evening.clone / "webhook.json").write_text(json.dumps(payload), encoding="utf-8")
    (typed,) = next(each for each in steps(PAGE) if "webhook" in each.heading).of("sh")
    assert f"look at {REPO}#123" in evening.terminal.type(typed)
    left = "checkout: clean; untracked: ops/github-smoke.fixture.json, webhook.json"
    assert left in evening.terminal.type("repoagents doctor"), "new runs go on"
    (evening.clone / "webhook.json").unlink()


def until(reached: Callable[[], object], seconds: float = 300) -> None:
    """Wait for it, with a deadline."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.1)
