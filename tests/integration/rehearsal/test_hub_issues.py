"""Issues, labels, comments and people, as PyGithub sees them."""

from collections.abc import Callable

import pytest
from github import Github, GithubException, UnknownObjectException
from github.Repository import Repository

from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.loopback import BOT


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
