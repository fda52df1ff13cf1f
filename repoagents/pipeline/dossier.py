"""Everything that is known about a run, gathered for the pages that people read."""

from typing import TypeVar

from repoagents.domain.issue import Issue
from repoagents.domain.reports import Plan, Review, Verdict, Verification
from repoagents.domain.run import Run, Stage
from repoagents.domain.settings import Settings
from repoagents.domain.smoke import REHEARSAL, stands_in
from repoagents.errors import ValueUnreadable
from repoagents.pipeline.stages import Built
from repoagents.policy import guardrails
from repoagents.ports import Books, LedgerRow, Stages
from repoagents.views.dossier import Handoff
from repoagents.views.preview import role_engines
from repoagents.views.snapshot import EffectRow

T = TypeVar("T")

PATCH = "changes.patch"
STAYS = (".prompt.md", ".events.jsonl", ".transcript.jsonl")
"""Artifacts of a run that stay on the bot's machine: what was sent to a model, and its events."""


class Kept:
    """What the stages of one run left, read so that a value of another version hides no other.

    `unreadable` names those values that could not be read so far.
    """

    def __init__(self, stages: Stages, run_id: str) -> None:
        self._stages = stages
        self._run_id = run_id
        self.unreadable: list[str] = []

    def last(self, stage: Stage, kind: type[T], round_: int | None = None) -> T | None:
        """The newest value of a stage, of that round when one is named; None without a usable."""
        try:
            return self._stages.last(self._run_id, stage, kind, round_)
        except ValueUnreadable:
            self.unreadable.append(stage.value)
            return None


def gather(books: Books, run: Run) -> Handoff:
    """The run's dossier as it stands; what was not reached yet, or cannot be read, is None."""
    stages, kept = books.stages, Kept(books.stages, run.id)
    timings = stages.timings(run.id)
    # What is told belongs to one round: the last one that built.
    rounds = (number for stage, number, _ in reversed(timings) if stage is Stage.BUILD)
    round_ = next(rounds, run.round)
    built = kept.last(Stage.BUILD, Built, round_)
    plan = kept.last(Stage.PLAN, Plan)
    folder = books.artifacts.folder(run.issue_number, run.id)
    rules, sensitive = books.settings.guardrails, books.sensitive()
    try:
        issue = books.runs.issue(run.id)
    except ValueUnreadable:
        issue = Issue(run.issue_number, run.title)
        kept.unreadable.append("issue")
    return Handoff(
        run=run,
        issue=issue,
        plan=plan,
        change=built.change if built else None,
        build=built.report if built else None,
        findings=guardrails.inspect(built.change, plan, rules, sensitive) if built else (),
        verification=kept.last(Stage.VERIFY, Verification, round_),
        base_verification=kept.last(Stage.BASE_CHECK, Verification),
        review=kept.last(Stage.REVIEW, Review, round_),
        verdict=kept.last(Stage.VERDICT, Verdict, round_),
        effects=tuple(effect_row(row) for row in books.ledger.rows(run.id)),
        timings=timings,
        usage=books.spend.spent(run.id, books.clock.now()).run,
        spent=books.spend.of_stages(run.id),
        engines=role_engines(books.settings),
        patch_path=str((folder / PATCH).relative_to(books.root)) if built else "",
        # As it was kept, without secrets: on a page, its lines stand apart, where none is found.
        patch=(books.artifacts.read(run.issue_number, run.id, PATCH) or "") if built else "",
        files=tuple(
            name
            for name in books.artifacts.names(run.issue_number, run.id)
            if not name.endswith(STAYS)
        ),
        fixture=REHEARSAL if rehearsed(books.settings) else "",
        unreadable=tuple(kept.unreadable),
    )


def rehearsed(settings: Settings) -> bool:
    """Whether issues, or what is said of GitHub, come from a fixture."""
    return settings.tracker.mode == "fixture" or stands_in(settings)


def effect_row(row: LedgerRow) -> EffectRow:
    """A ledger row as views show it."""
    return (row.name, row.state, row.flag, row.reason, row.location)
