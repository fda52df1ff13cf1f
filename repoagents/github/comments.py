"""The bot's own texts on GitHub: how they are known, and whether a person has edited them."""

import hashlib
import re

from repoagents.domain.effect import PostComment
from repoagents.domain.invisible import storable
from repoagents.domain.issue import canonical
from repoagents.domain.markers import PREFIX, has_marker, render_marked

TEXT_PREFIX = f"{PREFIX}text="
MOST_CHARACTERS = 65_536
CUT = "\n\n*Cut here: GitHub takes no longer comment. The whole text is among the run's artifacts.*"

_PLACE = re.compile(r"#issuecomment-([0-9]{1,18})\Z")


def is_marked(body: str) -> bool:
    """Whether a comment carries our mark; that the bot wrote it, only its author's id can say."""
    return has_marker(body, PREFIX)


def known_comments(location: str) -> list[int]:
    """The id of the comment that a page's address ends with; none in any other words."""
    found = _PLACE.search(location)
    return [int(found[1])] if found else []


def render_comment(effect: PostComment) -> str:
    """The comment's text, behind its marker."""
    return shortened(render_marked(effect.marker, effect.body))


def shortened(text: str) -> str:
    """A text that GitHub takes as a body."""
    if len(text) <= MOST_CHARACTERS:
        return text
    return text[: MOST_CHARACTERS - len(CUT)] + CUT


def signed(body: str) -> str:
    """A pull request's text with a last line by which we know later that nobody has edited it."""
    text = storable(body).replace("\r\n", "\n").rstrip()
    mark = f"\n\n{TEXT_PREFIX}{_digest(text)} -->"
    if len(text) + len(mark) > MOST_CHARACTERS:
        text = text[: MOST_CHARACTERS - len(mark) - len(CUT)] + CUT
        mark = f"\n\n{TEXT_PREFIX}{_digest(text)} -->"
    return text + mark


def is_untouched(text: str) -> bool:
    """Whether the text is as we wrote it: then it is ours to replace."""
    body, mark, end = canonical(text).rpartition(TEXT_PREFIX)
    return bool(mark) and end == f"{_digest(body)} -->"


def _digest(text: str) -> str:
    return hashlib.sha256(canonical(text).encode()).hexdigest()[:16]
