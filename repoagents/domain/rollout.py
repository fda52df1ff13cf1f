"""The phases in which a repository opens what the bot may write, and what holds it to one."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Phase(StrEnum):
    """What the bot may write, the strictest first; each allows all that the one before allows."""

    OBSERVE = "observe"
    """Nothing: results stay on this machine."""
    COMMENT = "comment"
    """Comments and labels on the issue."""
    DRAFT_PR = "draft-pr"
    """A branch and a draft pull request, too."""
    MERGE = "merge"
    """The merge of what a person has approved, too."""

    @property
    def level(self) -> int:
        """How many phases are stricter."""
        return list(Phase).index(self)

    @property
    def next(self) -> "Phase | None":
        """The phase that allows one thing more."""
        return next((phase for phase in Phase if phase.level == self.level + 1), None)

    @property
    def previous(self) -> "Phase | None":
        """The phase that allows one thing less."""
        return next((phase for phase in Phase if phase.level == self.level - 1), None)


@dataclass(frozen=True)
class Brake:
    """Nothing is written beyond `phase`, whatever the flags say, until a person lifts it.

    `reason` is the critical finding that pulled it, `run_id` the run in which that was. Where a
    person did it, `reason` says who, and `issue_number` is 0.
    """

    phase: Phase
    reason: str
    run_id: str
    issue_number: int
    at: datetime

    @property
    def by_person(self) -> bool:
        """Whether a person holds the bot to the phase, not a finding."""
        return self.issue_number == 0


@dataclass(frozen=True)
class Soak:
    """How the newest soak ended: `problems` are why it failed, empty when it passed."""

    at: datetime
    version: str
    seconds: float
    problems: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong."""
        return not self.problems
