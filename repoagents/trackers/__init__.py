"""Where issues come from and comments go back to, without a network."""

from pathlib import Path

from repoagents.domain.settings import Settings
from repoagents.errors import ConfigError
from repoagents.ports import Artifacts
from repoagents.trackers.fixture import FixtureTracker
from repoagents.trackers.local_file import LocalFileTracker
from repoagents.trackers.local_markdown import LocalMarkdownTracker

EmbeddedTracker = LocalFileTracker | LocalMarkdownTracker | FixtureTracker


def make_tracker(
    settings: Settings, root: Path, control: Path, artifacts: Artifacts
) -> EmbeddedTracker:
    """The tracker that the configuration names; raises `ConfigError` when there is none such."""
    tracker = settings.tracker
    if tracker.mode == "fixture":
        return FixtureTracker(root, root / tracker.fixtures_path)
    if tracker.kind == "local_file":
        path = root / (tracker.path or "issues.json")
        return LocalFileTracker(root, path, control, artifacts)
    if tracker.kind == "local_markdown":
        path = root / (tracker.path or "issues")
        return LocalMarkdownTracker(root, path, control, artifacts)
    raise ConfigError(
        f"tracker.kind {tracker.kind} is not available in this version",
        next_step="Use local_file or local_markdown, or tracker.mode: fixture.",
    )
