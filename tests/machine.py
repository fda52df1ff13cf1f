"""What machines have in different ways, and what tests are skipped without."""

import os
import tempfile
from functools import cache

import pytest

NOBODY = 65534
SHORT = "/tmp" if os.access("/tmp", os.W_OK) else None
"""Where temporary files have short names, as sockets must have; those of $TMPDIR may be long."""


@cache
def can_give_away() -> bool:
    """Whether files can be given to others: the superuser of some containers knows nobody else."""
    with tempfile.NamedTemporaryFile() as file:
        try:
            os.chown(file.name, NOBODY, NOBODY)
        except OSError:
            return False
    return True


NEEDS_OTHERS = pytest.mark.skipif(
    not can_give_away(), reason="only the superuser of a whole machine can give files away"
)
