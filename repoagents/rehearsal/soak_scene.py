"""Where a soak takes place: a loopback GitHub, an example on it, a clone, and a worker there."""

import socket
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from repoagents.agents.environment import ALWAYS
from repoagents.config.files import CONTROL
from repoagents.domain.delivery import WEBHOOKS
from repoagents.domain.places import DATABASE
from repoagents.domain.soak import Reading, Tally
from repoagents.git.command import Git
from repoagents.ports import Clock
from repoagents.rehearsal.hub.loopback import BOT, LoopbackGitHub
from repoagents.rehearsal.remains import bugs_in, left_in, lost_in
from repoagents.rehearsal.soak import WAVE_SECONDS, Soak
from repoagents.rehearsal.stage import EVENTS, build_stage
from repoagents.rehearsal.worker import RehearsalWorker
from repoagents.store.database import open_database


@dataclass(frozen=True)
class SoakScene:
    """What a soak needs: an empty folder, the example to work on, and the operator's PATH."""

    folder: Path
    example: Path
    ambient: Mapping[str, str]
    clock: Clock
    tell: Callable[[str], None]

    def play(self, seconds: float) -> tuple[tuple[Reading, ...], Tally]:
        """Soak for so long; then look at what is left when everything has ended."""
        # No variable of ours comes along: it may name the operator's own state.
        environment = {name: text for name, text in self.ambient.items() if name in ALWAYS}
        repo = f"example/{self.example.name}"
        with LoopbackGitHub(self.folder / "github", self.clock, environment, repo) as hub:
            hub.add_account(BOT, "admin")  # as which it may ask for missed deliveries, too
            git = Git.sealed(self.folder, environment)
            stage = build_stage(self.folder, self.example, hub, git)
            port = _free_port()
            hub.subscribe(f"http://127.0.0.1:{port}{WEBHOOKS}", stage.secret, EVENTS)
            environment["REPOAGENTS_WEBHOOK__PORT"] = str(port)
            worker = RehearsalWorker(stage.clone, environment, seconds + 10 * WAVE_SECONDS)
            return self._soak(hub, worker, stage.clone / CONTROL, seconds)

    def _soak(
        self, hub: LoopbackGitHub, worker: RehearsalWorker, control: Path, seconds: float
    ) -> tuple[tuple[Reading, ...], Tally]:
        with closing(open_database(control / DATABASE, clock=self.clock)) as database:
            soak = Soak(hub, worker, database.runs, database.deliveries, self.clock, self.tell)
            try:
                soak.run(seconds)
            finally:
                worker.close()
            worker.say("clean")
            lost = lost_in(hub.hooks.delivered, database.deliveries)
        return tuple(soak.readings), soak.tally(left_in(control), lost, bugs_in(control))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    return number
