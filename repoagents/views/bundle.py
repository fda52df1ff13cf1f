"""The landing of a handoff bundle: what happened, what is asked of you, what to open first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from repoagents.policy.attention import Standing
from repoagents.ports import BundleEntry, Member
from repoagents.views import tones
from repoagents.views.brief import concern_table, shortlist
from repoagents.views.html import render_page
from repoagents.views.markdown import bullets, code, document, inline, neutral, section, table
from repoagents.views.permits import permits_of, why_held
from repoagents.views.snapshot import Snapshot
from repoagents.views.words import minute, spoken

READING = (
    ("ops-brief.md", "how things stand, in a minute"),
    ("github-smoke.md", "what GitHub lets the bot do"),
    ("ops-status.md", "every number behind the brief"),
    ("dashboard.html", "the runs, to search and to filter"),
)
"""What to open after the landing, in this order."""


@dataclass(frozen=True)
class Landing:
    """What the first page of a bundle tells.

    Of a bundle of one issue, `told` is the headline of its run and `handoff` is where its story
    is, without `.md` or `.html`.
    """

    snapshot: Snapshot
    standing: Standing
    members: Sequence[str]
    issue: int = 0
    told: str = ""
    handoff: str = ""

    @property
    def title(self) -> str:
        """What the bundle is about."""
        about = f"issue #{self.issue} of " if self.issue else ""
        return f"Handoff of {about}{self.snapshot.repo}"

    @property
    def headline(self) -> str:
        """What the reader is here for: the one issue, or else how things stand."""
        return self.told or self.standing.headline

    def reading(self, form: str) -> tuple[tuple[str, str], ...]:
        """What to open, in order: path and what it tells; the story as `.md` or `.html`."""
        story = f"{self.handoff}{form}"
        first = ((story, "what the bot did on this issue"),) if self.handoff else ()
        return first + tuple(row for row in READING if row[0] in self.members)


def render_landing_page(landing: Landing) -> str:
    """`index.html` of the bundle."""
    concerns, more = shortlist(landing.standing)
    return render_page(
        "bundle.html",
        {
            "rehearsal": landing.snapshot.rehearsal,
            "landing": landing,
            "reading": landing.reading(".html"),
            "concerns": concerns,
            "weights": tones.WEIGHTS,
            "level": tones.LEVELS[landing.standing.level],
            "more": more,
            "outcomes": [
                (spoken(status), tones.STATUSES[status], count)
                for status, count in landing.snapshot.counted
            ],
            "permits": list(permits_of(landing.snapshot)),
            "held": why_held(landing.snapshot),
            "made_at": minute(landing.snapshot.now),
        },
    )


def render_landing(landing: Landing) -> str:
    """`README.md` of the bundle; what was made from a fixture says so on its first line."""
    snapshot, standing = landing.snapshot, landing.standing
    concerns, _ = shortlist(standing)
    steps = [
        f"{number}. {code(path)}: {what}"
        for number, (path, what) in enumerate(landing.reading(".md"), 1)
    ]
    return document(
        f"# {inline(landing.title)}",
        neutral(landing.headline),
        f"The bot: {neutral(standing.headline)}" if landing.told else "",
        section("What is asked of you", concern_table(concerns) or "Nothing."),
        section("How things stand", bullets(_facts(snapshot))),
        section("What to open, in this order", "\n".join(steps)),
        section(
            "Is it unchanged?",
            f"{code('repoagents ops verify .')} checks every file and the signature, offline; "
            f"compare the fingerprint with {code('repoagents ops key')} on the bot's machine. "
            f"{code('bundle.md')} lists every file.",
        ),
        f"{minute(snapshot.now)}, repoagents {snapshot.version}.",
        rehearsal=snapshot.rehearsal,
    )


def _facts(snapshot: Snapshot) -> Iterator[str]:
    """What became of the runs, who works on them, and what is withheld by which flag."""
    counted = [f"{count:,} {spoken(status)}" for status, count in snapshot.counted]
    yield f"Runs: {', '.join(counted) or 'none yet'}."
    yield neutral(snapshot.holder) or "No worker is live: nothing moves."
    for permit in permits_of(snapshot):
        yield f"{inline(permit.words)}: **{permit.state}** ({code(permit.flag)})"
    held = why_held(snapshot)
    if held:
        yield inline(held)


def render_manifest(members: Sequence[Member], snapshot: Snapshot) -> str:
    """`bundle.md`: every file with its size and checksum, and how often something was hidden."""
    hidden = sum(member.redactions for member in members)
    rows = [(code(m.path), f"{m.size:,}", code(m.sha256), str(m.redactions or "")) for m in members]
    return document(
        "# The files of this bundle",
        f"{len(members)} files beside the manifest and its signature. "
        + (f"{hidden} times a secret was hidden." if hidden else "Nothing had to be hidden."),
        table(("file", "bytes", "SHA-256", "hidden"), rows),
        rehearsal=snapshot.rehearsal,
    )


def render_latest(entry: BundleEntry) -> str:
    """`latest.md`: where the newest bundle is."""
    issue = f" of issue #{entry.issue}" if entry.issue else ""
    return document(
        "# The newest handoff bundle",
        f"{code(entry.stamp)}{issue}, made at {entry.made_at}: {neutral(entry.headline)}",
        f"Open {code(f'{entry.stamp}/README.md')}"
        + (f"; the archive is {code(entry.archive)}." if entry.archive else "."),
        rehearsal=entry.rehearsal,
    )


def render_history(entries: Sequence[BundleEntry]) -> str:
    """`history.md`: the bundles that are kept, newest first."""
    rows = [
        (
            code(entry.stamp),
            f"#{entry.issue}" if entry.issue else "all",
            entry.level,
            neutral(f"{entry.rehearsal} {entry.headline}".strip()),
            code(entry.archive) if entry.archive else "",
        )
        for entry in entries
    ]
    return document(
        "# Handoff bundles", table(("bundle", "issue", "level", "headline", "archive"), rows)
    )
