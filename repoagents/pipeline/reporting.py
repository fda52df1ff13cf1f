"""The reports that operators open: written at one place, the same text for eye and script."""

from pathlib import Path

from repoagents.domain.smoke import Smoke
from repoagents.policy.attention import Standing
from repoagents.ports import Reports
from repoagents.views import documents
from repoagents.views.brief import brief_row, render_brief
from repoagents.views.ops_status import ops_status_row, render_ops_status
from repoagents.views.smoke import render_smoke, smoke_row
from repoagents.views.snapshot import Snapshot


def status_texts(snapshot: Snapshot, standing: Standing) -> dict[str, str]:
    """`ops-status` and `ops-brief`, each as JSON and as Markdown, by file name."""
    return {
        "ops-brief.json": render_json(brief_row(snapshot, standing)),
        "ops-brief.md": render_brief(snapshot, standing),
        "ops-status.json": render_json(ops_status_row(snapshot, standing)),
        "ops-status.md": render_ops_status(snapshot, standing),
    }


def write_status(reports: Reports, snapshot: Snapshot, standing: Standing) -> tuple[Path, ...]:
    """Write both reports; returns where."""
    texts = status_texts(snapshot, standing)
    return tuple(reports.write(f"reports/{name}", text) for name, text in texts.items())


def smoke_texts(smoke: Smoke) -> dict[str, str]:
    """`github-smoke`, as JSON and as Markdown, by file name."""
    return {
        "github-smoke.json": render_json(smoke_row(smoke)),
        "github-smoke.md": render_smoke(smoke),
    }


def write_smoke(reports: Reports, smoke: Smoke) -> tuple[Path, ...]:
    """Write the report; returns where."""
    texts = smoke_texts(smoke)
    return tuple(reports.write(f"reports/{name}", text) for name, text in texts.items())


def render_json(row: object) -> str:
    """A report's JSON text: indented, non-ASCII as it is, ended by a newline."""
    return documents.render_json(row) + "\n"
