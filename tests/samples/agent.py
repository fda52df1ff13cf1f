"""A small agent that speaks the `command` protocol, for tests: it logs every start and end.

Environment: CALL_LOG (a file outside the worktree; one line per start and end) and AGENT_SECONDS
(how long each role takes, or with `builder=60` that one alone).
"""

import json
import os
import re
import sys
import time
from pathlib import Path

CONFLICT = re.compile(r"^<{7} .*?\n(.*?)^={7}\n.*?^>{7} .*?\n", re.DOTALL | re.MULTILINE)


def say(word: str, role: str) -> None:
    """One line, written at once."""
    line = f"{word} {role} {os.getpid()} {time.time():.3f}\n"
    with Path(os.environ["CALL_LOG"]).open("a") as log:
        log.write(line)


def answer(role: str) -> dict[str, object]:
    """What the role reports; the builder also mends the bug, and takes our side of a conflict."""
    if role == "planner":
        return {
            "summary": "add instead of subtract",
            "plan_steps": ["change the operator"],
            "likely_files": ["adding.py"],
            "acceptance_criteria": ["add(2, 2) is 4"],
            "risks": [],
            "risk_level": "low",
            "difficulty": "easy",
            "questions": [],
        }
    if role == "builder":
        source = Path("adding.py")
        ours = CONFLICT.sub(r"\1", source.read_text())
        source.write_text(ours.replace("a - b", "a + b"))
        return {
            "summary": "adds now",
            "changed_files": ["adding.py"],
            "test_actions": [],
            "assumptions": [],
            "questions": [],
        }
    return {
        "decision": "approve",
        "risk_level": "low",
        "criteria": [{"id": 1, "met": True, "evidence": "adding.py adds"}],
        "findings": [],
        "summary": "as asked",
    }


def main() -> None:
    """Answer for the role that the environment names."""
    role = os.environ["REPOAGENTS_ROLE"]
    sys.stdin.read()
    say("start", role)
    slow, _, seconds = os.environ.get("AGENT_SECONDS", "0").rpartition("=")
    time.sleep(float(seconds) if slow in ("", role) else 0)
    report = answer(role)
    say("end", role)
    Path(os.environ["REPOAGENTS_RESULT"]).write_text(json.dumps(report))


main()
