"""The project's own checks: on the base before a model is paid, then on exactly the change."""

from dataclasses import dataclass, field, replace

import pytest

from repoagents.domain.reports import CheckOutcome, CheckResult
from repoagents.domain.run import FailureClass, Run, Stage
from repoagents.domain.settings import AgentSettings, VerifySettings
from repoagents.pipeline.boundary import Halted, change
from repoagents.pipeline.verify import Proving, run_checks, verify_base, verify_change
from repoagents.ports import Worktree
from tests.fakes.clock import FakeClock
from tests.fakes.workspaces import MemoryWorkspaces
from tests.pipeline.conftest import Place

HOUR = 3600.0


@pytest.fixture
def proving(place: Place) -> Proving:
    """A run's worktree over a repository in memory; the checks are real processes."""
    spaces = MemoryWorkspaces(place.house.root.parent / "grounds")
    place.house = replace(place.house, workspaces=spaces)
    run, base = place.queue(), spaces.refresh()
    now = place.clock.now()
    run = change(place.house, run.id, lambda was: was.start(now).on_base(base.sha, now))
    worktree, _ = spaces.open(1, run.id, base.sha)
    return Proving(place.house, run, worktree, HOUR)


def checking(proving: Proving, *checks: VerifySettings) -> Proving:
    """The same, with these checks configured."""
    settings = replace(proving.house.settings, verify=checks)
    return replace(proving, house=replace(proving.house, settings=settings))


def log(proving: Proving, name: str) -> str | None:
    """A check's log among the artifacts."""
    return proving.house.artifacts.read(1, proving.run.id, name)


BROKEN = [
    (VerifySettings("gone", ("no-such-program",)), "could not be started"),
    (VerifySettings("gone", "no-such-program --all"), "ended with exit code 127"),
    (VerifySettings("locked", "exit 126"), "ended with exit code 126"),
    (VerifySettings("slow", "sleep 30", timeout_seconds=1), "timed out after 1 s"),
]


@pytest.mark.parametrize(("check", "how"), BROKEN)
async def test_a_check_that_cannot_run_on_the_base_is_the_environments_fault(
    proving: Proving, check: VerifySettings, how: str
) -> None:
    with pytest.raises(Halted) as halted:
        await verify_base(checking(proving, check))
    failure = halted.value.failure
    assert failure.kind is FailureClass.ENVIRONMENT
    assert f"'{check.name}'" in failure.message
    assert how in failure.message
    assert "on the untouched base" in failure.message
    assert "`repoagents retry 1`" in failure.next_step


@pytest.mark.parametrize(("check", "_how"), BROKEN)
async def test_an_optional_check_that_cannot_run_stops_nothing(
    proving: Proving, check: VerifySettings, _how: str
) -> None:
    measured = await verify_base(checking(proving, replace(check, required=False)))
    (result,) = measured.results
    assert not result.usable
    assert not measured.verified


async def test_a_failing_base_is_a_measurement_and_no_stop(proving: Proving) -> None:
    measured = await verify_base(
        checking(proving, VerifySettings("red", "exit 1"), VerifySettings("green", "true"))
    )
    assert measured.tree == proving.run.base_sha
    assert [(r.name, r.outcome, r.exit_code) for r in measured.results] == [
        ("red", CheckOutcome.FAILED, 1),
        ("green", CheckOutcome.PASSED, 0),
    ]
    assert not measured.verified


async def test_checks_run_in_their_order_and_see_what_the_one_before_left(
    proving: Proving,
) -> None:
    steps = (
        VerifySettings("one", "echo 1 >> seen.txt"),
        VerifySettings("two", "grep -q 1 seen.txt && echo 2 >> seen.txt"),
        VerifySettings("three", ("grep", "-c", "", "seen.txt")),
    )
    results = await run_checks(checking(proving, *steps), "verify", Stage.VERIFY)
    assert [result.outcome for result in results] == [CheckOutcome.PASSED] * 3
    assert results[2].tail.strip() == "2"


async def test_what_checks_left_on_the_base_is_gone_before_the_planner(proving: Proving) -> None:
    messy = VerifySettings("messy", "echo litter > litter.txt; rm README.md")
    await verify_base(checking(proving, messy))
    assert [place.name for place in proving.worktree.path.iterdir()] == ["README.md"]


async def test_what_checks_changed_is_put_back_and_told(proving: Proving) -> None:
    spaces, base = proving.house.workspaces, proving.run.base_sha
    (proving.worktree.path / "fixed.txt").write_text("fixed\n")
    tree = spaces.freeze(proving.worktree, base)
    (proving.worktree.path / "fixed.txt").write_text("not what was frozen\n")
    checks = (
        VerifySettings("first", "grep -qx fixed fixed.txt"),
        VerifySettings("formatter", "echo wrong > fixed.txt; echo litter > litter.txt"),
    )
    proof = await verify_change(checking(proving, *checks), tree, "verify")
    assert [result.outcome for result in proof.results] == [CheckOutcome.PASSED] * 2
    assert set(proof.changed_by_checks) == {"fixed.txt", "litter.txt"}
    assert proof.tree == tree == spaces.freeze(proving.worktree, base)


async def test_logs_are_named_as_asked(proving: Proving) -> None:
    tree = proving.house.workspaces.tree_of(proving.run.base_sha)
    asked = checking(proving, VerifySettings("unit", "echo here"))
    proof = await verify_change(asked, tree, "verify-2")
    assert proof.results[0].log == "verify-2-unit.log"
    assert log(proving, "verify-2-unit.log") == "here\n"
    await verify_base(asked)
    assert log(proving, "base-unit.log") == "here\n"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("unit tests / slow", "base-unit-tests---slow.log"),
        ("../../etc/passwd", "base-------etc-passwd.log"),
        ("x" * 200, f"base-{'x' * 40}.log"),
        ("a\nb\0c", "base-a-b-c.log"),
        ("...", "base----.log"),
    ],
)
async def test_any_name_of_a_check_makes_a_name_of_a_log(
    proving: Proving, name: str, expected: str
) -> None:
    (result,) = (await verify_base(checking(proving, VerifySettings(name, "echo hi")))).results
    assert (result.name, result.log) == (name, expected)
    assert log(proving, expected) == "hi\n"


@pytest.mark.parametrize("name", ["größe", "проверка", "検査", "x²"])
async def test_a_name_may_be_in_any_script(proving: Proving, name: str) -> None:
    (result,) = (await verify_base(checking(proving, VerifySettings(name, "echo hi")))).results
    assert result.name == name
    assert log(proving, result.log) == "hi\n"


@dataclass
class NotedChecks:
    """`ports.Checks` that takes no time but the clock's, and notes what it was given."""

    clock: FakeClock
    takes: float = 0.0
    given: list[tuple[str, str, float]] = field(default_factory=list)

    async def verify(
        self, check: VerifySettings, _worktree: Worktree, label: str, seconds: float
    ) -> CheckResult:
        """As long as it takes, or until its time is up."""
        self.given.append((check.name, label, seconds))
        self.clock.advance(min(self.takes, seconds))
        late = self.takes > seconds
        outcome = CheckOutcome.TIMED_OUT if late else CheckOutcome.PASSED
        code = None if late else 0
        return CheckResult(
            check.name, check.kind, "x", check.required, outcome, code, self.takes, "", ""
        )


async def test_each_check_gets_its_own_limit_and_no_more_than_is_left(
    proving: Proving, place: Place
) -> None:
    noted = NotedChecks(place.clock, takes=400)
    asked = checking(
        replace(proving, deadline=1000),
        *(VerifySettings(name, "x", timeout_seconds=600) for name in ("a", "b", "c")),
    )
    asked = replace(asked, house=replace(asked.house, checks=noted))
    with pytest.raises(Halted) as halted:
        await run_checks(asked, "verify", Stage.VERIFY)
    assert noted.given == [
        ("a", "verify-a", 600),
        ("b", "verify-b", 600),
        ("c", "verify-c", 200),
    ]
    assert halted.value.failure.kind is FailureClass.TIMEOUT_HARD
    assert "agent.run_timeout_seconds" in halted.value.failure.next_step


async def test_running_out_of_its_own_time_is_a_result(proving: Proving, place: Place) -> None:
    noted = NotedChecks(place.clock, takes=700)
    asked = checking(proving, VerifySettings("a", "x"))
    asked = replace(asked, house=replace(asked.house, checks=noted))
    (result,) = await run_checks(asked, "verify", Stage.VERIFY)
    assert result.outcome is CheckOutcome.TIMED_OUT


async def test_a_deadline_that_passed_gives_no_negative_time(
    proving: Proving, place: Place
) -> None:
    noted = NotedChecks(place.clock, takes=1)
    place.clock.advance(50)
    asked = checking(replace(proving, deadline=10), VerifySettings("a", "x"))
    asked = replace(asked, house=replace(asked.house, checks=noted))
    with pytest.raises(Halted, match=f"{AgentSettings().run_timeout_seconds} s in all"):
        await run_checks(asked, "verify", Stage.VERIFY)
    assert noted.given == [("a", "verify-a", 0.0)]


async def test_the_check_at_work_can_be_seen_and_its_end_is_logged(
    proving: Proving, place: Place
) -> None:
    await verify_base(checking(proving, VerifySettings("unit", "exit 3")))
    now: Run = place.now(proving.run)
    assert (now.stage, now.last_event) == (Stage.BASE_CHECK, "check unit")
    (told,) = [fields for code, _, fields in place.journal.lines if code == "check_ended"]
    assert (told["exit_code"], told["stage"], told["run"]) == (3, "base_check", proving.run.id)


async def test_nothing_configured_proves_nothing(proving: Proving) -> None:
    measured = await verify_base(checking(proving))
    assert (measured.results, measured.verified) == ((), False)
