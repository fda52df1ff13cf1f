"""Where issues come from and comments go back to, without a network."""

from pathlib import Path

from repoagents.domain.settings import Settings
from repoagents.ports import Artifacts
from repoagents.trackers.fixture import FixtureTracker
from repoagents.trackers.local import LocalTracker
from repoagents.trackers.local_file import LocalFileTracker
from repoagents.trackers.local_markdown import LocalMarkdownTracker


def lives_on_github(settings: Settings) -> bool:
    """Whether the issues come over a network, from no tracker of this room."""
    return settings.tracker.kind == "github" and settings.tracker.mode == "rest"


def make_tracker(
    settings: Settings, root: Path, control: Path, artifacts: Artifacts
) -> LocalTracker | FixtureTracker:
    """The tracker that the configuration names; it must not be live on GitHub."""
    tracker = settings.tracker
    if tracker.mode == "fixture":
        return FixtureTracker(root, root / tracker.fixtures_path)
    if tracker.kind == "local_file":
        path = root / (tracker.path or "issues.json")
        return LocalFileTracker(root, path, control, artifacts)
    path = root / (tracker.path or "issues")
    return LocalMarkdownTracker(root, path, control, artifacts)
