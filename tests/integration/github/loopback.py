"""A loopback GitHub with one story, the same to the letter each time, and the bot's clients of it.

Both clocks stand still, so that what a recording keeps does not change from one day to the next.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from repoagents.domain.effect import OpenDraftPullRequest, PostComment, SetLabel
from repoagents.domain.settings import AppSettings, SafetySettings, Settings, TrackerSettings
from repoagents.github.auth import BESIDE_CHECKS, Surroundings
from repoagents.github.connection import GitHub, connect
from repoagents.policy.safety import app_permissions
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.loopback import BOT
from tests.fakes.clock import FakeClock
from tests.fakes.world import ListJournal

REPO = "example/adding"
TRIGGER = "repoagents"
BRANCH = "repoagents/issue-1-add"
MARKER = "<!-- repoagents:0123abcd:issue=1 -->"
STATUS = PostComment("run-1", 1, MARKER, "Working.")
LATER = replace(STATUS, body="Done.")
LABEL_ON = SetLabel("run-1", 1, "in progress", on=True)
LABEL_OFF = replace(LABEL_ON, on=False)
PULL = OpenDraftPullRequest("run-1", 1, "Add, not subtract", "Why.", BRANCH, "main")
REWORDED = replace(PULL, body="Why not.")

WORKING = Settings(
    safety=SafetySettings(allow_write_comments=True, allow_open_pr=True, allow_merge=True)
)
NEEDED = app_permissions(WORKING)
"""What the App is granted and asks for: nothing more, so that a missing permission is felt."""

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@contextmanager
def open_hub(folder: Path) -> Iterator[LoopbackGitHub]:
    """Issues 1 (labelled by Maya, discussed) and 2 (not labelled), and a branch of the bot's."""
    with LoopbackGitHub(folder / "hub", FakeClock(), os.environ, REPO) as hub:
        hub.add_account("maya", "maintain")
        hub.commit_on("main", by="maya", files={"adding.py": "# a - b\n"}, message="Start")
        hub.commit_on(BRANCH, by=BOT, files={"adding.py": "# a + b\n"}, message="Add")
        hub.create_label(TRIGGER)
        hub.open_issue("add() subtracts", "add(2, 2) gives 0.", by="maya")
        hub.label(1, TRIGGER, by="maya")
        hub.comment(1, "It did in 1.0, too.", by="maya")
        hub.open_issue("Dark colours", None, by="maya")
        yield hub


def connect_by_token(api_url: str, folder: Path, token: str) -> GitHub:
    """The bot with a token."""
    return _connect(TrackerSettings(repo=REPO, api_url=api_url), folder, {"GITHUB_TOKEN": token})


def connect_as_app(api_url: str, folder: Path, ids: tuple[int, int]) -> GitHub:
    """The bot as a GitHub App; `ids` are the App's and its installation's."""
    key = folder / "app.pem"
    key.write_bytes(PRIVATE)
    key.chmod(0o600)
    app = AppSettings(ids[0], key.name, ids[1])
    return _connect(TrackerSettings(repo=REPO, api_url=api_url, app=app), folder, {})


def install(hub: LoopbackGitHub) -> tuple[int, int]:
    """Install the bot's App with what it needs and the logs; its id and its installation's."""
    app = hub.install_app("repoagents", PUBLIC, {**NEEDED, **BESIDE_CHECKS})
    return app.id, app.installation


def _connect(settings: TrackerSettings, folder: Path, environment: Mapping[str, str]) -> GitHub:
    around = Surroundings(environment, folder, lambda: "")
    return connect(settings, around, NEEDED, FakeClock(), ListJournal(), receives=True)
