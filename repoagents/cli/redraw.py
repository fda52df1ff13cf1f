"""Drawing the dashboard beside the worker: after a change, now and then, and at the end."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from repoagents.cli.dashboard import PAGE
from repoagents.errors import RepoAgentsError
from repoagents.pipeline.boundary import bugs_told

if TYPE_CHECKING:
    from repoagents.bootstrap import Premises
    from repoagents.ports import Books

EVERY_SECONDS = 10.0
"""At most so often the page is drawn while things move."""


@contextmanager
def redrawing(premises: "Premises", books: "Books") -> Iterator[Callable[[], None]]:
    """What to call after each change; the page is drawn from a thread of its own meanwhile.

    A page that cannot be drawn is told in the log: the work goes on.
    """
    loop = DrawLoop(lambda: _draw(premises, books))
    thread = threading.Thread(target=loop.work, name="dashboard", daemon=True)
    thread.start()
    try:
        yield loop.call
    finally:
        loop.close()
        thread.join()


class DrawLoop:
    """Draws after a call, at most every `EVERY_SECONDS`, and sleeps while nobody calls."""

    def __init__(self, draw: Callable[[], None], every: float = EVERY_SECONDS) -> None:
        self._draw = draw
        self._every = every
        self._called = threading.Event()
        self._ended = threading.Event()
        self._used = False

    def call(self) -> None:
        """Something has changed."""
        self._used = True
        self._called.set()

    def close(self) -> None:
        """Draw once more if anything ever changed, and end."""
        self._ended.set()
        self._called.set()

    def work(self) -> None:
        """Draw until closed."""
        while not self._ended.is_set():
            self._called.wait()
            self._called.clear()
            if not self._ended.is_set():
                self._draw()
                self._ended.wait(self._every)
        if self._used:
            self._draw()


def _draw(premises: "Premises", books: "Books") -> None:
    # Loaded by the first drawing: a worker that has nothing to do starts without.
    from repoagents.pipeline.dashboard import draw

    try:
        with bugs_told(premises.journal, "while the dashboard was drawn"):
            page = draw(books, premises.host(), artifacts="../artifacts").page
            premises.reports().write(PAGE, page)
    except RepoAgentsError as error:
        premises.journal.warn("dashboard_stale", f"the dashboard is not drawn anew: {error}")
