"""The tables, in the newest schema; `migrations` brings older ones here."""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from repoagents.domain.run import RunStatus
from repoagents.store.rows import (
    RUN_INSTANTS,
    RUN_NUMBERS,
    RUN_OPTIONAL_INSTANTS,
    RUN_TEXTS,
)

METADATA = MetaData()

ACTIVE = tuple(status for status in RunStatus if not status.terminal)


def _sequence() -> Column[int]:
    """Counts rows in the order stored: what "newest" means, whatever the clock does."""
    return Column(
        "seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )


def _text(
    name: str, *, primary_key: bool = False, unique: bool = False, nullable: bool = False
) -> Column[str]:
    return Column(name, Text, primary_key=primary_key, unique=unique or None, nullable=nullable)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _of_run() -> Column[str]:
    return Column("run_id", Text, ForeignKey("runs.id"), nullable=False)


meta = Table("meta", METADATA, _text("key", primary_key=True), _text("value"))
"""`schema`, `installation` and `created_at`."""

runs = Table(
    "runs",
    METADATA,
    _sequence(),
    *(_text(name, unique=name == "id") for name in RUN_TEXTS),
    *(_number(name) for name in RUN_NUMBERS),
    *(_text(name) for name in RUN_INSTANTS),
    *(_text(name, nullable=True) for name in RUN_OPTIONAL_INSTANTS),
    _text("status"),
    _text("stage", nullable=True),
    _number("verified"),
    _text("failure_kind", nullable=True),
    _text("failure_message"),
    _text("failure_next_step"),
)
_active = runs.c.status.in_([status.value for status in ACTIVE])
Index(
    "one_active_run_per_issue",
    runs.c.issue_number,
    unique=True,
    sqlite_where=_active,
    postgresql_where=_active,
)
Index("runs_by_issue", runs.c.issue_number, runs.c.seq)
Index("runs_by_status", runs.c.status, runs.c.seq)

tallies = Table("tallies", METADATA, _text("status", primary_key=True), _number("runs"))
"""How many runs have each status: kept with every write, so that `status` need not count them."""

issues = Table(
    "issues",
    METADATA,
    Column("run_id", Text, ForeignKey("runs.id"), primary_key=True),
    _text("issue"),
)
"""The issue's text as it was when the run was made, as JSON."""

stages = Table(
    "stages",
    METADATA,
    _sequence(),
    _of_run(),
    _number("attempt"),
    _text("stage"),
    _number("round"),
    _text("input_hash"),
    _text("value"),
    _text("at"),
    Column("seconds", Float, nullable=False),
    UniqueConstraint("run_id", "attempt", "stage", "round", "input_hash"),
)

spend = Table(
    "spend",
    METADATA,
    _sequence(),
    # No foreign key: what was spent today counts today, even of a run that was deleted.
    _text("run_id"),
    _text("stage"),
    _number("calls"),
    _number("tokens"),
    Column("cost", Float),
    _text("at"),
    _number("settled"),
)
Index("spend_by_run", spend.c.run_id)
Index("spend_by_time", spend.c.at)

effects = Table(
    "effects",
    METADATA,
    _sequence(),
    _of_run(),
    _text("key"),
    _text("name"),
    _text("state"),
    _text("flag"),
    _text("reason"),
    _text("location"),
    _text("at"),
    _text("effect"),
    UniqueConstraint("run_id", "key"),
)

open_pulls = Table(
    "open_pulls",
    METADATA,
    Column("run_id", Text, ForeignKey("runs.id"), primary_key=True),
)
"""The runs whose pull request is open, as their effects and approvals say: see `open_pulls`."""

inbox = Table(
    "inbox",
    METADATA,
    _sequence(),
    _text("id", unique=True),
    _text("kind"),
    _number("issue_number"),
    _text("at"),
    _text("note"),
    _number("fresh"),
    _number("force"),
    _text("asked_by"),
    _text("outcome", nullable=True),
    _text("taken_at", nullable=True),
)
Index("inbox_pending", inbox.c.seq, sqlite_where=inbox.c.outcome.is_(None))

deliveries = Table(
    "deliveries",
    METADATA,
    _sequence(),
    _text("id", unique=True),
    # Event, action, object and time in one: what two deliveries of the same change have in common.
    _text("twin", nullable=True),
    _text("settled_at", nullable=True),
    _text("received_at"),
    _text("says"),
    _text("outcome", nullable=True),
    _text("taken_at", nullable=True),
)
Index("deliveries_pending", deliveries.c.seq, sqlite_where=deliveries.c.outcome.is_(None))
Index("deliveries_by_twin", deliveries.c.twin)

pulses = Table(
    "pulses",
    METADATA,
    _text("part", primary_key=True),
    _text("since"),
    _text("beat_at"),
    _text("tried_at", nullable=True),
    _text("heard_at", nullable=True),
    _text("problem"),
    Column("quota_limit", BigInteger),
    Column("quota_left", BigInteger),
    _text("quota_reset_at", nullable=True),
    _text("paused_until", nullable=True),
    _text("pause_reason", nullable=True),
)
"""The newest signs of life of the worker and of the receiver."""

approvals = Table(
    "approvals",
    METADATA,
    _sequence(),
    _of_run(),
    _text("decision"),
    _text("head_sha"),
    _text("diff_hash"),
    _text("decided_by"),
    _text("at"),
    _text("note"),
)
Index("approvals_by_run", approvals.c.run_id)
