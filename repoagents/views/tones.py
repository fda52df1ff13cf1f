"""Which tone a word has on a page: a class of the style sheet, the same on every page."""

from repoagents.domain.run import RunStatus

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
EFFECTS = {"done": "good", "withheld": "warn", "intended": "busy", "discarded": "idle"}
