"""What CI says of a commit: check runs, statuses of the older kind, and what a failed one left."""

import re
from collections.abc import Iterator

from repoagents.domain.pull_request import Annotation, CheckDetail, CheckRun, RequiredCheck
from repoagents.errors import Forbidden, GitHubError, NotFound, RateLimited, Unavailable
from repoagents.github.branches import GitHubBranches
from repoagents.github.repository import GitHubClient
from repoagents.github.wire import Fields, items, mapping, number, text

PER_PAGE = 100
MOST_PAGES = 50
TAIL = 4_000
"""Characters of a check's own words."""
LOG_BYTES = 64 * 1024
"""Bytes of a job's log, from its end."""
ACTIONS = "github-actions"
"""The App whose check runs are jobs of the same id, with a log."""
NOT_BEGUN = ("queued", "waiting", "requested", "pending")
"""A check run's states before it begins: for a runner, or for somebody's word."""
WORST_FIRST = ("failure", "warning", "notice")


class GitHubChecks:
    """The checks of one repository's commits."""

    def __init__(self, client: GitHubClient) -> None:
        self._client = client

    def of(self, sha: str) -> tuple[CheckRun, ...]:
        """The newest check run of each name on a commit, then its statuses."""
        return (*self._runs(sha), *self._statuses(sha))

    def required(self, base: str) -> tuple[RequiredCheck, ...]:
        """The checks that rulesets and the branch's protection require, each named once."""
        return GitHubBranches(self._client).required_checks(base)

    def detail(self, check: CheckRun) -> CheckDetail:
        """What an ended check run left on lines and in its log; empty for a status."""
        if not check.id:
            return CheckDetail()
        unread: list[str] = []
        annotations: tuple[Annotation, ...] = ()
        log = ""
        try:
            annotations = self._annotations(check.id)
        except (Forbidden, NotFound) as error:
            unread.append(f"its annotations cannot be read: {_why(error, 'checks: read')}")
        if check.has_log:
            try:
                log = self._log(check.id)
            except (Unavailable, RateLimited):
                raise
            except GitHubError as error:
                unread.append(f"its log cannot be read: {_why(error, 'actions: read')}")
        return CheckDetail(annotations, log, tuple(unread))

    def _annotations(self, check: int) -> tuple[Annotation, ...]:
        """The first page of them, failures first: whoever has more has enough with these."""
        path = f"{self._client.root}/check-runs/{check}/annotations"
        found, _ = self._client.first_page(path, {})
        read = (
            Annotation(
                text(fields, "path"),
                number(fields, "start_line"),
                text(fields, "annotation_level"),
                text(fields, "message")[:TAIL],
            )
            for fields in found
        )
        return tuple(sorted(read, key=lambda note: _weight(note.level)))

    def _log(self, job: int) -> str:
        path = f"{self._client.root}/actions/jobs/{job}/logs"
        return self._client.tail(path, LOG_BYTES).decode(errors="replace")

    def _runs(self, sha: str) -> Iterator[CheckRun]:
        for fields in self._wrapped(f"{self._client.root}/commits/{sha}/check-runs", "check_runs"):
            output, app = mapping(fields.get("output")), mapping(fields.get("app"))
            words = "\n".join(filter(None, (text(output, n) for n in ("title", "summary", "text"))))
            status = text(fields, "status")
            done = status == "completed"
            conclusion = text(fields, "conclusion") or None
            yield CheckRun(
                text(fields, "name"),
                conclusion if done else None,
                words[-TAIL:],
                number(fields, "id"),
                has_log=text(app, "slug") == ACTIONS,
                app_id=number(app, "id"),
                queued=status in NOT_BEGUN,
            )

    def _statuses(self, sha: str) -> Iterator[CheckRun]:
        """Commit statuses, the older kind: `pending` is one that has not ended."""
        for fields in self._wrapped(f"{self._client.root}/commits/{sha}/status", "statuses"):
            state = text(fields, "state")
            yield CheckRun(
                text(fields, "context"),
                None if state == "pending" else state,
                text(fields, "description")[-TAIL:],
            )

    def _wrapped(self, path: str, name: str) -> Iterator[Fields]:
        """The objects of a listing that GitHub gives inside an object, page by page."""
        for page in range(1, MOST_PAGES + 1):
            answer = self._client.get(path, query={"per_page": PER_PAGE, "page": page})
            if not isinstance(answer.get(name), list):
                raise Unavailable(f"GET {path}: the answer has no {name}")
            found = items(answer, name)
            yield from found
            if len(found) < PER_PAGE:
                return
        raise GitHubError(f"GET {path}: the pages of the listing do not end")


def _weight(level: str) -> int:
    return WORST_FIRST.index(level) if level in WORST_FIRST else len(WORST_FIRST)


def _why(error: GitHubError, permission: str) -> str:
    """Why a part is missing, in a few words; a credential that is refused as a whole is raised."""
    if isinstance(error, Forbidden):
        if error.kind == "auth":
            raise error
        return f"the bot's credential lacks {permission}"
    if isinstance(error, NotFound):
        return f"it is gone, or the bot's credential lacks {permission}"
    return re.sub(r"\s+", " ", str(error))[:300]
