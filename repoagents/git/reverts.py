"""What was taken back on the base: the commits that later commits there say they revert."""

import re
from datetime import datetime

from repoagents.domain.change import TakenBack
from repoagents.git.mirror import Mirror

_SAYS = re.compile(r"^This reverts commit ([0-9a-f]{40}(?:[0-9a-f]{24})?)\b", re.MULTILINE)
"""What `git revert` writes, and GitHub's button as well."""


def read_taken_back(mirror: Mirror, branch: str, since: datetime) -> tuple[TakenBack, ...]:
    """Reverted commits by what the base says as it was last fetched; no request is made.

    A revert that was itself reverted counts for nothing.
    """
    ref = f"refs/base/{branch}"
    asked = (
        "log",
        "-z",
        "--topo-order",
        f"--since={since.isoformat()}",
        "--format=%H%n%B",
        ref,
        "--",
    )
    taken: set[str] = set()
    for record in mirror.git.run(*asked).out.decode("utf-8", "replace").split("\0"):
        commit, _, message = record.partition("\n")
        if commit not in taken:  # the newest come first
            taken.update(_SAYS.findall(message))
    return tuple(_told(mirror, name) for name in sorted(taken) if mirror.knows(name))


def _told(mirror: Mirror, commit: str) -> TakenBack:
    line = mirror.git.run("show", "--no-patch", "--format=%P%x00%s", f"{commit}^{{commit}}").line
    parents, _, subject = line.partition("\0")
    return TakenBack(commit, tuple(parents.split()), subject)
