"""kill -9 in the middle of writing: what was acknowledged is there, the rest is whole or absent."""

import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from repoagents.domain.run import RunStatus
from repoagents.store.database import open_database
from repoagents.store.reader import open_reader
from tests.fakes.clock import FakeClock

WRITER = """
import sys
from pathlib import Path
from repoagents.domain.effect import PushBranch
from repoagents.domain.issue import Issue
from repoagents.domain.run import Run, RunStatus
from repoagents.store.database import open_database
from tests.fakes.clock import FakeClock

clock = FakeClock()
books = open_database(sys.argv[1], clock=clock)
number = len(books.runs.select((), 100_000))
while True:
    number += 1
    now = clock.now()
    run = Run(f"run-{number}", number, "T" * 500, "f", RunStatus.QUEUED, now, now)
    assert books.runs.add(run, Issue(number, "T"))
    print("added", flush=True)
    assert books.runs.replace(run, run.start(now))
    print("started", flush=True)
    books.ledger.intend(run.id, PushBranch(run.id, number, "b", "c"), now)
    print("intended", flush=True)
"""


def killed_writer(path: Path, seconds: float) -> Counter[str]:
    """Let a writer work for a while, kill it, and return how many writes of each kind it told."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = [process.stdout.readline()]
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    told += process.stdout.readlines()
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    return Counter(line.strip() for line in told)


def written(control: Path) -> Counter[str]:
    """How many writes of each kind the state holds."""
    reader = open_reader(control)
    runs = reader.runs(limit=100_000)
    counts = reader.counts()
    # Each write is all or nothing: the tallies agree with the rows.
    assert counts == Counter(run.status for run in runs)
    intended = sum(len(reader.effects(run.id)) for run in runs)
    return Counter(added=len(runs), started=counts.get(RunStatus.IN_PROGRESS, 0), intended=intended)


@pytest.mark.parametrize("seed", range(2))
def test_no_acknowledged_write_is_lost(control: Path, path: Path, seed: int) -> None:
    chance = random.Random(seed)
    before: Counter[str] = Counter()
    for _ in range(4):
        told = killed_writer(path, chance.uniform(0, 0.15))
        after = written(control)
        assert told["added"] > 0
        # Nothing that was told is missing, and at most one write had not been told yet.
        assert after - before >= told
        assert (after - before - told).total() <= 1
        before = after
        books = open_database(path, clock=FakeClock())
        for run in books.runs.select((), 100_000):
            assert books.runs.issue(run.id).number == run.issue_number
        books.close()


MAKER = """
import sys
from tests.fakes.clock import FakeClock
from repoagents.store.database import open_database
print("go", flush=True)
open_database(sys.argv[1], clock=FakeClock())
print("made", flush=True)
sys.stdin.read()
"""


def test_a_kill_while_the_state_is_made_leaves_none_or_all(control: Path, path: Path) -> None:
    whole = 0.0
    for part in (None, 0.0, 0.2, 0.4, 0.6, 0.8):
        process = subprocess.Popen(
            [sys.executable, "-c", MAKER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        began = time.monotonic()
        if part is None:
            assert process.stdout.readline() == "made\n"
            whole = time.monotonic() - began
        else:
            time.sleep(whole * part)
        process.kill()
        process.communicate()
        assert part is not None or path.exists()
        # Whatever was left, the next one opens a whole state.
        open_database(path, clock=FakeClock()).close()
        assert path.exists()
        assert open_reader(control).counts() == {}
        shutil.rmtree(path.parent)
