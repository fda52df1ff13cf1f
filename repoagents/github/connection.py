"""GitHub as the composition root builds it: one door, one credential, one pace for the process."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from repoagents.domain.settings import TrackerSettings
from repoagents.github.auth import Credential, CredentialSource, Surroundings, choose_source
from repoagents.github.budget import Pace, Paced
from repoagents.github.client import Door
from repoagents.github.hooks import GitHubHooks
from repoagents.github.inspection import GitHubInspection
from repoagents.github.people import GitHubPeople
from repoagents.github.remote import clone_url, git_config
from repoagents.github.repository import GitHubClient
from repoagents.github.tracker import GitHubTracker
from repoagents.ports import Clock, Journal

if TYPE_CHECKING:
    from repoagents.github.client import Sends


class LateSource:
    """Looks for the credential when one is first needed: a command without a network needs none.

    What is wrong with it is raised there, each time. `learned` is told each new secret before
    anybody else is.
    """

    def __init__(
        self, choose: Callable[[], CredentialSource], learned: Callable[[str], None]
    ) -> None:
        self._choose = choose
        self._learned = learned
        self._told = ""
        self._lock = threading.Lock()
        self._source: CredentialSource | None = None

    def current(self) -> Credential:
        """The credential; `ConfigError` when there is none."""
        credential = self.choose().current()
        with self._lock:
            if credential.token != self._told:
                self._learned(credential.token)
                self._told = credential.token
        return credential

    def renew(self, stale: Credential) -> bool:
        """Whether `current` now gives another."""
        return self.choose().renew(stale)

    def jwt(self) -> str:
        """The App's own signature; empty without an App."""
        return self.choose().jwt()

    def choose(self) -> CredentialSource:
        """Where the credential comes from; asks nobody but `gh`. `ConfigError` when nowhere."""
        with self._lock:
            if self._source is None:
                self._source = self._choose()
            return self._source


@dataclass(frozen=True)
class GitHub:
    """What the other rooms get: requests, people, issues, and the remote for git."""

    settings: TrackerSettings
    source: LateSource
    client: GitHubClient
    people: GitHubPeople
    tracker: GitHubTracker

    @property
    def clone_url(self) -> str:
        """`tracker.clone_url`, or the one that follows from `api_url` and `repo`."""
        return self.settings.clone_url or clone_url(self.settings.api_url, self.settings.repo)

    def git_config(self) -> tuple[tuple[str, str], ...]:
        """Git's credential for `clone_url` as configuration pairs, good for some minutes."""
        credential = self.client.credential()
        return git_config(self.settings.api_url, self.clone_url, credential)


def connect(
    settings: TrackerSettings,
    around: Surroundings,
    permissions: Mapping[str, str],
    clock: Clock,
    journal: Journal,
    *,
    receives: bool = False,
) -> GitHub:
    """Build it; nothing is asked and no credential looked for before the first use.

    `permissions` are what the bot needs: an App's tokens are narrowed to them. `receives` says
    whether webhooks come here, so that missed ones are asked for: not while a fixture stands in
    the place of GitHub.
    """
    door: Sends = Door(settings.api_url, clock)
    pace = Pace(clock)
    paced = Paced(door, pace)
    source = LateSource(
        lambda: choose_source(settings, around, permissions, paced, clock), around.learned
    )
    client = GitHubClient(door, settings.repo, source, clock, journal, pace)
    people = GitHubPeople(client, source)
    tracker = GitHubTracker(client, people, settings.trigger_label)
    label = settings.trigger_label
    tracker.inspection = GitHubInspection(client, people, clock, label, permissions)
    if receives and not settings.smoke_fixture_path:
        tracker.hooks = GitHubHooks(client, settings.app.installation_id)
    return GitHub(settings, source, client, people, tracker)
