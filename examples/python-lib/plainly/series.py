"""Lists of words, as a sentence would have them."""

from collections.abc import Iterable


def join_words(words: Iterable[str], conjunction: str = "and") -> str:
    """Join words with commas and a conjunction: `tea, milk and sugar`."""
    given = list(words)
    if len(given) < 2:
        return "".join(given)
    return f"{', '.join(given[:-1])} {conjunction} {given[-1]}"
