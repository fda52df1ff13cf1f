"""Issues in one JSON file: an array, or `{"issues": […]}`; comments go back into it."""

import json
import shlex

from repoagents.domain.effect import PostComment
from repoagents.domain.markers import has_marker, render_marked
from repoagents.errors import TrackerError
from repoagents.trackers import spans
from repoagents.trackers.files import edit_text, inside, read_text
from repoagents.trackers.json_issues import read_entries, read_spans
from repoagents.trackers.local import AUTHOR, Entry, LocalTracker, single
from repoagents.trackers.spans import Span


class LocalFileTracker(LocalTracker):
    """The tracker `local_file`; everything but our own comments stays as it was typed."""

    def _entries(self) -> tuple[Entry, ...]:
        text = self._read()
        return read_entries(text, self._spans(text), self._name, "id")

    def _find_comment(self, effect: PostComment) -> str | None:
        issue = self.read_issue(effect.issue_number)
        if issue is None:
            return None
        wanted = render_marked(effect.marker, effect.body)
        stands = any(comment.body == wanted for comment in issue.comments)
        return self._location(effect) if stands else None

    def _put_comment(self, effect: PostComment) -> str:
        edit_text(inside(self._root, self._path), self._control, lambda t: self._edit(t, effect))
        return self._location(effect)

    def _edit(self, text: str, effect: PostComment) -> str:
        issue = self._span_of(text, effect.issue_number)
        comments = spans.member(text, issue, "comments")
        said = render_marked(effect.marker, effect.body)
        new: object = {"author": AUTHOR, "body": said}
        if comments is None:
            rendered = spans.render(text, spans.lead(text, issue), [new])
            return spans.append(text, issue, f'"comments": {rendered}')
        if not comments.value:
            return spans.replace(text, comments, spans.render(text, spans.lead(text, issue), [new]))
        items = spans.items(text, comments)
        for item in items:
            body = spans.member(text, item, "body") if isinstance(item.value, dict) else item
            if body is not None and has_marker(str(body.value), effect.marker):
                string = json.dumps(said, ensure_ascii=text.isascii())
                return spans.replace(text, body, string)
        if all(isinstance(item.value, str) for item in items):
            new = said
        rendered = spans.render(text, spans.lead(text, comments), new)
        return spans.append(text, comments, rendered)

    def _span_of(self, text: str, number: int) -> Span:
        found = self._spans(text)
        entries = read_entries(text, found, self._name, "id")
        if single(entries, number) is None:
            raise TrackerError(f"{self._name} has no issue {number} to comment on")
        return next(s for e, s in zip(entries, found, strict=True) if e.number == number)

    def _read(self) -> str:
        path = inside(self._root, self._path)
        if not path.exists():
            raise TrackerError(
                f"there is no {self._name}, where tracker.path expects the issues",
                next_step=f"Create it: echo '[]' > {shlex.quote(self._name)}",
            )
        return read_text(path)

    def _spans(self, text: str) -> list[Span]:
        return read_spans(text, self._name)

    def _location(self, effect: PostComment) -> str:
        return f"{self._name}, issue {effect.issue_number}"

    @property
    def _name(self) -> str:
        return self._shown(inside(self._root, self._path))
