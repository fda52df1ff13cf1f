"""The handoff bundle: everything a person needs who was not there, in one signed folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from repoagents.domain.check import Check
from repoagents.domain.run import Run
from repoagents.pipeline.reporting import render_json, status_texts
from repoagents.policy.attention import Standing
from repoagents.ports import Books, BundleEntry, Bundles
from repoagents.views.bundle import (
    Landing,
    render_history,
    render_landing,
    render_landing_page,
    render_latest,
    render_manifest,
)
from repoagents.views.checks import render_checks_report
from repoagents.views.snapshot import Snapshot, instant

LEFT_OUT = (".prompt.md", ".events.jsonl", ".transcript.jsonl")
"""Artifacts of a run that stay on the bot's machine: what was sent to a model, and its events."""


@dataclass(frozen=True)
class Contents:
    """What goes into a bundle; `further` are members that are texts already, by path."""

    snapshot: Snapshot
    standing: Standing
    checks: Sequence[Check]
    further: dict[str, str]
    run: Run | None = None


@dataclass(frozen=True)
class Made:
    """A bundle as it lies on disk."""

    folder: Path
    archive: Path | None
    entry: BundleEntry


def make_bundle(books: Books, bundles: Bundles, contents: Contents, *, archive: bool) -> Made:
    """Write a bundle, put it at the head of the history, and prune that."""
    snapshot, standing, run = contents.snapshot, contents.standing, contents.run
    texts = _texts(books, contents)
    handoff = next((name for name in texts if name.endswith("/handoff.md")), "")
    names = (*texts, "README.md", "bundle.md", "index.html")
    issue = run.issue_number if run else 0
    landing = Landing(snapshot, standing, sorted(names), issue, handoff)
    texts["README.md"] = render_landing(landing)
    texts["index.html"] = render_landing_page(landing)
    listed = bundles.draft(texts).members
    draft = bundles.draft(texts | {"bundle.md": render_manifest(listed, snapshot)})
    made_at = instant(snapshot.now) or ""
    manifest = {
        "tool": f"repoagents {snapshot.version}",
        "made_at": made_at,
        "repo": snapshot.repo,
        "installation": snapshot.installation,
        "rehearsal": snapshot.rehearsal,
        "issue": issue or None,
        "level": standing.level.value,
        "headline": standing.headline,
        "open_in_order": ["index.html", "README.md", *(path for path, _ in landing.reading)],
        "redactions": sum(member.redactions for member in draft.members),
    }
    stamp = f"{snapshot.now:%Y%m%dT%H%M%SZ}"
    folder, packed, fingerprint = bundles.keep(stamp, draft, manifest, archive=archive)
    entry = BundleEntry(
        stamp=folder.name,
        made_at=made_at,
        archive=packed.name if packed else "",
        issue=issue,
        level=standing.level.value,
        headline=standing.headline,
        fingerprint=fingerprint,
    )
    _note(bundles, entry, books.settings.retention.bundles)
    return Made(folder, packed, entry)


def _texts(books: Books, contents: Contents) -> dict[str, str]:
    """Every member that needs no other to be made."""
    texts = status_texts(contents.snapshot, contents.standing)
    texts |= {
        "doctor.json": render_json({"checks": [vars(check) for check in contents.checks]}),
        "doctor.md": render_checks_report(contents.checks, contents.snapshot.rehearsal),
    }
    return texts | contents.further | (_of_run(books, contents.run) if contents.run else {})


def _of_run(books: Books, run: Run) -> dict[str, str]:
    """What was kept of the one run, as it lies in its artifacts."""
    number = run.issue_number
    names = books.artifacts.names(number, run.id)
    texts = {
        f"issue-{number}/{name}": books.artifacts.read(number, run.id, name) or ""
        for name in names
        if not name.endswith(LEFT_OUT)
    }
    first = f"issue-{number}/handoff.md"
    return {first: texts.pop(first), **texts} if first in texts else texts


def _note(bundles: Bundles, entry: BundleEntry, keep: int) -> None:
    entries = bundles.remember(entry, keep)
    bundles.write("latest.json", render_json(vars(entry)))
    bundles.write("latest.md", render_latest(entry))
    bundles.write("history.md", render_history(entries))
