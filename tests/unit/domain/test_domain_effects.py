"""What the bot wants to change in the world: keys that make a repetition one, and stable names."""

from dataclasses import fields, replace
from typing import get_args

import pytest

from repoagents.domain.effect import (
    Effect,
    MergePullRequest,
    OpenDraftPullRequest,
    PostComment,
    PushBranch,
    React,
    ReplyToRemark,
    SetLabel,
    effect_name,
)

COMMENT = PostComment("run-1", 2, "<!-- repoagents:0123abcd:issue=2 -->", "All done.")
PUSH = PushBranch("run-1", 2, "repoagents/issue-2-fix", "c" * 40)
PULL_REQUEST = OpenDraftPullRequest("run-1", 2, "Fix it", "Why.", "repoagents/issue-2-fix", "main")
LABEL = SetLabel("run-1", 2, "needs-info", on=True)
MERGE = MergePullRequest("run-1", 2, "repoagents/issue-2-fix", "c" * 40)
REPLY = ReplyToRemark("run-1", 2, 5, 31, "Done.", 32)
REACTION = React("", 2, 41)
EFFECTS: tuple[Effect, ...] = (COMMENT, PUSH, PULL_REQUEST, LABEL, MERGE, REPLY, REACTION)

COUNTS: dict[type[Effect], set[str]] = {
    PostComment: {"run_id"},
    PushBranch: {"branch", "commit"},
    OpenDraftPullRequest: {"head"},
    SetLabel: {"run_id", "label"},
    MergePullRequest: {"head", "head_sha"},
    ReplyToRemark: {"remark_id", "answers"},
    React: {"comment_id"},
}
"""The fields that make an effect another effect; all others may change beneath one key."""

NAMES: dict[type[Effect], str] = {
    PostComment: "comment",
    PushBranch: "branch",
    OpenDraftPullRequest: "draft_pull_request",
    SetLabel: "label",
    MergePullRequest: "merge",
    ReplyToRemark: "reply",
    React: "reaction",
}


def test_every_kind_of_effect_is_in_these_tables() -> None:
    kinds = set(get_args(Effect))
    assert kinds == {type(effect) for effect in EFFECTS} == set(COUNTS) == set(NAMES)


@pytest.mark.parametrize("effect", EFFECTS, ids=effect_name)
def test_every_effect_has_the_name_that_scripts_know(effect: Effect) -> None:
    assert effect_name(effect) == NAMES[type(effect)]


def test_no_two_kinds_share_a_name_or_a_key() -> None:
    assert len({effect_name(effect) for effect in EFFECTS}) == len(EFFECTS)
    assert len({effect.key.partition(":")[0] for effect in EFFECTS}) == len(EFFECTS)


@pytest.mark.parametrize("effect", EFFECTS, ids=effect_name)
def test_the_key_follows_exactly_the_fields_that_make_another_effect(effect: Effect) -> None:
    changing = set()
    for field in fields(effect):
        value = getattr(effect, field.name)
        other = 1 - value if isinstance(value, int) else f"{value}x"
        if replace(effect, **{field.name: other}).key != effect.key:
            changing.add(field.name)
    assert changing == COUNTS[type(effect)]


@pytest.mark.parametrize("effect", EFFECTS, ids=effect_name)
def test_the_key_outlives_the_process_that_made_it(effect: Effect) -> None:
    assert replace(effect).key == effect.key
    assert "0x" not in effect.key


def test_the_keys_that_are_in_databases_stay_as_they_are() -> None:
    assert [effect.key for effect in EFFECTS] == [
        "comment:run-1",
        f"branch:repoagents/issue-2-fix:{'c' * 40}",
        "pull-request:repoagents/issue-2-fix",
        "label:run-1:needs-info",
        f"merge:repoagents/issue-2-fix:{'c' * 40}",
        "reply:31:32",
        "reaction:41",
    ]
