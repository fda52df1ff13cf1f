"""What stands around a branch, by rulesets and by classic protection, on the loopback GitHub."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from repoagents.domain.access import BranchRules
from repoagents.domain.pull_request import RequiredCheck
from repoagents.errors import Forbidden, NotFound
from repoagents.github.branches import GitHubBranches
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.loopback import BOT
from repoagents.rehearsal.hub.records import Json, Protection
from tests.integration.github import loopback as story
from tests.integration.github.stub import ROOT, Bed, Reply, Stub

REVIEWED: Json = {
    "type": "pull_request",
    "parameters": {"required_approving_review_count": 2},
}
CHECKED: Json = {
    "type": "required_status_checks",
    "parameters": {"required_status_checks": [{"context": "tests"}, {"context": "lint"}]},
}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LoopbackGitHub]:
    with story.open_hub(tmp_path) as made:
        yield made


def read(hub: LoopbackGitHub, folder: Path, login: str = BOT) -> BranchRules:
    """What somebody's token is told; only read, by at most four requests."""
    count, writes = len(hub.requests), hub.writes
    github = story.connect_by_token(hub.url, folder, hub.token_of(login))
    inspection = github.tracker.inspection
    assert inspection is not None
    found = inspection.branch("main")
    assert len(hub.requests) - count <= 4
    assert {seen.method for seen in hub.requests[count:]} == {"GET"}
    assert hub.writes == writes
    return found


def test_a_bare_branch(hub: LoopbackGitHub, tmp_path: Path) -> None:
    assert read(hub, tmp_path) == BranchRules("main", protected=False)
    assert len(hub.requests) == 2


def test_rulesets_are_read_by_anybody(hub: LoopbackGitHub, tmp_path: Path) -> None:
    hub.add_ruleset("careful", [REVIEWED, "deletion"])
    hub.add_ruleset("tested", [CHECKED])
    assert read(hub, tmp_path) == BranchRules(
        "main",
        protected=True,
        reviews=2,
        checks=("tests", "lint"),
        rules=("deletion", "pull_request", "required_status_checks"),
        rulesets=("careful", "tested"),
    )


def test_the_reviews_of_classic_protection_are_for_admins(
    hub: LoopbackGitHub, tmp_path: Path
) -> None:
    hub.protect("main", Protection(checks=("tests",), reviews=3))
    hub.add_ruleset("careful", [REVIEWED])
    unknown = read(hub, tmp_path)
    assert (unknown.protected, unknown.reviews, unknown.checks) == (True, None, ("tests",))
    (reason,) = unknown.unread
    assert "admins only" in reason
    assert "administration: read" in reason
    hub.add_account("ada", "admin")
    known = read(hub, tmp_path, "ada")
    assert (known.reviews, known.unread) == (3, ()), "the larger of the two holds"


def test_a_protection_without_reviews_asks_for_none(hub: LoopbackGitHub, tmp_path: Path) -> None:
    hub.add_account("ada", "admin")
    hub.protect("main", Protection(checks=("tests",)))
    assert read(hub, tmp_path, "ada").reviews == 0


def ready(stub: Stub, **branch: object) -> None:
    stub.get(f"{ROOT}/rules/branches/a%2Fb", Reply([]))
    stub.get(f"{ROOT}/branches/a%2Fb", Reply({"name": "a/b", "protected": True, **branch}))


def test_the_word_for_an_admin_is_told_apart_from_silence(stub: Stub, bed: Bed) -> None:
    ready(stub)
    protection = f"{ROOT}/branches/a%2Fb/protection"
    stub.get(protection, Reply({"message": "Branch not protected"}, 404))
    assert GitHubBranches(bed.client).read("a/b").reviews == 0
    stub.get(protection, Reply({"message": "Not Found"}, 404))
    assert GitHubBranches(bed.client).read("a/b").reviews is None
    stub.get(protection, Reply({"message": "Bad credentials"}, 401))
    with pytest.raises(Forbidden):
        GitHubBranches(bed.client).read("a/b")


def test_a_protection_that_is_off_is_not_asked_for(stub: Stub, bed: Bed) -> None:
    ready(stub, protection={"enabled": False})
    assert not GitHubBranches(bed.client).read("a/b").protected
    assert len(stub.seen) == 2


APPS: dict[str, tuple[Json, RequiredCheck]] = {
    "an App": ({"context": "ci", "app_id": 7}, RequiredCheck("ci", 7)),
    "none": ({"context": "ci", "app_id": None}, RequiredCheck("ci")),
    "any": ({"context": "ci", "app_id": -1}, RequiredCheck("ci")),
}


@pytest.mark.parametrize("case", APPS)
def test_a_protection_names_the_app_of_a_check(stub: Stub, bed: Bed, case: str) -> None:
    told, wanted = APPS[case]
    asked = {"contexts": ["ci"], "checks": [told]}
    ready(stub, protection={"enabled": True, "required_status_checks": asked})
    assert GitHubBranches(bed.client).required_checks("a/b") == (wanted,)


def test_an_older_server_names_checks_alone(stub: Stub, bed: Bed) -> None:
    asked = {"contexts": ["ci", "lint"]}
    ready(stub, protection={"enabled": True, "required_status_checks": asked})
    found = GitHubBranches(bed.client).required_checks("a/b")
    assert found == (RequiredCheck("ci"), RequiredCheck("lint"))


def test_a_ruleset_names_the_app_of_a_check(stub: Stub, bed: Bed) -> None:
    ready(stub, protected=False)
    checks = [{"context": "ci", "integration_id": 7}, {"context": "ci"}, {"context": "lint"}]
    rule = {"type": "required_status_checks", "parameters": {"required_status_checks": checks}}
    stub.get(f"{ROOT}/rules/branches/a%2Fb", Reply([rule]))
    branches = GitHubBranches(bed.client)
    asked = (RequiredCheck("ci", 7), RequiredCheck("ci"), RequiredCheck("lint"))
    assert branches.required_checks("a/b") == asked
    assert branches.read("a/b").checks == ("ci", "lint"), "a name once"


def test_a_ruleset_whose_name_is_not_told_has_its_number(stub: Stub, bed: Bed) -> None:
    ready(stub, protected=False)
    rules = [{"type": "deletion", "ruleset_id": 12}, {"type": "creation", "ruleset_id": 13}, {}]
    stub.get(f"{ROOT}/rules/branches/a%2Fb", Reply(rules))
    found = GitHubBranches(bed.client).read("a/b")
    assert found.rulesets == ("ruleset 12", "ruleset 13")
    stub.get(f"{ROOT}/rulesets", Reply([{"id": 13, "name": "no surprises"}]))
    assert GitHubBranches(bed.client).read("a/b").rulesets == ("ruleset 12", "no surprises")


def test_no_such_branch(stub: Stub, bed: Bed) -> None:
    stub.get(f"{ROOT}/rules/branches/gone", Reply([]))
    with pytest.raises(NotFound):
        GitHubBranches(bed.client).read("gone")


@pytest.mark.parametrize("kind", ["token", "fine_grained", "app"])
def test_a_whole_look_is_a_handful_of_requests_that_only_read(
    hub: LoopbackGitHub, tmp_path: Path, kind: str
) -> None:
    hub.protect("main", Protection(reviews=1))
    hub.add_ruleset("careful", ["deletion"])
    if kind == "app":
        github = story.connect_as_app(hub.url, tmp_path, story.install(hub))
    else:
        narrow = hub.fine_grained_token(BOT, story.NEEDED)
        token = narrow if kind == "fine_grained" else hub.token_of(BOT)
        github = story.connect_by_token(hub.url, tmp_path, token)
    inspection = github.tracker.inspection
    assert inspection is not None
    count = len(hub.requests)
    access = inspection.inspect()
    assert access.kind == kind
    inspection.branch(access.default_branch)
    inspection.sample(10)
    inspection.backlog()
    asked = hub.requests[count:]
    assert len(asked) <= 12, [f"{seen.method} {seen.path}" for seen in asked]
    looked = any(seen.path.endswith("/branches/main/protection") for seen in asked)
    assert looked is (kind != "app"), "an App's token says that it may not"
    minted = [seen.path for seen in asked if seen.method != "GET"]
    assert all(path.endswith("/access_tokens") for path in minted)
    assert len(minted) == (kind == "app")


def test_a_plan_without_rulesets_has_no_rules(stub: Stub, bed: Bed) -> None:
    """A private repository of a free plan: that is no missing permission."""
    ready(stub, protected=False)
    told = "Upgrade to GitHub Pro or make this repository public to enable this feature."
    stub.get(f"{ROOT}/rules/branches/a%2Fb", Reply({"message": told}, 403))
    branches = GitHubBranches(bed.client)
    assert branches.required_checks("a/b") == ()
    assert branches.read("a/b") == BranchRules("a/b", protected=False)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_rules_that_may_not_be_read_are_not_taken_for_none(
    stub: Stub, bed: Bed, status: int
) -> None:
    ready(stub, protected=False)
    told = "Resource not accessible by personal access token"
    stub.get(f"{ROOT}/rules/branches/a%2Fb", Reply({"message": told}, status))
    with pytest.raises((Forbidden, NotFound)):
        GitHubBranches(bed.client).required_checks("a/b")
