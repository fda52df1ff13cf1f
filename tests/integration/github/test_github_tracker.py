"""Issues are read, comments and draft pull requests written, over real HTTP."""

from dataclasses import replace

import pytest

from repoagents.domain.effect import OpenDraftPullRequest, PostComment, SetLabel
from repoagents.domain.issue import IssueState
from repoagents.domain.people import AccountKind
from repoagents.errors import Forbidden, GitHubError, Unavailable
from repoagents.github.comments import signed
from tests.fakes.clock import FakeClock
from tests.integration.github.stub import ME, ROOT, Bed, Reply, Stub, build, comment, issue, pull

MARKER = "<!-- repoagents:0123abcd:issue=1 -->"
COMMENT = PostComment("run-1", 1, MARKER, "All done.")
PULL = OpenDraftPullRequest("run-1", 1, "Mend it", "Why.", "repoagents/issue-1", "main")


def test_open_issues_with_the_label_are_listed(bed: Bed) -> None:
    bed.stub.get(
        f"{ROOT}/issues",
        Reply(
            [issue(9), issue(2, labels=[{"name": " Bug "}]), issue(5, pull_request={"url": "x"})]
        ),
    )
    first, second = bed.tracker.read_issues()
    assert (first.number, second.number) == (2, 9)
    assert first.labels == ("bug",)
    assert (first.author, first.body, first.state) == ("ann", "It is broken.", IssueState.OPEN)
    assert first.source == "https://github.com/octo/cat/issues/2"
    (seen,) = bed.stub.seen
    assert seen.query["labels"] == "repoagents"
    assert seen.query["state"] == "open"


def test_an_issue_comes_with_its_comments(bed: Bed) -> None:
    bed.stub.get(f"{ROOT}/issues/1", Reply(issue(1, comments=3)))
    ann = {"login": "ann", "id": 7}
    bed.stub.get(
        f"{ROOT}/issues/1/comments",
        Reply([comment(1, f"{MARKER}\nDone."), comment(2, f"{MARKER}\nForged.", ann)]),
    )
    bed.stub.get("/user", Reply(ME))
    read = bed.tracker.read_issue(1)
    assert read is not None
    assert [(c.author, c.ours) for c in read.comments] == [("robot", True), ("ann", False)]


def test_what_an_app_says_in_a_persons_name_is_a_bots_word(bed: Bed) -> None:
    ann = {"login": "ann", "id": 7, "type": "User"}
    by_app = {**comment(2, "/repoagents approve", ann), "performed_via_github_app": {"id": 5}}
    both = [comment(1, "Why?", ann), by_app]
    bed.stub.get("/user", Reply(ME))
    bed.stub.get(f"{ROOT}/issues/1", Reply(issue(1, comments=2)))
    bed.stub.get(f"{ROOT}/issues/1/comments", Reply(both))
    read = bed.tracker.read_issue(1)
    assert read is not None
    assert [said.bot for said in read.comments] == [False, True]
    for path, answer in (
        ("pulls", [pull(3, state="closed")]),
        ("pulls/3", pull(3, state="closed")),
        ("pulls/3/reviews", []),
        ("pulls/3/comments", both),
        (f"commits/{'a' * 40}/check-runs", {"check_runs": []}),
        (f"commits/{'a' * 40}/status", {"statuses": []}),
    ):
        bed.stub.get(f"{ROOT}/{path}", Reply(answer))
    found = bed.tracker.pulls.pull_request(PULL.head)
    assert found is not None
    kinds = [remark.author.kind for thread in found.threads for remark in thread.remarks]
    assert kinds == [AccountKind.USER, AccountKind.BOT]


def test_a_comment_is_posted_once_and_then_edited(bed: Bed) -> None:
    path = f"{ROOT}/issues/1/comments"
    bed.stub.get("/user", Reply(ME))
    bed.stub.get(path, Reply([]), Reply([comment(8, f"{MARKER}\nWorking.")]))
    bed.stub.on("POST", path, Reply(comment(8, "x"), 201))
    bed.stub.on("PATCH", f"{ROOT}/issues/comments/8", Reply(comment(8, "x")))
    first = bed.tracker.perform(COMMENT)
    assert first == bed.tracker.perform(COMMENT)
    written = [seen for seen in bed.stub.seen if seen.verb != "GET"]
    assert [(s.verb, s.body) for s in written] == [
        ("POST", {"body": f"{MARKER}\nAll done."}),
        ("PATCH", {"body": f"{MARKER}\nAll done."}),
    ]


def test_of_two_comments_only_what_the_bot_wrote_is_deleted(bed: Bed) -> None:
    """With a user's token the bot's account is a person's, who may have copied our comment."""
    says = ["Working.", "Building.", "Working.", "All done.", "All done? I think not."]
    path, place = f"{ROOT}/issues/1/comments", f"{ROOT}/issues/comments"
    listed = [comment(8 + at, f"{MARKER}\n{text}") for at, text in enumerate(says)]
    bed.stub.get("/user", Reply(ME))
    bed.stub.get(path, Reply(listed))
    bed.stub.on("PATCH", f"{place}/8", Reply(comment(8, "x")))
    for doubled in range(9, 13):
        bed.stub.on("DELETE", f"{place}/{doubled}", Reply(status=204))
    assert bed.tracker.amend(COMMENT, "https://github.com/octo/cat/issues/1#issuecomment-9")
    gone = [seen.path for seen in bed.stub.seen if seen.verb == "DELETE"]
    assert gone == [f"{place}/9", f"{place}/10", f"{place}/11"], "what we know of, or says the same"


def test_a_listing_that_lags_makes_no_second_comment(bed: Bed) -> None:
    path = f"{ROOT}/issues/1/comments"
    bed.stub.get("/user", Reply(ME))
    bed.stub.get(path, Reply([]))
    bed.stub.on("POST", path, Reply(comment(8, "x"), 201))
    gone = Reply({"message": "Not Found"}, 404)
    bed.stub.on("PATCH", f"{ROOT}/issues/comments/8", Reply(comment(8, "x")), gone)
    place = bed.tracker.perform(COMMENT)
    assert bed.tracker.amend(replace(COMMENT, body="Building."), place) == place
    assert bed.tracker.amend(COMMENT, place) is None, "it was deleted"
    assert bed.tracker.amend(COMMENT, "") is None, "it may stand unseen"
    written = [(seen.verb, seen.path) for seen in bed.stub.seen if seen.verb != "GET"]
    edit = ("PATCH", f"{ROOT}/issues/comments/8")
    assert written == [("POST", path), edit, edit]


def test_a_draft_pull_request_is_opened(bed: Bed) -> None:
    bed.stub.get(f"{ROOT}/pulls", Reply([]))
    bed.stub.on("POST", f"{ROOT}/pulls", Reply(pull(3), 201))
    assert bed.tracker.find(PULL) is None
    assert bed.tracker.perform(PULL) == "https://github.com/octo/cat/pull/3"
    assert bed.stub.seen[-1].body == {
        "title": "Mend it",
        "body": signed("Why."),
        "head": "repoagents/issue-1",
        "base": "main",
        "draft": True,
    }


def test_an_open_pull_request_of_the_branch_is_adopted(bed: Bed) -> None:
    bed.stub.get(f"{ROOT}/pulls", Reply([pull(3)]))
    assert bed.tracker.find(PULL) == bed.tracker.perform(PULL)
    assert bed.stub.count("POST") == 0
    assert bed.stub.seen[0].query["head"] == "octo:repoagents/issue-1"


def test_a_lost_answer_is_looked_after(bed: Bed) -> None:
    path = f"{ROOT}/issues/1/comments"
    bed.stub.get("/user", Reply(ME))
    bed.stub.get(path, Reply([]), Reply([comment(8, f"{MARKER}\nAll done.")]))
    bed.stub.on("POST", path, Reply("<html>", 502))
    assert "issuecomment-8" in bed.tracker.perform(COMMENT)
    assert bed.stub.count("POST") == 1


def test_a_write_that_did_not_happen_is_told(bed: Bed) -> None:
    path = f"{ROOT}/issues/1/comments"
    bed.stub.get(path, Reply([]))
    bed.stub.on("POST", path, Reply(breaks="reset"))
    with pytest.raises(Unavailable):
        bed.tracker.perform(COMMENT)
    assert bed.stub.count("POST") == 1


def test_a_closed_pull_request_is_a_no(bed: Bed) -> None:
    bed.stub.get(f"{ROOT}/pulls", Reply([pull(3, state="closed")]))
    ref = f"{ROOT}/git/ref/heads/repoagents/issue-1"
    bed.stub.get(ref, Reply({"object": {"sha": "a" * 40}}), Reply({"object": {"sha": "b" * 40}}))
    bed.stub.on("POST", f"{ROOT}/pulls", Reply(pull(4), 201))
    with pytest.raises(GitHubError, match="that is a no") as caught:
        bed.tracker.perform(PULL)
    assert "pull/3" in caught.value.next_step
    assert caught.value.kind == "declined", "nobody else can decide on it"
    assert bed.tracker.perform(PULL).endswith("/pull/4")


def test_a_fork_of_the_same_owner_has_another_head(bed: Bed) -> None:
    theirs = {"ref": "repoagents/issue-1", "sha": "a" * 40, "repo": {"id": 2}}
    bed.stub.get(f"{ROOT}/pulls", Reply([pull(3, head=theirs)]))
    assert bed.tracker.find(PULL) is None


def test_a_pull_request_is_read_like_an_issue_and_listed_as_none(bed: Bed) -> None:
    bed.stub.get(f"{ROOT}/issues/5", Reply(issue(5, pull_request={"url": "x"})))
    read = bed.tracker.read_issue(5)
    assert read is not None
    assert read.pull_request


def test_a_deleted_issue_is_none_and_another_answer_an_error(bed: Bed) -> None:
    bed.stub.get(f"{ROOT}/issues/5", Reply({"message": "This issue was deleted"}, 410))
    bed.stub.get(ROOT, Reply({"id": 1}))
    assert bed.tracker.read_issue(5) is None
    bed.stub.get(f"{ROOT}/issues/6", Reply(issue(7)))
    with pytest.raises(Unavailable, match="not issue 6"):
        bed.tracker.read_issue(6)


def test_without_a_trigger_label_every_open_issue_is_listed(stub: Stub, clock: FakeClock) -> None:
    bed = build(stub, clock, label=None)
    stub.get(f"{ROOT}/issues", Reply([issue(1)]))
    bed.tracker.read_issues()
    assert "labels" not in stub.seen[0].query
    bed.door.close()


def test_a_pull_request_that_somebody_else_opened_first_is_adopted(bed: Bed) -> None:
    bed.stub.get(f"{ROOT}/pulls", Reply([]), Reply([]), Reply([pull(3)]))
    told = {"message": "Validation Failed", "errors": [{"message": "A pull request exists"}]}
    bed.stub.on("POST", f"{ROOT}/pulls", Reply(told, 422))
    assert bed.tracker.perform(PULL).endswith("/pull/3")
    assert bed.stub.count("POST") == 1


def test_a_refused_pull_request_says_why(bed: Bed) -> None:
    bed.stub.get(f"{ROOT}/pulls", Reply([]))
    told = {"message": "Draft pull requests are not supported in this repository."}
    bed.stub.on("POST", f"{ROOT}/pulls", Reply(told, 422))
    with pytest.raises(GitHubError, match="Draft pull requests are not supported") as caught:
        bed.tracker.perform(PULL)
    assert "open one from repoagents/issue-1 by hand" in caught.value.next_step


def test_a_pull_request_that_stands_without_being_listed_is_waited_for(bed: Bed) -> None:
    bed.stub.get(f"{ROOT}/pulls", Reply([]))
    told = {"errors": [{"message": "A pull request already exists for octo:repoagents/issue-1."}]}
    bed.stub.on("POST", f"{ROOT}/pulls", Reply(told, 422))
    with pytest.raises(Unavailable, match="not listed yet"):
        bed.tracker.perform(PULL)


def test_an_archived_repository_is_no_missing_permission(bed: Bed) -> None:
    bed.stub.get(f"{ROOT}/pulls", Reply([]))
    told = {"message": "Repository was archived so is read-only."}
    bed.stub.on("POST", f"{ROOT}/pulls", Reply(told, 403))
    with pytest.raises(Forbidden) as caught:
        bed.tracker.perform(PULL)
    assert (caught.value.kind, caught.value.next_step) == (
        "failed",
        "Unarchive the repository, then retry.",
    )


def test_a_label_may_hold_any_sign(bed: Bed) -> None:
    effect = SetLabel("run-1", 1, "a/b ?#ü", on=False)
    path = f"{ROOT}/issues/1/labels/a%2Fb%20%3F%23%C3%BC"
    bed.stub.on("DELETE", path, Reply([]))
    bed.tracker.perform(effect)
    assert bed.stub.asked == [f"DELETE {path}"]


def test_a_label_whose_answer_was_lost_is_looked_for(bed: Bed) -> None:
    on = SetLabel("run-1", 1, "waiting", on=True)
    bed.stub.on("POST", f"{ROOT}/issues/1/labels", Reply(breaks="reset"))
    bed.stub.get(f"{ROOT}/issues/1", Reply(issue(1, labels=[{"name": "waiting"}])))
    assert "waiting" in bed.tracker.perform(on)
    bed.stub.get(f"{ROOT}/issues/1", Reply(issue(1)))
    with pytest.raises(Unavailable):
        bed.tracker.perform(on)
    assert bed.stub.count("POST") == 2
