"""What there is to see at the end: the runs, and what stands on GitHub, without ids and times."""

import re
import subprocess

from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.loopback import BOT
from repoagents.rehearsal.hub.records import Issue
from tests.integration.equivalence.neighbourhood import Neighbourhood

PASSING = (
    (re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}"), "RUN"),
    (re.compile(r"\b[0-9a-f]{7,40}\b"), "HASH"),
    (re.compile(r"(?:issuecomment-|discussion_r|answers=)\d+"), "COMMENT"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "SITE"),
    (re.compile(r"\S+/adding\.git"), "CLONE"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?: UTC|Z|\+00:00)?"), "TIME"),
    (re.compile(r"\b\d+(?:\.\d+)? s(?:econds)?\b|(?<=\| )\d+\.\d(?= \|)"), "SECONDS"),
)
"""What differs each time and says nothing."""


def seen(place: Neighbourhood) -> dict[str, object]:
    """Everything that must be the same, whichever way it came about."""
    hub = place.hub
    return {
        "runs": [_runs(place, issue.number) for issue in hub.issues if issue.pull is None],
        "issues": [_issue(hub, issue) for issue in hub.issues],
        "branches": {settled(name): _tree(hub, sha) for name, sha in sorted(hub.heads.items())},
    }


def settled(text: str) -> str:
    """A text without what differs each time."""
    for pattern, word in PASSING:
        text = pattern.sub(word, text)
    return text


def _runs(place: Neighbourhood, number: int) -> list[tuple[object, ...]]:
    return [
        (
            number,
            *(run.status.value, run.fingerprint, run.asked_by, run.generation, run.round, run.note),
            run.failure and (run.failure.kind.value, settled(run.failure.message)),
        )
        for run in sorted(place.house.runs.of_issue(number), key=lambda run: run.created_at)
    ]


def _issue(hub: LoopbackGitHub, issue: Issue) -> dict[str, object]:
    told: dict[str, object] = {
        "number": issue.number,
        "title": settled(issue.title),
        "body": settled(issue.body or ""),
        "state": (issue.state, issue.locked, sorted(issue.labels)),
        "ours": [settled(said.body) for said in hub.comments(issue.number) if said.by == BOT],
        "reactions": [
            sorted(reaction.content for reaction in said.reactions if reaction.by == BOT)
            for said in hub.comments(issue.number)
            if said.by != BOT
        ],
    }
    if issue.pull is not None:
        pull = issue.pull
        told["pull"] = (settled(pull.head), pull.base, pull.draft, pull.merged_at is not None)
        told["head"] = _tree(hub, pull.head_sha)
        told["replies"] = [settled(said.body) for said in pull.remarks if said.by == BOT]
    return told


def _tree(hub: LoopbackGitHub, sha: str) -> str:
    """Names and contents of a commit's files: its own hash holds a time."""
    asked = ["git", "--git-dir", hub.clone_url, "rev-parse", f"{sha}^{{tree}}"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
