"""The composition root: builds every adapter and hands the pipeline its house.

`Premises` is what a command gets: the configuration, and on demand the bench (a dry run's world),
the house (with the books open) and the work itself (under the worker lock). Modules are imported
where they are needed: `status` wants the clock only.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from repoagents.domain.places import EXPORT, LOG
from repoagents.errors import StoreError

if TYPE_CHECKING:
    from repoagents.agents.process import Ended, Supervisor
    from repoagents.config.loader import Loaded
    from repoagents.domain.run import Run
    from repoagents.durable.worker import Assignment
    from repoagents.github.connection import GitHub
    from repoagents.logs import JsonlJournal, Redactor
    from repoagents.pipeline.checkup import HostFacts
    from repoagents.pipeline.survey import Host
    from repoagents.ports import Bench, Books, House
    from repoagents.store.bundles import FileBundles
    from repoagents.store.database import Database
    from repoagents.store.reader import Reader
    from repoagents.store.reports import FileReports


class SystemClock:
    """`ports.Clock` on the machine's own clock and randomness."""

    def now(self) -> datetime:
        """The instant, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        import asyncio

        await asyncio.sleep(seconds)

    def token(self, size: int) -> str:
        """`size` random hexadecimal characters."""
        import secrets

        return secrets.token_hex((size + 1) // 2)[:size]

    def fraction(self) -> float:
        """A random number in [0, 1)."""
        import random

        return random.random()  # noqa: S311 - jitter, not a secret


@dataclass(frozen=True)
class Premises:
    """One repository as a command finds it; nothing is opened until it is asked for."""

    loaded: "Loaded"
    clock: SystemClock
    redactor: "Redactor"
    journal: "JsonlJournal"

    @property
    def control(self) -> Path:
        """The control plane's folder."""
        return self.loaded.control

    def bench(self) -> "Bench":
        """Adapters without books: nothing that is done with them leaves a row."""
        from repoagents.agents.checks import ProjectChecks
        from repoagents.agents.crew import AgentCrew
        from repoagents.config.scaffold import LEFT_BEHIND, own_paths
        from repoagents.git.checkout import Checkout
        from repoagents.git.remote import Remote
        from repoagents.git.workspaces import GitWorkspaces
        from repoagents.ports import Bench
        from repoagents.store.artifacts import FileArtifacts
        from repoagents.trackers import lives_on_github, make_tracker

        loaded, settings = self.loaded, self.loaded.settings
        environment = loaded.environment
        github = self.github if lives_on_github(settings) else None
        artifacts = FileArtifacts(self.control, self.redactor)
        supervisor = self._supervisor()
        return Bench(
            settings=settings,
            root=loaded.root,
            clock=self.clock,
            tracker=github.tracker
            if github
            else make_tracker(settings, loaded.root, self.control, artifacts),
            workspaces=GitWorkspaces(
                Checkout(loaded.root, environment, own_paths(settings, loaded.root), LEFT_BEHIND),
                self.control,
                settings,
                self.clock,
                Remote(github.clone_url, github.git_config) if github else None,
            ),
            agents=AgentCrew(self.control, settings, environment, supervisor, self.redactor),
            checks=ProjectChecks(settings, environment, supervisor, self.redactor, artifacts),
            processes=supervisor,
            artifacts=artifacts,
            journal=self.journal,
            sensitive=lambda: self.redactor.secrets,
        )

    @cached_property
    def github(self) -> "GitHub":
        """The repository on GitHub; one for everything in this process, so that limits are kept."""
        from repoagents.github.auth import Surroundings
        from repoagents.github.connection import connect
        from repoagents.github.remote import web_url
        from repoagents.policy.safety import app_permissions

        loaded, tracker = self.loaded, self.loaded.settings.tracker

        def ask_gh() -> str:
            host = urlsplit(web_url(tracker.api_url)).netloc
            ended = self.ask("gh", "auth", "token", "--hostname", host)
            return ended.output.strip() if ended.exit_code == 0 else ""

        return connect(
            tracker,
            Surroundings(loaded.environment, loaded.root, ask_gh, self.redactor.learn),
            app_permissions(loaded.settings),
            self.clock,
            self.journal,
            receives=bool(loaded.environment.get(loaded.settings.webhook.secret_env)),
        )

    def ask(self, *argv: str) -> "Ended":
        """Run a short command of the operator's, in their own environment; 20 s at most."""
        return self._supervisor().probe(argv, self.loaded.environment, self.loaded.root)

    def _supervisor(self) -> "Supervisor":
        from repoagents.agents.process import Supervisor

        return Supervisor(self.control / "state" / "processes")

    @contextmanager
    def database(self) -> Iterator["Database"]:
        """The state, open for writing; opening migrates it."""
        from repoagents.store.database import open_database

        place = self.loaded.database or self.loaded.settings.state.database_url
        database = open_database(place, clock=self.clock)
        try:
            yield database
        finally:
            database.close()

    @contextmanager
    def books(self) -> Iterator["Books"]:
        """What is remembered, for reports; no credential is asked for, no tracker is opened."""
        from repoagents.ports import Books
        from repoagents.store.artifacts import FileArtifacts

        with self.database() as database:
            yield Books(
                settings=self.loaded.settings,
                root=self.loaded.root,
                clock=self.clock,
                artifacts=FileArtifacts(self.control, self.redactor),
                sensitive=lambda: self.redactor.secrets,
                **_kept(database),
            )

    @contextmanager
    def house(self) -> Iterator[tuple["House", "Database"]]:
        """The bench with the books open; opening migrates the state."""
        import socket

        from repoagents.ports import House
        from repoagents.trackers import lives_on_github

        if lives_on_github(self.loaded.settings):
            self.github.source.choose()  # without a credential, no book is opened
        owner = f"{socket.gethostname()}-{os.getpid()}-{self.clock.token(6)}"
        with self.database() as database:
            bench = vars(self.bench())
            yield House(owner=owner, **bench, **_kept(database)), database

    def work(self, assignment: "Assignment", changed: Callable[[], None]) -> None:
        """Be the worker: take the lock, launch the engine, do the assigned work.

        Raises `StoreError` naming the owner when another worker is live, and
        `durable.worker.Interrupted` after Ctrl-C or SIGTERM.
        """
        from repoagents.durable.worker import run_worker
        from repoagents.logs import route_stdlib
        from repoagents.store.export import export_runs
        from repoagents.store.leftovers import clear_leftovers
        from repoagents.store.worker_lock import hold

        with (
            self.house() as (house, database),
            hold(self.control, house.owner, self.clock, issue=assignment.issue),
        ):

            def export() -> None:
                export_runs(database.runs, self.control / EXPORT, self.clock.now())
                changed()

            route_stdlib(self.journal)
            clear_leftovers(self.control, self.clock.now())
            run_worker(house, database.engine, assignment, export)

    def latest(self, number: int) -> "Run | None":
        """The newest run of an issue, read without opening the state for writing."""
        return next(iter(self.reader().runs(limit=1, issue=number)), None)

    def reader(self) -> "Reader":
        """The state as it stands, read-only, without making or migrating it."""
        from repoagents.store.reader import open_reader

        if self.loaded.database is None:
            from repoagents.store.database import open_server_reader

            return open_server_reader(self.loaded.settings.state.database_url)
        return open_reader(self.control)

    def reports(self) -> "FileReports":
        """Where reports, bundles and the dashboard are written."""
        from repoagents.store.reports import FileReports

        return FileReports(self.control, self.redactor)

    def bundles(self) -> "FileBundles":
        """Where handoff bundles are kept."""
        from repoagents.store.bundles import FileBundles

        return FileBundles(self.control, self.redactor)

    def host(self) -> "Host":
        """What reports tell of this machine."""
        import shutil

        from repoagents import __version__
        from repoagents.config.managed import find_drift
        from repoagents.pipeline.survey import Host
        from repoagents.store.worker_lock import holder

        owner = holder(self.control)
        return Host(
            version=__version__,
            holder=f"a worker is live: {owner}" if owner else "",
            polls=owner is not None and " run" in owner.command,
            free_bytes=shutil.disk_usage(self.control).free,
            drift=find_drift(self.control).behind,
        )

    def host_facts(self) -> "HostFacts":
        """What `doctor` needs to know of this machine."""
        import shutil

        from repoagents.config.managed import find_drift
        from repoagents.config.scaffold import line_for_issues
        from repoagents.pipeline.checkup import HostFacts
        from repoagents.store.worker_lock import holder

        loaded = self.loaded
        owner = holder(self.control)
        drift = find_drift(self.control)
        problem = self._state_problem()
        return HostFacts(
            warnings=loaded.warnings,
            fixture_step=loaded.fixture_step,
            unwritable=_unwritable(self.control),
            free_bytes=shutil.disk_usage(self.control).free,
            edited=drift.edited,
            behind=drift.behind,
            fix=drift.fix,
            uncommitted=self._uncommitted(),
            line_for_issues=line_for_issues(loaded.settings, loaded.root),
            origin=self.checkout()[0],
            worker=f"worker {owner.pid} on {owner.host} is live" if owner else "",
            state=str(problem or ""),
            state_step=problem.next_step if problem else "",
            brake=None if problem else self.reader().brake(),
            submodules=(loaded.root / ".gitmodules").exists(),
            lfs=_uses_lfs(loaded.root),
            clock_ahead_of_files=(self.control / "repoagents.yaml").stat().st_mtime
            > self.clock.now().timestamp() + 60,
        )

    def _uncommitted(self) -> tuple[str, ...]:
        """Files and folders of the control plane that git does not have as they are."""
        from repoagents.config.scaffold import control_paths
        from repoagents.errors import GitError
        from repoagents.git.checkout import Checkout

        try:
            dirty = Checkout(self.loaded.root, self.loaded.environment).dirty_paths()
        except GitError:
            return ()  # no repository: whether that matters, the checks of git say
        ours = control_paths(self.loaded.root)
        return tuple(top for top in ours if any(f"{path}/".startswith(f"{top}/") for path in dirty))

    def checkout(self) -> tuple[str, str]:
        """The checkout's origin, without credentials, and its branch; empty where there is none."""
        from repoagents.errors import GitError
        from repoagents.git.checkout import Checkout, split_credentials

        try:
            sight = Checkout(self.loaded.root, self.loaded.environment).look()
        except GitError:
            return "", ""
        return split_credentials(sight.origin)[0], sight.branch

    def _state_problem(self) -> StoreError | None:
        try:
            self.reader().counts()
        except StoreError as error:
            return error
        return None


def _kept(database: "Database") -> Any:
    """The books' fields that are kept in the database, by name."""
    names = ("runs", "stages", "spend", "ledger", "inbox", "deliveries", "approvals")
    kept = {name: getattr(database, name) for name in (*names, "history", "pulses", "brakes")}
    return {"installation": database.installation} | kept


def open_premises(start: Path, *, terminal: bool = False) -> Premises:
    """The repository that `start` is in, with its configuration read and its log open.

    With `terminal` the log goes to its file only: the screen belongs to the progress view.
    """
    from repoagents.config.loader import find_root, load
    from repoagents.logs import Redactor, open_journal, secret_values

    loaded = load(find_root(start))
    clock = SystemClock()
    redactor = Redactor(secret_values(loaded.environment))
    settings = loaded.settings.logging
    path = loaded.control / LOG if settings.file_enabled else None
    journal = open_journal(
        path,
        level=settings.level,
        json=settings.json,
        terminal=terminal,
        redactor=redactor,
        clock_now=clock.now,
    )
    return Premises(loaded, clock, redactor, journal)


def _unwritable(control: Path) -> tuple[str, ...]:
    """Folders of the control plane that this user cannot write."""
    names = ("state", "git", "artifacts", "workspaces", "logs", "cache")
    return tuple(
        name
        for name in names
        if not os.access(control / name if (control / name).exists() else control, os.W_OK)
    )


def _uses_lfs(root: Path) -> bool:
    """Whether the repository's top-level attributes name the LFS filter."""
    attributes = root / ".gitattributes"
    return attributes.is_file() and "filter=lfs" in attributes.read_text(errors="replace")
