"""Whether a soak passed: nothing leaked, stuck, doubled or lost."""

from collections.abc import Iterator, Sequence

from repoagents.domain.soak import Reading, Tally

MORE_MEMORY = 50_000_000
MORE_FILES, MORE_THREADS = 10, 16
"""How much more a worker may hold at its last rest than at its first: caches and pools fill up."""


def why_failed(readings: Sequence[Reading], tally: Tally) -> tuple[str, ...]:
    """Every reason, the worst first; empty when it passed."""
    found = (*tally.doubled, *tally.lost, *tally.stuck, *tally.bugs, *tally.left, *_leaks(readings))
    return found if tally.issues else ("no issue was worked on", *found)


def growth(readings: Sequence[Reading]) -> tuple[Reading, Reading] | None:
    """The first and the last reading of the process that was looked at most often.

    None when no process was looked at twice: then nothing is known of what it leaks.
    """
    by_process: dict[int, list[Reading]] = {}
    for reading in readings:
        by_process.setdefault(reading.process, []).append(reading)
    longest = max(by_process.values(), key=len, default=[])
    return (longest[0], longest[-1]) if len(longest) > 1 else None


def _leaks(readings: Sequence[Reading]) -> Iterator[str]:
    for reading in readings:
        if reading.children:
            yield f"{reading.children} processes were left running after {reading.at:.0f} s"
        if reading.scratch:
            yield f"{reading.scratch} temporary files were left after {reading.at:.0f} s"
    span = growth(readings)
    if span is None:
        return
    first, last = span
    for what, before, after, most in (
        ("bytes of memory", first.memory, last.memory, MORE_MEMORY),
        ("open files", first.files, last.files, MORE_FILES),
        ("threads", first.threads, last.threads, MORE_THREADS),
    ):
        if after - before > most:
            yield f"{what} grew from {before:,} to {after:,}"
