"""What is done with a delivery once it is read: answered at once, or recorded and then answered."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Self

from repoagents.domain.delivery import Delivery
from repoagents.domain.settings import TrackerSettings
from repoagents.errors import ConfigError, StoreError
from repoagents.ports import Deliveries
from repoagents.web.wire import OBJECTS

PATIENCE_SECONDS = 5.0
"""How long a request waits for the state; GitHub gives up on us after ten."""
BATCH = 100


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
            return _ignored(f"{delivery.event} is none of the events that are read")
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


@dataclass
class _Slip:
    """A delivery that waits; `stored` is None until it is committed."""

    delivery: Delivery
    stored: bool | None = None


@dataclass
class Recorder:
    """Writes deliveries down, those that wait at the same time in one transaction.

    `record` may be called from any thread, and returns when the transaction is durable.
    """

    deliveries: Deliveries
    patience: float = PATIENCE_SECONDS
    _waiting: deque[_Slip] = field(default_factory=deque)
    _writer: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="recorder")
    )

    def record(self, delivery: Delivery) -> bool:
        """Keep a delivery; False when it was known. Raises `StoreError` when it is not durable."""
        slip = _Slip(delivery)
        self._waiting.append(slip)
        self._in_turn(self._write)
        if slip.stored is None:
            # The transaction failed that somebody else's turn had begun.
            raise StoreError("the delivery was not stored")
        return slip.stored

    def probe(self) -> None:
        """Raises `StoreError` when the state cannot be read and written."""
        self._in_turn(self.deliveries.probe)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Write what waits and take no more."""
        self._writer.shutdown()

    def _in_turn(self, work: Callable[[], None]) -> None:
        try:
            self._writer.submit(work).result(self.patience)
        except TimeoutError as error:
            raise StoreError(f"the state gave no answer in {self.patience:g} seconds") from error

    def _write(self) -> None:
        slips = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        stored = self.deliveries.put_all([slip.delivery for slip in slips]) if slips else ()
        for slip, new in zip(slips, stored, strict=True):
            slip.stored = new
