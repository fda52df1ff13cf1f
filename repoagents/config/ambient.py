"""The environment of this process: its one door, apart from the loader so that `status` can ask."""

import os


def ambient() -> dict[str, str]:
    """The environment that this process was started with."""
    return dict(os.environ)
