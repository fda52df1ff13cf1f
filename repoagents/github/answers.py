"""GitHub's answers: what was asked, what came back, and the error that a refusal stands for."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from repoagents.errors import Forbidden, GitHubError, NotFound, Unavailable

LEAST_WAIT = 60.0
"""Seconds to wait after a limit that does not say for how long."""

LONGEST_WAIT = 86_400.0
"""Seconds: whatever a server says, we ask again after a day."""

_LIMITED = re.compile(
    r"^api rate limit exceeded|^you have exceeded a secondary rate limit"
    r"|please (retry your request again later|wait a few minutes before you try again)\.$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Ask:
    """One request: `path` is below the API's root, or a whole URL of the same host.

    With `as_app` a GitHub App asks for itself, not for its installation. `handed_on` says that a
    302 is the answer that is wanted: it names a place elsewhere.
    """

    verb: str
    path: str
    query: Mapping[str, str | int] = field(default_factory=dict)
    body: object = None
    etag: str = ""
    as_app: bool = False
    handed_on: bool = False

    @property
    def is_write(self) -> bool:
        """Whether it may change something; a GraphQL query is told apart by whoever asks it."""
        return self.verb not in ("GET", "HEAD")

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"


@dataclass(frozen=True)
class Answer:
    """What came back; header names are lower-case. `moved` is true behind a redirect."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    moved: bool = False

    @property
    def next_page(self) -> str:
        """The URL of the next page of a listing; empty on the last."""
        found = re.search(r'<([^<>]*)>\s*;[^,<]*\brel="?next"?', self.headers.get("link", ""))
        return found[1] if found else ""

    def fields(self, ask: Ask) -> Mapping[str, object]:
        """The JSON object in it; `Unavailable` for anything else, which is no empty object."""
        found = self.parse(ask)
        if isinstance(found, dict):
            return found
        raise Unavailable(
            f"{ask}: the answer ({self.status}, {len(self.body)} bytes) is not an object",
            next_step="It is tried again.",
        )

    def parse(self, ask: Ask) -> object:
        """The JSON in it, None when there is none; `Unavailable` for anything else."""
        if not self.body.strip():
            return None
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            kind = self.headers.get("content-type", "no content type")
            raise Unavailable(
                f"{ask}: the answer ({self.status}, {kind}, {len(self.body)} bytes) is not whole "
                "JSON",
                next_step="It is tried again; when it stays, see https://www.githubstatus.com"
                " or ask who runs the proxy in between.",
            ) from error


def limit_in(answer: Answer, now: datetime, in_a_row: int) -> timedelta | None:
    """How long a rate limit asks us to wait, or None when the answer is no rate limit.

    `in_a_row` is how many limits without a time came before it: the wait doubles with each.
    """
    headers = answer.headers
    spent = headers.get("x-ratelimit-remaining") == "0"
    told = "retry-after" in headers
    refused = answer.status == 403 and (spent or told or _LIMITED.search(message_of(answer)))
    if answer.status != 429 and not refused:
        return None
    if told:
        return timedelta(seconds=_retry_after(headers["retry-after"], now))
    reset = headers.get("x-ratelimit-reset", "")
    if spent and reset.isdecimal():
        # By GitHub's own clock: ours may be ahead or behind. One more second, because nobody says
        # when in that second it happens.
        server_time = parse_date(headers.get("date", "")) or now
        seconds = float(reset) - server_time.timestamp() + 1
        return timedelta(seconds=min(max(seconds, 1.0), 7200.0))
    return timedelta(seconds=LEAST_WAIT * 2 ** min(in_a_row, 4))


def refusal(ask: Ask, answer: Answer) -> GitHubError:
    """The error for an answer that is neither a success nor a rate limit."""
    status, told = answer.status, message_of(answer)
    what = f"{ask}: GitHub answered {status}" + (f", {told}" if told else "")
    if status == 401:
        return Forbidden(
            what, kind="auth", next_step="Renew the credential; `repoagents doctor` says which."
        )
    if status == 403 and "archived" in told:
        # Waiting for a better credential would be in vain.
        return Forbidden(what, kind="failed", next_step="Unarchive the repository, then retry.")
    if status == 403:
        return Forbidden(what, next_step=_missing(answer))
    if status in (404, 410):
        return NotFound(what, next_step=_unseen(ask))
    if status >= 500 or status in (408, 423):
        return Unavailable(
            what, next_step="It is tried again; https://www.githubstatus.com says if it is GitHub."
        )
    return GitHubError(what)


def message_of(answer: Answer) -> str:
    """GitHub's own words, on one line; empty when it sent none."""
    try:
        fields = json.loads(answer.body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(fields, dict):
        return ""
    parts = [fields.get("message"), *_details(fields.get("errors"))]
    words = " ".join("; ".join(part for part in parts if isinstance(part, str)).split())
    return "".join(c for c in words if c.isprintable())[:400]


def _details(errors: object) -> list[object]:
    """What a 422 says of single fields."""
    found: list[object] = []
    for error in errors if isinstance(errors, list) else []:
        if isinstance(error, dict):
            named = " ".join(str(error.get(name, "")) for name in ("field", "code"))
            found.append(error.get("message") or named)
        else:
            found.append(error)
    return found


def _missing(answer: Answer) -> str:
    """What to do about a 403: GitHub names the permission, or the single sign-on."""
    if "x-github-sso" in answer.headers:
        return "Authorize the token for the organization's single sign-on, in its settings."
    wanted = answer.headers.get("x-accepted-github-permissions", "")
    if wanted:
        return f"Give the credential the permission {wanted}; `repoagents doctor` shows what it has"
    return "Give the credential the missing permission; `repoagents doctor` shows what it has."


def _unseen(ask: Ask) -> str:
    if ask.is_write:
        return "Look whether it still exists, and whether the credential may write there."
    return "Look whether tracker.repo is right, and whether the credential may read it."


def _retry_after(value: str, now: datetime) -> float:
    """Seconds of a Retry-After header, which holds a number or a date; a day at most."""
    if value.strip().isdecimal():
        seconds = float(value)
    else:
        at = parse_date(value)
        seconds = LEAST_WAIT if at is None else (at - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT)


def parse_date(value: str) -> datetime | None:
    """The instant in a header, as HTTP writes it; None when it is none."""
    try:
        at = parsedate_to_datetime(value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None
