"""Issues from a file in the shape that GitHub gives them; nothing is ever written."""

from pathlib import Path

from repoagents.domain.effect import Effect, effect_name
from repoagents.domain.issue import Issue
from repoagents.errors import TrackerError
from repoagents.ports import Hooks, Inspection, People, PullRequests
from repoagents.trackers.files import inside, read_text
from repoagents.trackers.json_issues import read_entries, read_spans
from repoagents.trackers.local import Entry, listed, single
from repoagents.trackers.spans import Span


class FixtureTracker:
    """The tracker for `tracker.mode: fixture`: reads like GitHub, refuses every write.

    `problems` says what the latest listing left out.
    """

    def __init__(self, root: Path, path: Path) -> None:
        """Issues stand in the file `path`, below `root`."""
        self._root = root
        self._path = path
        self.problems: tuple[str, ...] = ()
        self.people: People | None = None
        self.pulls: PullRequests | None = None
        self.inspection: Inspection | None = None
        self.hooks: Hooks | None = None

    def read_issues(self) -> tuple[Issue, ...]:
        """Every open issue, by number; pull requests, which GitHub lists too, are left out."""
        issues, self.problems = listed(self._entries())
        return issues

    def read_issue(self, number: int) -> Issue | None:
        """One issue; raises `TrackerError` when it cannot be read, or nobody can say."""
        return single(self._entries(), number)

    def find(self, effect: Effect) -> str | None:
        """Nothing ever stands anywhere."""
        return None

    def perform(self, effect: Effect) -> str:
        """Refuse."""
        raise TrackerError(
            f"{effect_name(effect)} refused: the issues come from the fixture {self._path.name}",
            next_step="Delete `mode: fixture` from the tracker section to work on real issues.",
        )

    def amend(self, effect: Effect, location: str) -> str | None:
        """Refuse."""
        return self.perform(effect)

    def _entries(self) -> tuple[Entry, ...]:
        path = inside(self._root, self._path)
        name = path.relative_to(self._root.resolve()).as_posix()
        text = read_text(path)
        found = (span for span in read_spans(text, name) if not _is_pull_request(span))
        return read_entries(text, map(_with_comments, found), name, "number")


def _is_pull_request(span: Span) -> bool:
    return isinstance(span.value, dict) and bool(span.value.get("pull_request"))


def _with_comments(span: Span) -> Span:
    """GitHub's listing has the number of comments where a comment's text would be."""
    if isinstance(span.value, dict) and isinstance(span.value.get("comments"), int):
        return Span(span.start, span.end, {**span.value, "comments": []})
    return span
