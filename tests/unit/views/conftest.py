"""Golden files: `REGENERATE_GOLDEN=1 pytest tests/unit/views` writes them anew."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare a text with the file of that name under `tests/golden`."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("REGENERATE_GOLDEN"):
            path.write_text(text, "utf-8")
        assert path.exists(), f"{name} is missing: set REGENERATE_GOLDEN=1 and look at the result"
        assert text == path.read_text("utf-8")

    return compare
