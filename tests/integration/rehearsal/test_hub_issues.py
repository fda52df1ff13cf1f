"""Issues, labels, comments and people, as PyGithub sees them."""

from collections.abc import Callable

import pytest
import requests
from github import Github, GithubException, UnknownObjectException
from github.Repository import Repository

from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.loopback import BOT

Ask = Callable[..., requests.Response]
ISSUES = "/repos/example/python-lib/issues"


def test_an_issue_is_read_whole(hub: LoopbackGitHub, repo: Repository) -> None:
    number = hub.open_issue("Sums are wrong", "add() subtracts", ["bug"], by="stranger")
    issue = repo.get_issue(number)
    assert (issue.title, issue.body, issue.user.login) == (
        "Sums are wrong",
        "add() subtracts",
        "stranger",
    )
    assert [label.name for label in issue.labels] == ["bug"]
    assert issue.id != number
    assert issue.author_association == "NONE"


def test_a_comment_is_written_edited_and_deleted(hub: LoopbackGitHub, repo: Repository) -> None:
    number = hub.open_issue("One", by="maya")
    said = repo.get_issue(number).create_comment("first words")
    assert [(c.by, c.body) for c in hub.comments(number)] == [(BOT, "first words")]
    said.edit("second words")
    assert hub.comments(number)[0].body == "second words"
    assert repo.get_issue(number).comments == 1
    said.delete()
    assert hub.comments(number) == ()


def test_single_labels_are_added_and_removed(hub: LoopbackGitHub, repo: Repository) -> None:
    number = hub.open_issue("One", "", ["bug"], by="maya")
    issue = repo.get_issue(number)
    issue.add_to_labels("in progress")
    assert hub.labels(number) == ("bug", "in progress")
    issue.remove_from_labels("bug")
    assert hub.labels(number) == ("in progress",)
    with pytest.raises(GithubException, match="Label does not exist"):
        issue.remove_from_labels("bug")


def test_who_put_the_label_there_stands_in_the_timeline(
    hub: LoopbackGitHub, repo: Repository
) -> None:
    number = hub.open_issue("One", by="stranger")
    hub.label(number, "repoagents", by="tom")
    hub.comment(number, "please", by="stranger")
    lines = list(repo.get_issue(number).get_timeline())
    assert [(line.event, line.actor.login) for line in lines] == [
        ("labeled", "tom"),
        ("commented", "stranger"),
    ]
    assert lines[0].raw_data["label"]["name"] == "repoagents"


def test_permissions_are_those_of_the_account(hub: LoopbackGitHub, repo: Repository) -> None:
    seen = {name: repo.get_collaborator_permission(name) for name in ("maya", "wren", "tom")}
    assert seen == {"maya": "admin", "wren": "write", "tom": "read"}
    assert repo.permissions.push is True
    assert repo.permissions.admin is False


def test_a_stranger_may_comment_but_not_label(
    hub: LoopbackGitHub, client: Callable[..., Github]
) -> None:
    number = hub.open_issue("One", by="maya")
    theirs = client(hub.token_of("stranger")).get_repo(hub.full_name).get_issue(number)
    theirs.create_comment("hello")
    with pytest.raises(UnknownObjectException):
        theirs.add_to_labels("repoagents")
    assert hub.labels(number) == ()


def test_an_unknown_token_is_refused(hub: LoopbackGitHub, client: Callable[..., Github]) -> None:
    with pytest.raises(GithubException) as refused:
        client("ghp_unknown").get_user().login  # noqa: B018 - reading it makes the request
    assert refused.value.status == 401


def test_a_locked_issue_is_for_those_who_may_write(
    hub: LoopbackGitHub, client: Callable[..., Github], repo: Repository
) -> None:
    number = hub.open_issue("One", by="maya")
    hub.lock(number, by="maya")
    theirs = client(hub.token_of("stranger")).get_repo(hub.full_name).get_issue(number)
    with pytest.raises(GithubException, match="issue is locked"):
        theirs.create_comment("let me in")
    repo.get_issue(number).create_comment("I may")
    assert repo.get_issue(number).locked is True
    assert [c.by for c in hub.comments(number)] == [BOT]


def test_a_transferred_issue_is_a_signpost(hub: LoopbackGitHub, ask: Ask, repo: Repository) -> None:
    number = hub.open_issue("One", by="maya")
    hub.transfer(number, "example/elsewhere", by="maya")
    reply = ask("GET", f"{ISSUES}/{number}")
    assert reply.status_code == 301
    assert reply.headers["Location"].endswith(f"/repos/example/elsewhere/issues/{number}")
    assert repo.get_issue(number).raw_data["repository_url"].endswith("/example/elsewhere")
    assert list(repo.get_issues()) == []


def test_somebody_else_s_comment_is_not_a_stranger_s_to_change(
    hub: LoopbackGitHub, ask: Ask
) -> None:
    number = hub.open_issue("One", by="maya")
    said = hub.comment(number, "mine", by="maya")
    path = f"{ISSUES}/comments/{said.id}"
    stranger = hub.token_of("stranger")
    assert ask("PATCH", path, stranger, json={"body": "theirs"}).status_code == 404
    assert ask("DELETE", path, stranger).status_code == 404
    assert [c.body for c in hub.comments(number)] == ["mine"]
    assert ask("PATCH", path, json={"body": "bot's"}).status_code == 200


def test_a_renamed_repository_redirects(
    hub: LoopbackGitHub, repo: Repository, ask: Ask, client: Callable[..., Github]
) -> None:
    hub.open_issue("One", by="maya")
    hub.rename("example/renamed")
    reading = ask("GET", f"{ISSUES}?state=all")
    assert (reading.status_code, reading.headers["Location"]) == (
        301,
        f"{hub.url}/repositories/{repo.id}/issues?state=all",
    )
    path, said = f"{ISSUES}/1/comments", {"body": "Two"}
    assert ask("POST", path, json=said).status_code == 307
    assert hub.comments(1) == ()
    assert client().get_repo("example/python-lib").full_name == "example/renamed"
    assert ask("POST", path, json=said, allow_redirects=True).status_code == 201
    assert len(hub.comments(1)) == 1


def test_an_archived_repository_is_read_only(hub: LoopbackGitHub, ask: Ask) -> None:
    hub.open_issue("One", by="maya")
    hub.archive()
    assert ask("GET", ISSUES).status_code == 200
    refused = ask("POST", f"{ISSUES}/1/comments", json={"body": "No"})
    assert (refused.status_code, refused.json()["message"]) == (
        403,
        "Repository was archived so is read-only.",
    )


def test_a_private_repository_is_not_there_for_strangers(hub: LoopbackGitHub, ask: Ask) -> None:
    hub.open_issue("One", by="maya")
    assert ask("GET", ISSUES, None).status_code == 200
    assert ask("POST", f"{ISSUES}/1/comments", None, json={"body": "No"}).status_code == 401
    hub.make_private()
    assert ask("GET", ISSUES, None).status_code == 404
    assert ask("GET", ISSUES, hub.token_of("stranger")).status_code == 404
    assert ask("GET", ISSUES).status_code == 200


def test_an_emoji_is_kept_once(hub: LoopbackGitHub, repo: Repository, ask: Ask) -> None:
    number = hub.open_issue("One", by="maya")
    comment = repo.get_issue(number).create_comment("words")
    first, second = comment.create_reaction("eyes"), comment.create_reaction("eyes")
    assert first.id == second.id
    assert [seen.status for seen in hub.writes[1:]] == [201, 200]
    told = ask("GET", f"{ISSUES}/{number}/comments").json()[0]
    assert told["reactions"]["eyes"] == 1
    path = f"{ISSUES}/comments/{comment.id}/reactions"
    assert ask("POST", path, json={"content": "?"}).status_code == 422


def test_text_that_is_too_long_is_refused(hub: LoopbackGitHub, ask: Ask) -> None:
    path = f"{ISSUES}/{hub.open_issue('One', by='maya')}/comments"
    assert ask("POST", path, json={"body": "x" * 65_536}).status_code == 201
    reply = ask("POST", path, json={"body": "x" * 65_537})
    assert reply.status_code == 422
    assert reply.json()["message"] == "Validation Failed"
    assert "65536" in reply.json()["errors"][0]["message"]


def test_labels_of_the_repository(hub: LoopbackGitHub, repo: Repository, ask: Ask) -> None:
    hub.create_label("RepoAgents")
    assert repo.get_label("repoagents").name == "RepoAgents"
    number = hub.open_issue("One", "", ["repoagents"], by="maya")
    assert hub.labels(number) == ("RepoAgents",)
    long = ask("POST", f"{ISSUES}/{number}/labels", json={"labels": ["x" * 51]})
    assert long.status_code == 422
    assert ask("POST", f"{ISSUES}/{number}/labels", json={"labels": "x"}).status_code == 422
    assert ask("GET", "/repos/example/python-lib/labels/none").status_code == 404
