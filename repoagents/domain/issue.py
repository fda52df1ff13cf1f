"""An issue as every tracker gives it, and the one reading of its text that runs are keyed by."""

import hashlib
import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class IssueState(StrEnum):
    """GitHub's two states of an issue."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True)
class Comment:
    """One comment below an issue; `ours` is true when this bot wrote it (known by its marker).

    Where a tracker knows accounts, `id` and `author_id` are its numbers, and `bot` is true for an
    author who is no person. `changed_at` is when the text was last written.
    """

    author: str
    body: str
    ours: bool = False
    id: int = 0
    author_id: int = 0
    bot: bool = False
    created_at: datetime | None = None
    changed_at: datetime | None = None

    @property
    def edited(self) -> bool:
        """Whether the text is not the first one; people who may write can edit anybody's."""
        return self.changed_at not in (None, self.created_at)

    def stood_at(self, instant: datetime) -> bool:
        """Whether the text was there before this instant; without a time nobody knows."""
        written = self.changed_at or self.created_at
        return written is not None and written < instant


@dataclass(frozen=True)
class Issue:
    """One issue, read whole.

    `number` is positive. `labels` are trimmed, lower-case, without duplicates. `author` may be
    empty (a deleted account, a local tracker). `source` names where it was read, for messages.
    `locked` conversations and pull requests are read like issues; neither gets a run.
    """

    number: int
    title: str
    body: str = ""
    labels: tuple[str, ...] = ()
    state: IssueState = IssueState.OPEN
    author: str = ""
    comments: tuple[Comment, ...] = ()
    created_at: datetime | None = None
    source: str = ""
    assignees: tuple[str, ...] = ()
    milestone: str = ""
    locked: bool = False
    pull_request: bool = False

    @property
    def fingerprint(self) -> str:
        """SHA-256 over title and body in one canonical form.

        Labels and comments are left out: the bot's own writes, and anybody's remark, must not
        start the work again.
        """
        text = f"{canonical(self.title)}\0{canonical(self.body)}"
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def carries(self, label: str) -> bool:
        """Whether the issue has this label, however that is written; a blank one nobody has."""
        name = label.strip().lower()
        return name != "" and name in self.labels

    def as_asked(self, login: str, at: datetime) -> "Issue":
        """The issue without what others than who asked have said since that instant."""
        heard = (said for said in self.comments if said.author == login or said.stood_at(at))
        return replace(self, comments=tuple(heard))


def canonical(text: str) -> str:
    """The form of a text in which two readings of the same issue are equal."""
    lines = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


def normal_labels(labels: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """Labels trimmed, lower-cased, blanks and duplicates dropped, order kept."""
    return tuple(dict.fromkeys(label.strip().lower() for label in labels if label.strip()))
