"""What stands between this process and those that it starts, which run as the same user."""

import ctypes
import sys

_SET_DUMPABLE = 4
"""https://man7.org/linux/man-pages/man2/PR_SET_DUMPABLE.2const.html"""


def hide_from_children() -> None:
    """Keep this process's environment and memory out of their sight, where the system can.

    On Linux, `/proc` would show them whatever token we were started with. No core is dumped either.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)
