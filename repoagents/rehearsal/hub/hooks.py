"""Webhooks: who subscribed to what, and one thread that delivers in order, or as it is told."""

import hashlib
import hmac
import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Condition, Thread

from repoagents.ports import Clock
from repoagents.rehearsal.deliver import Outcome, post
from repoagents.rehearsal.hub.records import Json
from repoagents.rehearsal.hub.refusals import not_found

KEPT = timedelta(days=3)
"""How long a delivery is listed and can be sent again."""


@dataclass(frozen=True)
class Hook:
    """One subscription; `installation` is set when it is a GitHub App's."""

    id: int
    url: str
    secret: str
    events: frozenset[str]
    installation: int = 0

    @property
    def owner(self) -> str:
        """What the subscription belongs to, as the header says it."""
        return "integration" if self.installation else "repository"


@dataclass(frozen=True)
class Delivery:
    """One sending of one event; a redelivery is another one with the same `guid`."""

    id: int
    hook: Hook
    guid: str
    event: str
    action: str
    body: bytes
    at: datetime
    redelivery: bool = False
    outcome: Outcome | None = None


class Hooks:
    """The subscriptions and everything that was sent to them.

    Reading `delivered` needs no lock: it is replaced, never changed.
    """

    def __init__(self, clock: Clock, next_id: Callable[[], int]) -> None:
        self._clock = clock
        self._next_id = next_id
        self._queue: deque[Delivery] = deque()
        self._changed = Condition()
        self._held = False
        self._sending = False
        self._closed = False
        self._thread: Thread | None = None
        self.hooks: list[Hook] = []
        self.delivered: tuple[Delivery, ...] = ()
        self.duplicating = False
        """Whether every delivery is sent twice, with the same GUID."""

    def subscribe(
        self, url: str, secret: str, events: Iterable[str], *, installation: int = 0
    ) -> Hook:
        """Subscribe a receiver; `*` means every event. The first thing it gets is a ping."""
        hook = Hook(self._next_id(), url, secret, frozenset(events), installation)
        self.hooks.append(hook)
        ping: Json = {"zen": "Rehearse.", "hook_id": hook.id, "hook": {"type": "Repository"}}
        self._enqueue(self._made(hook, "ping", "", ping))
        return hook

    def publish(self, event: str, action: str, payload: Json) -> None:
        """Send an event to whoever subscribed to it, frozen as it is now."""
        for hook in self.hooks:
            if hook.events & {event, "*"}:
                self._enqueue(self._made(hook, event, action, payload))

    def _made(self, hook: Hook, event: str, action: str, payload: Json) -> Delivery:
        if hook.installation:
            installation = {"id": hook.installation, "node_id": f"MI_{hook.installation}"}
            payload = {**payload, "installation": installation}
        token = self._clock.token(32)
        guid = "-".join((token[:8], token[8:12], token[12:16], token[16:20], token[20:]))
        body = json.dumps(payload).encode()
        return Delivery(self._next_id(), hook, guid, event, action, body, self._clock.now())

    def _enqueue(self, delivery: Delivery) -> None:
        with self._changed:
            if self._thread is None and not self._closed:
                self._thread = Thread(target=self._deliver_all, name="webhooks", daemon=True)
                self._thread.start()
            self._queue.append(delivery)
            if self.duplicating:
                self._queue.append(replace(delivery, id=self._next_id()))
            self._changed.notify_all()

    def hold(self) -> None:
        """Keep everything back until `release`."""
        with self._changed:
            self._held = True

    @property
    def waiting(self) -> tuple[Delivery, ...]:
        """What is kept back or not yet sent, in order."""
        with self._changed:
            return tuple(self._queue)

    def release(self, order: Iterable[int] | None = None) -> None:
        """Send what was kept back: in this order of indexes, left out is lost, twice is twice."""
        with self._changed:
            if order is not None:
                kept = list(self._queue)
                self._queue = deque(kept[index] for index in order)
            self._held = False
            self._changed.notify_all()

    def redeliver(self, hook: Hook | None, delivery_id: int) -> None:
        """Send a delivery again, as GitHub does on request: another id, the same GUID."""
        old = self.find(hook, delivery_id)
        again = replace(
            old, id=self._next_id(), redelivery=True, at=self._clock.now(), outcome=None
        )
        self._enqueue(again)

    def find(self, hook: Hook | None, delivery_id: int) -> Delivery:
        """A delivery of the last days, or a 404."""
        for delivery in self.recent(hook):
            if delivery.id == delivery_id:
                return delivery
        raise not_found()

    def recent(self, hook: Hook | None) -> list[Delivery]:
        """What was sent to a hook in the last days, newest first; None means the App's hooks."""
        oldest = self._clock.now() - KEPT
        return [
            d
            for d in self.delivered[::-1]
            if d.at >= oldest and (d.hook == hook if hook else d.hook.installation)
        ]

    def hook(self, number: int) -> Hook:
        """The repository's hook of that id, or a 404."""
        for hook in self.hooks:
            if hook.id == number and not hook.installation:
                return hook
        raise not_found()

    def drain(self, seconds: float = 60.0) -> bool:
        """Wait until everything is sent; False when it is not after that time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue and not self._sending, seconds)

    def close(self) -> None:
        """Stop sending; what is still queued is lost."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _deliver_all(self) -> None:
        while (delivery := self._next()) is not None:
            hook = delivery.hook
            outcome = post(hook.url, delivery.body, headers_of(delivery))
            with self._changed:
                self.delivered = (*self.delivered, replace(delivery, outcome=outcome))
                self._sending = False
                self._changed.notify_all()

    def _next(self) -> Delivery | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._queue and not self._held))
            if self._closed:
                return None
            self._sending = True
            return self._queue.popleft()


def headers_of(delivery: Delivery) -> dict[str, str]:
    """The headers that GitHub sends with a delivery."""
    hook = delivery.hook
    signature = hmac.new(hook.secret.encode(), delivery.body, hashlib.sha256).hexdigest()
    signed = {"X-Hub-Signature-256": f"sha256={signature}"} if hook.secret else {}
    return {
        "Accept": "*/*",
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/rehearsal",
        "X-GitHub-Delivery": delivery.guid,
        "X-GitHub-Event": delivery.event,
        "X-GitHub-Hook-ID": str(hook.id),
        "X-GitHub-Hook-Installation-Target-Type": hook.owner,
        **signed,
    }
