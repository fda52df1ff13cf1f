"""The marker that begins each comment of the bot's, by which it is known again wherever it stands.

It is an HTML comment that names the installation: a second one on the same repository is noticed.
"""

import re

from repoagents.domain.invisible import storable

PREFIX = "<!-- repoagents:"

_AT_A_LINE = re.compile(rf"(?m)^{re.escape(PREFIX)}")
_INSTALLATION = re.compile(rf"{re.escape(PREFIX)}([\w.-]{{1,64}}):")


def make_marker(installation: str, what: str) -> str:
    """The marker of one comment; `what` tells it from the others, as in `issue=7`."""
    return f"{PREFIX}{installation}:{what} -->"


def has_marker(text: str, marker: str) -> bool:
    """Whether this is the comment that the marker names."""
    return text.lstrip().startswith(marker)


def has_marked_line(text: str) -> bool:
    """Whether any line begins with a marker of the bot's; a quoted one does not."""
    return _AT_A_LINE.search(text) is not None


def installation_of(text: str) -> str | None:
    """The installation that a comment's marker names; None without one."""
    found = _INSTALLATION.match(text.lstrip())
    return found[1] if found else None


def render_marked(marker: str, body: str) -> str:
    """A comment's text: the marker, then the body in which no other line looks like one."""
    told = storable(body).replace("\r\n", "\n").replace(marker, "").strip()
    return f"{marker}\n{_AT_A_LINE.sub('&lt;!-- repoagents:', told)}".rstrip()
