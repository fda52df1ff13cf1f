"""Titles as they may stand in an address."""

from __future__ import annotations

import re
import unicodedata


def slugify(title: str, taken: set[str] = set()) -> str:
    """Make a title fit for an address: `Crème brûlée!` becomes `creme-brulee`.

    A slug that is already in `taken` gets a number; the new slug is added to `taken`.
    """
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode("ascii")
    slug = "-".join(re.findall(r"[a-z0-9]+", plain.lower())) or "untitled"
    candidate, number = slug, 1
    while candidate in taken:
        number += 1
        candidate = f"{slug}-{number}"
    taken.add(candidate)
    return candidate
