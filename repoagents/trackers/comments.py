"""Our comments: known by the marker on their first line."""

import re

from repoagents.domain.effect import PostComment

AUTHOR = "repoagents"
PREFIX = "<!-- repoagents:"
_OURS = re.compile(rf"(?m)^{re.escape(PREFIX)}")


def is_ours(text: str) -> bool:
    """Whether a comment carries our mark at the beginning of a line: a quoted one does not."""
    return _OURS.search(text) is not None


def render(effect: PostComment) -> str:
    """The comment's text: the marker, then the body in which no other line looks like a mark."""
    body = plain(effect.body).replace("\r\n", "\n").replace(effect.marker, "").strip()
    return f"{effect.marker}\n{_OURS.sub('&lt;!-- repoagents:', body)}".rstrip()


def has_marker(text: str, marker: str) -> bool:
    """Whether this is the comment that the marker names."""
    return text.lstrip().startswith(marker)


def plain(text: str) -> str:
    """Text without what no database and no terminal takes: lone surrogates and NUL."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", "\N{REPLACEMENT CHARACTER}")
