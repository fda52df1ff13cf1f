"""Issues are read, comments and draft pull requests written, over real HTTP."""

import pytest

from repoagents.domain.effect import OpenDraftPullRequest, PostComment
from repoagents.domain.issue import IssueState
from repoagents.errors import GitHubError, Unavailable
from repoagents.github.comments import signed
from tests.integration.github.stub import ME, ROOT, Bed, Reply, comment, issue, pull

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
    assert bed.tracker.perform(PULL).endswith("/pull/4")
