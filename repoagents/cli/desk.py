"""The desk: where a command leaves requests for the worker and hears what came of them."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import click

from repoagents.bootstrap import Premises
from repoagents.cli import place
from repoagents.cli.boundary import DONE, UNFINISHED
from repoagents.cli.output import print_json, remark
from repoagents.ports import House, Request
from repoagents.store.reader import Reader
from repoagents.store.worker_lock import Owner, holder

POLL_SECONDS = 0.2
PENDING = "pending"
NO_WORKER = "no worker is live: start one with `repoagents run`"


@dataclass(frozen=True)
class Answer:
    """What came of a request; `outcome` is `pending` while no worker has taken it up."""

    issue: int
    request: str
    outcome: str

    @property
    def refused(self) -> bool:
        """Whether what was asked for was not done."""
        return self.outcome.startswith(("refused:", "failed:"))

    @property
    def waits(self) -> bool:
        """Whether it is a worker's turn now."""
        return self.outcome == PENDING or self.outcome.startswith("queued:")

    @property
    def reason(self) -> str:
        """The outcome without its first word."""
        return self.outcome.partition(": ")[2]


@dataclass(frozen=True)
class Desk:
    """The premises with the books open; `reader` may be used from any thread."""

    premises: Premises
    house: House
    reader: Reader

    @property
    def worker(self) -> Owner | None:
        """Who is at work on this state now."""
        return holder(self.premises.control)

    def taker(self, number: int) -> Owner | None:
        """Who takes up what is asked for about an issue now: not who works on another one alone."""
        worker = self.worker
        return worker if worker is not None and worker.takes_up(number) else None

    def write(
        self, kind: str, number: int, *, note: str = "", fresh: bool = False, force: bool = False
    ) -> Request:
        """A request in the name of whoever types the command."""
        return Request(
            id=self.house.clock.token(16),
            kind=kind,
            issue_number=number,
            at=self.house.clock.now(),
            note=note,
            fresh=fresh,
            force=force,
            by=place.operator(self.premises),
        )

    def ask(self, requests: Sequence[Request]) -> tuple[Answer, ...]:
        """Leave requests and hear what comes of them, for as long as one takes them up."""
        for request in requests:
            self.house.inbox.put(request)
        try:
            return tuple(self.answer(request, self._outcome(request)) for request in requests)
        except KeyboardInterrupt:
            remark("what was asked for stands: a worker takes it up")
            raise

    @staticmethod
    def answer(request: Request, outcome: str) -> Answer:
        """What came of one request."""
        return Answer(request.issue_number, request.id, outcome)

    def report(self, answers: Sequence[Answer], *, as_json: bool) -> int:
        """Print what came of requests, and who takes up what is pending; returns the exit code."""
        if as_json:
            print_json({"answers": answers, "worker": self.worker})
        else:
            for answer in answers:
                click.echo(f"issue {answer.issue}: {answer.outcome}")
            if any(answer.waits and self.taker(answer.issue) is None for answer in answers):
                click.echo(self._why_nobody())
            if not answers:
                click.echo("no run matches")
        return UNFINISHED if any(answer.refused for answer in answers) else DONE

    def _why_nobody(self) -> str:
        worker = self.worker
        if worker is None:
            return NO_WORKER
        return f"{worker} is for its issue alone: start `repoagents run` once that has ended"

    def _outcome(self, request: Request) -> str:
        pause = threading.Event()
        while True:
            # Asked before the outcome is read: a worker may take the request up and then end.
            worker = self.taker(request.issue_number)
            outcome = self.house.inbox.outcome(request.id)
            if outcome is not None or worker is None:
                return outcome or PENDING
            pause.wait(POLL_SECONDS)


@contextmanager
def open_desk() -> Iterator[Desk]:
    """The desk of the repository that we are in."""
    premises = place.open_premises()
    with premises.house() as (house, database):
        yield Desk(premises, house, database.reader)
