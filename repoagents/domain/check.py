"""One line of the doctor."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """A condition that was looked at: `status` is ok, warn or error; `fix` is empty when ok."""

    name: str
    status: str
    message: str
    why: str = ""
    fix: str = ""
