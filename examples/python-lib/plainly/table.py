"""Rows of text in straight columns."""

from collections.abc import Sequence


def render_table(rows: Sequence[Sequence[str]], headers: Sequence[str] = ()) -> str:
    """Line rows up in columns, two spaces apart, under a ruled header when there is one."""
    table = [list(headers), *rows] if headers else list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*table)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table
    ]
    if headers:
        lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
