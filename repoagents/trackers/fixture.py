"""Issues from a file in the shape that GitHub gives them; nothing is ever written."""

from repoagents.domain.effect import Effect, effect_name
from repoagents.errors import TrackerError
from repoagents.trackers.files import inside, read_text
from repoagents.trackers.json_issues import read_entries, read_spans
from repoagents.trackers.local import Entry, FileTracker
from repoagents.trackers.spans import Span


class FixtureTracker(FileTracker):
    """The tracker for `tracker.mode: fixture`: reads like GitHub, refuses every write."""

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
        name, text = self._shown(path), read_text(path)
        found = (span for span in read_spans(text, name) if not _is_pull_request(span))
        return read_entries(text, map(_with_comments, found), name, "number")


def _is_pull_request(span: Span) -> bool:
    return isinstance(span.value, dict) and bool(span.value.get("pull_request"))


def _with_comments(span: Span) -> Span:
    """GitHub's listing has the number of comments where a comment's text would be."""
    if isinstance(span.value, dict) and isinstance(span.value.get("comments"), int):
        return Span(span.start, span.end, {**span.value, "comments": []})
    return span
