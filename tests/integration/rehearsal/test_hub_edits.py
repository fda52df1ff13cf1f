"""Who has edited an issue, as GitHub's GraphQL tells it and its REST API does not."""

from collections.abc import Callable

import pytest
import requests

from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.loopback import BOT

Answer = dict[str, object]
History = Callable[..., Answer]
QUERY = "query ($number: Int!) { repository { issue { userContentEdits { nodes } } } }"
MAYA = ("User", "maya")


@pytest.fixture
def history(hub: LoopbackGitHub) -> History:
    """Ask for the edits of an issue."""

    def ask(number: int = 1, token: str = "") -> Answer:
        answer = requests.post(
            f"{hub.site}/api/graphql",
            json={"query": QUERY, "variables": {"owner": "o", "name": "n", "number": number}},
            headers={"Authorization": f"bearer {token or hub.token_of(BOT)}"},
            timeout=100,
        )
        assert answer.status_code == 200
        told: Answer = answer.json()
        return told

    hub.open_issue("A title", "A text", by="stranger")
    return ask


def issue(told: Answer) -> dict[str, object]:
    """The issue of an answer."""
    assert "errors" not in told
    return told["data"]["repository"]["issue"]


def who(nodes: list[dict[str, dict[str, str]]], field: str) -> list[tuple[str, str] | None]:
    """The accounts of the edits."""
    people = (node[field] for node in nodes)
    return [person and (person["__typename"], person["login"]) for person in people]


def test_a_text_that_nobody_edited_has_no_history(history: History) -> None:
    told = issue(history())
    assert (told["title"], told["body"]) == ("A title", "A text")
    assert (told["lastEditedAt"], told["editor"]) == (None, None)
    assert told["userContentEdits"]["nodes"] == told["timelineItems"]["nodes"] == []


def test_the_first_text_counts_once_there_is_a_second(
    hub: LoopbackGitHub, history: History
) -> None:
    hub.edit_issue(1, body="Another text", by="maya")
    told = issue(history())
    nodes = told["userContentEdits"]["nodes"]
    assert who(nodes, "editor") == [MAYA, ("User", "stranger")]
    assert told["lastEditedAt"] == nodes[0]["editedAt"]
    assert who([told], "editor") == [MAYA]


def test_a_title_is_told_apart_from_the_body(hub: LoopbackGitHub, history: History) -> None:
    hub.edit_issue(1, title="Another title", by="maya")
    told = issue(history())
    assert who(told["timelineItems"]["nodes"], "actor") == [MAYA]
    assert told["userContentEdits"]["nodes"] == []
    assert told["lastEditedAt"] is None


def test_a_bot_lacks_the_end_of_its_name(hub: LoopbackGitHub, history: History) -> None:
    hub.add_account("tidy[bot]", "none", "Bot")
    hub.edit_issue(1, body="Tidy", by="tidy[bot]")
    edits = issue(history())["userContentEdits"]["nodes"]
    assert who(edits, "editor") == [("Bot", "tidy"), ("User", "stranger")]


def test_a_long_history_is_cut(hub: LoopbackGitHub, history: History) -> None:
    for number in range(101):
        hub.edit_issue(1, body=f"Text {number}", by="maya")
    edits = issue(history())["userContentEdits"]
    assert (len(edits["nodes"]), edits["pageInfo"]) == (100, {"hasNextPage": True})


def test_what_is_no_issue_here_has_none(hub: LoopbackGitHub, history: History) -> None:
    hub.commit_on("work", by="maya")
    pull = hub.open_pull("A change", head="work", by="maya")
    for number in (pull, 99):
        assert history(number)["errors"][0]["type"] == "NOT_FOUND"
    hub.transfer(1, "example/other", by="maya")
    assert history()["errors"][0]["type"] == "NOT_FOUND"


def test_it_takes_the_right_to_read(hub: LoopbackGitHub, history: History) -> None:
    token = hub.fine_grained_token(BOT, {"contents": "read"})
    assert history(token=token)["errors"][0]["type"] == "FORBIDDEN"
    hub.make_private()
    assert history(token=hub.token_of("stranger"))["errors"][0]["type"] == "NOT_FOUND"
    assert issue(history())["title"] == "A title"
    assert hub.writes == ()
