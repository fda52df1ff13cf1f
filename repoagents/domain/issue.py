"""An issue as every tracker gives it, and the one reading of its text that runs are keyed by."""

import hashlib
import unicodedata
from dataclasses import dataclass
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
    author who is no person. `edited` comments may hold words that are not their author's.
    """

    author: str
    body: str
    ours: bool = False
    id: int = 0
    author_id: int = 0
    bot: bool = False
    created_at: datetime | None = None
    edited: bool = False


@dataclass(frozen=True)
class Issue:
    """One issue, read whole.

    `number` is positive. `labels` are trimmed, lower-case, without doubles. `author` may be empty
    (a deleted account, a local tracker). `source` names where it was read, for messages. `locked`
    conversations and pull requests are read like issues; neither gets a run.
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


def canonical(text: str) -> str:
    """The form of a text in which two readings of the same issue are equal."""
    lines = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


def normal_labels(labels: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """Labels trimmed, lower-cased, blanks dropped, doubles dropped, order kept."""
    return tuple(dict.fromkeys(label.strip().lower() for label in labels if label.strip()))
