"""The work, driven as people drive it: on the example project, without a model."""

import json
import re
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from repoagents import bootstrap
from repoagents.bootstrap import SystemClock
from repoagents.cli import desk
from repoagents.cli.app import run
from repoagents.domain.run import RunStatus
from repoagents.store.worker_lock import Owner, hold
from tests.integration.cli.conftest import CONFIG, queue

STAGES = ["prepare", "base_check", "plan", "build", "verify", "review", "verdict", "publish"]

SLOW = """\
import os, pathlib, time
pathlib.Path(os.environ["SLOW_MARK"]).write_text(str(os.getpid()))
time.sleep(600)
"""


SLOW_CONFIG = """\
tracker:
  kind: local_markdown
  path: issues
llm:
  mode: command
command:
  argv: [python3, "{agent}"]
agent:
  env: [SLOW_MARK]
"""


@pytest.fixture
def slow(example: Path, tmp_path: Path, git: Callable[..., str], monkeypatch) -> tuple[Path, Path]:
    """A project whose planner does not end; gives its root and the file with the agent's pid."""
    agent, mark = tmp_path / "agent.py", tmp_path / "agent.pid"
    agent.write_text(SLOW)
    (example / CONFIG).write_text(SLOW_CONFIG.format(agent=agent))
    for issue in (example / "issues").glob("[2-9]-*.md"):
        issue.unlink()
    git(example, "commit", "--quiet", "--all", "--message=Slow")
    monkeypatch.setenv("SLOW_MARK", str(mark))
    return example, mark


def pid_in(mark: Path) -> int:
    """The agent's process id, once it has begun."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        if mark.exists() and mark.read_text():
            return int(mark.read_text())
        time.sleep(0.05)
    pytest.fail("the agent did not start")


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the second, once the file is open
        return False
    return state != "Z"


def wait_until_dead(pid: int) -> bool:
    """Whether the process ends, long before it would end by itself."""
    deadline = time.monotonic() + 100
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


def test_one_issue_from_trigger_to_branch(repoagents, example: Path, git) -> None:
    head = git(example, "rev-parse", "HEAD")
    done = repoagents(example, "trigger", "1")
    assert done.code == 0, done.err
    told = re.findall(r"^\d\d:\d\d:\d\d issue 1 (\w+)", done.out, re.MULTILINE)
    assert [word for word in told if word in STAGES[1:7]] == STAGES[1:7]
    assert told[-1] == "completed"
    assert "Issue #1: a proven change is ready and not published" in done.out
    handoff = re.search(r"read first: (.*)", done.out)
    assert handoff
    assert (example / handoff[1]).is_file()
    page = (example / ".ai-repoagents" / "dashboard" / "index.html").read_text()
    assert "a proven change is ready and not published" in page, "as it was at the end"

    again = repoagents(example, "trigger", "1")
    assert again.code == 0
    assert again.out.startswith("issue #1 is completed and its text has not changed")

    shown = repoagents(example, "approval", "show", "1")
    assert "withheld by safety.allow_open_pr" in shown.out
    refused = repoagents(example, "approval", "approve", "1")
    assert refused.code == 1
    assert "safety.allow_open_pr is off" in refused.out
    flag = {"REPOAGENTS_SAFETY__ALLOW_OPEN_PR": "true"}
    approved = repoagents(example, "approval", "approve", "1", "--json", **flag)
    assert approved.code == 0
    assert json.loads(approved.out)["answers"][0]["outcome"].startswith("published: ")
    branch = git(example, "for-each-ref", "--format=%(refname:short)", "refs/heads/repoagents")
    assert branch.startswith("repoagents/issue-1-")
    assert git(example, "merge-base", branch, "main") == head
    assert git(example, "status", "--porcelain") == ""
    assert "nothing waits" in repoagents(example, "approval", "list").out

    removed = repoagents(example, "clean", "--json")
    assert json.loads(removed.out)["bytes"] > 0
    assert (
        repoagents(example, "clean").out
        == "nothing to remove; blocked runs and unpublished results keep their worktrees\n"
    )
    assert "run_settled" in repoagents(example, "logs", "1").out


def test_a_rejected_result_is_never_published(repoagents, example: Path) -> None:
    assert repoagents(example, "trigger", "2").code == 0
    waiting = json.loads(repoagents(example, "approval", "list", "--json").out)["waiting"]
    assert [row["issue"] for row in waiting] == [2]
    assert waiting[0]["flags"]
    rejected = repoagents(example, "approval", "reject", "2", "--note", "not this way")
    assert (rejected.code, "rejected:" in rejected.out) == (0, True)
    flag = {"REPOAGENTS_SAFETY__ALLOW_OPEN_PR": "true"}
    assert repoagents(example, "approval", "approve", "2", **flag).code == 1
    assert repoagents(example, "approval", "show", "2").code == 1


def test_run_until_idle_works_off_every_issue(repoagents, example: Path) -> None:
    done = repoagents(example, "run", "--until-idle", "--json")
    assert done.code == 0, done.err
    runs = json.loads(done.out)["runs"]
    assert sorted(run["issue"] for run in runs) == [1, 2, 3, 4, 5]
    assert {run["status"] for run in runs} == {"completed"}
    status = json.loads(repoagents(example, "status", "--json", "--limit", "2").out)
    assert status["counts"] == {"completed": 5}
    assert len(status["runs"]) == 2
    assert "completed" in repoagents(example, "status").out
    nothing = repoagents(example, "run", "--once")
    assert nothing.code == 0
    assert "nothing to do" in nothing.out


def test_a_dry_run_leaves_no_row(repoagents, example: Path) -> None:
    dry = repoagents(example, "trigger", "1", "--dry-run")
    assert dry.code == 0, dry.err
    for word in ("eligible: yes", "no model is called", "plainly/duration.py", "allow_open_pr"):
        assert word in dry.out
    cycle = json.loads(
        repoagents(example, "run", "--dry-run", "--once", "--no-agent", "--json").out
    )
    assert [row["issue"] for row in cycle["candidates"]] == [1, 2, 3, 4, 5]
    assert [preview["issue_number"] for preview in cycle["previews"]] == [1]
    assert cycle["previews"][0]["plan"] is None
    assert not list((example / ".ai-repoagents/state").glob("*.sqlite*"))
    listed = repoagents(example, "run", "--dry-run", "--no-agent").out
    assert "yes issue 5: slugify" in listed
    assert "plan_reused" in repoagents(example, "trigger", "1").err


def test_a_failed_run_is_1_and_can_be_sent_back(repoagents, example: Path, git) -> None:
    config = example / CONFIG
    config.write_text(config.read_text().replace("mode: rehearsal", "mode: command") + BROKEN)
    git(example, "commit", "--quiet", "--all", "--message=Break")
    failed = repoagents(example, "trigger", "1", "--json")
    assert failed.code == 1
    run = json.loads(failed.out)["run"]
    assert run["status"] in ("failed", "retry_pending")
    shown = repoagents(example, "status", "--issue", "1")
    assert shown.code == 0
    assert run["failure"]["kind"] in shown.out

    config.write_text(config.read_text().replace("mode: command", "mode: rehearsal"))
    git(example, "commit", "--quiet", "--all", "--message=Mend")
    queued = repoagents(example, "retry", "1", "--note", "now it works")
    assert queued.code == 0
    assert "queued: run" in queued.out
    assert "no worker is live: start one with `repoagents run`" in queued.out
    assert repoagents(example, "run", "--until-idle").code == 0
    shown = json.loads(repoagents(example, "status", "--issue", "1", "--json").out)
    assert shown["runs"][0]["status"] == "completed"
    assert [stage["stage"] for stage in shown["stages"]][-1] == "verdict"


BROKEN = """
command:
  argv: ["false"]
agent:
  retry_limit: 1
  base_retry_seconds: 0
"""


def test_blocked_runs_are_sent_back_by_their_reason(repoagents, example: Path, git) -> None:
    config = example / CONFIG
    config.write_text(config.read_text().replace("python3, -m, unittest", "no-such-program"))
    git(example, "commit", "--quiet", "--all", "--message=Break")
    blocked = repoagents(example, "trigger", "1")
    assert blocked.code == 1
    assert "issue 1 blocked" in blocked.out
    assert "cannot be run on this machine" in blocked.out
    other = repoagents(example, "retry", "--blocked", "--reason", "question")
    assert other.out == "no run matches\n"
    sent = repoagents(example, "retry", "--blocked", "--reason", "environment", "--json")
    assert sent.code == 0
    (answer,) = json.loads(sent.out)["answers"]
    assert answer["issue"] == 1
    assert answer["outcome"].startswith("queued: run")
    assert repoagents(example, "cancel", "1").code == 0
    assert "cancelled" in repoagents(example, "status").out


def test_an_approval_goes_through_the_live_worker(repoagents, started, example: Path) -> None:
    assert repoagents(example, "trigger", "1").code == 0
    # Whatever else the worker takes up, the request is answered within a tick.
    worker = started(example, "run", REPOAGENTS_SAFETY__ALLOW_OPEN_PR="true")
    deadline = time.monotonic() + 200
    while "is live" not in repoagents(example, "status").out and time.monotonic() < deadline:
        time.sleep(0.2)
    approved = repoagents(example, "approval", "approve", "1")
    assert approved.code == 0, approved.out + approved.err
    assert "issue 1: published: branch" in approved.out
    again = repoagents(example, "approval", "approve", "1")
    assert again.code == 1
    assert f"pid {worker.pid}" in again.err


def test_retry_of_what_cannot_be_retried_says_why(repoagents, example: Path) -> None:
    never = repoagents(example, "retry", "1")
    assert never.code == 1
    assert "issue 1 has no run yet" in never.out
    none = repoagents(example, "retry", "--blocked")
    assert (none.code, none.out) == (0, "no run matches\n")
    assert repoagents(example, "cancel", "1").code == 1


def test_ctrl_c_ends_the_agent_and_parks_the_run(slow, started, repoagents) -> None:
    root, mark = slow
    worker = started(root, "trigger", "1")
    agent = pid_in(mark)
    worker.send_signal(signal.SIGINT)
    out, err = worker.communicate(timeout=200)
    assert worker.returncode == 130, out + err
    assert "issue 1: the agent was ended and the run is parked" in err
    assert "`repoagents trigger 1`" in err
    assert not alive(agent)
    run = json.loads(repoagents(root, "status", "--json").out)["runs"][0]
    assert run["status"] == "queued"


def test_following_a_live_worker(slow, started, repoagents) -> None:
    root, mark = slow
    worker = started(root, "run")
    agent = pid_in(mark)

    second = repoagents(root, "run", "--once")
    assert second.code == 1
    assert f"pid {worker.pid}" in second.err
    assert "another worker is live: `repoagents run`" in second.err
    assert f"pid {worker.pid}" in repoagents(root, "status").out

    follower = started(root, "trigger", "1")
    assert "issue 1 plan" in follower.stdout.readline()
    follower.send_signal(signal.SIGINT)
    _, err = follower.communicate(timeout=200)
    assert follower.returncode == 130
    assert "detached; the work goes on" in err
    assert alive(agent)

    follower = started(root, "trigger", "1")
    assert "issue 1 plan" in follower.stdout.readline()
    cancelled = repoagents(root, "cancel", "1")
    assert cancelled.code == 0, cancelled.out
    assert "the work is kept" in cancelled.out
    out, _ = follower.communicate(timeout=200)
    assert follower.returncode == 1
    assert "the work is kept" in out
    assert wait_until_dead(agent)

    worker.send_signal(signal.SIGTERM)
    _, err = worker.communicate(timeout=200)
    assert worker.returncode == 130
    assert "stopped; nothing was under way" in err


def test_cancel_ends_the_agent_of_a_dead_worker(slow, started, repoagents) -> None:
    root, mark = slow
    worker = started(root, "trigger", "1")
    agent = pid_in(mark)
    worker.kill()
    worker.wait()
    assert alive(agent)
    cancelled = repoagents(root, "cancel", "1")
    assert cancelled.code == 0, cancelled.out + cancelled.err
    assert wait_until_dead(agent)
    run = json.loads(repoagents(root, "status", "--json").out)["runs"][0]
    assert run["status"] == "cancelled"


def test_cancel_does_it_itself_when_the_worker_ends_before_it_heard(
    control: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    queue(control, (1, "Say hello"))
    seen = iter([Owner(1, "", "here", "repoagents run", "worker")])
    monkeypatch.setattr(desk, "holder", lambda _control: next(seen, None))
    monkeypatch.chdir(control)
    assert run(["cancel", "1"]) == 0
    assert "issue 1: cancelled: run" in capsys.readouterr().out
    with bootstrap.open_premises(control, terminal=True).house() as (house, _):
        left = house.runs.latest(1)
        assert left is not None
        assert left.status is RunStatus.CANCELLED
        assert house.inbox.pending() == ()


def test_who_gives_up_waiting_is_told_that_the_request_stands(
    control: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    queue(control, (1, "Say hello"))
    with bootstrap.open_premises(control, terminal=True).house() as (house, _):

        def holder(_control: Path) -> Owner:
            if house.inbox.pending():
                raise KeyboardInterrupt
            return Owner(1, "", "here", "repoagents run", "worker")

        monkeypatch.setattr(desk, "holder", holder)
        monkeypatch.chdir(control)
        assert run(["cancel", "1"]) == 130
        assert "what was asked for stands: a worker takes it up" in capsys.readouterr().err
        assert [request.kind for request in house.inbox.pending()] == ["cancel"]


def test_who_works_on_another_issue_is_asked_nothing(
    control: Path, started, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    queue(control, (1, "Say hello"))
    monkeypatch.chdir(control)
    with hold(control / ".ai-repoagents", "worker", SystemClock(), issue=2):
        assert run(["cancel", "1"]) == 0
        assert run(["retry", "1"]) == 0
        assert run(["approval", "approve", "1"]) == 1
        told = capsys.readouterr().out
        assert "issue 1: cancelled: run" in told
        assert "issue 1: queued: run" in told
        assert "is for its issue alone: start `repoagents run` once that has ended" in told
        assert "refused: nothing of issue 1 waits" in told
        given_up = started(control, "trigger", "1")
        assert "issue 1 waits for the end of `" in given_up.stderr.readline()
        given_up.send_signal(signal.SIGINT)
        _, err = given_up.communicate(timeout=200)
        assert given_up.returncode == 130
        assert "issue 1 was not begun; `" in err
        waiting = started(control, "trigger", "1")
        assert "waits for the end" in waiting.stderr.readline()
    out, err = waiting.communicate(timeout=200)
    assert "issue 1 blocked: the prompt template" in out, out + err


def test_trigger_works_itself_when_the_worker_ends_before_it_heard(control: Path, started) -> None:
    with bootstrap.open_premises(control, terminal=True).house() as (house, _):
        with hold(control / ".ai-repoagents", "worker", SystemClock()):
            left = started(control, "trigger", "1")
            deadline = time.monotonic() + 60
            while not house.inbox.pending() and time.monotonic() < deadline:
                time.sleep(0.05)
        out, err = left.communicate(timeout=60)
        assert "issue 1 blocked: the prompt template" in out, out + err
        assert house.inbox.pending() == ()


def test_a_follower_notices_that_the_worker_died(slow, started) -> None:
    root, mark = slow
    worker = started(root, "run")
    pid_in(mark)
    follower = started(root, "trigger", "1")
    assert "issue 1 plan" in follower.stdout.readline()
    worker.kill()
    worker.wait()
    _, err = follower.communicate(timeout=200)
    assert follower.returncode == 1
    assert "the worker has ended" in err


def test_watching_in_a_pipe_writes_what_changes(started, repoagents, example: Path) -> None:
    queue(example, (7, "Plain"))
    watching = started(example, "status", "--watch")
    assert "issue 7 queued" in watching.stdout.readline(), "it looks, from now on"
    assert repoagents(example, "trigger", "1").code == 0
    lines: list[str] = []
    while not any("issue 1 completed" in line for line in lines):
        lines.append(watching.stdout.readline())
        assert lines[-1], "it has ended"
    assert any("issue 1 build" in line for line in lines)
    watching.send_signal(signal.SIGINT)
    assert watching.wait(100) == 130


def test_the_demo_tells_a_story_with_real_places(repoagents, tmp_path: Path, git) -> None:
    done = repoagents(tmp_path, "demo")
    assert done.code == 0, done.out + done.err
    assert done.err == ""
    assert done.out.startswith("A rehearsal: no model is called")
    (root,) = (tmp_path / "demo").iterdir()
    for line in ("clone", "read first:", "the change:"):
        found = re.search(rf"^ +{line} +(\S+)$", done.out, re.MULTILINE)
        assert found, line
        assert (tmp_path / found[1]).exists()
    assert "Before  `python3 -m unittest -q`: passed" in done.out
    assert "After   `python3 -m unittest -q`: passed" in done.out
    assert "+    seconds = int(duration.total_seconds())" in done.out
    assert "mia approves pull request #6" in done.out
    assert "Pull request #6 is merged into main." in done.out
    assert "labels issue #1" in done.out
    assert "total_seconds" in (root / "pull-6.html").read_text()
    assert "verified" in (root / "issues-1.html").read_text()
    (typed,) = re.findall(r"^  git (--git-dir .*)$", done.out, re.MULTILINE)
    assert "total_seconds" in git(tmp_path, *typed.split())
    assert git(root / "clone", "status", "--porcelain") == ""


def test_the_demo_s_github_can_be_kept_up(started, tmp_path: Path) -> None:
    demo = started(tmp_path, "demo", "--keep")
    assert demo.stdout is not None
    line = next(line for line in demo.stdout if "stays up" in line)
    address = re.search(r"http://127\.0\.0\.1:\d+/\S+", line)
    assert address is not None
    with urllib.request.urlopen(f"{address[0]}/pull/6", timeout=100) as page:
        assert "total_seconds" in page.read().decode()
    demo.send_signal(signal.SIGINT)
    assert demo.wait(100) == 0
