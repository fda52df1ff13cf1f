"""Which tone a word has on a page: a class of the style sheet, the same on every page."""

from repoagents.domain.run import RunStatus
from repoagents.policy.attention import Level, Weight

STATUSES = {
    RunStatus.QUEUED: "idle",
    RunStatus.IN_PROGRESS: "busy",
    RunStatus.RETRY_PENDING: "idle",
    RunStatus.AWAITING_APPROVAL: "warn",
    RunStatus.BLOCKED: "warn",
    RunStatus.COMPLETED: "good",
    RunStatus.NO_CHANGE: "idle",
    RunStatus.FAILED: "bad",
    RunStatus.CANCELLED: "idle",
    RunStatus.SUPERSEDED: "idle",
}
LEVELS = {Level.BROKEN: "bad", Level.ATTENTION: "warn", Level.WORKING: "busy", Level.IDLE: "good"}
WEIGHTS = {Weight.CRITICAL: "bad", Weight.HIGH: "bad", Weight.MEDIUM: "warn", Weight.LOW: "idle"}
EFFECTS = {"done": "good", "withheld": "warn", "intended": "busy", "discarded": "idle"}
