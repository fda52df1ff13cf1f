"""The handoff bundle: everything a person needs who was not there, in one signed folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from repoagents.domain.check import Check
from repoagents.domain.run import Run
from repoagents.pipeline import dossier
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
from repoagents.views.dossier import Handoff
from repoagents.views.handoff import render_handoff
from repoagents.views.handoff_page import render_handoff_page
from repoagents.views.headline import headline
from repoagents.views.snapshot import Snapshot, instant
from repoagents.views.tables import (
    dashboard_row,
    render_dashboard_report,
    render_status_report,
    status_row,
)


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
    told = dossier.gather(books, run) if run else None
    texts = _texts(contents) | (_of_run(books, told) if told else {})
    landing = _landing(contents, told, (*texts, "README.md", "bundle.md", "index.html"))
    issue = landing.issue
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
        "headline": landing.headline,
        "open_in_order": ["index.html", "README.md", *(row[0] for row in landing.reading(".html"))],
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
        headline=landing.headline,
        fingerprint=fingerprint,
        rehearsal=snapshot.rehearsal,
    )
    _note(bundles, entry, books.settings.retention.bundles)
    return Made(folder, packed, entry)


def _texts(contents: Contents) -> dict[str, str]:
    """Every member that needs no other to be made."""
    snapshot = contents.snapshot
    texts = status_texts(snapshot, contents.standing)
    texts |= {
        "status.json": render_json(status_row(snapshot)),
        "status.md": render_status_report(snapshot),
        "dashboard.json": render_json(dashboard_row(snapshot)),
        "dashboard.md": render_dashboard_report(snapshot),
        "doctor.json": render_json({"checks": [vars(check) for check in contents.checks]}),
        "doctor.md": render_checks_report(contents.checks, snapshot.rehearsal),
    }
    return texts | contents.further


def _landing(contents: Contents, told: Handoff | None, names: Sequence[str]) -> Landing:
    snapshot, standing = contents.snapshot, contents.standing
    if told is None:
        return Landing(snapshot, standing, sorted(names))
    run = told.run
    line = headline(run, told.verdict, told.effects)
    folder = f"issue-{run.issue_number}"
    return Landing(snapshot, standing, sorted(names), run.issue_number, line, f"{folder}/handoff")


def _of_run(books: Books, told: Handoff) -> dict[str, str]:
    """What was kept of the one run, and its handoff as things stand now."""
    run, folder = told.run, f"issue-{told.run.issue_number}"
    kept = {name: books.artifacts.read(run.issue_number, run.id, name) for name in told.files}
    kept |= {"handoff.md": render_handoff(told), "handoff.html": render_handoff_page(told)}
    return {f"{folder}/{name}": text or "" for name, text in kept.items()}


def _note(bundles: Bundles, entry: BundleEntry, keep: int) -> None:
    entries = bundles.remember(entry, keep)
    bundles.write("latest.json", render_json(vars(entry)))
    bundles.write("latest.md", render_latest(entry))
    bundles.write("history.md", render_history(entries))
