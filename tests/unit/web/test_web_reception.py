"""The recorder: what comes together is written together, and answered when that is durable."""

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from repoagents.domain.delivery import Delivery
from repoagents.domain.settings import TrackerSettings
from repoagents.errors import ConfigError, StoreError
from repoagents.web.reception import Recipient, Recorder, recipient_of

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


class HeldDeliveries:
    """`ports.Deliveries` that writes when it is let, and notes what came together."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.begun, self.go = threading.Event(), threading.Event()
        self.broken = False

    def put(self, delivery: Delivery) -> bool:
        """As one of many."""
        return self.put_all((delivery,))[0]

    def put_all(self, deliveries: Sequence[Delivery]) -> tuple[bool, ...]:
        """Note them, when it is let; an odd number is new."""
        self.batches.append([delivery.id for delivery in deliveries])
        self.begun.set()
        assert self.go.wait(100)
        if self.broken:
            raise StoreError("the disk is full")
        return tuple(int(delivery.id) % 2 == 1 for delivery in deliveries)

    def pending(self) -> tuple[Delivery, ...]:
        """Nothing."""
        return ()

    def take(self, delivery_id: str, outcome: str, at: datetime) -> None:
        """Nothing."""

    def forget_before(self, at: datetime) -> bool:
        """Nothing."""
        return False

    def probe(self) -> None:
        """Refuse when it is broken."""
        if self.broken:
            raise StoreError("the disk is full")


def record_all(
    recorder: Recorder, held: HeldDeliveries, count: int
) -> tuple[dict[int, object], list[threading.Thread]]:
    """Record so many from threads of their own, all but the first while that one is written."""
    outcomes: dict[int, object] = {}

    def record(number: int) -> None:
        try:
            outcomes[number] = recorder.record(Delivery(str(number), "issues", NOW))
        except StoreError as error:
            outcomes[number] = str(error)

    threads = [threading.Thread(target=record, args=(number,)) for number in range(count)]
    threads[0].start()
    assert held.begun.wait(100)
    for thread in threads[1:]:
        thread.start()
    while not recorder._open or len(recorder._open.deliveries) < count - 1:
        time.sleep(0.001)
    return outcomes, threads


def finish(held: HeldDeliveries, threads: list[threading.Thread]) -> None:
    held.go.set()
    for thread in threads:
        thread.join(100)


def test_nothing_is_answered_before_it_is_written() -> None:
    held = HeldDeliveries()
    with Recorder(held, patience=100) as recorder:
        outcomes, threads = record_all(recorder, held, 4)
        assert outcomes == {}
        finish(held, threads)
    assert outcomes == {0: False, 1: True, 2: False, 3: True}


def test_what_comes_meanwhile_is_written_together() -> None:
    held = HeldDeliveries()
    with Recorder(held, patience=100) as recorder:
        _, threads = record_all(recorder, held, 9)
        finish(held, threads)
    assert held.batches[0] == ["0"]
    assert sorted(number for batch in held.batches for number in batch) == list("012345678")
    assert len(held.batches) <= 3


def test_what_is_not_written_is_told_to_all_who_wait() -> None:
    held = HeldDeliveries()
    held.broken = True
    with Recorder(held, patience=100) as recorder:
        outcomes, threads = record_all(recorder, held, 5)
        finish(held, threads)
        assert set(outcomes.values()) == {"the disk is full"}
        with pytest.raises(StoreError, match="full"):
            recorder.probe()
        held.broken = False
        assert recorder.record(Delivery("7", "issues", NOW))
        recorder.probe()


def test_nobody_waits_for_ever() -> None:
    held = HeldDeliveries()
    with Recorder(held, patience=0.05) as recorder:
        outcomes, threads = record_all(recorder, held, 3)
        for thread in threads:
            thread.join(100)
        assert set(outcomes.values()) == {"the state gave no answer in 0.05 seconds"}
        with pytest.raises(StoreError, match="no answer"):
            recorder.probe()
        held.go.set()
    assert [number for batch in held.batches for number in sorted(batch)] == ["0", "1", "2"]


def test_a_thread_that_cannot_be_had_now_may_be_had_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The system is out of threads when the first delivery comes."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    held = HeldDeliveries()
    held.go.set()
    with Recorder(held, patience=100) as recorder:
        with monkeypatch.context() as without:
            without.setattr(threading.Thread, "start", refuse)
            for number in ("1", "3"):
                with pytest.raises(StoreError, match="can't start new thread"):
                    recorder.record(Delivery(number, "issues", NOW))
            with pytest.raises(StoreError, match="can't start new thread"):
                recorder.probe()
        assert recorder.record(Delivery("5", "issues", NOW))
        assert ["5"] in held.batches


def test_the_recipient_is_what_the_tracker_says() -> None:
    assert recipient_of(TrackerSettings(repo="octo/cat")) == Recipient("octo/cat", None)


@pytest.mark.parametrize("kind", ["local_file", "local_markdown"])
def test_a_local_tracker_receives_nothing(kind: str) -> None:
    with pytest.raises(ConfigError, match=kind) as refused:
        recipient_of(TrackerSettings(kind=kind))  # type: ignore[arg-type]
    assert "tracker.kind: github" in refused.value.next_step
