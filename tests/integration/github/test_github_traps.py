"""Traps of GitHub that no other test falls into: sizes, the search, a token that is not given."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from repoagents.errors import Unavailable
from repoagents.github.connection import GitHub
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.loopback import BOT
from tests.integration.github import loopback as story

WIDE = "\N{GRINNING FACE}"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LoopbackGitHub]:
    """A repository with a branch of the bot's."""
    with story.open_hub(tmp_path) as hub:
        yield hub


@pytest.fixture
def github(hub: LoopbackGitHub, tmp_path: Path) -> GitHub:
    """The bot with its token."""
    return story.connect_by_token(hub.url, tmp_path, hub.token_of(BOT))


@pytest.mark.parametrize("letter", ["x", WIDE])
def test_a_title_is_cut_to_what_github_takes(
    hub: LoopbackGitHub, github: GitHub, letter: str
) -> None:
    github.tracker.perform(replace(story.PULL, title=letter * 300))
    assert hub.pulls[0].title == letter * 256


@pytest.mark.parametrize("letter", ["x", WIDE])
@pytest.mark.parametrize("size", [65_536, 70_000])
def test_a_pull_requests_text_is_cut_and_stays_ours(
    hub: LoopbackGitHub, github: GitHub, letter: str, size: int
) -> None:
    effect = replace(story.PULL, body=letter * size)
    github.tracker.perform(effect)
    body = hub.pulls[0].body or ""
    assert len(body) <= 65_536
    assert body.startswith(letter * 60_000)
    assert github.tracker.find(effect), "it says what it should, and is known as ours"
    github.tracker.perform(replace(effect, body="Shorter."))
    assert (hub.pulls[0].body or "").startswith("Shorter.")


@pytest.mark.parametrize("letter", ["x", WIDE])
def test_a_comment_is_cut_and_stays_ours(hub: LoopbackGitHub, github: GitHub, letter: str) -> None:
    effect = replace(story.STATUS, body=letter * 70_000)
    github.tracker.perform(effect)
    github.tracker.perform(replace(effect, body="Shorter."))
    (ours,) = (said for said in hub.comments(1) if said.by == BOT)
    assert ours.body.endswith("Shorter.")


def test_nothing_is_ever_searched_for(hub: LoopbackGitHub, github: GitHub) -> None:
    """The search lags behind and ends after a thousand: what exists is found by listing."""
    for effect in (story.PULL, story.STATUS, story.LABEL_ON):
        assert github.tracker.find(effect) is None
        github.tracker.perform(effect)
        assert github.tracker.find(effect)
    assert hub.requests
    assert not [seen.path for seen in hub.requests if "/search" in seen.path]


def test_an_app_is_told_when_no_token_is_to_be_had(hub: LoopbackGitHub, tmp_path: Path) -> None:
    """The request for one is a write: it goes out once, and the next call asks anew."""
    app = story.connect_as_app(hub.url, tmp_path, story.install(hub))
    hub.faults.next("POST", "*/access_tokens", "502 before")
    with pytest.raises(Unavailable, match="access_tokens"):
        app.tracker.read_issues()
    assert [seen.path.rpartition("/")[2] for seen in hub.requests] == ["access_tokens"]
    assert len(app.tracker.read_issues()) == 1
