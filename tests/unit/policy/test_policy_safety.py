"""The safety gate and branch names."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repoagents.domain.effect import (
    Effect,
    MergePullRequest,
    OpenDraftPullRequest,
    PostComment,
    PushBranch,
    React,
    ReplyToRemark,
    SetLabel,
    Withheld,
)
from repoagents.domain.rollout import Brake, Phase
from repoagents.domain.settings import (
    MergePolicySettings,
    SafetySettings,
    Settings,
    TrackerSettings,
    WorkspaceSettings,
)
from repoagents.policy.safety import MODE, branch_name, flags_of, gate, phase_of, phase_within

COMMENT = PostComment("r", 7, "m", "body")
PUSH = PushBranch("r", 7, "repoagents/issue-7-x", "c" * 40)
PULL = OpenDraftPullRequest("r", 7, "t", "b", "repoagents/issue-7-x", "main")
LABEL = SetLabel("r", 7, "needs-info", on=True)
MERGE = MergePullRequest("r", 7, "repoagents/issue-7-x", "c" * 40)
REPLY = ReplyToRemark("r", 7, 5, 31, "Done.", 31)
REACTION = React("", 7, 41)
EFFECTS: tuple[Effect, ...] = (COMMENT, PUSH, PULL, LABEL, MERGE, REPLY, REACTION)
LOCAL = TrackerSettings(kind="local_file")


def flags(
    comments: bool, pulls: bool, mode: str = "human_approval", merge: bool = False
) -> Settings:
    return Settings(
        tracker=LOCAL,
        safety=SafetySettings(
            allow_write_comments=comments, allow_open_pr=pulls, allow_merge=merge
        ),
        merge_policy=MergePolicySettings(mode=mode),
    )


OPEN = flags(True, True, merge=True)


def withheld_by(effect: Effect, settings: Settings, **more: object) -> str:
    gated = gate(effect, settings, **more)
    if isinstance(gated, Withheld):
        assert gated.effect == effect
        assert gated.reason
        return gated.flag
    assert gated == effect
    return ""


@pytest.mark.parametrize("effect", EFFECTS)
def test_by_default_every_effect_is_withheld(effect: Effect) -> None:
    assert isinstance(gate(effect, Settings()), Withheld)


@pytest.mark.parametrize(
    ("effect", "settings", "flag"),
    [
        (COMMENT, flags(False, True), "safety.allow_write_comments"),
        (COMMENT, flags(True, False), ""),
        (PUSH, flags(True, False), "safety.allow_open_pr"),
        (PUSH, flags(False, True), ""),
        (PULL, flags(True, False), "safety.allow_open_pr"),
        (PULL, flags(False, True), ""),
        (PUSH, flags(True, True, "comment_only"), "merge_policy.mode"),
        (PULL, flags(True, True, "comment_only"), "merge_policy.mode"),
        (COMMENT, flags(True, True, "comment_only"), ""),
        (LABEL, flags(False, True), "safety.allow_write_comments"),
        (LABEL, flags(True, False, "comment_only"), ""),
        (REPLY, flags(False, True), "safety.allow_write_comments"),
        (REPLY, flags(True, False), ""),
        (REACTION, flags(False, True), "safety.allow_write_comments"),
        (REACTION, flags(True, False), ""),
        (MERGE, flags(True, True), "safety.allow_merge"),
        (MERGE, flags(False, False, merge=True), ""),
        (MERGE, flags(True, True, "comment_only", merge=True), "merge_policy.mode"),
    ],
)
def test_each_effect_has_one_flag(effect: Effect, settings: Settings, flag: str) -> None:
    assert withheld_by(effect, settings) == flag


@pytest.mark.parametrize("effect", EFFECTS)
def test_a_copy_has_no_repository_to_bring_a_branch_to(effect: Effect) -> None:
    copy = replace(OPEN, workspace=WorkspaceSettings(strategy="copy"))
    changes = effect in (PUSH, PULL, MERGE)
    assert withheld_by(effect, copy) == ("workspace.strategy" if changes else "")


@pytest.mark.parametrize("effect", EFFECTS)
def test_a_fixture_withholds_everything(effect: Effect) -> None:
    fixture = Settings(tracker=TrackerSettings(mode="fixture"), safety=OPEN.safety)
    assert withheld_by(effect, fixture) == "tracker.mode"


@pytest.mark.parametrize("effect", EFFECTS)
def test_a_dry_run_withholds_and_names_the_flag_first(effect: Effect) -> None:
    assert withheld_by(effect, OPEN, dry_run=True) == "--dry-run"
    assert withheld_by(effect, flags(False, False), dry_run=True).startswith("safety.")


def braked(phase: Phase) -> Brake:
    """Held to this phase."""
    return Brake(phase, "a change held a secret", "r", 7, datetime(2026, 3, 4, tzinfo=UTC))


@pytest.mark.parametrize("effect", EFFECTS)
def test_the_stricter_of_flags_and_brake_counts(effect: Effect) -> None:
    assert withheld_by(effect, OPEN, brake=braked(Phase.OBSERVE)) == "rollout.step_back"
    shut = flags(False, False)
    assert withheld_by(effect, shut, brake=braked(Phase.MERGE)).startswith("safety.")
    assert withheld_by(effect, OPEN, brake=braked(Phase.MERGE)) == ""
    gated = gate(effect, OPEN, brake=braked(Phase.OBSERVE))
    assert isinstance(gated, Withheld)
    assert "stepped back to observe" in gated.reason
    assert "`repoagents rollout status`" in gated.reason


@pytest.mark.parametrize(
    ("phase", "lets_out"),
    [
        (Phase.OBSERVE, set()),
        (Phase.COMMENT, {COMMENT, LABEL, REPLY, REACTION}),
        (Phase.DRAFT_PR, {COMMENT, LABEL, REPLY, REACTION, PUSH, PULL}),
        (Phase.MERGE, set(EFFECTS)),
    ],
)
def test_each_phase_lets_out_what_it_says_by_flags_and_by_brake(
    phase: Phase, lets_out: set[Effect]
) -> None:
    assert {effect for effect in EFFECTS if not withheld_by(effect, at(phase))} == lets_out
    held = {effect for effect in EFFECTS if not withheld_by(effect, OPEN, brake=braked(phase))}
    assert held == lets_out


def at(phase: Phase) -> Settings:
    """Settings with the flags of a phase, read as the loader reads them."""
    said: dict[str, bool | str] = {MODE: "comment_only", **flags_of(phase)}
    return flags(
        bool(said["safety.allow_write_comments"]),
        bool(said["safety.allow_open_pr"]),
        str(said[MODE]),
        bool(said["safety.allow_merge"]),
    )


MIXTURES = [
    flags(comments, pulls, mode, merge)
    for comments in (False, True)
    for pulls in (False, True)
    for merge in (False, True)
    for mode in ("human_approval", "comment_only")
]


@pytest.mark.parametrize("mixture", MIXTURES)
@pytest.mark.parametrize("phase", Phase)
def test_a_brake_never_lets_more_out(mixture: Settings, phase: Phase) -> None:
    free = {effect for effect in EFFECTS if not withheld_by(effect, mixture)}
    held = {effect for effect in EFFECTS if not withheld_by(effect, mixture, brake=braked(phase))}
    allowed = {effect for effect in EFFECTS if not withheld_by(effect, at(phase))}
    assert held == free & allowed


@pytest.mark.parametrize("mixture", MIXTURES)
def test_the_phase_within_allows_nothing_that_the_flags_do_not(mixture: Settings) -> None:
    within = phase_within(mixture)
    free = {effect for effect in EFFECTS if not withheld_by(effect, mixture)}
    assert {effect for effect in EFFECTS if not withheld_by(effect, at(within))} <= free
    further = within.next
    if further is not None:
        more = {effect for effect in EFFECTS if not withheld_by(effect, at(further))}
        assert not more <= free, "it is the furthest such phase"


@pytest.mark.parametrize("phase", Phase)
def test_a_phase_is_known_by_its_flags(phase: Phase) -> None:
    assert phase_of(at(phase)) is phase
    assert phase_within(at(phase)) is phase
    assert phase_within(at(phase), braked(Phase.COMMENT)).level == min(phase.level, 1)


def test_a_mixture_is_no_phase() -> None:
    assert phase_of(flags(False, True)) is None
    assert phase_within(flags(False, True)) is Phase.OBSERVE
    assert phase_of(flags(True, True, "comment_only")) is None
    assert phase_of(flags(True, False, "comment_only")) is Phase.COMMENT
    assert phase_within(flags(True, False, merge=True)) is Phase.COMMENT


@pytest.mark.parametrize("effect", EFFECTS)
def test_what_a_rehearsal_made_stays_away_from_github(effect: Effect) -> None:
    live = Settings(safety=OPEN.safety)
    assert withheld_by(effect, live, rehearsal=True) == "llm.mode"
    assert withheld_by(effect, OPEN, rehearsal=True) == ""


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Totals are off by one", "repoagents/issue-7-totals-are-off-by-one"),
        ("Héllo, wörld!", "repoagents/issue-7-hello-world"),
        ("$(touch x); `rm -rf /` ../..", "repoagents/issue-7-touch-x-rm-rf"),
        ("x" * 200, "repoagents/issue-7-" + "x" * 40),
        ("a.lock", "repoagents/issue-7-a-lock"),
        ("合計が合わない", "repoagents/issue-7-r-7a"),
        ("", "repoagents/issue-7-r-7a"),
    ],
)
def test_branch_names(title: str, name: str) -> None:
    assert branch_name(7, title, "R/7a") == name


@given(st.integers(1, 10**6), st.text(), st.text())
@settings(max_examples=300)
def test_no_title_breaks_a_branch_name(number: int, title: str, run_id: str) -> None:
    name = branch_name(number, title, run_id)
    prefix = f"repoagents/issue-{number}-"
    assert name.startswith(prefix)
    slug = name.removeprefix(prefix)
    assert 1 <= len(slug) <= 40
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not slug.startswith("-")
    assert not slug.endswith("-")
    assert name == branch_name(number, title, run_id)


@pytest.mark.parametrize("title", ["@{u}", "HEAD", "a..b", "x.lock", "-x", "a\nb", "~^:?*[\\", "/"])
def test_git_takes_the_name(title: str) -> None:
    name = branch_name(7, title, "r7a")
    subprocess.run(["git", "check-ref-format", "--branch", name], check=True, capture_output=True)
