"""What is done with a delivery once it is read: answered at once, or recorded and then answered."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from threading import Event, Lock
from typing import Self, TypeVar

from repoagents.domain.delivery import OBJECTS, Delivery
from repoagents.domain.settings import TrackerSettings
from repoagents.errors import ConfigError, StoreError
from repoagents.ports import Deliveries

T = TypeVar("T")

PATIENCE_SECONDS = 5.0
"""How long a request waits for the state; GitHub gives up on us after ten."""

LULL_SECONDS = 0.001
"""A batch is written when no further delivery has come for so long."""

ENOUGH = 50
"""Deliveries with which a batch is written at once."""


@dataclass(frozen=True)
class Answer:
    """An HTTP status, one word for programs and, where it is not plain, the reason."""

    code: HTTPStatus
    status: str
    reason: str = ""


PONG = Answer(HTTPStatus.OK, "pong")
ACCEPTED = Answer(HTTPStatus.ACCEPTED, "accepted")
DUPLICATE = Answer(HTTPStatus.ACCEPTED, "duplicate")


@dataclass(frozen=True)
class Recipient:
    """Whose deliveries are taken: a repository as OWNER/REPO and, for an App, its installation."""

    repo: str
    installation: int | None = None

    def answer_at_once(self, delivery: Delivery) -> Answer | None:
        """The answer to a delivery that is not to be recorded; None for one that is."""
        if delivery.event == "ping":
            return PONG
        if delivery.event not in OBJECTS:
            return _ignored(f"{delivery.event} is not one of the events that are read")
        if self.installation and delivery.installation not in (None, self.installation):
            return _refused(f"installation {delivery.installation} is not ours")
        if delivery.repo:
            ours = delivery.repo.lower() == self.repo.lower()
            return None if ours else _refused(f"{delivery.repo} is not our repository")
        # An installation is about an account; whatever else names no repository is about nothing.
        return None if delivery.event == "installation" else _ignored("it names no repository")


def recipient_of(tracker: TrackerSettings) -> Recipient:
    """Whose deliveries this configuration takes; raises `ConfigError` for a local tracker."""
    if tracker.kind != "github":
        raise ConfigError(
            f"tracker.kind is {tracker.kind}: only GitHub sends webhooks",
            next_step="Set tracker.kind: github and tracker.repo: OWNER/REPO.",
        )
    return Recipient(tracker.repo, tracker.app.installation_id)


def _ignored(reason: str) -> Answer:
    return Answer(HTTPStatus.ACCEPTED, "ignored", reason)


def _refused(reason: str) -> Answer:
    return Answer(HTTPStatus.FORBIDDEN, "refused", reason)


class _Batch:
    """Deliveries of one transaction; `stored` gives for each whether it was new."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.stored: Future[tuple[bool, ...]]


class Recorder:
    """Writes deliveries down, those that come at the same time in one transaction.

    `record` may be called from any thread, and returns when the transaction is durable.
    """

    def __init__(self, deliveries: Deliveries, patience: float = PATIENCE_SECONDS) -> None:
        self._deliveries = deliveries
        self._patience = patience
        self._gate = Lock()
        self._open: _Batch | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="recorder")

    def record(self, delivery: Delivery) -> bool:
        """Keep a delivery; False when it was known. Raises `StoreError` when it is not durable."""
        with self._gate:
            batch = self._open
            if batch is None:
                batch = _Batch()
                batch.stored = self._begin(lambda: self._write(batch))
                self._open = batch
            position = len(batch.deliveries)
            batch.deliveries.append(delivery)
        return self._await(batch.stored)[position]

    def probe(self) -> None:
        """Raises `StoreError` when the state cannot be read and written."""
        self._await(self._begin(self._deliveries.probe))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Write what waits and take no more."""
        self._writer.shutdown()

    def _begin(self, work: Callable[[], T]) -> Future[T]:
        try:
            return self._writer.submit(work)
        except RuntimeError as error:  # the system has no thread left
            raise StoreError(f"nothing can be written: {error}") from error

    def _await(self, work: Future[T]) -> T:
        try:
            return work.result(self._patience)
        except TimeoutError as error:
            raise StoreError(f"the state gave no answer in {self._patience:g} seconds") from error

    def _write(self, batch: _Batch) -> tuple[bool, ...]:
        # A commit costs as much for many as for one: as long as others come, it waits for them.
        pause, seen = Event(), 0
        while seen < len(batch.deliveries) < ENOUGH:
            seen = len(batch.deliveries)
            pause.wait(LULL_SECONDS)
        with self._gate:
            self._open = None
        return self._deliveries.put_all(batch.deliveries)
