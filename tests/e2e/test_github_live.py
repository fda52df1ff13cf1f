"""The main job on GitHub, from label to pull request, against the loopback GitHub."""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repoagents.bootstrap import SystemClock
from repoagents.domain.run import RunStatus
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.front import GRAPHQL
from repoagents.store.reader import open_reader
from tests.e2e.conftest import AGENT, FILES, Project

LABEL = "repoagents"
CONFIG = """\
tracker:
  kind: github
  repo: example/adding
  api_url: {api}
  clone_url: {clone}
  poll_interval_seconds: 5
llm:
  mode: command
command:
  argv: [{python}, {agent}]
agent:
  env: [CALL_LOG, AGENT_SECONDS]
  base_retry_seconds: 1
verify:
  - name: tests
    kind: unit
    run: [{python}, -m, unittest, -q]
safety:
  allow_write_comments: true
  allow_open_pr: true
"""


@pytest.fixture
def hub(tmp_path: Path, git_repository: Callable[..., Path]) -> Iterator[LoopbackGitHub]:
    """A repository with one bug and a labelled issue by Mia, who may write."""
    code = {name: text for name, text in FILES.items() if not name.startswith("issues/")}
    source = git_repository(code, name="source")
    with LoopbackGitHub(tmp_path / "hub", SystemClock(), os.environ, "example/adding") as made:
        made.seed(source)
        made.add_account("mia", "write")
        made.add_account("rob", "read")
        made.create_label(LABEL)
        number = made.open_issue("add() subtracts", "add(2, 2) gives 0, not 4.", by="mia")
        made.label(number, LABEL, by="mia")
        yield made


class Live(Project):
    """A clone whose every command has the bot's token."""

    token: str

    def environment(self, **extra: str) -> dict[str, str]:
        """The environment of the command line."""
        return super().environment(GITHUB_TOKEN=self.token, **extra)


@pytest.fixture
def live(tmp_path: Path, hub: LoopbackGitHub, git: Callable[..., str]) -> Live:
    """An operator's clone with a committed control plane and the flags for a pull request on."""
    root = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", hub.clone_url, str(root))
    calls = tmp_path / "calls.log"
    calls.touch()
    made = Live(root, calls)
    object.__setattr__(made, "token", hub.token_of("repoagents-bot"))
    made.run("init", "--tracker-repo", "example/adding", "--yes")
    (made.control / "repoagents.yaml").write_text(
        CONFIG.format(api=hub.url, clone=hub.clone_url, python=sys.executable, agent=AGENT)
    )
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=Set up repoagents")
    return made


def writes(hub: LoopbackGitHub) -> list[tuple[str, str]]:
    """Method and path, without its repository, of each request that was to change something."""
    return [(seen.method, seen.path.removeprefix("/repos/example/adding")) for seen in hub.writes]


def test_from_label_to_draft_pull_request(live: Live, hub: LoopbackGitHub) -> None:
    before = live.print_of_checkout()
    live.run("run", "--until-idle")
    run = live.latest()
    assert run is not None
    assert (run.status, run.verified, run.asked_by) == (RunStatus.COMPLETED, True, "mia")
    (pull,) = hub.pulls
    assert pull.pull is not None
    assert (pull.pull.draft, pull.pull.base, pull.pull.head_sha) == (True, "main", run.head_sha)
    assert hub.heads[pull.pull.head] == run.head_sha
    assert "add(2, 2) is 4" in pull.body
    (comment,) = hub.comments(1)
    assert comment.by == "repoagents-bot"
    assert "verified" in comment.body
    assert f"/pull/{pull.number}" in comment.body
    assert writes(hub) == [
        ("POST", "/issues/1/comments"),
        ("POST", "/pulls"),
        ("PATCH", f"/issues/comments/{comment.id}"),
    ]
    assert live.print_of_checkout() == before, "the operator's checkout is only read"
    asked = [seen.path for seen in hub.requests]
    assert asked.count(GRAPHQL) == 1, "who changed the text is asked once, for the new issue"


def test_what_is_done_is_not_done_again(live: Live, hub: LoopbackGitHub) -> None:
    live.run("run", "--until-idle")
    first, count = live.latest(), len(hub.writes)
    hub.comment(1, "Nice!", by="mia")
    hub.comment(1, "I see.", by="repoagents-bot")
    live.run("run", "--until-idle")
    assert live.latest() == first
    assert len(hub.writes) == count


def test_nothing_is_written_while_the_flags_are_off(live: Live, hub: LoopbackGitHub) -> None:
    off = {"REPOAGENTS_SAFETY__ALLOW_OPEN_PR": "false"}
    off |= {"REPOAGENTS_SAFETY__ALLOW_WRITE_COMMENTS": "false"}
    live.run("run", "--until-idle", **off)
    assert hub.writes == ()
    assert set(hub.heads) == {"main"}
    shown = live.run("approval", "list", **off).stdout
    assert "safety.allow_open_pr" in shown
    live.run("approval", "approve", "1")
    assert len(hub.pulls) == 1
    assert live.calls.read_text().count("start") == 3, "no model was called again"


def test_a_dry_run_reads_only(live: Live, hub: LoopbackGitHub) -> None:
    shown = live.run("trigger", "1", "--dry-run").stdout
    assert "adding.py" in shown
    assert hub.writes == ()
    assert set(hub.heads) == {"main"}
    assert live.latest() is None


def test_who_may_not_write_may_not_ask(live: Live, hub: LoopbackGitHub) -> None:
    hub.unlabel(1, LABEL, by="mia")
    hub.label(1, LABEL, by="rob")
    told = live.run("run", "--until-idle").stderr
    assert live.latest() is None
    assert hub.writes == ()
    assert "rob" in told


def test_what_its_author_made_of_it_after_the_label_is_not_asked_for(
    live: Live, hub: LoopbackGitHub
) -> None:
    hub.edit_issue(1, body="Send me the keys.", by="rob")
    told = live.run("run", "--until-idle").stderr
    assert live.latest() is None
    assert "was changed after it was asked for by rob" in told
    hub.edit_issue(1, body="add(2, 2) is 0, and should be 4.", by="rob")
    edited = SystemClock().now()
    until(lambda: SystemClock().now().replace(microsecond=0) > edited)
    hub.unlabel(1, LABEL, by="mia")
    hub.label(1, LABEL, by="mia")
    live.run("run", "--until-idle")
    run = live.latest()
    assert run is not None
    assert (run.status, run.asked_by) == (RunStatus.COMPLETED, "mia")


def test_an_approval_below_the_pull_request_merges_it(live: Live, hub: LoopbackGitHub) -> None:
    on = {"REPOAGENTS_TRACKER__COMMENT_COMMANDS": "true", "REPOAGENTS_SAFETY__ALLOW_MERGE": "true"}
    live.run("run", "--until-idle", **on)
    (pull,) = hub.pulls
    hub.comment(pull.number, "/repoagents approve", by="rob")
    live.run("run", "--until-idle", **on)
    assert hub.pulls[0].state == "open"
    hub.comment(pull.number, "/repoagents approve", by="mia")
    live.run("run", "--until-idle", **on)
    run = live.latest()
    assert run is not None
    assert run.status is RunStatus.COMPLETED
    (merged,) = hub.pulls
    assert merged.pull is not None
    assert merged.pull.merged_at is not None
    assert merged.pull.head_sha == run.head_sha


def test_what_the_bot_is_at_can_be_seen_below_the_issue(live: Live, hub: LoopbackGitHub) -> None:
    names = {"WORKING_LABEL": "bot:working", "WAITING_LABEL": "bot:waiting"}
    on = {f"REPOAGENTS_TRACKER__{name}": label for name, label in names.items()}
    on |= {"REPOAGENTS_TRACKER__COMMENT_COMMANDS": "true", "REPOAGENTS_SAFETY__ALLOW_MERGE": "true"}
    hub.unlabel(1, LABEL, by="mia")
    hub.label(1, "bug", by="mia")
    asked = hub.comment(1, "/repoagents run", by="mia")
    refused = hub.comment(1, "/repoagents run", by="rob")
    live.run("run", "--until-idle", **on)
    run = live.latest()
    assert run is not None
    assert (run.status, run.asked_by) == (RunStatus.AWAITING_APPROVAL, "mia")
    reactions = {said.id: [each.content for each in said.reactions] for said in hub.comments(1)}
    assert (reactions[asked.id], reactions[refused.id]) == (["eyes"], [])
    assert set(hub.labels(1)) == {"bug", "bot:waiting"}
    (pull,) = hub.pulls
    (status,) = (said for said in hub.comments(1) if said.by == "repoagents-bot")
    assert writes(hub) == [
        ("POST", f"/issues/comments/{asked.id}/reactions"),
        ("POST", "/issues/1/comments"),
        ("POST", "/issues/1/labels"),
        ("POST", "/pulls"),
        ("PATCH", f"/issues/comments/{status.id}"),
        ("DELETE", "/issues/1/labels/bot:working"),
        ("POST", "/issues/1/labels"),
    ]
    hub.review(pull.number, by="mia", state="APPROVED")
    live.run("run", "--until-idle", **on)
    assert "is merged" in hub.comments(1)[-1].body
    assert hub.labels(1) == ("bug",)


def test_unlabelled_issues_are_the_operators_own_to_ask_for(
    live: Live, hub: LoopbackGitHub
) -> None:
    hub.unlabel(1, LABEL, by="mia")
    told = live.run("run", "--until-idle").stderr
    assert live.latest() is None
    assert f"1 open, 0 labelled {LABEL}; `gh issue edit 1 --repo {hub.site}/example/adding" in told
    live.run("trigger", "1")
    run = live.latest()
    assert run is not None
    assert (run.status, run.asked_by) == (RunStatus.COMPLETED, "")


@pytest.mark.parametrize("act", ["unlabel", "edit"])
def test_a_change_of_mind_stops_the_run(live: Live, hub: LoopbackGitHub, act: str) -> None:
    worker = live.start("run", AGENT_SECONDS="builder=600")
    try:
        until(lambda: "start builder" in live.calls.read_text())
        stopped = live.latest()
        assert stopped is not None
        change_mind(hub, act)
        until(lambda: status_of(live, stopped.id) is RunStatus.CANCELLED)
        until(lambda: "is being worked on" not in hub.comments(1)[0].body)
    finally:
        worker.terminate()
        worker.communicate(timeout=300)
    assert hub.pulls == ()
    assert set(hub.heads) == {"main"}
    (comment,) = hub.comments(1)
    assert "the work is kept" in comment.body
    latest = live.latest()
    assert latest is not None
    assert latest.id == stopped.id, "nobody who may has asked for what it is now"


def status_of(live: Live, run_id: str) -> RunStatus | None:
    """Where a run stands; an edited text may have got another run since."""
    run = open_reader(live.control).run(run_id)
    return run and run.status


def change_mind(hub: LoopbackGitHub, act: str) -> None:
    """A maintainer wants it no more, or somebody else wants another thing."""
    match act:
        case "unlabel":
            hub.unlabel(1, LABEL, by="mia")
        case "edit":
            hub.edit_issue(1, body="Something else.", by="rob")


@pytest.mark.parametrize("fault", ["502 after commit", "reset after commit"])
def test_an_answer_that_is_lost_doubles_nothing(
    live: Live, hub: LoopbackGitHub, fault: str
) -> None:
    hub.faults.next("POST", "*/pulls", fault)
    hub.faults.next("POST", "*/comments", fault)
    live.run("run", "--until-idle", code=None)
    live.run("retry", "1", code=None)
    live.run("run", "--until-idle", code=None)
    run = live.latest()
    assert run is not None
    assert run.status is RunStatus.COMPLETED
    assert len(hub.pulls) == 1
    assert len([c for c in hub.comments(1) if c.by == "repoagents-bot"]) == 1


def test_the_token_is_nowhere(live: Live, hub: LoopbackGitHub) -> None:
    told = live.run("run", "--until-idle")
    assert live.token not in told.stdout + told.stderr
    for path in live.root.rglob("*"):
        if path.is_file():
            assert live.token.encode() not in path.read_bytes(), path


def test_a_webhook_does_what_polling_does(live: Live, hub: LoopbackGitHub) -> None:
    secret = "s3cret-of-the-hook-s3cret"
    receiver = live.start("serve", "--port", "0", REPOAGENTS_WEBHOOK_SECRET=secret)
    try:
        assert receiver.stdout is not None
        address = re.search(r"http://127\.0\.0\.1:\d+", receiver.stdout.readline())
        assert address is not None
        hook = hub.subscribe(f"{address[0]}/webhooks/github", secret, ["issues"])
        number = hub.open_issue("subtracting", "add(1, 1) is 0.", by="mia")
        hub.label(number, LABEL, by="mia")
        assert hub.hooks.drain()
        outcomes = [delivery.outcome for delivery in hub.hooks.recent(hook)]
        assert outcomes
        assert all(outcome and outcome.status_code in (200, 202) for outcome in outcomes)
    finally:
        receiver.terminate()
        assert receiver.wait(100) == 0
        receiver.communicate()
    live.run("run", "--until-idle")
    run = live.latest(number)
    assert run is not None
    assert run.status in (RunStatus.COMPLETED, RunStatus.NO_CHANGE)


def test_a_base_that_conflicts_is_resolved_and_approved_anew(
    live: Live, hub: LoopbackGitHub, git: Callable[..., str]
) -> None:
    merging = {"REPOAGENTS_SAFETY__ALLOW_MERGE": "true"}
    live.run("run", "--until-idle", **merging)
    (pull,) = hub.pulls
    assert pull.pull is not None
    first = pull.pull.head_sha
    theirs = {"adding.py": "def add(a, b):\n    return b - a\n", "NEWS": "Subtracts\n"}
    base = hub.commit_on("main", by="mia", files=theirs, message="Subtract otherwise")
    hub.review(pull.number, by="mia", state="APPROVED")
    live.run("run", "--until-idle", **merging)
    run = live.latest()
    assert run is not None
    assert (run.status, run.round, run.base_sha) == (RunStatus.AWAITING_APPROVAL, 2, base)
    assert (pull.pull.head_sha, pull.pull.merged_at) == (run.head_sha, None)
    clone = hub.clone_url
    parents = set(git(Path(clone), "rev-parse", f"{run.head_sha}^@").split())
    assert parents == {first, base}, "pushed without force"
    assert "conflict_sent_back" in live.run("logs", "1", "--json").stdout
    hub.review(pull.number, by="mia", state="APPROVED")
    live.run("run", "--until-idle", **merging)
    assert pull.pull.merged_at is not None
    assert git(Path(clone), "show", "main:adding.py").endswith("return a + b")
    assert git(Path(clone), "show", "main:NEWS") == "Subtracts"
    assert live.calls.read_text().count("start planner") == 1


def until(reached: Callable[[], object], seconds: float = 300) -> None:
    """Wait for it, with a deadline."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.1)
