"""The bot's own comments: known by the marker on their first line and by who wrote them."""

import re

from repoagents.domain.effect import PostComment
from repoagents.github.wire import plain

PREFIX = "<!-- repoagents:"
MOST_CHARACTERS = 65_536
CUT = "\n\n*Cut here: GitHub takes no longer comment. The whole text is among the run's artifacts.*"

_FORGED = re.compile(rf"(?m)^{re.escape(PREFIX)}")


def is_marked(body: str) -> bool:
    """Whether a comment carries our mark; that the bot wrote it, only its author's id can say."""
    return body.lstrip().startswith(PREFIX)


def has_marker(body: str, marker: str) -> bool:
    """Whether this is the comment that the marker names."""
    return body.lstrip().startswith(marker)


def render_comment(effect: PostComment) -> str:
    """The comment's text: the marker, then the body in which no other line looks like a mark."""
    body = plain(effect.body).replace("\r\n", "\n").replace(effect.marker, "").strip()
    return shortened(f"{effect.marker}\n{_FORGED.sub('&lt;!-- repoagents:', body)}".rstrip())


def shortened(text: str) -> str:
    """A text that GitHub takes as a body."""
    if len(text) <= MOST_CHARACTERS:
        return text
    return text[: MOST_CHARACTERS - len(CUT)] + CUT
