"""The terminal's width. Asked of the system itself: `shutil` brings three compression libraries."""

import os
import sys


def columns() -> int:
    """Columns of the terminal that stdout goes to; 80 when it goes elsewhere."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        return 80
