"""When the page is drawn beside the loop."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from repoagents.cli.redraw import DrawLoop


class Drawings:
    """Counts what is drawn, and waits for it."""

    def __init__(self) -> None:
        self.number = 0
        self._more = threading.Condition()

    def __call__(self) -> None:
        with self._more:
            self.number += 1
            self._more.notify_all()

    def reach(self, number: int) -> bool:
        """Whether so many come."""
        with self._more:
            return self._more.wait_for(lambda: self.number >= number, timeout=100)


@contextmanager
def at_work(draw: Callable[[], None], every: float) -> Iterator[DrawLoop]:
    loop = DrawLoop(draw, every)
    thread = threading.Thread(target=loop.work)
    thread.start()
    yield loop
    loop.close()
    thread.join(timeout=100)
    assert not thread.is_alive()


def test_many_changes_are_drawn_at_once_and_again_at_the_end() -> None:
    drawings = Drawings()

    with at_work(drawings, every=3600) as loop:
        loop.call()
        assert drawings.reach(1)
        for _ in range(5):
            loop.call()
        assert drawings.number == 1

    assert drawings.number == 2


def test_a_change_during_the_wait_is_drawn_after_it() -> None:
    drawings = Drawings()

    with at_work(drawings, every=0.01) as loop:
        loop.call()
        assert drawings.reach(1)
        loop.call()
        assert drawings.reach(2)


def test_where_nothing_changes_nothing_is_drawn_and_no_time_is_spent() -> None:
    drawings = Drawings()

    with at_work(drawings, every=0.01) as loop:
        loop.call()
        assert drawings.reach(1)
        before = time.process_time()
        assert not threading.Event().wait(0.3)
        assert time.process_time() - before < 0.1

    assert drawings.number == 2
    unused = Drawings()
    with at_work(unused, every=0.01):
        pass
    assert unused.number == 0
