"""Real processes that misbehave in every way known, and the supervisor that outlives them."""

import asyncio
import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from repoagents.agents import family
from repoagents.agents.capture import LINE_BYTES, Capture, Lines
from repoagents.agents.process import Command, End, Supervisor
from repoagents.errors import Stopped
from tests.fakes.identity import RUN
from tests.integration.agents.conftest import PATIENCE, gone

MakeCommand = Callable[..., Command]


async def test_output_errors_and_exit_code_are_kept_apart(
    supervisor: Supervisor, python: MakeCommand
) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    lines: list[str] = []
    ended = await supervisor.run(python(code), lines.extend)
    assert (ended.end, ended.exit_code) == (End.EXITED, 3)
    assert (ended.output, ended.errors) == ("out\n", "err\n")
    assert lines == ["out"]
    assert 0 < ended.seconds < 100


async def test_errors_can_be_merged_in_order(supervisor: Supervisor, python: MakeCommand) -> None:
    code = "import os; os.write(1, b'a\\n'); os.write(2, b'b\\n'); os.write(1, b'c\\n')"
    ended = await supervisor.run(python(code, merge_errors=True))
    assert (ended.output, ended.errors) == ("a\nb\nc\n", "")


async def test_the_prompt_comes_whole_and_then_ends(
    supervisor: Supervisor, python: MakeCommand
) -> None:
    prompt = "ä" * 500_000
    code = "import sys; t = sys.stdin.read(); print(len(t), t[-1:], repr(sys.stdin.read()))"
    ended = await supervisor.run(python(code, stdin=prompt))
    assert ended.output == "500000 ä ''\n"


async def test_who_asks_on_stdin_gets_no_answer(
    supervisor: Supervisor, python: MakeCommand
) -> None:
    ended = await supervisor.run(python("input('really? ')"))
    assert ended.exit_code == 1
    assert "EOFError" in ended.errors


async def test_a_prompt_that_nobody_reads_is_no_error(
    supervisor: Supervisor, python: MakeCommand
) -> None:
    ended = await supervisor.run(python("import os; os.close(0)", stdin="x" * 1_000_000))
    assert ended.exit_code == 0


async def test_the_environment_is_what_was_given_and_the_marker(
    supervisor: Supervisor, python: MakeCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMETHING_OF_OURS", "1")
    ended = await supervisor.run(python("import os, json; print(json.dumps(dict(os.environ)))"))
    seen = json.loads(ended.output)
    assert seen.pop("LC_CTYPE", "C.UTF-8") == "C.UTF-8"  # Python's own coercion
    assert not Path(seen.pop("TMPDIR")).exists()
    assert not Path(seen.pop("HOME")).exists()
    assert seen == {"PATH": os.environ["PATH"], "REPOAGENTS_RUN_ID": RUN}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows processes in /proc")
def test_what_is_started_cannot_look_into_us(tmp_path: Path) -> None:
    code = (
        "import ctypes, os, pathlib; from repoagents.agents.process import Supervisor\n"
        "ask = lambda: ctypes.CDLL(None).prctl(3)\n"
        "before = ask(); made = Supervisor(pathlib.Path('records'))\n"
        "child = 'import ctypes; print(ctypes.CDLL(None).prctl(3))'\n"
        f"ended = made.probe(({sys.executable!r}, '-c', child), os.environ, pathlib.Path.cwd())\n"
        "print(before, ask(), ended.output.strip())"
    )
    root = str(Path(__file__).parents[3])
    seen = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    assert seen.stdout == "1 0 1\n", "only we are hidden: of what we started we must find all"


async def test_it_runs_in_the_worktree_and_its_own_session(
    supervisor: Supervisor, python: MakeCommand, worktree: Path
) -> None:
    code = "import os; print(os.getcwd(), os.getsid(0) == os.getpid())"
    ended = await supervisor.run(python(code))
    assert ended.output == f"{worktree} True\n"


async def test_a_missing_program_is_a_value_not_an_exception(
    supervisor: Supervisor, python: MakeCommand, worktree: Path
) -> None:
    command = Command(("no-such-program",), worktree, {"PATH": "/bin"}, RUN, 5)
    ended = await supervisor.run(command)
    assert ended.end is End.NOT_STARTED
    assert ended.errors == "No such file or directory: no-such-program"
    script = worktree / "script"
    script.write_text("not executable")
    ended = await supervisor.run(Command((str(script),), worktree, {}, RUN, 5))
    assert ended.end is End.NOT_STARTED
    ended = await supervisor.run(Command(("a\0b",), worktree, {"PATH": "/bin"}, RUN, 5))
    assert ended.end is End.NOT_STARTED


async def test_silence_is_ended(supervisor: Supervisor, python: MakeCommand) -> None:
    ended = await supervisor.run(python("import time; time.sleep(300)", idle_seconds=0.5))
    assert ended.end is End.IDLE


@pytest.mark.parametrize("stream", [1, 2])
async def test_signs_of_life_put_silence_off(
    supervisor: Supervisor, python: MakeCommand, stream: int
) -> None:
    for seconds in PATIENCE:
        pause = f"time.sleep({seconds / 10})"
        code = f"import os, time\nfor _ in range(12): {pause}; os.write({stream}, b'.')"
        ended = await supervisor.run(python(code, deadline=300, idle_seconds=seconds))
        if ended.end is End.EXITED:
            break
    assert (ended.end, ended.output + ended.errors) == (End.EXITED, "............")


async def test_talk_does_not_put_the_deadline_off(
    supervisor: Supervisor, python: MakeCommand
) -> None:
    code = "import time\nwhile True: print('.', flush=True); time.sleep(0.05)"
    for seconds in PATIENCE:
        ended = await supervisor.run(python(code, deadline=seconds, idle_seconds=2 * seconds))
        assert ended.end is End.DEADLINE
        if ended.output:
            break
    assert ended.output.startswith(".\n.\n")


async def test_who_ignores_term_is_killed(
    supervisor: Supervisor, python: MakeCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert family.TERM_GRACE_SECONDS == 10
    monkeypatch.setattr(family, "TERM_GRACE_SECONDS", 1.5)
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True); time.sleep(300)"
    )
    for seconds in PATIENCE:
        started = time.monotonic()
        ended = await supervisor.run(python(code, idle_seconds=seconds))
        if ended.output:
            break
    assert ended.end is End.IDLE
    assert ended.exit_code == -9
    assert time.monotonic() - started >= 1.5


async def test_who_heeds_term_may_say_goodbye(supervisor: Supervisor, python: MakeCommand) -> None:
    code = (
        "import signal, sys, time\n"
        "def bye(*_): print('bye', flush=True); sys.exit(7)\n"
        "signal.signal(signal.SIGTERM, bye); print('ready', flush=True); time.sleep(300)"
    )
    for seconds in PATIENCE:
        ended = await supervisor.run(python(code, idle_seconds=seconds))
        if ended.output:
            break
    assert (ended.output, ended.exit_code) == ("ready\nbye\n", 7)


FORK_AND_LEAVE = """
import os, subprocess, sys, time
child = subprocess.Popen(
    [sys.executable, "-c", "import time; time.sleep(300)"], start_new_session={session}, env={env}
)
print(child.pid, flush=True)
time.sleep({seconds})
"""


@pytest.mark.parametrize(
    ("session", "env"), [(False, "None"), (True, "None"), (False, "{}")], ids=str
)
async def test_a_grandchild_that_holds_the_pipe_is_ended(
    supervisor: Supervisor, python: MakeCommand, session: bool, env: str
) -> None:
    code = FORK_AND_LEAVE.format(session=session, env=env, seconds=0)
    started = time.monotonic()
    ended = await supervisor.run(python(code))
    assert (ended.end, ended.exit_code) == (End.EXITED, 0)
    assert gone(int(ended.output))
    assert time.monotonic() - started < 200


async def test_a_child_without_marker_and_session_is_known_by_its_parent(
    supervisor: Supervisor, python: MakeCommand
) -> None:
    said: list[str] = []

    def stop(lines: list[str]) -> None:
        said.extend(lines)
        supervisor.stop(RUN, "cancelled")

    with pytest.raises(Stopped):
        await supervisor.run(
            python(FORK_AND_LEAVE.format(session=True, env="{}", seconds=60)), stop
        )
    assert gone(int(said[0]))


async def test_a_stubborn_straggler_is_killed_after_two_seconds(
    supervisor: Supervisor, python: MakeCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(family, "TERM_GRACE_SECONDS", 100)
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('ready', flush=True); time.sleep(300)"
    )
    code = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {stubborn!r}], "
        "stdout=subprocess.PIPE, start_new_session=True)\n"
        "child.stdout.readline(); print(child.pid)"
    )
    started = time.monotonic()
    ended = await supervisor.run(python(code))
    assert gone(int(ended.output))
    assert 2 <= time.monotonic() - started < 100


async def test_a_family_that_keeps_forking_is_ended(
    supervisor: Supervisor, python: MakeCommand, worktree: Path
) -> None:
    code = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "while True:\n"
        "    open('heartbeat', 'w').close()\n"
        "    if os.fork(): os._exit(0)\n"
        "    os.setsid(); time.sleep(0.03)\n"
    )
    ended = await supervisor.run(python(code))
    assert ended.exit_code == 0
    heartbeat = worktree / "heartbeat"
    heartbeat.unlink(missing_ok=True)
    await asyncio.sleep(0.3)
    assert not heartbeat.exists()


async def test_who_closes_its_output_and_runs_on_is_waited_for(
    supervisor: Supervisor, python: MakeCommand
) -> None:
    code = "import os, time; os.close(1); os.close(2); time.sleep(0.5); os._exit(5)"
    ended = await supervisor.run(python(code))
    assert (ended.exit_code, ended.output) == (5, "")
    assert ended.seconds >= 0.5


async def test_exit_zero_without_a_word(supervisor: Supervisor, python: MakeCommand) -> None:
    lines: list[str] = []
    ended = await supervisor.run(python("pass"), lines.extend)
    assert (ended.exit_code, ended.output, lines) == (0, "", [])


async def test_a_line_of_50_mb_is_cut(supervisor: Supervisor, python: MakeCommand) -> None:
    code = (
        "import sys\nfor _ in range(50): sys.stdout.write('x' * 1_000_000)\nprint(); print('after')"
    )
    lines: list[str] = []
    ended = await supervisor.run(python(code, keep_tail=1000), lines.extend)
    assert [len(line) for line in lines] == [LINE_BYTES, 5]
    assert lines[1] == "after"
    assert ended.output.endswith("xx\nafter\n")
    assert len(ended.output) < 1100


@pytest.mark.slow
async def test_output_without_end_is_bounded(supervisor: Supervisor, python: MakeCommand) -> None:
    code = (
        "import os\nblock = (b'y' * 99 + b'\\n') * 10_000\n"
        "for _ in range(100): os.write(1, block)\nos.write(1, b'last\\n')"
    )
    before = psutil.Process().memory_info().rss
    count = 0

    def listen(lines: list[str]) -> None:
        nonlocal count
        count += len(lines)

    ended = await supervisor.run(python(code, deadline=400, keep_head=100, keep_tail=1000), listen)
    assert count == 1_000_001
    assert ended.output.startswith("y" * 99 + "\n\n[")
    assert "bytes left out]" in ended.output
    assert ended.output.endswith("last\n")
    assert psutil.Process().memory_info().rss - before < 40_000_000


async def test_undecodable_bytes_are_replaced(supervisor: Supervisor, python: MakeCommand) -> None:
    code = "import os; os.write(1, b'a\\xff\\xfeb\\n\\xc3'); os.write(2, b'\\xff')"
    lines: list[str] = []
    ended = await supervisor.run(python(code), lines.extend)
    assert lines == ["a��b", "�"]
    assert ended.errors == "�"


async def test_stop_from_another_thread(
    supervisor: Supervisor, python: MakeCommand, processes: Path
) -> None:
    lines: list[str] = []

    def stop_when_ready() -> None:
        while not lines:
            time.sleep(0.02)
        assert len(list(processes.glob(f"{RUN}-*.json"))) == 1
        supervisor.stop("another-run", "cancelled")
        supervisor.stop(RUN, "cancelled")

    thread = threading.Thread(target=stop_when_ready)
    thread.start()
    started = time.monotonic()
    with pytest.raises(Stopped) as stopped:
        await supervisor.run(
            python("import os, time; print(os.getpid(), flush=True); time.sleep(300)"), lines.extend
        )
    thread.join()
    assert stopped.value.kind == "cancelled"
    assert time.monotonic() - started < 100
    assert gone(int(lines[0]))


async def test_a_stop_during_the_start_is_not_lost(
    supervisor: Supervisor, python: MakeCommand
) -> None:
    async def stop_at_once() -> None:
        supervisor.stop(RUN, "interrupted")

    running = asyncio.ensure_future(supervisor.run(python("import time; time.sleep(60)")))
    await asyncio.sleep(0)
    await stop_at_once()
    with pytest.raises(Stopped) as stopped:
        await running
    assert stopped.value.kind == "interrupted"


async def test_cancelling_the_task_ends_the_process(
    supervisor: Supervisor, python: MakeCommand
) -> None:
    lines: list[str] = []
    command = python("import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    running = asyncio.ensure_future(supervisor.run(command, lines.extend))
    while not lines:
        await asyncio.sleep(0.02)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert gone(int(lines[0]))


async def test_a_listener_that_fails_ends_the_process(
    supervisor: Supervisor, python: MakeCommand
) -> None:
    pids: list[int] = []

    def listen(lines: list[str]) -> None:
        pids.append(int(lines[0]))
        raise OSError("the disk is full")

    command = python("import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    with pytest.raises(OSError, match="disk is full"):
        await supervisor.run(command, listen)
    assert gone(pids[0])


async def test_the_record_says_who_runs_and_is_readable_by_people(
    supervisor: Supervisor, python: MakeCommand, processes: Path
) -> None:
    seen: list[dict[str, object]] = []

    def listen(lines: list[str]) -> None:
        paths = list(processes.iterdir())
        assert [path.suffix for path in paths] == [".json"]
        assert stat.S_ISREG(paths[0].stat().st_mode)
        seen.append(json.loads(paths[0].read_text()) | {"name": paths[0].name})

    ended = await supervisor.run(python("import os; print(os.getpid())"), listen)
    pid = int(ended.output)
    assert seen[0]["name"] == f"{RUN}-{pid}.json"
    assert seen[0]["pid"] == pid
    assert seen[0]["run_id"] == RUN
    assert str(seen[0]["program"]).startswith("python")
    assert list(processes.iterdir()) == []


def test_probe_runs_without_a_loop(supervisor: Supervisor, worktree: Path) -> None:
    ended = supervisor.probe(("sh", "-c", "echo one; exit 4"), {"PATH": "/bin:/usr/bin"}, worktree)
    assert (ended.output, ended.exit_code) == ("one\n", 4)


def test_lines_are_cut_wherever_chunks_end() -> None:
    text = b"one\ntwo\n\nthree"
    for size in range(1, len(text) + 1):
        splitter = Lines()
        lines = [
            line
            for start in range(0, len(text), size)
            for line in splitter.feed(text[start : start + size])
        ]
        assert [*lines, *splitter.rest()] == ["one", "two", "", "three"]


def test_a_capture_keeps_both_ends() -> None:
    capture = Capture(4, 4)
    for letter in b"abcdefghijklmnop":
        capture.feed(bytes([letter]))
    assert capture.text() == "abcd\n[8 bytes left out]\nmnop"
    short = Capture(4, 4)
    short.feed(b"abcdefgh")
    assert short.text() == "abcdefgh"
