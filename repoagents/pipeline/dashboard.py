"""The dashboard as things stand now: looked at, judged and drawn."""

from dataclasses import dataclass

from repoagents.pipeline.survey import Host, stand, survey
from repoagents.policy.attention import Standing
from repoagents.ports import Books
from repoagents.views.dashboard import render_dashboard
from repoagents.views.snapshot import Snapshot


@dataclass(frozen=True)
class Drawing:
    """The page, and what it was drawn from."""

    page: str
    snapshot: Snapshot
    standing: Standing


def draw(books: Books, host: Host, *, refresh: int = 0, artifacts: str | None = None) -> Drawing:
    """The page of this moment; for its options see `views.dashboard.render_dashboard`."""
    snapshot = survey(books, host)
    standing = stand(books, snapshot, host)
    page = render_dashboard(snapshot, standing, refresh=refresh, artifacts=artifacts)
    return Drawing(page, snapshot, standing)
