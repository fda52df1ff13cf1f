"""The doors to what is remembered: runs, stages, spending, effects, requests, artifacts, log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from repoagents.domain.delivery import Delivery
from repoagents.domain.effect import Effect, Receipt
from repoagents.domain.issue import Issue
from repoagents.domain.pulse import Part, Pulse
from repoagents.domain.reports import Plan, Usage
from repoagents.domain.run import Run, RunStatus, Stage

T = TypeVar("T")


@dataclass(frozen=True)
class StageKey:
    """Where a stage's value is kept; `input_hash` says for which input it holds."""

    run_id: str
    attempt: int
    stage: Stage
    round: int
    input_hash: str


class Runs(Protocol):
    """The runs. `replace` is a compare-and-set on status and `updated_at`."""

    def add(self, run: Run, issue: Issue) -> bool:
        """Insert with the issue's frozen text; False when the issue already has an active run."""

    def replace(self, before: Run, after: Run) -> bool:
        """Store `after` where `before` still stands; False when somebody was faster."""

    def progress(self, run_id: str, stage: Stage, event: str, at: datetime) -> None:
        """Note what the run is doing, without touching its status."""

    def find(self, run_id: str) -> Run | None:
        """One run."""

    def latest(self, issue_number: int) -> Run | None:
        """The newest run of an issue."""

    def of_issue(self, issue_number: int) -> tuple[Run, ...]:
        """Every run of an issue, newest first."""

    def select(self, statuses: Sequence[RunStatus] = (), limit: int = 500) -> tuple[Run, ...]:
        """Runs, newest first; of these statuses when any is named."""

    def counts(self) -> Mapping[RunStatus, int]:
        """How many runs have each status; statuses without a run are left out."""

    def with_open_pull_request(self, statuses: Sequence[RunStatus]) -> tuple[Run, ...]:
        """Runs of these statuses that are the newest of their issue, with a pull request open.

        Open is one that was opened and is not merged, as far as the ledger knows, and that nobody
        closed: `CLOSED` is not the last word on the run. Newest first.
        """

    def issue(self, run_id: str) -> Issue:
        """The issue's text as it was frozen when the run was made."""


class Stages(Protocol):
    """Finished stages' values, kept so that none is run again for the same input."""

    def record(self, key: StageKey, value: object, at: datetime, seconds: float) -> None:
        """Keep a value (a frozen domain value)."""

    def find(self, key: StageKey, kind: type[T]) -> T | None:
        """The value for the same run, stage, round and input hash, of any attempt."""

    def last(self, run_id: str, stage: Stage, kind: type[T], round: int | None = None) -> T | None:
        """The newest value of a stage, of that round when one is named, or None."""

    def void(self, run_id: str, stage: Stage, round: int) -> None:
        """Forget a stage's values of one round, so that it is run again."""

    def timings(self, run_id: str) -> tuple[tuple[Stage, int, float], ...]:
        """Stage, round and seconds, in the order recorded."""


@dataclass(frozen=True)
class Spent:
    """What has been reserved or spent: by this run, in the last hour, in the last day."""

    run: Usage
    hour: Usage
    day: Usage


class Spend(Protocol):
    """The ledger of calls, tokens and cost; it survives any crash."""

    def spent(self, run_id: str, now: datetime) -> Spent:
        """Sums, open reservations included."""

    def of_stages(self, run_id: str) -> tuple[tuple[Stage, Usage], ...]:
        """The same of a run by stage, in the order of their first calls."""

    def reserve(self, run_id: str, stage: Stage, usage: Usage, at: datetime) -> int:
        """Reserve before the call; returns the reservation's number."""

    def settle(self, reservation: int, usage: Usage) -> None:
        """Replace a reservation by what the call really cost."""


@dataclass(frozen=True)
class LedgerRow:
    """One effect of a run: intended, done, or withheld and by which flag."""

    run_id: str
    name: str
    key: str
    state: str
    flag: str
    reason: str
    location: str
    at: datetime

    @property
    def held(self) -> bool:
        """Whether a flag withholds it; one that was cut off meanwhile is withheld still."""
        return self.state == "withheld" or (self.state == "intended" and self.flag != "")


class Ledger(Protocol):
    """Effects: the intent is durable before the call, the receipt after it."""

    def intend(
        self, run_id: str, effect: Effect, at: datetime, location: str | None = None
    ) -> None:
        """Write the intent row, which keeps the location that it had unless one is given.

        An empty one says that it is about to be made anew.
        """

    def receipt(self, effect: Effect) -> Receipt | None:
        """The receipt, when the effect is known to have taken place."""

    def close(self, run_id: str, effect: Effect, receipt: Receipt) -> None:
        """Write the receipt row."""

    def withhold(self, run_id: str, effect: Effect, flag: str, reason: str, at: datetime) -> None:
        """Keep an effect that a flag withheld."""

    def withheld(self, run_id: str) -> tuple[Effect, ...]:
        """The effects of a run that are still withheld, in the order intended."""

    def discard(self, run_id: str, reason: str, at: datetime) -> None:
        """A person said no: withheld effects of the run will never be performed."""

    def rows(self, run_id: str) -> tuple[LedgerRow, ...]:
        """All effects of a run, for reports."""

    def unsaid(self) -> tuple[str, ...]:
        """The runs whose comment or label was intended, and is not known to be done."""


FROM_COMMENT = "comment-"
"""How the id of a request begins that a comment made; its number follows."""


@dataclass(frozen=True)
class Request:
    """A person's or an event's wish, kept until the worker's next tick takes it up.

    `kind` is trigger, retry, cancel, approve, reject or status. `by` is who wished it: the
    operator's name, or the login of a comment's author.
    """

    id: str
    kind: str
    issue_number: int
    at: datetime
    note: str = ""
    fresh: bool = False
    force: bool = False
    by: str = ""

    @property
    def comment_id(self) -> int | None:
        """The comment that holds the wish; None for the operator's own."""
        number = self.id.removeprefix(FROM_COMMENT)
        return int(number) if number != self.id else None

    @property
    def asked_by(self) -> str:
        """The login of the comment's author; empty for the operator's own wish."""
        return "" if self.comment_id is None else self.by


class Inbox(Protocol):
    """Durable requests, each taken once; not a queue: no leases, no retries."""

    def put(self, request: Request) -> bool:
        """Keep a request; False when one with this id was seen before."""

    def pending(self) -> tuple[Request, ...]:
        """Requests not yet taken, oldest first."""

    def take(self, request_id: str, outcome: str, at: datetime) -> None:
        """Mark as taken, with what came of it."""

    def outcome(self, request_id: str) -> str | None:
        """What came of a request; None while it is pending."""

    def forget_before(self, at: datetime) -> bool:
        """Forget a portion of what was taken before this instant; whether there may be more.

        What is pending stays, and so do the newest requests, whatever the clock says.
        """


class Deliveries(Protocol):
    """What webhooks told: each looked at once, and known for as long as it is kept.

    A delivery is known when its id is, or when one tells the same (event, action, object, time of
    the object) that is pending, or was looked at well after that time. Whoever drains it reads
    `pending`, looks, and then calls `take`: after a crash in between, it looks again.
    """

    def put(self, delivery: Delivery) -> bool:
        """Keep a delivery durably; False when it is known."""

    def put_all(self, deliveries: Sequence[Delivery]) -> tuple[bool, ...]:
        """The same for several, all of them or none; an answer for each."""

    def knows(self, delivery_ids: Sequence[str]) -> frozenset[str]:
        """Those of the ids under which a delivery is kept, pending or taken."""

    def pending(self) -> tuple[Delivery, ...]:
        """Deliveries not yet taken, oldest first, a bounded number of them."""

    def take(self, delivery_id: str, outcome: str, at: datetime) -> None:
        """Mark as taken, with what came of it."""

    def forget_before(self, at: datetime) -> bool:
        """Forget a portion of what was received before this instant; whether there may be more.

        What is pending stays.
        """

    def probe(self) -> None:
        """Raises `StoreError` when a delivery could not be kept now."""


CLOSED = "closed"
"""The decision that a person took by closing the pull request."""


@dataclass(frozen=True)
class Approval:
    """A person's word on exactly one content: head SHA and diff hash.

    `decision` is approve, reject or withdraw (`pipeline.approval`), carried (`pipeline.merge`),
    revise (`pipeline.feedback`), anew (`pipeline.publication`) or `CLOSED`.
    """

    run_id: str
    decision: str
    head_sha: str
    diff_hash: str
    by: str
    at: datetime
    note: str = ""


class Approvals(Protocol):
    """Approvals and rejections, append only."""

    def add(self, approval: Approval) -> None:
        """Record a decision."""

    def select(self, run_id: str) -> tuple[Approval, ...]:
        """Decisions on a run, oldest first."""


class Pulses(Protocol):
    """The newest signs of life of each part of the bot, whichever process it lives in."""

    def put(self, pulse: Pulse) -> None:
        """Replace what the part told before."""

    def find(self, part: Part) -> Pulse | None:
        """What the part told last; None when it never lived."""

    def all(self) -> tuple[Pulse, ...]:
        """What each part told last."""


class Artifacts(Protocol):
    """Files of a run that people read; everything is redacted at this door."""

    def folder(self, issue_number: int, run_id: str) -> Path:
        """The run's folder, made when absent."""

    def write(self, issue_number: int, run_id: str, name: str, text: str) -> Path:
        """Write a file atomically."""

    def read(self, issue_number: int, run_id: str, name: str) -> str | None:
        """A file's text, or None."""

    def names(self, issue_number: int, run_id: str) -> tuple[str, ...]:
        """The names of a run's files, sorted; empty when there are none."""

    def keep_plan(self, issue_number: int, key: str, plan: Plan) -> None:
        """Keep a dry run's plan for the real run."""

    def find_plan(self, issue_number: int, key: str) -> Plan | None:
        """The plan that a dry run made for the same input."""

    def plans(self) -> tuple[int, ...]:
        """The issue numbers of the plans that dry runs left, one for each plan, sorted."""

    def folders(self) -> tuple[tuple[int, str, Path], ...]:
        """Issue number, run id and path of every run folder."""

    def remove(self, issue_number: int, run_id: str) -> None:
        """Delete a run's folder."""


class Reports(Protocol):
    """Files that people open: reports, bundles, the dashboard; everything is redacted here."""

    def write(self, name: str, text: str) -> Path:
        """Replace a report; `name` is its path below the control plane's folder."""

    def read(self, name: str) -> str | None:
        """A report's text as it was written last; None when it never was."""


@dataclass(frozen=True)
class Member:
    """One file of a handoff bundle: `redactions` counts what was hidden in it."""

    path: str
    size: int
    sha256: str
    redactions: int


@dataclass(frozen=True)
class BundleDraft:
    """A bundle's members as they will be written, by path, and what describes them."""

    contents: Mapping[str, bytes]
    members: tuple[Member, ...]


@dataclass(frozen=True)
class BundleEntry:
    """A line of the bundles' history; `archive` is empty without one, `issue` 0 for the whole.

    `made_at` is an ISO 8601 instant. `rehearsal` is the first line of what a fixture made.
    """

    stamp: str
    made_at: str
    archive: str
    issue: int
    level: str
    headline: str
    fingerprint: str
    rehearsal: str = ""


class Bundles(Protocol):
    """Handoff bundles: written whole, signed, the newest kept."""

    def draft(self, texts: Mapping[str, str]) -> BundleDraft:
        """The members, redacted and described; nothing is written yet."""

    def keep(
        self, stamp: str, draft: BundleDraft, manifest: Mapping[str, object], *, archive: bool
    ) -> tuple[Path, Path | None, str]:
        """Write the folder, and with `archive` the archive; returns both and the fingerprint."""

    def remember(self, entry: BundleEntry, keep: int) -> tuple[BundleEntry, ...]:
        """Put the entry at the head of the history, and delete what falls off its end."""

    def write(self, name: str, text: str) -> Path:
        """Replace a file beside the bundles."""


class Journal(Protocol):
    """The log: a sentence and a stable event code."""

    def note(self, code: str, message: str, **fields: object) -> None:
        """Write one line; fields are run, issue, role, attempt, stage and the like."""

    def warn(self, code: str, message: str, **fields: object) -> None:
        """The same at level warning."""
