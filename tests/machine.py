"""What a machine may lack, and tests are skipped without."""

import os
import tempfile
from functools import cache

import pytest

NOBODY = 65534


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
