"""How runs and instants stand in their columns.

Standard library only: `status` reads rows without the database toolkit. Instants are ISO 8601 in
UTC with microseconds, so that their text sorts as they do.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from repoagents.domain.run import Failure, FailureClass, Run, RunStatus, Stage

RUN_TEXTS = (
    *("id", "title", "fingerprint", "last_event", "base_sha"),
    *("head_sha", "diff_hash", "branch", "note", "asked_by"),
)
RUN_NUMBERS = (
    *("issue_number", "attempt", "failures", "resumes", "generation", "round", "round_limit"),
)
RUN_INSTANTS = ("created_at", "updated_at")
RUN_OPTIONAL_INSTANTS = ("stage_started_at", "next_at", "started_at", "finished_at")

EVERY = 1_000_000
"""A limit that no query comes near."""

Column = str | int | float | None


class Row(Protocol):
    """One row, by column name: `sqlite3.Row` and the toolkit's mapping alike."""

    def __getitem__(self, name: str, /) -> Any:
        """The column's value."""


Execute = Callable[[str, Mapping[str, Column]], Sequence[Row]]
"""Executes one statement with its `:name` parameters; returns its rows, those of RETURNING too."""


def insert_into(table: str, columns: Iterable[str]) -> str:
    """The statement that inserts one row, with a parameter for each column."""
    names = tuple(columns)
    values = ", ".join(f":{name}" for name in names)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})"  # noqa: S608 - names only


def render_instant(at: datetime) -> str:
    """The sortable text of an aware instant."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def parse_instant(text: str) -> datetime:
    """The aware instant, UTC."""
    return datetime.fromisoformat(text)


def storable(text: str) -> str:
    """Text that every database takes: a lone surrogate or a NUL becomes U+FFFD."""
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def run_columns(run: Run) -> dict[str, Column]:
    """A run as columns."""
    columns: dict[str, Column] = {name: storable(getattr(run, name)) for name in RUN_TEXTS}
    columns.update((name, getattr(run, name)) for name in RUN_NUMBERS)
    for name in (*RUN_INSTANTS, *RUN_OPTIONAL_INSTANTS):
        at = getattr(run, name)
        columns[name] = None if at is None else render_instant(at)
    failure = run.failure
    return columns | {
        "status": run.status.value,
        "stage": None if run.stage is None else run.stage.value,
        "verified": int(run.verified),
        "failure_kind": None if failure is None else failure.kind.value,
        "failure_message": "" if failure is None else storable(failure.message),
        "failure_next_step": "" if failure is None else storable(failure.next_step),
    }


def parse_run(row: Row) -> Run:
    """The run that a row holds."""
    plain = {name: row[name] for name in (*RUN_TEXTS, *RUN_NUMBERS)}
    instants = {
        name: None if row[name] is None else parse_instant(row[name])
        for name in (*RUN_INSTANTS, *RUN_OPTIONAL_INSTANTS)
    }
    return Run(
        **plain,
        **instants,  # type: ignore[arg-type]  # the two that are never null are not optional
        status=RunStatus(row["status"]),
        stage=None if row["stage"] is None else Stage(row["stage"]),
        verified=bool(row["verified"]),
        failure=_parse_failure(row),
    )


def _parse_failure(row: Row) -> Failure | None:
    if row["failure_kind"] is None:
        return None
    kind = FailureClass(row["failure_kind"])
    return Failure(kind, row["failure_message"], row["failure_next_step"])
