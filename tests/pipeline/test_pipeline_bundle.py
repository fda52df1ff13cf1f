"""The handoff bundle of a run: what is in it, in which order it is read, the same twice."""

import json
import re
from pathlib import Path

from repoagents.domain.check import Check
from repoagents.logs import Redactor
from repoagents.pipeline.bundle import Contents, Made, make_bundle
from repoagents.pipeline.survey import Host, stand, survey
from repoagents.store.bundle_check import examine
from repoagents.store.bundles import FileBundles
from tests.pipeline.conftest import Place

HOST = Host("1.2.3", free_bytes=5_000_000_000)
CHECKS = (Check("config", "ok", "read"), Check("disk", "warn", "full | soon", "room", "clean up"))


def bundled(place: Place, where: Path, run: bool = True) -> Made:
    """A bundle of the place as it stands, with the one run in full."""
    (found,) = place.house.runs.select()
    snapshot = survey(place.house, HOST)
    contents = Contents(
        snapshot,
        stand(place.house, snapshot, HOST),
        CHECKS,
        {"github-smoke.md": "# Smoke\n"},
        found if run else None,
    )
    return make_bundle(place.house, FileBundles(where, Redactor(())), contents, archive=True)


async def test_a_bundle_holds_what_a_person_needs_in_reading_order(
    place: Place, tmp_path: Path
) -> None:
    await place.flow(place.queue())

    made = bundled(place, tmp_path)

    names = {p.relative_to(made.folder).as_posix() for p in made.folder.rglob("*") if p.is_file()}
    assert {
        *("index.html", "README.md", "bundle.json", "bundle.json.sig", "bundle.md"),
        *("ops-brief.json", "ops-brief.md", "ops-status.json", "ops-status.md"),
        *("doctor.json", "doctor.md", "github-smoke.md"),
        *("status.json", "status.md", "dashboard.json", "dashboard.md"),
        *("issue-1/handoff.md", "issue-1/changes.patch", "issue-1/decision.json"),
        *("issue-1/planner.json", "issue-1/verify-fixed.log"),
    } <= names
    assert not [name for name in names if name.endswith((".prompt.md", ".jsonl"))]
    manifest = json.loads((made.folder / "bundle.json").read_text())
    assert manifest["open_in_order"] == [
        "index.html",
        "README.md",
        "issue-1/handoff.html",
        "ops-brief.md",
        "github-smoke.md",
        "ops-status.md",
    ]
    assert manifest["issue"] == 1
    page = (made.folder / "index.html").read_text()
    for path in re.findall(r'href="([^"#]+)"', page):
        assert path in names
    story = (made.folder / "issue-1/handoff.html").read_text()
    for path in re.findall(r'href="([^"#]+)"', story):
        assert f"issue-1/{path}" in names
    assert '<li><a href="issue-1/handoff.html">' in page
    assert "`issue-1/handoff.md`: what the bot did" in (made.folder / "README.md").read_text()
    headline = "Issue #1: a proven change is ready and not published."
    assert manifest["headline"].startswith(headline)
    assert made.entry.headline == manifest["headline"]
    assert f'<h1 id="happened">{headline}' in page
    assert not examine(made.folder).problems
    assert made.archive is not None
    assert not examine(made.archive).problems


async def test_every_member_in_markdown_or_html_names_the_fixture_first(
    place: Place, tmp_path: Path
) -> None:
    await place.flow(place.queue())
    place.with_settings(tracker=place.house.settings.tracker.__class__(mode="fixture"))

    made = bundled(place, tmp_path, run=False)

    told = [p for p in made.folder.iterdir() if p.suffix in (".md", ".html")]
    firsts = {path.name: path.read_text().partition("\n")[0] for path in told}
    del firsts["github-smoke.md"]  # given by the test as it is
    assert len(firsts) == 8
    for name, first in firsts.items():
        assert "Rehearsal: made from a fixture" in first, name
    assert json.loads((made.folder / "ops-brief.json").read_text())["rehearsal"]


async def test_the_same_state_at_the_same_instant_makes_the_same_bytes(
    place: Place, tmp_path: Path
) -> None:
    await place.flow(place.queue())

    first, second = bundled(place, tmp_path), bundled(place, tmp_path)

    assert first.archive is not None
    assert second.archive is not None
    assert first.archive.read_bytes() == second.archive.read_bytes()


async def test_the_newest_and_the_history_are_told_beside_the_bundles(
    place: Place, tmp_path: Path
) -> None:
    await place.flow(place.queue())
    first = bundled(place, tmp_path, run=False)
    place.clock.advance(60)

    second = bundled(place, tmp_path)

    ops = tmp_path / "reports/ops"
    latest = json.loads((ops / "latest.json").read_text())
    assert (latest["stamp"], latest["issue"]) == (second.folder.name, 1)
    assert f"{second.folder.name}/README.md" in (ops / "latest.md").read_text()
    history = json.loads((ops / "history.json").read_text())
    assert [row["stamp"] for row in history["bundles"]] == [second.folder.name, first.folder.name]
    assert first.folder.name in (ops / "history.md").read_text()
