"""The environment of this process, for those who need no more of the configuration."""

import os


def ambient() -> dict[str, str]:
    """The environment that this process was started with."""
    return dict(os.environ)  # noqa: TID251 - the one place, apart so that `status` can ask, too
