"""Verify commands and hooks, run for real."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from repoagents.agents import checks
from repoagents.agents.checks import ProjectChecks
from repoagents.agents.process import Supervisor
from repoagents.domain.reports import CheckOutcome, CheckResult, Plan
from repoagents.domain.settings import (
    AgentSettings,
    HookSettings,
    Settings,
    VerifySettings,
    WorkspaceSettings,
)
from repoagents.errors import Stopped
from repoagents.logs import Redactor
from repoagents.ports import Worktree
from tests.fakes.identity import RUN
from tests.integration.agents.conftest import PATIENCE, gone

TOKEN = "ghp_" + "6" * 36


class KeptArtifacts:
    """`ports.Artifacts` in memory."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.texts: dict[str, str] = {}

    def folder(self, issue_number: int, run_id: str) -> Path:
        return self.root

    def write(self, issue_number: int, run_id: str, name: str, text: str) -> Path:
        self.texts[f"{issue_number}/{run_id}/{name}"] = text
        return self.root / name

    def read(self, issue_number: int, run_id: str, name: str) -> str | None:
        return self.texts.get(f"{issue_number}/{run_id}/{name}")

    def keep_plan(self, issue_number: int, key: str, plan: Plan) -> None:
        raise NotImplementedError

    def find_plan(self, issue_number: int, key: str) -> Plan | None:
        return None

    def folders(self) -> tuple[tuple[int, str, Path], ...]:
        return ()

    def remove(self, issue_number: int, run_id: str) -> None:
        raise NotImplementedError


@pytest.fixture
def artifacts(tmp_path: Path) -> KeptArtifacts:
    """Where logs go."""
    return KeptArtifacts(tmp_path)


@pytest.fixture
def tree(worktree: Path) -> Worktree:
    """The run's worktree."""
    return Worktree(7, RUN, worktree)


@pytest.fixture
def make(
    ambient: dict[str, str],
    supervisor: Supervisor,
    redactor: Redactor,
    artifacts: KeptArtifacts,
) -> Callable[..., ProjectChecks]:
    """The checks under these settings."""

    def build(settings: Settings | None = None) -> ProjectChecks:
        return ProjectChecks(settings or Settings(), ambient, supervisor, redactor, artifacts)

    return build


@pytest.fixture
def verify(make: Callable[..., ProjectChecks], tree: Worktree) -> Callable[..., CheckResult]:
    """Run one command as a check."""

    def run(command: str | tuple[str, ...], seconds: float = 100, **agent: object) -> CheckResult:
        settings = Settings(agent=AgentSettings(**agent))  # type: ignore[arg-type]
        check = VerifySettings("tests", command, kind="unit")
        return asyncio.run(make(settings).verify(check, tree, "verify-tests", seconds))

    return run


def test_a_passing_check_keeps_its_evidence(
    verify: Callable[..., CheckResult], artifacts: KeptArtifacts
) -> None:
    result = verify("echo out; echo err >&2; echo out again")
    log = "out\nerr\nout again\n"
    assert artifacts.texts == {f"7/{RUN}/verify-tests.log": log}
    assert 0 < result.seconds < 100
    assert result == CheckResult(
        name="tests",
        kind="unit",
        command="echo out; echo err >&2; echo out again",
        required=True,
        outcome=CheckOutcome.PASSED,
        exit_code=0,
        seconds=result.seconds,
        tail=log,
        output_sha256=hashlib.sha256(log.encode()).hexdigest(),
        log="verify-tests.log",
    )
    assert result.usable


@pytest.mark.parametrize(
    ("command", "outcome", "code", "usable"),
    [
        ("exit 3", CheckOutcome.FAILED, 3, True),
        ("kill -9 $$", CheckOutcome.FAILED, -9, True),
        ("no-such-program", CheckOutcome.FAILED, 127, False),
        ("/etc/passwd", CheckOutcome.FAILED, 126, False),
        (("no-such-program", "-x"), CheckOutcome.NOT_STARTED, None, False),
        (("/etc/passwd",), CheckOutcome.NOT_STARTED, None, False),
        ((), CheckOutcome.NOT_STARTED, None, False),
        (("echo", "$HOME; exit 1"), CheckOutcome.PASSED, 0, True),
    ],
)
def test_each_ending_has_its_outcome(
    verify: Callable[..., CheckResult],
    command: str | tuple[str, ...],
    outcome: CheckOutcome,
    code: int | None,
    usable: bool,
) -> None:
    result = verify(command)
    assert (result.outcome, result.exit_code, result.usable) == (outcome, code, usable)


def test_a_check_that_could_not_start_says_why(verify: Callable[..., CheckResult]) -> None:
    assert "no-such-program" in verify(("no-such-program",)).tail


def test_a_check_that_takes_too_long_is_ended_with_its_children(
    verify: Callable[..., CheckResult],
) -> None:
    started = time.monotonic()
    for seconds in PATIENCE:
        result = verify("sleep 300 & echo $!; setsid sleep 300 & echo $!; wait", seconds=seconds)
        assert result.outcome is CheckOutcome.TIMED_OUT
        assert result.exit_code is None
        assert not result.usable
        pids = [int(line) for line in result.tail.split()]
        if len(pids) == 2:
            break
    assert time.monotonic() - started < 200
    assert [gone(pid) for pid in pids] == [True, True]


def test_what_a_check_leaves_running_is_ended(verify: Callable[..., CheckResult]) -> None:
    result = verify("sleep 300 & echo $!")
    assert result.outcome is CheckOutcome.PASSED
    assert gone(int(result.tail))


def test_a_check_runs_in_the_worktree_without_credentials(
    verify: Callable[..., CheckResult], ambient: dict[str, str], worktree: Path
) -> None:
    ambient |= {"CODEX_API_KEY": "k", "TEST_DATABASE": "db"}
    seen = verify("pwd; env", env=("TEST_DATABASE",)).tail
    lines = set(seen.splitlines())
    assert str(worktree) in lines
    assert "TEST_DATABASE=db" in lines
    assert f"REPOAGENTS_RUN_ID={RUN}" in lines
    for name in ("TOKEN", "SECRET", "UNRELATED", "CODEX_API_KEY"):
        assert name not in seen


def test_no_check_finds_what_an_earlier_one_left_in_an_isolated_home(
    verify: Callable[..., CheckResult],
) -> None:
    poison = "cd && mkdir .config && echo '[alias] x = !evil' > .config/git && ls -A"
    assert verify(poison, home="isolated").tail == ".config\n"
    assert verify("cd && ls -A", home="isolated").tail == ""


def test_a_check_asks_nobody(verify: Callable[..., CheckResult]) -> None:
    assert verify("read answer || echo nobody").tail == "nobody\n"


def test_the_log_is_redacted_and_clean(
    verify: Callable[..., CheckResult], artifacts: KeptArtifacts
) -> None:
    result = verify(f"printf 'a \\033[31mred\\033[0m {TOKEN[:9]}\\033[1m{TOKEN[9:]}\\n'")
    log = artifacts.texts[f"7/{RUN}/verify-tests.log"]
    assert log == result.tail == "a red [redacted]\n"
    assert result.output_sha256 == hashlib.sha256(log.encode()).hexdigest()
    assert TOKEN not in verify(f"echo {TOKEN}").command


def test_the_log_is_bounded_and_the_tail_short(
    verify: Callable[..., CheckResult],
    artifacts: KeptArtifacts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "LOG_BYTES", 20_000)
    result = verify("echo first; seq 100000; echo last")
    log = artifacts.texts[f"7/{RUN}/verify-tests.log"]
    assert log.startswith("first\n1\n2\n")
    assert "bytes left out]" in log
    assert log.endswith("100000\nlast\n")
    assert len(log) < 20_100
    assert result.tail == log[-4000:]


def test_a_stopped_run_stops_its_check(
    make: Callable[..., ProjectChecks], tree: Worktree, supervisor: Supervisor, worktree: Path
) -> None:
    async def scenario() -> None:
        check = VerifySettings("tests", "touch up; sleep 300")
        running = asyncio.ensure_future(make().verify(check, tree, "verify-tests", 300))
        while not (worktree / "up").exists():
            await asyncio.sleep(0.02)
        supervisor.stop(RUN, "interrupted")
        with pytest.raises(Stopped) as stopped:
            await running
        assert stopped.value.kind == "interrupted"

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["after_create", "before_run", "after_run", "before_remove"])
def test_each_hook_runs_its_line(
    make: Callable[..., ProjectChecks], tree: Worktree, artifacts: KeptArtifacts, name: str
) -> None:
    hooks = HookSettings(**{name: "echo hello > made; echo said"})
    chosen = make(Settings(workspace=WorkspaceSettings(hooks=hooks)))
    assert asyncio.run(chosen.hook(name, tree)) == ""
    assert (tree.path / "made").read_text() == "hello\n"
    assert artifacts.texts == {f"7/{RUN}/hook-{name}.log": "said\n"}


def test_a_hook_that_is_not_set_does_nothing(
    make: Callable[..., ProjectChecks], tree: Worktree, artifacts: KeptArtifacts
) -> None:
    assert asyncio.run(make().hook("before_run", tree)) == ""
    assert artifacts.texts == {}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("echo trouble; exit 3", "exit code 3: trouble"),
        ("exit 4", "exit code 4"),
        (f"echo {TOKEN}; exit 1", "exit code 1: [redacted]"),
    ],
)
def test_a_failing_hook_says_how(
    make: Callable[..., ProjectChecks], tree: Worktree, line: str, problem: str
) -> None:
    hooks = HookSettings(before_run=line, timeout_seconds=100)
    chosen = make(Settings(workspace=WorkspaceSettings(hooks=hooks)))
    assert asyncio.run(chosen.hook("before_run", tree)) == problem


def test_a_hook_that_takes_too_long_says_so(
    make: Callable[..., ProjectChecks], tree: Worktree
) -> None:
    for seconds in PATIENCE:
        hooks = HookSettings(before_run="echo slow; sleep 300", timeout_seconds=seconds)
        chosen = make(Settings(workspace=WorkspaceSettings(hooks=hooks)))
        problem = asyncio.run(chosen.hook("before_run", tree))
        assert problem.startswith(f"not done after {seconds} s")
        if problem.endswith("slow"):
            break
    assert problem == f"not done after {seconds} s: slow"


def test_a_hook_in_a_worktree_that_is_gone_says_so(
    make: Callable[..., ProjectChecks], tmp_path: Path
) -> None:
    hooks = HookSettings(before_remove="true")
    chosen = make(Settings(workspace=WorkspaceSettings(hooks=hooks)))
    problem = asyncio.run(chosen.hook("before_remove", Worktree(7, RUN, tmp_path / "gone")))
    assert problem.startswith("could not be started: ")
    assert "gone" in problem


def test_checks_and_hooks_have_a_temporary_folder_of_their_own(
    verify: Callable[..., CheckResult],
    make: Callable[..., ProjectChecks],
    tree: Worktree,
    artifacts: KeptArtifacts,
) -> None:
    line = 'echo "$TMPDIR"; touch "$TMPDIR/left"; mkdir -p "$TMPDIR/a/b"; chmod 0 "$TMPDIR/a"'
    hooks = HookSettings(before_run=line)
    asyncio.run(make(Settings(workspace=WorkspaceSettings(hooks=hooks))).hook("before_run", tree))
    folders = [verify(line).tail.strip(), verify(line).tail.strip()]
    folders.append(artifacts.texts[f"7/{RUN}/hook-before_run.log"].strip())
    assert len(set(folders)) == 3
    assert not any(Path(folder).exists() for folder in folders)


@pytest.mark.parametrize(
    ("printed", "kept"),
    [
        (r"\377\376ok\n", "��ok\n"),
        (r"\033[31mred\033[0m\n", "red\n"),
        (r"10%%\r20%%\r\n", "10%\n20%\n"),
        (r"\033]0;title\007\033]8;;http://x\033\\link\n", "link\n"),
        (r"a\000b\010c\n", "abc\n"),
    ],
)
def test_odd_output_is_plain_text(
    verify: Callable[..., CheckResult], printed: str, kept: str
) -> None:
    assert verify(f"printf '{printed}'").tail == kept


def test_quotes_and_variables_are_the_shells_in_a_string_only(
    verify: Callable[..., CheckResult],
) -> None:
    assert verify("""x='a b'; printf '%s|' "$x" $x; echo "it's" """).tail == "a b|a|b|it's\n"
    assert verify(("printf", "%s|", "$x", "; exit 1", "`id`")).tail == "$x|; exit 1|`id`|"
