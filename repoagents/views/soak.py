"""A soak as people and scripts read it: whether it passed, why not, and what was counted."""

from collections.abc import Sequence

from repoagents.domain.rollout import Soak
from repoagents.domain.soak import Reading, Tally
from repoagents.policy.soak import growth
from repoagents.views.markdown import bullets, document, inline, section, table
from repoagents.views.words import minute


def soak_row(soak: Soak, tally: Tally, readings: Sequence[Reading]) -> dict[str, object]:
    """The soak as `soak.json` holds it; memory in bytes, times in seconds."""
    return {
        "rehearsal": True,
        "passed": soak.passed,
        "problems": list(soak.problems),
        "at": soak.at.isoformat(),
        "version": soak.version,
        "seconds": soak.seconds,
        "issues": tally.issues,
        "merged": tally.merged,
        "faults": tally.faults,
        "kills": tally.kills,
        "deliveries": tally.deliveries,
        "stuck": len(tally.stuck),
        "doubled": len(tally.doubled),
        "lost": len(tally.lost),
        "left": len(tally.left),
        "bugs": len(tally.bugs),
        "readings": [vars(reading) for reading in readings],
    }


def render_soak(soak: Soak, tally: Tally, readings: Sequence[Reading]) -> str:
    """The same as Markdown."""
    counted = [
        ("issues labelled", f"{tally.issues}"),
        ("merged", f"{tally.merged}"),
        ("faults put in the way", f"{tally.faults}"),
        ("kills of the worker", f"{tally.kills}"),
        ("deliveries sent", f"{tally.deliveries}"),
        ("stuck runs", f"{len(tally.stuck)}"),
        ("doubled effects", f"{len(tally.doubled)}"),
        ("lost deliveries", f"{len(tally.lost)}"),
        ("left on disk", f"{len(tally.left)}"),
        ("bugs", f"{len(tally.bugs)}"),
    ]
    return document(
        f"# Soak {'passed' if soak.passed else 'failed'}",
        f"{soak.seconds:.0f} s with repoagents {soak.version}, {minute(soak.at)}.",
        section("Why", bullets(inline(one) for one in soak.problems)),
        section("Counted", table(("what", "how many"), counted)),
        section("The worker at rest", _held(readings)),
        rehearsal="Rehearsal: no model was called, and GitHub was one on this machine.",
    )


def _held(readings: Sequence[Reading]) -> str:
    span = growth(readings)
    if span is None:
        return "No process was read twice: too short to tell what grows. Use more --minutes."
    first, last = span
    return table(
        ("what", f"after {first.at:.0f} s", f"after {last.at:.0f} s"),
        [
            ("memory", f"{first.memory / 1e6:.0f} MB", f"{last.memory / 1e6:.0f} MB"),
            ("open files", f"{first.files}", f"{last.files}"),
            ("threads", f"{first.threads}", f"{last.threads}"),
        ],
    )
