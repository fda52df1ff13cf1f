"""Signs of life: what tells an idle bot from a broken one."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Part(StrEnum):
    """The long-lived parts of the bot, each in a process of its own or both in one."""

    WORKER = "worker"
    RECEIVER = "receiver"


@dataclass(frozen=True)
class Quota:
    """What is left of the requests of this hour."""

    limit: int
    remaining: int
    reset_at: datetime


@dataclass(frozen=True)
class Pause:
    """Until when GitHub is asked nothing, because it refused a request for a rate limit."""

    until: datetime
    reason: str


@dataclass(frozen=True)
class Pulse:
    """The newest signs of life of one part.

    `since` is when its process began, `beat_at` when it last told that it is at work: every half
    minute. The worker tried to read the tracker at `tried_at`, and did so whole at `heard_at`;
    `problem` says why the last try failed, empty when it did not. For the receiver `heard_at` is
    the last genuine delivery. `quota` is GitHub's, as one of the last answers told it.
    """

    part: Part
    since: datetime
    beat_at: datetime
    tried_at: datetime | None = None
    heard_at: datetime | None = None
    problem: str = ""
    quota: Quota | None = None
    pause: Pause | None = None
