"""Effects: intent, look-up, action, receipt; and a death between any two of them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from repoagents.domain.effect import (
    Effect,
    OpenDraftPullRequest,
    PostComment,
    PushBranch,
    Withheld,
    effect_name,
)
from repoagents.domain.reports import Role
from repoagents.domain.run import Run
from repoagents.domain.settings import (
    LlmSettings,
    MergePolicySettings,
    RoleSettings,
    RolesSettings,
    SafetySettings,
    TrackerSettings,
)
from repoagents.errors import GitError, TrackerError
from repoagents.pipeline import publisher
from repoagents.pipeline.boundary import change
from tests.fakes.workspaces import MemoryWorkspaces
from tests.pipeline.conftest import Place

OPEN = SafetySettings(allow_write_comments=True, allow_open_pr=True)
BRANCH = "repoagents/issue-1-it-is-broken"
COMMIT, OLDER, FOREIGN = "c" * 40, "b" * 40, "f" * 40
NAMES = ("branch", "draft_pull_request", "comment")


class Died(BaseException):
    """The process is gone."""


@pytest.fixture
def spaces(place: Place) -> MemoryWorkspaces:
    """The place's repository, in memory; the flags are open."""
    found = MemoryWorkspaces(place.house.root.parent / "grounds")
    place.house = replace(place.house, workspaces=found)
    place.with_settings(safety=OPEN)
    return found


def effects(run: Run) -> tuple[Effect, ...]:
    """The three effects of a proven run."""
    return (
        PushBranch(run.id, 1, BRANCH, COMMIT),
        OpenDraftPullRequest(run.id, 1, "It is broken", "What was done.", BRANCH, "main"),
        PostComment(run.id, 1, "<!-- marker -->", "<!-- marker -->\nDone."),
    )


def states(place: Place, run: Run) -> dict[str, str]:
    """The ledger's word on each effect."""
    return {row.name: row.state for row in place.house.ledger.rows(run.id)}


def written(place: Place, spaces: MemoryWorkspaces) -> tuple[int, int, int]:
    """Pushes, pull requests and comments that stand."""
    return spaces.pushes, len(place.tracker.pull_requests), len(place.tracker.comments)


def test_effects_happen_in_the_order_given_each_with_its_receipt(
    place: Place, spaces: MemoryWorkspaces
) -> None:
    run = place.queue()
    published = publisher.publish(place.house, run.id, effects(run))
    assert [receipt.key for receipt in published.done] == [effect.key for effect in effects(run)]
    assert [receipt.location for receipt in published.done] == [
        f"branch {BRANCH}",
        BRANCH,
        "comment-1",
    ]
    assert published.withheld == ()
    assert states(place, run) == dict.fromkeys(NAMES, "done")
    done = [line for line in place.journal.lines if line[0] == "effect_done"]
    assert [message.split(":")[0] for _, message, _ in done] == list(NAMES)
    assert written(place, spaces) == (1, 1, 1)


def test_doing_it_all_again_writes_nothing(place: Place, spaces: MemoryWorkspaces) -> None:
    run = place.queue()
    first = publisher.publish(place.house, run.id, effects(run))
    spaces.branches.clear()
    place.tracker.down = True
    place.clock.advance(60)
    assert publisher.publish(place.house, run.id, effects(run)) == first, "the receipt is enough"
    assert spaces.pushes == 1
    assert place.tracker.writes == 2


POINTS = ("before intend", "after intend", "after find", "after act", "before close", "after close")


def dying(place: Place, spaces: MemoryWorkspaces, name: str, point: str) -> Place:
    """The same house, whose process dies once at this point of this effect."""
    left = [True]

    def deadly(when: str, call: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*args: object) -> object:
            hit = left and any(_is(arg, name) for arg in args)
            if hit and point == f"before {when}":
                left.clear()
                raise Died
            result = call(*args)
            if hit and point == f"after {when}":
                left.clear()
                raise Died
            return result

        return wrapped

    ledger, tracker = _Wrapped(place.house.ledger), _Wrapped(place.tracker)
    ground = _Wrapped(spaces)
    for when in ("intend", "close"):
        setattr(ledger, when, deadly(when, getattr(place.house.ledger, when)))
    tracker.find = deadly("find", place.tracker.find)
    tracker.perform = deadly("act", place.tracker.perform)
    ground.branch_head = deadly("find", spaces.branch_head)
    ground.push = deadly("act", spaces.push)
    return replace(
        place, house=replace(place.house, ledger=ledger, tracker=tracker, workspaces=ground)
    )


class _Wrapped:
    """Another object, of which single methods are replaced."""

    def __init__(self, inner: object) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


def _is(argument: object, name: str) -> bool:
    if isinstance(argument, PushBranch | OpenDraftPullRequest | PostComment):
        return effect_name(argument) == name
    return name == "branch" and argument == BRANCH


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("name", NAMES)
def test_a_death_at_any_point_leaves_each_effect_done_once(
    place: Place, spaces: MemoryWorkspaces, name: str, point: str
) -> None:
    run = place.queue()
    with pytest.raises(Died):
        publisher.publish(dying(place, spaces, name, point).house, run.id, effects(run))
    earlier = NAMES[: NAMES.index(name)]
    expected = dict.fromkeys(earlier, "done")
    if point != "before intend":
        expected[name] = "done" if point == "after close" else "intended"
    assert states(place, run) == expected, "the intent stands before the act, the receipt after it"
    acted = point in ("after act", "before close", "after close")
    assert sum(written(place, spaces)) == len(earlier) + acted
    publisher.publish(place.house, run.id, effects(run))
    assert states(place, run) == dict.fromkeys(NAMES, "done")
    assert written(place, spaces) == (1, 1, 1)
    assert place.tracker.writes == 2, "what stood already was adopted, not written again"


def test_what_stands_already_is_adopted(place: Place, spaces: MemoryWorkspaces) -> None:
    run = place.queue()
    spaces.branches[BRANCH] = COMMIT
    place.tracker.pull_requests[BRANCH] = "What was done."
    published = publisher.publish(place.house, run.id, effects(run)[:2])
    assert [receipt.location for receipt in published.done] == [f"branch {BRANCH}", BRANCH]
    assert (spaces.pushes, place.tracker.writes) == (0, 0)
    assert set(states(place, run).values()) == {"done"}


def test_a_branch_of_somebody_else_is_refused_and_left(
    place: Place, spaces: MemoryWorkspaces
) -> None:
    run = place.queue()
    spaces.branches[BRANCH] = FOREIGN
    with pytest.raises(GitError, match="not this bot's commit") as refused:
        publisher.publish(place.house, run.id, effects(run))
    assert FOREIGN[:12] in str(refused.value)
    assert "delete or rename" in refused.value.next_step
    assert spaces.branches == {BRANCH: FOREIGN}
    assert states(place, run) == {"branch": "intended"}
    assert place.tracker.writes == 0, "no pull request from a branch that is not ours"
    del spaces.branches[BRANCH]
    publisher.publish(place.house, run.id, effects(run))
    assert written(place, spaces) == (1, 1, 1)


def test_a_branch_of_an_earlier_run_is_moved_on(place: Place, spaces: MemoryWorkspaces) -> None:
    older = place.queue()
    now = place.clock.now()
    change(place.house, older.id, lambda was: was.carried_by(OLDER, "hash", BRANCH, now))
    change(place.house, older.id, lambda was: was.cancel(now))
    run = place.queue(forced=True)
    spaces.branches[BRANCH] = OLDER
    publisher.publish(place.house, run.id, effects(run)[:1])
    assert spaces.branches == {BRANCH: COMMIT}


def test_an_outage_keeps_the_intent_and_what_was_done_before_it(
    place: Place, spaces: MemoryWorkspaces
) -> None:
    run = place.queue()
    place.tracker.down = True
    with pytest.raises(TrackerError):
        publisher.publish(place.house, run.id, effects(run))
    assert states(place, run) == {"branch": "done", "draft_pull_request": "intended"}


CLOSED = [
    (
        {"safety": SafetySettings()},
        ("safety.allow_open_pr",) * 2 + ("safety.allow_write_comments",),
    ),
    ({"safety": SafetySettings(allow_open_pr=True)}, ("", "", "safety.allow_write_comments")),
    (
        {"safety": SafetySettings(allow_write_comments=True)},
        ("safety.allow_open_pr", "safety.allow_open_pr", ""),
    ),
    ({"safety": OPEN}, ("", "", "")),
    (
        {"merge_policy": MergePolicySettings("comment_only")},
        ("merge_policy.mode", "merge_policy.mode", ""),
    ),
    ({"tracker": TrackerSettings(mode="fixture")}, ("tracker.mode",) * 3),
    (
        {"llm": LlmSettings("rehearsal"), "tracker": TrackerSettings(kind="github")},
        ("llm.mode",) * 3,
    ),
    ({"llm": LlmSettings("rehearsal")}, ("", "", "")),
    (
        {
            "roles": RolesSettings(reviewer=RoleSettings(engine="rehearsal")),
            "tracker": TrackerSettings(kind="github"),
        },
        ("llm.mode",) * 3,
    ),
    (
        {
            "roles": RolesSettings(
                enabled=(Role.PLANNER, Role.BUILDER), reviewer=RoleSettings(engine="rehearsal")
            ),
            "tracker": TrackerSettings(kind="github"),
        },
        ("", "", ""),
    ),
]


@pytest.mark.parametrize(("sections", "flags"), CLOSED)
def test_each_flag_withholds_its_effects_and_no_other(
    place: Place, spaces: MemoryWorkspaces, sections: dict[str, object], flags: tuple[str, ...]
) -> None:
    place.with_settings(**sections)
    run = place.queue()
    published = publisher.publish(place.house, run.id, effects(run))
    rows = {row.name: (row.state, row.flag) for row in place.house.ledger.rows(run.id)}
    assert rows == {
        name: ("withheld", flag) if flag else ("done", "")
        for name, flag in zip(NAMES, flags, strict=True)
    }
    assert [held.flag for held in published.withheld] == [flag for flag in flags if flag]
    assert len(published.done) == flags.count("")
    assert sum(written(place, spaces)) == flags.count("")
    assert place.journal.codes().count("effect_withheld") == 3 - flags.count("")
    open_names = [effect_name(effect) for effect in place.house.ledger.withheld(run.id)]
    assert open_names == [name for name, flag in zip(NAMES, flags, strict=True) if flag]


def test_a_dry_run_names_the_flag_before_itself(place: Place, spaces: MemoryWorkspaces) -> None:
    effect = effects(place.queue())[0]
    gated = publisher.gate(place.house, effect, dry_run=True)
    assert isinstance(gated, Withheld)
    assert gated.flag == "--dry-run"
    place.with_settings(safety=SafetySettings())
    gated = publisher.gate(place.house, effect, dry_run=True)
    assert isinstance(gated, Withheld)
    assert gated.flag == "safety.allow_open_pr"


def test_a_flag_that_closes_after_the_deed_undoes_nothing(
    place: Place, spaces: MemoryWorkspaces
) -> None:
    run = place.queue()
    publisher.publish(place.house, run.id, effects(run))
    place.with_settings(safety=SafetySettings())
    publisher.publish(place.house, run.id, effects(run))
    assert states(place, run) == dict.fromkeys(NAMES, "done")
