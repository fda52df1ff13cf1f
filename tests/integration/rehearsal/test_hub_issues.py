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


def test_the_text_is_changed_closed_and_opened_again(hub: LoopbackGitHub, repo: Repository) -> None:
    number = hub.open_issue("One", "first", by="maya")
    issue = repo.get_issue(number)
    issue.edit(title="Two", body="second", state="closed", state_reason="not_planned")
    assert (issue.title, issue.body, issue.state, issue.state_reason) == (
        "Two",
        "second",
        "closed",
        "not_planned",
    )
    assert issue.closed_by.login == BOT
    hub.reopen(number, by="maya")
    names = [event.event for event in repo.get_issue(number).get_events()]
    assert names == ["renamed", "closed", "reopened"]
    assert repo.get_issue(number).state == "open"


def test_what_happened_anywhere_is_listed_newest_first(
    hub: LoopbackGitHub, repo: Repository
) -> None:
    hub.open_issue("One", "", ["bug"], by="maya")
    hub.open_issue("Two", by="maya")
    hub.lock(2, by="maya")
    seen = [(event.event, event.issue.number) for event in repo.get_issues_events()]
    assert seen == [("locked", 2), ("labeled", 1)]


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
    hub.unlock(number, by="maya")
    theirs.create_comment("thanks")
    assert [c.by for c in hub.comments(number)] == [BOT, "stranger"]


def test_an_emoji_is_kept_once(hub: LoopbackGitHub, repo: Repository, ask: Ask) -> None:
    number = hub.open_issue("One", by="maya")
    issue = repo.get_issue(number)
    first, second = issue.create_reaction("eyes"), issue.create_reaction("eyes")
    assert first.id == second.id
    assert [seen.status for seen in hub.writes] == [201, 200]
    assert ask("GET", f"{ISSUES}/{number}").json()["reactions"]["eyes"] == 1
    issue.delete_reaction(first.id)
    assert list(issue.get_reactions()) == []
    comment = issue.create_comment("words")
    comment.create_reaction("+1")
    assert [r.user.login for r in comment.get_reactions()] == [BOT]
    assert ask("POST", f"{ISSUES}/{number}/reactions", json={"content": "?"}).status_code == 422


def test_a_deleted_account_leaves_nobody(hub: LoopbackGitHub, ask: Ask) -> None:
    number = hub.open_issue("One", None, by="stranger")
    hub.delete_account("stranger")
    issue = ask("GET", f"{ISSUES}/{number}").json()
    assert (issue["user"], issue["body"]) == (None, None)
    assert ask("GET", "/users/stranger").status_code == 404


def test_a_transferred_issue_is_a_signpost(hub: LoopbackGitHub, ask: Ask, repo: Repository) -> None:
    number = hub.open_issue("One", by="maya")
    hub.transfer(number, "example/elsewhere", by="maya")
    reply = ask("GET", f"{ISSUES}/{number}")
    assert reply.status_code == 301
    assert reply.headers["Location"].endswith(f"/repos/example/elsewhere/issues/{number}")
    assert repo.get_issue(number).raw_data["repository_url"].endswith("/example/elsewhere")
    assert list(repo.get_issues()) == []


@pytest.mark.parametrize("verb", ["comments", "issue"])
def test_text_that_is_too_long_is_refused(hub: LoopbackGitHub, ask: Ask, verb: str) -> None:
    number = hub.open_issue("One", by="maya")
    path = ISSUES if verb == "issue" else f"{ISSUES}/{number}/comments"
    fits = {"title": "Long", "body": "x" * 65_536}
    assert ask("POST", path, json=fits).status_code == 201
    reply = ask("POST", path, json={**fits, "body": "x" * 65_537})
    assert reply.status_code == 422
    assert reply.json()["message"] == "Validation Failed"
    assert "65536" in reply.json()["errors"][0]["message"]


@pytest.mark.parametrize("verb", ["POST", "PATCH"])
def test_a_title_that_is_too_long_is_refused(hub: LoopbackGitHub, ask: Ask, verb: str) -> None:
    path = ISSUES if verb == "POST" else f"{ISSUES}/{hub.open_issue('One', by='maya')}"
    assert ask(verb, path, json={"title": "x" * 256}).status_code in (200, 201)
    reply = ask(verb, path, json={"title": "x" * 257})
    assert reply.status_code == 422
    assert "256" in reply.json()["errors"][0]["message"]


def test_labels_of_the_repository(hub: LoopbackGitHub, repo: Repository, ask: Ask) -> None:
    repo.create_label("RepoAgents", "00ff00", "for the bot")
    assert repo.get_label("repoagents").name == "RepoAgents"
    assert [label.name for label in repo.get_labels()] == ["RepoAgents"]
    number = hub.open_issue("One", "", ["repoagents"], by="maya")
    assert hub.labels(number) == ("RepoAgents",)
    again = ask("POST", "/repos/example/python-lib/labels", json={"name": "REPOAGENTS"})
    assert again.json()["errors"][0]["code"] == "already_exists"
    long = ask("POST", "/repos/example/python-lib/labels", json={"name": "x" * 51})
    assert long.status_code == 422
    assert ask("GET", "/repos/example/python-lib/labels/none").status_code == 404


def test_a_bare_array_of_labels_is_legal(hub: LoopbackGitHub, ask: Ask) -> None:
    number = hub.open_issue("One", by="maya")
    assert ask("POST", f"{ISSUES}/{number}/labels", json=["a", "b"]).status_code == 200
    assert [x["name"] for x in ask("GET", f"{ISSUES}/{number}/labels").json()] == ["a", "b"]


def test_somebody_else_s_comment_is_not_a_stranger_s_to_change(
    hub: LoopbackGitHub, ask: Ask
) -> None:
    number = hub.open_issue("One", by="maya")
    said = hub.comment(number, "mine", by="maya")
    path = f"{ISSUES}/comments/{said.id}"
    stranger = hub.token_of("stranger")
    assert ask("PATCH", path, stranger, json={"body": "theirs"}).status_code == 404
    assert ask("DELETE", path, stranger).status_code == 404
    assert ask("GET", path, stranger).json()["body"] == "mine"
    assert ask("PATCH", path, json={"body": "bot's"}).status_code == 200
    hub.delete_comment(said, by="maya")
    assert ask("GET", path).status_code == 404


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
    writing = ask("POST", ISSUES, json={"title": "Two"})
    assert writing.status_code == 307
    assert len(hub.issues) == 1
    assert client().get_repo("example/python-lib").full_name == "example/renamed"
    followed = ask("POST", ISSUES, json={"title": "Two"}, allow_redirects=True)
    assert followed.status_code == 201
    assert len(hub.issues) == 2


def test_an_archived_repository_is_read_only(hub: LoopbackGitHub, ask: Ask) -> None:
    hub.archive()
    assert ask("GET", ISSUES).status_code == 200
    refused = ask("POST", ISSUES, json={"title": "No"})
    assert (refused.status_code, refused.json()["message"]) == (
        403,
        "Repository was archived so is read-only.",
    )


def test_a_private_repository_is_not_there_for_strangers(hub: LoopbackGitHub, ask: Ask) -> None:
    assert ask("GET", ISSUES, None).status_code == 200
    assert ask("POST", ISSUES, None, json={"title": "No"}).status_code == 401
    hub.make_private()
    assert ask("GET", ISSUES, None).status_code == 404
    assert ask("GET", ISSUES, hub.token_of("stranger")).status_code == 404
    assert ask("GET", ISSUES).status_code == 200
