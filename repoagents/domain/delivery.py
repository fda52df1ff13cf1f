"""A webhook delivery, reduced to what it says: look at this issue, because of that.

No text of an issue or comment is taken from a delivery. Whoever looks reads the issue whole, so
deliveries that come late, twice or out of order end the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

WEBHOOKS = "/webhooks/github"
"""The path at which deliveries are received."""

OBJECTS: Mapping[str, str] = {
    "issues": "issue",
    "issue_comment": "comment",
    "pull_request": "pull_request",
    "pull_request_review": "review",
    "check_run": "check_run",
    "check_suite": "check_suite",
    "installation": "installation",
    "ping": "hook",
}
"""The events that are read, and the member of the payload that each is about."""


@dataclass(frozen=True)
class IssueEvent:
    """Look at this issue or pull request of this repository now."""

    repo: str
    number: int
    because: str


@dataclass(frozen=True)
class Delivery:
    """What one webhook told; an empty text or None stands for what the payload did not have.

    `id` is GitHub's, the same when it is sent again. `repo` is OWNER/REPO. `issue_number` is an
    issue's or pull request's. `object_key` names what changed, as `issue/<id>`, with the label or
    commit where several changes may bear one time; `updated_at` is that object's own. `comment_id`
    is a comment's or review's. Texts are printable and at most 200 characters long.
    """

    id: str
    event: str
    received_at: datetime
    action: str = ""
    repo: str = ""
    issue_number: int | None = None
    object_key: str = ""
    updated_at: datetime | None = None
    installation: int | None = None
    sender: str = ""
    label: str = ""
    comment_id: int | None = None
    head_sha: str = ""

    @property
    def because(self) -> str:
        """What happened, in words: `issues labeled repoagents, by octocat`."""
        words = " ".join(word for word in (self.event, self.action, self.label) if word)
        return f"{words}, by {self.sender}" if self.sender else words

    @property
    def look(self) -> IssueEvent | None:
        """What to look at, or None when the delivery names no issue and no pull request."""
        if self.issue_number is None or not self.repo:
            return None
        return IssueEvent(self.repo, self.issue_number, self.because)


@dataclass(frozen=True)
class Sending:
    """One time that GitHub sent a delivery, as GitHub's own list has it.

    `delivery_id` is the delivery's, the same each time; `id` is this sending's own. `hook` is the
    webhook's id, None for a GitHub App's. `status` is the HTTP status of the answer; 0 or a 5xx
    when there was none. `again` is true when somebody asked for it.
    """

    delivery_id: str
    id: int
    hook: int | None
    event: str
    at: datetime
    status: int
    again: bool = False
