"""What both local trackers share: effects, and how doubled or unreadable issues are told."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from repoagents.domain.effect import Effect, OpenDraftPullRequest, PostComment, effect_name
from repoagents.domain.issue import Issue, IssueState
from repoagents.errors import TrackerError
from repoagents.ports import Artifacts, Hooks, Inspection, People, PullRequests

PULL_REQUEST = "pull-request.md"

AUTHOR = "repoagents"
"""Who our comments in the files are by."""


@dataclass(frozen=True)
class Entry:
    """One place where an issue should stand: the issue, or the problem with it.

    `number` is None where not even that could be read. `place` is a path, with a line where that
    helps. `stray` is true for what is no issue at all, and so cannot be the one asked for.
    """

    place: str
    number: int | None
    issue: Issue | None = None
    problem: str = ""
    stray: bool = False


class FileTracker(ABC):
    """A tracker whose issues are read from files: it knows no accounts and no pull requests.

    `problems` says what the latest listing left out, one sentence each.
    """

    people: People | None = None
    pulls: PullRequests | None = None
    inspection: Inspection | None = None
    hooks: Hooks | None = None

    def __init__(self, root: Path, path: Path) -> None:
        """Issues stand at `path`, below `root`."""
        self._root = root
        self._path = path
        self.problems: tuple[str, ...] = ()

    def read_issues(self) -> tuple[Issue, ...]:
        """Every open issue, by number; unreadable ones are left out and told in `problems`."""
        issues, self.problems = listed(self._entries())
        return issues

    def read_issue(self, number: int) -> Issue | None:
        """One issue; raises `TrackerError` when it cannot be read, or nobody can say."""
        return single(self._entries(), number)

    def _shown(self, path: Path) -> str:
        """The path as messages have it: below the repository's root."""
        return path.relative_to(self._root.resolve()).as_posix()

    @abstractmethod
    def _entries(self) -> tuple[Entry, ...]:
        """Everything that stands in the tracker."""


class LocalTracker(FileTracker):
    """A tracker whose issues are files of the repository; our comments are written beside them."""

    def __init__(self, root: Path, path: Path, control: Path, artifacts: Artifacts) -> None:
        """Issues stand at `path`, below `root`."""
        super().__init__(root, path)
        self._control = control
        self._artifacts = artifacts

    def find(self, effect: Effect) -> str | None:
        """Where the effect stands with exactly this content, or None."""
        match effect:
            case PostComment():
                return self._find_comment(effect)
            case OpenDraftPullRequest():
                return self._find_pull_request(effect)
            case _:
                raise _not_for_trackers(effect)

    def perform(self, effect: Effect) -> str:
        """Put the comment into the issue's file, or the pull request among the artifacts."""
        match effect:
            case PostComment():
                return self._put_comment(effect)
            case OpenDraftPullRequest():
                text = _render_pull_request(effect)
                path = self._artifacts.write(effect.issue_number, effect.run_id, PULL_REQUEST, text)
                return str(path)
            case _:
                raise _not_for_trackers(effect)

    def amend(self, effect: Effect, location: str) -> str | None:
        """Do it: in files nothing stands unseen."""
        return self.perform(effect)

    def _find_pull_request(self, effect: OpenDraftPullRequest) -> str | None:
        number, run_id = effect.issue_number, effect.run_id
        if self._artifacts.read(number, run_id, PULL_REQUEST) != _render_pull_request(effect):
            return None
        return str(self._artifacts.folder(number, run_id) / PULL_REQUEST)

    @abstractmethod
    def _find_comment(self, effect: PostComment) -> str | None:
        """Where the comment stands with this text, or None."""

    @abstractmethod
    def _put_comment(self, effect: PostComment) -> str:
        """Add the comment, or edit the one with its marker; returns where it stands."""


def listed(entries: Sequence[Entry]) -> tuple[tuple[Issue, ...], tuple[str, ...]]:
    """The open issues by number, and what is wrong with the others.

    Raises `TrackerError` when a number stands twice.
    """
    _refuse_doubles(entries)
    issues = [entry.issue for entry in entries if entry.issue is not None]
    opened = [issue for issue in issues if issue.state is IssueState.OPEN]
    problems = tuple(entry.problem for entry in entries if entry.problem)
    return tuple(sorted(opened, key=lambda issue: issue.number)), problems


def single(entries: Sequence[Entry], number: int) -> Issue | None:
    """One issue, open or closed; None when it is certain that there is none of that number.

    Raises `TrackerError` when it stands twice or cannot be read, or when an entry whose number
    cannot be read might be it.
    """
    same = [entry for entry in entries if entry.number == number]
    _refuse_doubles(same)
    unknown = [entry for entry in entries if entry.number is None and not entry.stray]
    for entry in same or unknown:
        if entry.problem:
            raise TrackerError(entry.problem, next_step="Fix it by hand.")
    return same[0].issue if same else None


def _refuse_doubles(entries: Sequence[Entry]) -> None:
    seen: dict[int, Entry] = {}
    for entry in entries:
        first = entry if entry.number is None else seen.setdefault(entry.number, entry)
        if first is not entry:
            raise TrackerError(
                f"issue {entry.number} stands twice: in {first.place} and in {entry.place}",
                next_step="Give one of them another number.",
            )


def _render_pull_request(effect: OpenDraftPullRequest) -> str:
    return (
        f"# {effect.title}\n\n"
        f"Draft: `{effect.head}` into `{effect.base}`, for issue {effect.issue_number}.\n\n"
        f"{effect.body.rstrip()}\n"
    )


def _not_for_trackers(effect: Effect) -> TrackerError:
    return TrackerError(f"a tracker cannot carry out this effect: {effect_name(effect)}")
