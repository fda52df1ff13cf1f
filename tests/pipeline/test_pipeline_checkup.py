"""The doctor's checks, one condition at a time, on a house that is otherwise in order."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from repoagents.domain.check import Check
from repoagents.domain.engines import EngineChoice
from repoagents.domain.issue import Issue
from repoagents.domain.reports import Role
from repoagents.domain.settings import (
    CodexSettings,
    LlmSettings,
    RolesSettings,
    Settings,
    TrackerSettings,
    WorkspaceSettings,
)
from repoagents.pipeline.checkup import HostFacts, examine
from repoagents.policy.attention import LEAST_FREE_BYTES
from repoagents.ports import Bench, EngineHealth
from tests.fakes.agents import PromptlessAgents, ScriptedAgents
from tests.fakes.workspaces import MemoryWorkspaces
from tests.pipeline.conftest import ISSUE, Place

FINE = HostFacts(free_bytes=LEAST_FREE_BYTES)


@dataclass
class AilingAgents(ScriptedAgents):
    """Agents whose engine has this health."""

    health: EngineHealth = EngineHealth("codex", version="1.2.3")  # noqa: RUF009 - frozen

    def check(self, choice: EngineChoice) -> EngineHealth:
        """The health that was given."""
        return self.health


def checks(place: Place, facts: HostFacts = FINE, **settings: object) -> dict[str, Check]:
    """The checks by name, the worst of each name."""
    house = replace(place.house, settings=replace(place.house.settings, **settings))
    return by_name(house, facts)


def by_name(bench: Bench, facts: HostFacts = FINE) -> dict[str, Check]:
    order = ("ok", "warn", "error")
    worst: dict[str, Check] = {}
    for check in examine(bench, facts):
        assert check.status in order
        assert check.message
        if check.status == "error":
            assert check.fix, f"an error says how to fix it: {check}"
        known = worst.get(check.name)
        if known is None or order.index(check.status) > order.index(known.status):
            worst[check.name] = check
    return worst


def test_a_house_in_order_has_nothing_to_mend(place: Place) -> None:
    assert {check.status for check in checks(place).values()} == {"ok"}
    assert list(checks(place))[:4] == ["config", "state", "folders", "disk"]


@pytest.mark.parametrize(
    ("facts", "name", "status", "said", "fix"),
    [
        ({"warnings": ("a placeholder",)}, "config", "warn", "a placeholder", ""),
        ({"state": "it is corrupt"}, "state", "error", "it is corrupt", "restore state/"),
        ({"unwritable": ("state", "logs")}, "folders", "error", "state, logs", "chmod state, logs"),
        ({"free_bytes": LEAST_FREE_BYTES - 1}, "disk", "warn", "1.0 GB free", "clean --dry-run"),
        ({"clock_ahead_of_files": True}, "clock", "warn", "in the future", "NTP"),
        ({"edited": ("roles/a.md (edited)",)}, "templates", "ok", "edited since init: roles/a", ""),
        (
            {"behind": ("roles/a.md (missing)",), "fix": "repoagents init --upgrade"},
            "templates",
            "warn",
            "roles/a.md (missing)",
            "repoagents init --upgrade",
        ),
        (
            {"behind": ("a (missing)",), "edited": ("b (edited)",), "fix": "x"},
            "templates",
            "warn",
            "a (missing)",
            "x",
        ),
        (
            {"uncommitted": (".ai-repoagents", "AGENTS.md")},
            "control plane",
            "ok",
            "not committed yet: .ai-repoagents, AGENTS.md",
            "git add .ai-repoagents AGENTS.md && git commit -m 'Set up RepoAgents'",
        ),
        (
            {"line_for_issues": "mkdir -p issues"},
            "tracker",
            "warn",
            "there is no issues yet",
            "mkdir -p issues",
        ),
        ({"worker": "worker 7 on here is live"}, "worker", "ok", "worker 7 on here is live", ""),
        ({"submodules": True}, "submodules", "warn", "not fetched", "hooks.after_create"),
        ({"lfs": True}, "LFS files", "warn", "not fetched", "hooks.after_create"),
    ],
)
def test_what_each_fact_of_the_machine_means(
    facts: dict[str, object], name: str, status: str, said: str, fix: str, place: Place
) -> None:
    tracker = TrackerSettings(kind="local_markdown", path="issues", trigger_label=None)
    found = checks(place, replace(FINE, **facts), tracker=tracker)
    check = found.pop(name)
    assert check.status == status
    assert said in check.message
    assert fix in check.fix
    assert {other.status for other in found.values()} == {"ok"}, "nothing else is touched by it"


def test_edits_and_what_is_behind_are_told_apart(place: Place) -> None:
    facts = replace(FINE, behind=("a (outdated)",), edited=("b (edited)",), fix="m")
    rows = [c for c in examine(place.house, facts) if c.name == "templates"]
    assert [(c.status, "edited since init" in c.message) for c in rows] == [
        ("warn", False),
        ("ok", True),
    ]


def test_a_prompt_that_cannot_be_made_is_an_error(place: Place) -> None:
    house = replace(place.house, agents=PromptlessAgents(without=Role.REVIEWER))
    found = by_name(house)["templates"]
    assert (found.status, found.message, found.fix) == ("error", "reviewer.md is bad", "fix it")


@pytest.mark.parametrize(
    ("policy", "status"), [("block", "error"), ("warn", "warn"), ("allow", "ok")]
)
def test_a_dirty_checkout_is_as_bad_as_its_policy(policy: str, status: str, place: Place) -> None:
    (place.house.root / "stray.txt").write_text("x")
    check = checks(place, workspace=WorkspaceSettings(dirty_policy=policy))["checkout"]
    assert check.status == status
    assert ("stray.txt" in check.message) is (policy != "allow")


def test_what_a_command_left_behind_is_a_note(place: Place) -> None:
    spaces = MemoryWorkspaces(place.house.root, left=("uv.lock", "webhook.json"))
    place.house = replace(place.house, workspaces=spaces)
    check = checks(place)["checkout"]
    assert (check.status, check.message) == ("ok", "clean; untracked: uv.lock, webhook.json")
    assert check.fix == "rm uv.lock webhook.json"
    used = TrackerSettings(smoke_fixture_path="uv.lock")
    assert checks(place, tracker=used)["checkout"].fix == "rm webhook.json"


def test_a_checkout_that_is_ahead_of_origin_is_a_warning(
    place: Place, git: Callable[..., str]
) -> None:
    root = place.house.root
    git(root, "init", "--quiet", "--bare", "--initial-branch=main", "../origin.git")
    git(root, "remote", "add", "origin", "../origin.git")
    git(root, "push", "--quiet", "origin", "main")
    assert "base" not in checks(place)
    git(root, "commit", "--quiet", "--allow-empty", "--message=Ahead")
    check = checks(place)["base"]
    assert (check.status, check.fix) == ("warn", "git push")
    assert "1 commit" in check.message


def test_no_repository_is_an_error_with_both_ways_out(place: Place) -> None:
    (place.house.root / ".git").rename(place.house.root / "git-was-here")
    check = checks(place)["git"]
    assert check.status == "error"
    assert "git init" in check.fix
    assert "workspace.strategy: copy" in check.fix


def test_an_engine_that_cannot_be_used_names_its_roles(place: Place) -> None:
    health = EngineHealth("codex", problem="not logged in", kind="auth", next_step="codex login")
    house = replace(place.house, agents=AilingAgents(health=health))
    check = by_name(house)["engine"]
    assert check.status == "error"
    assert check.message == "codex (planner, builder, reviewer): not logged in"
    assert check.fix == "codex login"


def test_each_engine_is_asked_once_for_all_its_roles(place: Place) -> None:
    roles = RolesSettings(enabled=(Role.PLANNER, Role.BUILDER))
    model = CodexSettings(model="a-model")
    house = replace(
        place.house,
        agents=AilingAgents(),
        settings=replace(place.house.settings, roles=roles, codex=model),
    )
    (check,) = (c for c in examine(house, FINE) if c.name == "engine")
    assert check.message == "codex 1.2.3 (planner, builder, model a-model)"


def test_a_sandbox_that_is_off_is_an_error(place: Place) -> None:
    codex = CodexSettings(sandbox="danger-full-access")
    check = checks(place, codex=codex, llm=LlmSettings("codex"))["engine"]
    assert check.status == "error"
    assert "without a sandbox" in check.message
    assert checks(place, codex=codex, llm=LlmSettings("rehearsal"))["engine"].status == "ok"


def test_without_a_required_check_nothing_is_proven(place: Place) -> None:
    assert checks(place, verify=())["verify"].status == "warn"
    optional = tuple(replace(check, required=False) for check in Settings().verify)
    assert checks(place, verify=optional)["verify"].status == "warn"
    assert checks(place)["verify"].message == "required: fixed"


def test_the_issues_are_counted_with_the_way_to_label_one(place: Place) -> None:
    labelled = TrackerSettings(kind="local_markdown", trigger_label="RepoAgents")
    assert checks(place)["tracker"].message.startswith("0 open, every one is taken")
    place.tracker.issues = {1: ISSUE, 2: Issue(2, "Two", "", source="issues/2-two.md")}
    found = checks(place, tracker=labelled)["tracker"]
    assert (found.status, found.message) == ("ok", "2 open, 1 labelled RepoAgents")
    place.tracker.issues.pop(1)
    found = checks(place, tracker=labelled)["tracker"]
    assert "0 labelled" in found.message
    assert found.fix.endswith("for example in issues/2-two.md")


def test_a_tracker_that_is_down_is_an_error_and_what_it_left_out_a_warning(place: Place) -> None:
    place.tracker.problems = ("issues/3.md:1: it has no title",)
    assert checks(place)["tracker"].status == "warn"
    place.tracker.down = True
    house = replace(place.house)
    (check,) = (c for c in examine(house, FINE) if c.name == "tracker")
    assert (check.status, check.message) == ("error", "the tracker is down")


def test_a_smoke_fixture_is_never_green_and_asks_nobody(place: Place) -> None:
    class Untouchable:
        """Fails whoever asks it anything."""

        def __getattr__(self, name: str) -> object:
            raise AssertionError(f"asked for {name}")

    real, tracker = place.house.workspaces, Untouchable()

    class Unfetched:
        """The checkout, whose remote nobody may ask."""

        def dirty_paths(self) -> tuple[str, ...]:
            return real.dirty_paths()

        def left_paths(self) -> tuple[str, ...]:
            return real.left_paths()

    bench = replace(place.house, tracker=tracker, workspaces=Unfetched())
    step = "delete `smoke_fixture_path` in repoagents.yaml:3"
    found = by_name(bench, replace(FINE, fixture_step=step, warnings=(f"not asked; {step}",)))
    assert (found["GitHub"].status, found["GitHub"].fix) == ("error", step)
    assert (found["git"].status, found["git"].fix) == ("warn", step)
    assert (found["config"].status, step in found["config"].message) == ("warn", True)
    assert found["checkout"].status == "ok", "what is here is looked at"
