"""The characters that a person does not see: one table for all who clean text from outside.

The two constants are what stands between the brackets of a pattern.
"""

HIDDEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""What shows nothing, or turns the direction of what stands beside it: of use to nobody."""

SHAPING = "\u200c\u200d\ufe00-\ufe0f"
"""Joiners and variation selectors: emoji and some scripts need them, a model does not."""


def storable(text: str) -> str:
    """The text without what no database takes: NUL and lone surrogates are replaced."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", "\N{REPLACEMENT CHARACTER}")
