"""Golden files of the views: `pytest --regenerate tests/unit/views` writes them anew."""

from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture
def golden(golden: Callable[[Path, str], None]) -> Callable[[str, str], None]:
    """Compare a text with the file of that name under `tests/golden`."""
    return lambda name, text: golden(GOLDEN / name, text)
