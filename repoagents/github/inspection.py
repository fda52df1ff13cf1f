"""What the credential is and reaches: read from GitHub's answers, never tried by a write."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from urllib.parse import quote

from repoagents.domain.access import Access, Backlog, BranchRules
from repoagents.domain.issue import Issue
from repoagents.domain.people import Permission
from repoagents.domain.pulse import Pause, Quota
from repoagents.errors import Forbidden, NotFound
from repoagents.github.answers import parse_date
from repoagents.github.auth import Credential
from repoagents.github.branches import GitHubBranches
from repoagents.github.people import GitHubPeople
from repoagents.github.repository import GitHubClient
from repoagents.github.wire import Fields, link, mapping, number, parse_issue, text
from repoagents.ports import Clock

SCOPES = "x-oauth-scopes"
ROLES = (
    ("admin", Permission.ADMIN),
    ("maintain", Permission.MAINTAIN),
    ("push", Permission.WRITE),
    ("triage", Permission.TRIAGE),
    ("pull", Permission.READ),
)


class GitHubInspection:
    """`ports.Inspection` of one repository; `needed` are the permissions that the flags ask for."""

    def __init__(
        self,
        client: GitHubClient,
        people: GitHubPeople,
        clock: Clock,
        label: str | None,
        needed: Mapping[str, str],
    ) -> None:
        self._client = client
        self._people = people
        self._clock = clock
        self._label = label
        self._needed = needed

    @property
    def quota(self) -> Quota | None:
        """What is left of the requests of this hour; nobody is asked."""
        return self._client.quota

    @property
    def pause(self) -> Pause | None:
        """Until when nothing is asked, because a rate limit is reached."""
        return self._client.pause

    def inspect(self) -> Access:
        """The credential, its account and its rights; at most six requests."""
        repo = self._client.get(self._client.root)
        ahead, credential = self._clock_ahead(), self._client.credential()
        granted = self._granted(credential)
        account = self._people.viewer().login
        branch = text(repo, "default_branch")
        refused = self._refused(branch) if credential.kind == "fine_grained" else ()
        problem, step = self._why_nobody_is_known(credential, account)
        return Access(
            kind=credential.kind,
            source=credential.source,
            account=account,
            repo=text(repo, "full_name") or self._client.repo,
            page=link(repo),
            role=parse_role(mapping(repo.get("permissions"))),
            default_branch=branch,
            granted=granted,
            # Tokens that we ask for ourselves are renewed.
            expires_at=None if credential.issued_at else credential.expires_at,
            private=repo.get("private") is True,
            archived=repo.get("archived") is True,
            disabled=repo.get("disabled") is True,
            refused=refused,
            people_problem=problem,
            people_step=step,
            quota=self.quota,
            clock_ahead=ahead,
        )

    def backlog(self) -> Backlog:
        """What is open, newest first, and whether there is such a label at all."""
        query = {"state": "open", "sort": "created", "direction": "desc"}
        page, more = self._client.first_page(f"{self._client.root}/issues", query)
        issues = [fields for fields in page if not fields.get("pull_request")]
        newest = number(issues[0], "number") if issues else 0
        home = link(issues[0]).removesuffix(f"/issues/{newest}") if issues else ""
        return Backlog(len(issues), newest, more, self._has_label(), home)

    def branch(self, name: str) -> BranchRules:
        """What stands around a branch; at most four requests."""
        return GitHubBranches(self._client).read(name)

    def sample(self, most: int) -> tuple[tuple[Issue, ...], bool]:
        """Some open issues with the trigger label, oldest first, and whether there are more."""
        query: dict[str, str | int] = {"state": "open", "per_page": most}
        query |= {"sort": "created", "direction": "asc"}
        if self._label:
            query["labels"] = self._label
        page, more = self._client.first_page(f"{self._client.root}/issues", query)
        read = (parse_issue(fields) for fields in page)
        return tuple(i for i in read if isinstance(i, Issue) and not i.pull_request), more

    def issue(self, number: int) -> Issue | None:
        """One issue or pull request without its comments; None when it is not there."""
        try:
            read = parse_issue(self._client.get(f"{self._client.root}/issues/{number}"))
        except NotFound:
            return None
        return read if isinstance(read, Issue) and read.number == number else None

    def _has_label(self) -> bool:
        try:
            self._client.get(f"{self._client.root}/labels/{quote(self._label or '', safe='')}")
        except NotFound:
            return False
        return True

    def _granted(self, credential: Credential) -> tuple[str, ...] | None:
        """None where GitHub tells nothing, as of a fine-grained token."""
        if credential.kind == "app":
            return credential.scopes
        return None if self._client.header(SCOPES) is None else credential.scopes

    def _refused(self, branch: str) -> tuple[str, ...]:
        """The permissions that are needed and cannot even be read; a public one always can."""
        root, one = self._client.root, {"per_page": 1}
        runs = f"{root}/commits/{quote(branch, safe='')}/check-runs"
        tries: Mapping[str, Callable[[], object]] = {
            "pull_requests": lambda: self._client.first_page(f"{root}/pulls", one),
            "checks": lambda: self._client.get(runs, query=one),
        }
        return tuple(n for n, ask in tries.items() if n in self._needed and _is_refused(ask))

    def _why_nobody_is_known(self, credential: Credential, account: str) -> tuple[str, str]:
        """Why permissions cannot be read, and what to do; both empty when they can.

        An installation always may. Everybody else needs push access, also to ask about themselves.
        """
        if credential.kind in ("app", "actions"):
            return "", ""
        try:
            self._people.permission(account)
        except Forbidden as error:
            return str(error), error.next_step
        return "", ""

    def _clock_ahead(self) -> timedelta:
        """By the header of the latest answer, which is in whole seconds."""
        at = parse_date(self._client.header("date") or "")
        return self._clock.now() - at if at else timedelta()


def _is_refused(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except (Forbidden, NotFound):
        return True
    return False


def parse_role(fields: Fields) -> Permission:
    """The highest of the permissions that GitHub lists with a repository."""
    held = (role for name, role in ROLES if fields.get(name) is True)
    return next(held, Permission.NONE)
