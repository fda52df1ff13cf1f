"""Pull requests over real git: pushed, opened as drafts, followed, made ready, merged."""

from collections.abc import Callable

import pytest
import requests
from github import Github, GithubException
from github.PullRequest import PullRequest
from github.Repository import Repository

from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.loopback import BOT
from repoagents.rehearsal.hub.records import Protection

Push = Callable[..., str]
Ask = Callable[..., requests.Response]
MENDED = "def add(a, b):\n    return a + b\n"
BRANCH = "bot/1"


@pytest.fixture
def pull(repo: Repository, push: Push) -> PullRequest:
    """The bot's draft with one commit."""
    push(BRANCH, MENDED)
    return repo.create_pull(title="Mend", body="", head=BRANCH, base="main", draft=True)


def ready(pull: PullRequest) -> PullRequest:
    pull.mark_ready_for_review()
    return pull


def refusal(act: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(GithubException) as refused:
        act()
    told = refused.value.data
    return refused.value.status, " ".join(
        [
            told["message"],
            *(error.get("message", error["field"]) for error in told.get("errors", ())),
        ]
    )


def test_a_draft_is_opened_made_ready_and_merged(hub: LoopbackGitHub, pull: PullRequest) -> None:
    head, main = hub.heads[BRANCH], hub.heads["main"]
    assert (pull.draft, pull.head.sha, pull.base.sha, pull.user.login) == (True, head, main, BOT)
    assert (pull.commits, pull.additions, pull.deletions, pull.changed_files) == (1, 1, 1, 1)
    assert refusal(lambda: pull.merge(sha=head)) == (405, "Pull Request is still a draft")
    merged = ready(pull).merge(sha=head)
    assert hub.forge.bare.commit(merged.sha).parents == (main, head)
    assert hub.forge.bare.git.run("show", "main:src/sums.py").out.decode() == MENDED
    pull.update()
    assert (pull.merged, pull.state, pull.merge_commit_sha) == (True, "closed", merged.sha)
    assert refusal(lambda: pull.merge(sha=head))[0] == 405


def test_a_pull_request_is_listed_as_an_issue_too(repo: Repository, pull: PullRequest) -> None:
    listed = {issue.number: issue.pull_request is not None for issue in repo.get_issues()}
    assert listed == {pull.number: True}


def test_pull_requests_are_found_by_their_head(repo: Repository, pull: PullRequest) -> None:
    found = [p.number for p in repo.get_pulls(head=f"example:{BRANCH}", state="all")]
    assert found == [pull.number]
    assert list(repo.get_pulls(head="somebody:else")) == []
    # As on GitHub, a head without its owner filters nothing.
    assert [p.number for p in repo.get_pulls(head="no-such-branch")] == [pull.number]


@pytest.mark.parametrize(
    ("head", "base", "said"),
    [
        (BRANCH, "main", f"A pull request already exists for example:{BRANCH}."),
        ("nowhere", "main", "head"),
        ("mallory:main", "main", "head"),
        (BRANCH, "nowhere", "base"),
        ("empty", "main", "No commits between main and empty"),
    ],
)
def test_a_pull_request_that_cannot_be(
    hub: LoopbackGitHub, repo: Repository, pull: PullRequest, head: str, base: str, said: str
) -> None:
    hub.forge.bare.move("empty", hub.heads["main"], None)
    got = refusal(lambda: repo.create_pull(title="Again", body="", head=head, base=base))
    assert got == (422, f"Validation Failed {said}")
    assert len(hub.pulls) == 1


def test_a_pushed_commit_moves_the_head_and_a_moved_one_stops_the_merge(
    pull: PullRequest, push: Push
) -> None:
    ready(pull)
    old = pull.head.sha
    new = push(BRANCH, "# by hand\n")
    status, said = refusal(lambda: pull.merge(sha=old))
    assert (status, said.split(".")[0]) == (409, "Head branch was modified")
    pull.update()
    assert pull.head.sha == new
    assert pull.commits == 2


def test_a_forced_push_stands_in_the_timeline(
    hub: LoopbackGitHub, repo: Repository, pull: PullRequest, push: Push
) -> None:
    rewritten = hub.forge.bare.write(
        hub.forge.bare.commit(pull.head.sha).tree,
        (hub.heads["main"],),
        "Rewritten",
        "wren",
        hub.forge.repository.now(),
    )
    hub.forge.bare.move(BRANCH, rewritten, pull.head.sha)
    lines = [line.event for line in repo.get_issue(pull.number).get_timeline()]
    assert lines == ["head_ref_force_pushed"]


def test_a_conflict_is_seen_on_the_second_look(
    hub: LoopbackGitHub, repo: Repository, pull: PullRequest
) -> None:
    ready(pull)
    assert repo.get_pull(pull.number).mergeable is True
    hub.commit_on("main", by="maya", files={"src/sums.py": "# other\n"})
    first = repo.get_pull(pull.number)
    assert (first.mergeable, first.mergeable_state) == (None, "unknown")
    second = repo.get_pull(pull.number)
    assert (second.mergeable, second.mergeable_state) == (False, "dirty")
    assert refusal(lambda: second.merge()) == (405, "Pull Request is not mergeable")


def test_required_checks_reviews_and_freshness_block_a_merge(
    hub: LoopbackGitHub, repo: Repository, pull: PullRequest
) -> None:
    ready(pull)
    hub.protect("main", Protection(reviews=1, checks=("ci",), up_to_date=True))
    main = hub.commit_on("main", by="maya", files={"new.txt": "new\n"})
    states = []

    def look() -> None:
        repo.get_pull(pull.number)
        states.append(repo.get_pull(pull.number).mergeable_state)

    look()
    assert repo.compare("main", BRANCH).behind_by == 1
    bare, old = hub.forge.bare, hub.heads[BRANCH]
    tree = bare.merged_tree(old, main)
    head = bare.write(tree, (old, main), "Catch up", BOT, hub.forge.repository.now())
    bare.move(BRANCH, head, old)
    look()
    assert refusal(pull.merge) == (405, 'Required status check "ci" is expected.')
    hub.set_check(head, "ci", "failure")
    assert refusal(pull.merge) == (405, 'Required status check "ci" is expected.')
    hub.set_check(head, "ci", "success")
    assert "At least 1 approving review" in refusal(pull.merge)[1]
    hub.review(pull.number, by="stranger", state="APPROVED")
    assert "At least 1 approving review" in refusal(pull.merge)[1]
    hub.review(pull.number, by="wren", state="APPROVED")
    look()
    assert pull.merge(sha=head).merged is True
    assert states == ["behind", "blocked", "clean"]


def test_nobody_approves_a_change_of_their_own(
    hub: LoopbackGitHub, repo: Repository, pull: PullRequest
) -> None:
    with pytest.raises(Exception, match="Can not approve your own pull request"):
        hub.review(pull.number, by=BOT, state="APPROVED")
    hub.review(pull.number, by="wren", state="APPROVED", sha=pull.base.sha)
    seen = [(r.user.login, r.state, r.commit_id) for r in repo.get_pull(pull.number).get_reviews()]
    assert seen == [("wren", "APPROVED", pull.base.sha)]


def test_a_thread_is_answered(hub: LoopbackGitHub, pull: PullRequest, ask: Ask) -> None:
    first = hub.remark(pull.number, "why +?", by="wren", path="src/sums.py", line=2)
    answer = pull.create_review_comment_reply(first.id, "because it adds")
    listed = ask("GET", f"/repos/example/python-lib/pulls/{pull.number}/comments").json()
    thread = [(c["user"]["login"], c["body"], c.get("in_reply_to_id")) for c in listed]
    assert thread == [("wren", "why +?", None), (BOT, "because it adds", first.id)]
    assert refusal(lambda: pull.create_review_comment_reply(answer.id, "no"))[0] == 422
    assert refusal(lambda: pull.create_review_comment_reply(1, "no"))[0] == 404


def test_a_fork_with_a_branch_of_our_name_is_not_ours(
    hub: LoopbackGitHub, repo: Repository, pull: PullRequest
) -> None:
    hub.add_account("mallory", "none")
    number = hub.open_pull_from_fork("Mend", head=BRANCH, sha=pull.head.sha, by="mallory")
    theirs = repo.get_pull(number)
    assert theirs.head.ref == BRANCH
    assert theirs.head.repo.id != repo.id
    assert [p.number for p in repo.get_pulls(head=f"example:{BRANCH}")] == [pull.number]
    assert [p.number for p in repo.get_pulls(head=f"mallory:{BRANCH}")] == [number]


def test_what_was_pushed_to_the_base_is_merged(
    hub: LoopbackGitHub, pull: PullRequest, push: Push
) -> None:
    hub.forge.bare.move("main", pull.head.sha, hub.heads["main"])
    pull.update()
    assert pull.merged is True


def test_merging_closes_the_issues_that_the_text_names(
    hub: LoopbackGitHub, repo: Repository, push: Push
) -> None:
    for title in ("One", "Two", "Three"):
        hub.open_issue(title, by="maya")
    push(BRANCH, MENDED)
    body = "Fixes #1, mentions #2, and says `closes #3` in code."
    repo.create_pull(title="Mend", body=body, head=BRANCH, base="main").merge()
    assert [issue.state for issue in hub.issues[:3]] == ["closed", "open", "open"]


def test_squash_leaves_one_commit_and_rebase_is_off(hub: LoopbackGitHub, pull: PullRequest) -> None:
    ready(pull)
    main = hub.heads["main"]
    assert refusal(lambda: pull.merge(merge_method="rebase"))[0] == 405
    squashed = pull.merge(merge_method="squash")
    assert hub.forge.bare.commit(squashed.sha).parents == (main,)
    assert hub.forge.bare.commit(squashed.sha).message.strip() == f"Mend (#{pull.number})"


def test_only_those_who_may_write_merge(
    hub: LoopbackGitHub, pull: PullRequest, client: Callable[..., Github]
) -> None:
    ready(pull)
    theirs = client(hub.token_of("tom")).get_repo(hub.full_name).get_pull(pull.number)
    assert refusal(theirs.merge)[0] == 404
    assert hub.pulls[0].state == "open"


@pytest.mark.parametrize(
    ("query", "variables", "said"),
    [
        (
            "mutation { deleteEverything(input: $x) }",
            {"input": {"pullRequestId": "?"}},
            "NOT_FOUND",
        ),
        ("query { viewer { login } }", {}, "NOT_FOUND"),
    ],
)
def test_graphql_says_no_with_200(
    ask: Ask, hub: LoopbackGitHub, query: str, variables: object, said: str
) -> None:
    reply = requests.post(
        f"{hub.site}/api/graphql",
        json={"query": query, "variables": variables},
        headers={"Authorization": f"bearer {hub.token_of(BOT)}"},
        timeout=100,
    )
    assert reply.status_code == 200
    assert reply.json()["errors"][0]["type"] == said
    assert len(hub.writes) == query.startswith("mutation")
