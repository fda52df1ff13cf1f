"""Where issues come from and comments go back to, without a network."""

from pathlib import Path

from repoagents.domain.settings import Settings
from repoagents.ports import Artifacts
from repoagents.trackers.fixture import FixtureTracker
from repoagents.trackers.local_file import LocalFileTracker
from repoagents.trackers.local_markdown import LocalMarkdownTracker
from repoagents.trackers.unavailable import UnavailableTracker, why_not_available

EmbeddedTracker = LocalFileTracker | LocalMarkdownTracker | FixtureTracker | UnavailableTracker


def make_tracker(
    settings: Settings, root: Path, control: Path, artifacts: Artifacts
) -> EmbeddedTracker:
    """The tracker that the configuration names, or one that refuses when there is none such."""
    tracker, reason = settings.tracker, why_not_available(settings)
    if reason:
        return UnavailableTracker(reason)
    if tracker.mode == "fixture":
        return FixtureTracker(root, root / tracker.fixtures_path)
    if tracker.kind == "local_file":
        path = root / (tracker.path or "issues.json")
        return LocalFileTracker(root, path, control, artifacts)
    path = root / (tracker.path or "issues")
    return LocalMarkdownTracker(root, path, control, artifacts)
