"""The door to what holds the bot to an earlier phase of its rollout."""

from typing import Protocol

from repoagents.domain.rollout import Brake


class Brakes(Protocol):
    """What holds the bot to an earlier phase than its flags name; at most one at a time."""

    def pull(self, brake: Brake) -> None:
        """Hold to this phase, in the place of what held before."""

    def find(self) -> Brake | None:
        """What holds the bot now; None when nothing does."""

    def release(self) -> None:
        """A person lets it go."""
