"""The safety gate and branch names."""

import subprocess

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
from repoagents.domain.settings import (
    MergePolicySettings,
    SafetySettings,
    Settings,
    TrackerSettings,
)
from repoagents.policy.safety import branch_name, gate

COMMENT = PostComment("r", 7, "m", "body")
PUSH = PushBranch("r", 7, "repoagents/issue-7-x", "c" * 40)
PULL = OpenDraftPullRequest("r", 7, "t", "b", "repoagents/issue-7-x", "main")
LABEL = SetLabel("r", 7, "needs-info", on=True)
MERGE = MergePullRequest("r", 7, "repoagents/issue-7-x", "c" * 40)
REPLY = ReplyToRemark("r", 7, 5, 31, "Done.")
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
def test_a_fixture_withholds_everything(effect: Effect) -> None:
    fixture = Settings(tracker=TrackerSettings(mode="fixture"), safety=OPEN.safety)
    assert withheld_by(effect, fixture) == "tracker.mode"


@pytest.mark.parametrize("effect", EFFECTS)
def test_a_dry_run_withholds_and_names_the_flag_first(effect: Effect) -> None:
    assert withheld_by(effect, OPEN, dry_run=True) == "--dry-run"
    assert withheld_by(effect, flags(False, False), dry_run=True).startswith("safety.")


@pytest.mark.parametrize("effect", EFFECTS)
def test_the_stricter_of_two_settings_counts(effect: Effect) -> None:
    shut = flags(False, False)
    assert withheld_by(effect, OPEN, stricter=shut).startswith("safety.")
    assert withheld_by(effect, shut, stricter=OPEN).startswith("safety.")
    assert withheld_by(effect, OPEN, stricter=OPEN) == ""
    gated = gate(effect, OPEN, stricter=shut)
    assert isinstance(gated, Withheld)
    assert "approval approve 7" in gated.reason


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
