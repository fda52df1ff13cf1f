"""What it costs to poll a repository of 1,000 labelled issues that has not changed.

Prints JSON and ends with exit code 1 unless the second poll is one conditional request that costs
nothing of GitHub's quota. Every request goes over HTTP to a loopback GitHub.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from repoagents.bootstrap import SystemClock
from repoagents.domain.settings import TrackerSettings
from repoagents.github.auth import Surroundings
from repoagents.github.connection import connect
from repoagents.github.tracker import GitHubTracker
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.loopback import BOT

ISSUES = 1_000
LIMITS = {"requests": 1, "unconditional": 0, "quota": 0}
"""Of the second poll."""


class Silent:
    """A journal that keeps nothing."""

    def note(self, code: str, message: str, **fields: object) -> None:
        """Nothing."""

    def warn(self, code: str, message: str, **fields: object) -> None:
        """Nothing."""


def connected(hub: LoopbackGitHub) -> GitHubTracker:
    """The bot's tracker."""
    settings = TrackerSettings(repo=hub.full_name, api_url=hub.url)
    around = Surroundings({"GITHUB_TOKEN": hub.token_of(BOT)}, Path(), lambda: "")
    return connect(settings, around, {}, SystemClock(), Silent()).tracker


def fill(hub: LoopbackGitHub) -> None:
    """As many issues as it takes, each with the trigger label."""
    label = TrackerSettings().trigger_label or ""
    hub.add_account("ann", "write")
    for number in range(1, ISSUES + 1):
        hub.open_issue(f"Change {number}", "Words.\n" * 100, [label], by="ann")


def cost(hub: LoopbackGitHub, poll: Callable[[], object]) -> dict[str, float]:
    """What a poll takes: requests, those without an ETag, quota, and milliseconds."""
    before, used, started = len(hub.requests), hub.forge.quota.used, time.perf_counter()
    poll()
    took = (time.perf_counter() - started) * 1000
    seen = hub.requests[before:]
    return {
        "requests": len(seen),
        "unconditional": sum("if-none-match" not in request.headers for request in seen),
        "quota": hub.forge.quota.used - used,
        "ms": round(took, 1),
    }


def measure(folder: Path) -> dict[str, dict[str, float]]:
    """The first poll, and the second of the same repository."""
    with LoopbackGitHub(folder, SystemClock(), os.environ) as hub:
        fill(hub)
        tracker = connected(hub)
        figures = {name: cost(hub, tracker.read_issues) for name in ("first", "second")}
        found = len(tracker.read_issues())
    if found != ISSUES:
        raise SystemExit(f"{found} of {ISSUES} issues were found")
    return figures


def main() -> int:
    """Measure and judge."""
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder))
    print(json.dumps({"figures": figures, "limits": {"second": LIMITS}}))
    return int(any(figures["second"][name] != limit for name, limit in LIMITS.items()))


if __name__ == "__main__":
    sys.exit(main())
