"""The rehearsal agent: speaks the command protocol, calls no model, and says so in every output.

For an issue with a recording in the worktree, `.ai-repoagents/rehearsal/issue-N.json` with the
keys `plan`, `patch` (a unified diff) and `build`, it plays that recording: the planner answers
with the plan, the builder applies the patch, the reviewer looks at what really stands in the
files and at what our own checks said. For any other issue it proposes one harmless file.
"""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from repoagents.config.files import CONTROL
from repoagents.rehearsal.patch import (
    FilePatch,
    Hunk,
    PatchError,
    apply_patch,
    parse_patch,
    split_lines,
    stands,
)

NOTICE = "Rehearsal: no model is called."

_QUOTED = re.compile(r"<<<([A-Z]+-TEXT) (\S+)\n.*?\n\1 \2>>>", re.DOTALL)

Report = dict[str, object]


@dataclass(frozen=True)
class Recording:
    """What is played for one issue."""

    plan: Report
    patches: tuple[FilePatch, ...]
    build: Report


def main(arguments: list[str]) -> int:
    """Answer one call: role, issue number, schema file, result file; returns the exit code."""
    role, issue, schema, result = arguments
    prompt = sys.stdin.read()
    try:
        report = answer(role, load_recording(Path.cwd(), int(issue)), prompt, Path(schema))
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.stderr.write(f"{NOTICE} The {role} cannot play issue {issue}: {error}\n")
        return 1
    report["summary"] = f"{NOTICE} {report['summary']}"
    Path(result).write_text(json.dumps(report), encoding="utf-8")
    sys.stderr.write(f"{NOTICE}\n")
    return 0


def answer(role: str, recording: Recording, prompt: str, schema: Path) -> Report:
    """One role's part, played in the current folder."""
    match role:
        case "planner":
            return dict(recording.plan)
        case "builder":
            build(recording.patches, Path.cwd())
            return dict(recording.build)
        case _:
            ids = asked_ids(schema.read_text(encoding="utf-8"))
            return review(recording.patches, Path.cwd(), prompt, ids)


def load_recording(worktree: Path, issue: int) -> Recording:
    """The issue's recording, or one that adds a single file; raises ValueError when broken."""
    path = worktree / CONTROL / "rehearsal" / f"issue-{issue}.json"
    if not path.exists():
        return _improvised(issue)
    recorded = json.loads(path.read_text(encoding="utf-8"))
    return Recording(recorded["plan"], parse_patch(recorded["patch"]), recorded["build"])


def build(patches: tuple[FilePatch, ...], worktree: Path) -> None:
    """Apply every patch, or none; what already stands is left as it is."""
    texts: dict[Path, str | None] = {}
    for patch in patches:
        path = _inside(worktree, patch.path)
        text = _text(path)
        if not stands(patch, text):
            texts[path] = apply_patch(patch, text)
    for path, text in texts.items():
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")


def review(
    patches: tuple[FilePatch, ...], worktree: Path, prompt: str, ids: tuple[int, ...]
) -> Report:
    """Judge by what can be seen without a model: the recorded lines and our own checks."""
    missing = [p.path for p in patches if not stands(p, _text(_inside(worktree, p.path)))]
    checks = _checks(prompt)
    met = not missing and checks != "failed"
    seen = f"not in place: {', '.join(missing)}" if missing else "the recorded lines are in place"
    evidence = f"{NOTICE} Checks: {checks}; {seen}."
    return {
        "decision": "approve" if met else "request_changes",
        "risk_level": "low",
        "criteria": [{"id": number, "met": met, "evidence": evidence} for number in ids],
        "findings": [],
        "summary": f"Checks: {checks}; {seen}.",
    }


def asked_ids(schema: str) -> tuple[int, ...]:
    """The criteria that the review's schema lists."""
    definitions = [entry.get("properties", {}) for entry in json.loads(schema)["$defs"].values()]
    row = next(properties for properties in definitions if "met" in properties)
    return tuple(row["id"].get("enum", ()))


def _checks(prompt: str) -> str:
    """How our own checks came out; only what stands outside every quotation counts."""
    found = re.search(r"^Checks: (.+)$", _QUOTED.sub("", prompt), re.MULTILINE)
    return found.group(1) if found else "none configured"


def _improvised(issue: int) -> Recording:
    path = f"REHEARSAL-issue-{issue}.md"
    text = f"# Rehearsal of issue {issue}\n\n{NOTICE} This file stands for the change.\n"
    plan: Report = {
        "summary": f"Add {path}, which stands for a change to issue {issue}.",
        "plan_steps": [f"Write {path}."],
        "likely_files": [path],
        "acceptance_criteria": [f"{path} is there."],
        "risks": [],
        "risk_level": "low",
        "difficulty": "easy",
        "questions": [],
    }
    report: Report = {
        "summary": f"Wrote {path}.",
        "changed_files": [path],
        "test_actions": [],
        "assumptions": [],
        "questions": [],
    }
    hunk = Hunk(0, 1, (), tuple(split_lines(text)))
    return Recording(plan, (FilePatch(path, (hunk,), creates=True),), report)


def _inside(worktree: Path, name: str) -> Path:
    path = (worktree / name).resolve()
    if not path.is_relative_to(worktree.resolve()):
        raise PatchError(f"{name}: lies outside the worktree")
    return path


def _text(path: Path) -> str | None:
    if not path.exists():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
