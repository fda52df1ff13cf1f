"""The handoff as a page: one self-contained file, for a person who was not there."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from repoagents.policy.wording import age, clean, one_line
from repoagents.views import tones
from repoagents.views.dossier import Handoff, Proof
from repoagents.views.headline import ASKED, headline
from repoagents.views.html import link, render_page
from repoagents.views.snapshot import EffectRow
from repoagents.views.words import cost_of, spoken

LINES_SHOWN = 3_000
"""How many lines of the patch the page shows; the file beside it has them all."""

LINE_LIMIT = 500
TEXT_LIMIT = 20_000
FILES_SHOWN = 500

MET = {True: ("met", "good"), False: ("not met", "bad"), None: ("not answered", "warn")}


@dataclass(frozen=True)
class PatchPart:
    """The patch of one file: `lines` are their class and text."""

    path: str
    lines: tuple[tuple[str, str], ...]


def render_handoff_page(handoff: Handoff) -> str:
    """The whole story; its heading says what happened, and the line below what is asked."""
    run, verdict = handoff.run, handoff.verdict
    happened, _, asked = headline(run, verdict, handoff.effects).partition(ASKED)
    parts, left_out = _patch(handoff.patch)
    values: dict[str, object] = {
        "rehearsal": handoff.rehearsal,
        "told": handoff,
        "run": run,
        "tone": tones.STATUSES[run.status],
        "happened": happened.strip(),
        "asked": asked,
        "title": one_line(handoff.issue.title),
        "body": _bounded(handoff.issue.body),
        "steps": list(_steps(handoff)),
        "reasons": _reasons(handoff),
        "verdict_tone": tones.VERDICTS[verdict.kind] if verdict else "idle",
        "contract": handoff.contract,
        "criteria": [(row, *MET[row.met]) for row in handoff.criteria()],
        "proofs": [_proof(proof) for proof in handoff.proofs()],
        "found": [(row, tones.SEVERITIES[row.severity]) for row in handoff.found()],
        "files": handoff.change.files[:FILES_SHOWN] if handoff.change else (),
        "parts": parts,
        "left_out": left_out,
        "effects": [_effect(row) for row in handoff.effects],
        "shares": [(share, sum(share.seconds), cost_of(share.usage)) for share in handoff.shares()],
        "cost": cost_of(handoff.usage),
        "took": age(run.finished_at - run.started_at) if run.finished_at and run.started_at else "",
        "kept": sorted({*handoff.files, "handoff.md"} - {"handoff.html"}),
    }
    return render_page("handoff.html", values, style="handoff.css")


def _steps(handoff: Handoff) -> Iterator[str]:
    """How it goes on, beyond what the headline asks."""
    run = handoff.run
    if handoff.when:
        yield handoff.when
    if run.failure and run.failure.next_step:
        yield run.failure.next_step
    if handoff.taking:
        yield f"To take the change as it is: `{one_line(handoff.taking, 500)}`"


def _reasons(handoff: Handoff) -> tuple[str, ...]:
    """Why it was decided so; of a run that came to no verdict, what stopped it."""
    if handoff.verdict is not None:
        return handoff.verdict.reasons
    failure = handoff.run.failure
    return (f"{failure.kind.value}: {failure.message}",) if failure else ()


def _proof(proof: Proof) -> dict[str, object]:
    result = proof.result
    return {
        "proof": proof,
        "result": result,
        "tone": "good" if proof.passed else "bad" if result.required else "warn",
        "tail": _bounded(result.tail),
    }


def _effect(row: EffectRow) -> dict[str, str]:
    name, state, flag, reason, location = row
    return {
        "name": spoken(name),
        "state": state,
        "tone": tones.EFFECTS.get(state, "idle"),
        "flag": flag,
        "told": location or reason,
        "link": link(location),
    }


def _bounded(text: str) -> str:
    return text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}\n… cut here"


# --- the patch ----------------------------------------------------------------------------------


def _patch(patch: str) -> tuple[list[PatchPart], int]:
    """The patch by file, and how many lines of it are left out."""
    lines = patch.split("\n")
    lines = lines[:-1] if lines[-1] == "" else lines
    parts: list[PatchPart] = []
    path, told = "", list[tuple[str, str]]()
    in_hunk = False
    for line in islice(lines, LINES_SHOWN):
        if line.startswith("diff --git "):
            parts += [PatchPart(path, tuple(told))] if told else []
            path, told, in_hunk = _path(line), [], False
            continue
        in_hunk = in_hunk or line.startswith("@@")
        told.append((_class(line, in_hunk=in_hunk), _visible(line)))
    parts += [PatchPart(path, tuple(told))] if told else []
    return parts, max(len(lines) - LINES_SHOWN, 0)


def _path(line: str) -> str:
    """The path in a header of git's, which tells it twice."""
    both = line.removeprefix("diff --git ")
    half = len(both) // 2
    old, new = both[:half].strip('"'), both[half + 1 :].strip('"')
    same = old.removeprefix("a/") == new.removeprefix("b/")
    return _visible(new.removeprefix("b/") if same else both)


def _class(line: str, *, in_hunk: bool) -> str:
    if line.startswith("@@"):
        return "hunk"
    if not in_hunk:
        return "head"
    return {"+": "add", "-": "del"}.get(line[:1], "same")


def _visible(line: str) -> str:
    """A line with what nobody would see in it, and might be there for that, spelled out."""
    shown = line if len(line) <= LINE_LIMIT else f"{line[:LINE_LIMIT]}…"
    if clean(shown) == shown:
        return shown
    return "".join(
        char if char == "\t" or clean(char) == char else f"[U+{ord(char):04X}]" for char in shown
    )
