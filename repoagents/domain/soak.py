"""What a soak measures: the worker's readings, and what its people and GitHub saw."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """One look at a worker that has nothing to do.

    `process` is its pid, `at` seconds since the soak began, `memory` bytes in use, `files` open
    descriptors, `children` its processes, `scratch` what lies in its temporary folder.
    """

    process: int
    at: float
    memory: int
    files: int
    threads: int
    children: int
    scratch: int


@dataclass(frozen=True)
class Tally:
    """What was asked of the worker and what was wrong with what came of it, in sentences.

    `stuck` are issues whose run does not come to rest, or not to the end that its people gave it.
    `doubled` are effects that stand twice, `lost` deliveries that were answered and are unknown,
    `left` worktrees and temporary files that nothing will remove, `bugs` what went wrong inside.
    """

    issues: int = 0
    merged: int = 0
    faults: int = 0
    kills: int = 0
    deliveries: int = 0
    stuck: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    bugs: tuple[str, ...] = ()
