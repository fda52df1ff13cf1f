"""Which tone a word has: a class of the pages' style sheet, and a colour on a terminal.

By the words as they stand in JSON, so that whoever colours a text needs to import nothing else.
"""

STATUSES = {
    "queued": "idle",
    "in_progress": "busy",
    "retry_pending": "idle",
    "awaiting_approval": "warn",
    "blocked": "warn",
    "completed": "good",
    "no_change": "idle",
    "failed": "bad",
    "cancelled": "idle",
    "superseded": "idle",
}
LEVELS = {"broken": "bad", "attention": "warn", "working": "busy", "idle": "good"}
WEIGHTS = {"critical": "bad", "high": "bad", "medium": "warn", "low": "idle"}
SEVERITIES = {**WEIGHTS, "note": "idle"}
VERDICTS = {
    "publish": "good",
    "revise": "warn",
    "ask": "warn",
    "hand_off": "warn",
    "no_change": "idle",
}
EFFECTS = {"done": "good", "withheld": "warn", "intended": "busy", "discarded": "idle"}
PERMITS = {"on": "good", "held": "warn", "off": "idle"}
CHECKS = {"ok": "good", "warn": "warn", "error": "bad"}
"""Of the doctor, and of the parts of `github smoke`; what these come to has words of its own."""

OVERALL = {"clean": "good", "attention": "warn", "issues": "bad"}
