"""The tracker in the place of one that this version does not have: every use of it is refused."""

from repoagents.domain.effect import Effect
from repoagents.domain.issue import Issue
from repoagents.domain.settings import Settings
from repoagents.errors import ConfigError
from repoagents.ports import People

NEXT_STEP = (
    "Set tracker.kind to local_file or local_markdown, or read GitHub's issues from a file: "
    "tracker.mode: fixture."
)


def why_not_available(settings: Settings) -> str | None:
    """Why this version cannot use the tracker of a configuration, or None."""
    tracker = settings.tracker
    if tracker.kind != "github" or tracker.mode == "fixture":
        return None
    return "tracker.kind github is not available in this version"


def require_available(settings: Settings) -> None:
    """Raises `ConfigError` with the next step unless this version has the tracker."""
    reason = why_not_available(settings)
    if reason:
        raise ConfigError(reason, next_step=NEXT_STEP)


class UnavailableTracker:
    """`ports.Tracker` that refuses everything, so that `doctor` can look at all the rest."""

    def __init__(self, reason: str) -> None:
        self._refusal = ConfigError(reason, next_step=NEXT_STEP)
        self.problems: tuple[str, ...] = ()
        self.people: People | None = None

    def read_issues(self) -> tuple[Issue, ...]:
        """Refuse."""
        raise self._refusal

    def read_issue(self, number: int) -> Issue | None:
        """Refuse."""
        raise self._refusal

    def find(self, effect: Effect) -> str | None:
        """Refuse."""
        raise self._refusal

    def perform(self, effect: Effect) -> str:
        """Refuse."""
        raise self._refusal
