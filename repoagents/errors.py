"""The exceptions of the house, one root.

    RepoAgentsError
    ├── ConfigError            the configuration or the control plane cannot be used
    ├── GitError               git refused, or the repository is not what it should be
    ├── AgentError             the agent's process did not give a usable answer
    │   ├── TimedOut           no event for too long, or too long in all
    │   ├── Exited             ended without an answer
    │   ├── Stopped            ended by us: cancelled or interrupted
    │   └── OutputInvalid      answered, but not in the agreed shape
    ├── GitHubError            GitHub gave no usable answer, or refused
    │   ├── Unavailable        not reached, or broken on the way: a write may have happened
    │   ├── RateLimited        too many requests; `retry_at` says when to ask again
    │   ├── NotFound           not there, or not to be seen with this credential
    │   └── Forbidden          the credential is refused, or lacks a permission
    ├── TrackerError           the tracker's file or folder cannot be read or written
    ├── StoreError             the state cannot be read or written
    │   ├── StateUnreadable    corrupt or newer than this program: read-only mode
    │   └── ValueUnreadable    one stored value is of another version of this program
    ├── WebhookRejected        a delivery is not signed by us, not whole, or not for us
    └── Bug                    nobody expected it; its cause is the exception that it was

A message says what was tried, on what, and what the operator can do.
An expected refusal is a value (`Withheld`, a reason string), never an exception.
"""

from datetime import datetime


class RepoAgentsError(Exception):
    """The root: everything this program raises on purpose.

    `next_step` is one line that the operator can act on; empty when the message says it all.
    """

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.next_step = next_step


class ConfigError(RepoAgentsError):
    """The configuration, a template or the control plane cannot be used as it is."""


class GitError(RepoAgentsError):
    """Git refused, or the repository is not what the work needs.

    `kind` tells the attempt boundary how to class it: `unreachable` (host), `auth`, `no_base`
    (nothing to start from until a person sees to it), or `failed`.
    """

    def __init__(self, message: str, *, next_step: str = "", kind: str = "failed") -> None:
        super().__init__(message, next_step=next_step)
        self.kind = kind


class AgentError(RepoAgentsError):
    """The agent's process did not give a usable answer; `kind` is a `FailureClass` value."""

    def __init__(self, message: str, *, kind: str = "engine_crash", next_step: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.kind = kind


class TimedOut(AgentError):
    """The agent was silent for too long (`timeout_idle`) or ran for too long (`timeout_hard`)."""


class Exited(AgentError):
    """The agent ended without an answer; `kind` says why as far as it can be known."""


class Stopped(AgentError):
    """We ended the agent: `cancelled` by a person or `interrupted` with the worker."""


class OutputInvalid(AgentError):
    """The agent's answer does not fit the agreed schema."""

    def __init__(self, message: str) -> None:
        super().__init__(message, kind="contract_invalid")


class GitHubError(RepoAgentsError):
    """GitHub refused a request, or what it answered cannot be used.

    `kind` tells the attempt boundary how to class it: `unreachable`, `rate_limited`, `auth` (the
    credential is refused or expired), `forbidden` (a permission is missing), `not_found`,
    `declined` (a person said no to it), or `failed`.
    """

    def __init__(self, message: str, *, next_step: str = "", kind: str = "failed") -> None:
        super().__init__(message, next_step=next_step)
        self.kind = kind


class Unavailable(GitHubError):
    """GitHub was not reached, or its answer did not arrive whole: a write may have happened."""

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message, next_step=next_step, kind="unreachable")


class RateLimited(GitHubError):
    """Too many requests, by GitHub's count or by our own budget; nothing was done.

    `retry_at` is the first instant at which asking again makes sense.
    """

    def __init__(self, message: str, *, retry_at: datetime, next_step: str = "") -> None:
        super().__init__(message, next_step=next_step, kind="rate_limited")
        self.retry_at = retry_at


class NotFound(GitHubError):
    """What was asked for is not there, or this credential may not see it."""

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message, next_step=next_step, kind="not_found")


class Forbidden(GitHubError):
    """The credential is refused (`auth`), or it lacks a permission (`forbidden`)."""

    def __init__(self, message: str, *, next_step: str = "", kind: str = "forbidden") -> None:
        super().__init__(message, next_step=next_step, kind=kind)


class TrackerError(RepoAgentsError):
    """The tracker's file or folder cannot be read or written."""


class StoreError(RepoAgentsError):
    """The state cannot be read or written."""


class StateUnreadable(StoreError):
    """The state is corrupt, or was written by a newer version: nothing may be dispatched."""


class ValueUnreadable(StoreError):
    """One stored value does not fit: another version wrote it. The others can be read."""


class WebhookRejected(RepoAgentsError):
    """A delivery is refused; `status` is the HTTP status to answer with, always a 4xx."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Bug(RepoAgentsError):
    """What nobody expected, as the attempt boundary found it; `__cause__` is what was raised."""
