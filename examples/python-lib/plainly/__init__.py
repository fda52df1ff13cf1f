"""Values in plain words: durations, sizes, numerals, lists, tables and slugs."""

from plainly.duration import format_duration, parse_duration
from plainly.roman import from_roman, to_roman
from plainly.series import join_words
from plainly.size import format_size
from plainly.slug import slugify
from plainly.table import render_table

__all__ = [
    "format_duration",
    "format_size",
    "from_roman",
    "join_words",
    "parse_duration",
    "render_table",
    "slugify",
    "to_roman",
]
