"""What the bot may write, flag by flag, as pages and texts tell it."""

from collections.abc import Iterator
from dataclasses import dataclass

from repoagents.policy.safety import flags_of
from repoagents.policy.wording import one_line
from repoagents.views import tones
from repoagents.views.snapshot import Snapshot
from repoagents.views.text import brake_line

PERMITS = {
    "safety.allow_write_comments": "Comment below the issue",
    "safety.allow_open_pr": "Push a branch, open a draft pull request",
    "safety.allow_merge": "Merge what a person approved",
}
"""What each safety flag lets the bot do."""


@dataclass(frozen=True)
class Permit:
    """One kind of write: in words, its flag, and whether it is on, off, or on but held back."""

    words: str
    flag: str
    state: str

    @property
    def tone(self) -> str:
        """The class of its colour."""
        return tones.PERMITS[self.state]


def permits_of(snapshot: Snapshot) -> Iterator[Permit]:
    """What the flags let the bot do, and what the brake holds back of that."""
    kept = flags_of(snapshot.brake.phase) if snapshot.brake else snapshot.flags
    for flag, is_on in snapshot.flags.items():
        state = ("on" if kept.get(flag) else "held") if is_on else "off"
        yield Permit(PERMITS.get(flag, flag), flag, state)


def why_held(snapshot: Snapshot) -> str:
    """What holds back what the flags allow; empty when nothing does."""
    brake = snapshot.brake
    if brake is None:
        return ""
    return one_line(f"Held to {brake.phase}: {brake_line(brake)}; `repoagents rollout status`")
