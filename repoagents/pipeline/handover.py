"""The handoff in the run's folder, as Markdown and as a page: true whatever becomes of the run."""

from collections.abc import Iterator
from contextlib import contextmanager

from repoagents.domain.run import FailureClass, Run
from repoagents.errors import RepoAgentsError, StateUnreadable, Stopped
from repoagents.pipeline import dossier
from repoagents.ports import Books, House
from repoagents.views.dossier import Handoff
from repoagents.views.handoff import render_handoff
from repoagents.views.handoff_page import render_handoff_page


def write(books: Books, told: Handoff) -> None:
    """Write both forms."""
    number, run_id = told.run.issue_number, told.run.id
    books.artifacts.write(number, run_id, "handoff.md", render_handoff(told))
    books.artifacts.write(number, run_id, "handoff.html", render_handoff_page(told))


def renew(house: House, run: Run) -> None:
    """Write both forms anew, for the run has moved on; what goes wrong is logged, not raised.

    Only what was handed over before: a run that never stopped has nothing to hand over yet.
    """
    with unharmed(house, run):
        if "handoff.md" in house.artifacts.names(run.issue_number, run.id) or run.status.terminal:
            write(house, dossier.gather(house, run))


@contextmanager
def unharmed(house: House, run: Run) -> Iterator[None]:
    """Log what goes wrong with the last word on a run: it changes nothing of the run itself.

    Only what ends the worker is raised.
    """
    try:
        yield
    except StateUnreadable:
        raise
    except (RepoAgentsError, OSError) as error:
        if isinstance(error, Stopped) and error.kind == FailureClass.INTERRUPTED:
            raise
        house.journal.warn(
            "handoff_failed",
            f"the last word on issue {run.issue_number} could not be written: {error}",
            **run.tags,
        )
