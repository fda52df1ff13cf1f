"""The brief, the operations report and the landing of a bundle."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest

from repoagents.domain.check import Check
from repoagents.domain.reports import Usage
from repoagents.domain.run import Failure, FailureClass, RunStatus, Stage
from repoagents.policy.attention import Signs, Standing, weigh
from repoagents.ports import BundleEntry, Day, Member
from repoagents.views.brief import brief_row, render_brief, render_brief_text
from repoagents.views.bundle import (
    Landing,
    render_history,
    render_landing,
    render_landing_page,
    render_latest,
    render_manifest,
)
from repoagents.views.checks import render_checks_report
from repoagents.views.ops_status import ops_status_row, render_ops_status
from repoagents.views.snapshot import Caps, Card, Snapshot
from repoagents.views.tables import (
    dashboard_row,
    render_dashboard_report,
    render_status_report,
    status_row,
)
from tests.unit.policy.builders import NOW
from tests.unit.views.stories import HOSTILE, WITHHELD, ended

BROKE = Failure(FailureClass.NETWORK, "no route to the model", "mend the network")


def a_snapshot(title: str = "Totals are off by one") -> Snapshot:
    done = ended(RunStatus.COMPLETED, title=title, verified=True)
    failed = ended(RunStatus.FAILED, BROKE, id="r8b", issue_number=8, title=title)
    return Snapshot(
        now=NOW + timedelta(hours=2),
        runs=(failed, done),
        counts={RunStatus.COMPLETED: 1, RunStatus.FAILED: 1},
        repo="octo/tool",
        version="1.2.3",
        installation="a1b2",
        cards=(
            Card(failed, f"Issue #8: {title}", reasons=("no route",)),
            Card(
                done,
                "Issue #7: a proven change is ready and not published.",
                timings=((Stage.PLAN, 0, 12.5), (Stage.BUILD, 1, 60.0)),
                effects=WITHHELD,
                usage=Usage(3, 12_345, 0.42),
                findings=(("low", "reviewer", f"src/a.py:3: {title}"),),
                files=("changes.patch", "handoff.md"),
                waits=True,
            ),
        ),
        days=(Day(date(2026, 3, 3), {RunStatus.COMPLETED: 2}, Usage(4, 1_000, None), (60.0,)),),
        caps=Caps(Usage(3, 12_345, 0.42), Usage(7, 20_000, 0.9), {"limits.calls_per_hour": 100}),
        flags={"safety.allow_write_comments": False, "safety.allow_open_pr": True},
        free_bytes=5_000_000_000,
    )


def standing_of(snapshot: Snapshot) -> Standing:
    return weigh(Signs(snapshot.now, snapshot.runs, waiting=frozenset({"r7a"})))


def a_landing(snapshot: Snapshot) -> Landing:
    names = ("README.md", "dashboard.html", "index.html", "ops-brief.md", "ops-status.md")
    told = f"Issue #7: `x` {snapshot.repo}. Asked of you: nothing."
    members = (*names, "issue-7/handoff.html", "issue-7/handoff.md")
    return Landing(snapshot, standing_of(snapshot), members, 7, told, "issue-7/handoff")


@pytest.mark.parametrize("title", ["Totals are off by one", HOSTILE], ids=["plain", "hostile"])
def test_reports_golden(
    title: str, golden: Callable[[str, str], None], request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id
    snapshot = a_snapshot(title)
    standing = standing_of(snapshot)
    golden(f"ops-brief-{name}.md", render_brief(snapshot, standing))
    golden(f"ops-brief-{name}.txt", render_brief_text(snapshot, standing, 60) + "\n")
    golden(f"ops-status-{name}.md", render_ops_status(snapshot, standing))
    golden(f"ops-status-{name}.json", json.dumps(ops_status_row(snapshot, standing), indent=2))


def test_tables_hold_what_status_and_dashboard_show() -> None:
    snapshot = a_snapshot(HOSTILE)

    status, shown = status_row(snapshot), dashboard_row(snapshot)

    assert status["counts"] == {"completed": 1, "failed": 1}
    assert "#8     failed (network)" in render_status_report(snapshot)
    cards = shown["cards"]
    assert isinstance(cards, list)
    assert [card["issue"] for card in cards] == [8, 7]
    told = render_dashboard_report(snapshot)
    assert "| #7 | completed | Issue #7: a proven change is ready and not published. |" in told
    assert "| 2026-03-03 | 2 |" in told
    assert "@octocat" not in told
    assert "<!--" not in told


def test_landing_golden(golden: Callable[[str, str], None]) -> None:
    golden("bundle-landing.md", render_landing(a_landing(a_snapshot())))


def test_nothing_from_outside_becomes_markup_on_the_landing() -> None:
    snapshot = replace(a_snapshot(), repo="<script>alert(1)</script>")

    page = render_landing_page(a_landing(snapshot))

    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_at_most_five_points_and_the_rest_is_counted() -> None:
    snapshot = a_snapshot()
    standing = standing_of(snapshot)
    many = replace(standing, concerns=standing.concerns[:1] * 7)

    row = brief_row(snapshot, many)

    findings = row["findings"]
    assert isinstance(findings, list)
    assert (len(findings), row["more"]) == (5, 2)
    assert "2 more in ops-status.md" in render_brief(snapshot, many)
    assert {"severity", "title", "evidence", "next_command"} <= set(findings[0])


def test_a_fixture_is_named_on_the_first_line_of_everything() -> None:
    snapshot = replace(a_snapshot(), rehearsal="Rehearsal: made from a fixture.")
    standing = standing_of(snapshot)

    for text in (
        render_brief(snapshot, standing),
        render_ops_status(snapshot, standing),
        render_landing(a_landing(snapshot)),
        render_landing_page(a_landing(snapshot)),
        render_manifest((), snapshot),
        render_checks_report((), snapshot.rehearsal),
        render_status_report(snapshot),
        render_dashboard_report(snapshot),
        render_brief_text(snapshot, standing, 60),
    ):
        assert "Rehearsal: made from a fixture." in text.partition("\n")[0]
    assert ops_status_row(snapshot, standing)["rehearsal"] == snapshot.rehearsal


def test_the_manifest_says_what_was_hidden() -> None:
    members = (Member("a.md", 1_234, "ab" * 32, 0), Member("b.md", 5, "cd" * 32, 2))

    told = render_manifest(members, a_snapshot())

    assert "2 times a secret was hidden." in told
    assert f"| `b.md` | 5 | `{'cd' * 32}` | 2 |" in told
    assert "Nothing had to be hidden." in render_manifest(members[:1], a_snapshot())


def test_checks_are_told_with_why_and_fix() -> None:
    told = render_checks_report((Check("disk", "warn", "a | b", "room", "clean"),), "")

    assert "ready: 0 in error, 1 to look at" in told
    assert r"| warn | disk | a \| b | room | `clean` |" in told


def test_the_history_names_every_bundle() -> None:
    entry = BundleEntry("20260304T050607Z", "2026-03-04", "x.zip", 7, "idle", "Idle | ok", "F")

    assert "`20260304T050607Z/README.md`; the archive is `x.zip`" in render_latest(entry)
    assert r"| `20260304T050607Z` | #7 | idle | Idle \| ok | `x.zip` |" in render_history([entry])
    rehearsed = replace(entry, rehearsal="Rehearsal.")
    assert render_latest(rehearsed).startswith("**Rehearsal.**\n")
    assert r"| idle | Rehearsal. Idle \| ok |" in render_history([rehearsed, entry])
