"""GitHub's list of what it sent, in memory: `ports.Hooks` with a receiver that is up or down."""

from dataclasses import dataclass, field
from datetime import datetime

from repoagents.domain.delivery import Sending
from repoagents.errors import RepoAgentsError
from repoagents.ports import Clock


@dataclass
class MemoryHooks:
    """`status` is what the receiver answers to whatever is sent from now on.

    `faults` are raised by what is asked of GitHub: by the verb `list`, or by a delivery's id.
    """

    clock: Clock
    status: int = 202
    sent: list[Sending] = field(default_factory=list)
    faults: dict[str, RepoAgentsError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    listed: int = 0

    def send(self, delivery_id: str, event: str = "issues") -> Sending:
        """Something happened: GitHub sends it."""
        return self._send(delivery_id, event, again=False)

    def sendings(self, since: datetime) -> tuple[Sending, ...]:
        """What was sent since then, newest first."""
        self.listed += 1
        self._ask("list")
        return tuple(sending for sending in self.sent[::-1] if sending.at >= since)

    def resend(self, sending: Sending) -> None:
        """Send it again, at once."""
        self.asked.append(sending.delivery_id)
        self._ask(sending.delivery_id)
        self._send(sending.delivery_id, sending.event, again=True)

    def _send(self, delivery_id: str, event: str, *, again: bool) -> Sending:
        number, now = len(self.sent) + 1, self.clock.now()
        self.sent.append(Sending(delivery_id, number, 7, event, now, self.status, again))
        return self.sent[-1]

    def _ask(self, what: str) -> None:
        if what in self.faults:
            raise self.faults[what]
