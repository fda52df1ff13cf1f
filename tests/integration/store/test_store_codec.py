"""Every value that is stored comes back equal, whatever text it holds."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.change import ChangeKind, ChangeSet, FileChange, SkippedPath
from repoagents.domain.effect import OpenDraftPullRequest, PostComment, PushBranch
from repoagents.domain.issue import Comment, Issue, IssueState
from repoagents.domain.reports import (
    BuildReport,
    CheckOutcome,
    CheckResult,
    CriterionRow,
    Decision,
    Plan,
    Review,
    ReviewFinding,
    Severity,
    Verdict,
    VerdictKind,
    Verification,
)
from repoagents.errors import StoreError
from repoagents.store.codec import decode, decode_effect, encode, encode_effect

texts = st.text(st.characters(exclude_categories=[]), max_size=12)
lists = st.lists(texts, max_size=3).map(tuple)
numbers = st.integers(0, 2**40)
seconds = st.floats(0, 1e6)


def some(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(strategy, max_size=2).map(tuple)


changes = st.builds(
    FileChange,
    texts,
    st.sampled_from(ChangeKind),
    texts,
    texts,
    st.none() | numbers,
    st.none() | numbers,
    numbers,
)
results = st.builds(
    CheckResult,
    name=texts,
    kind=texts,
    command=texts,
    required=st.booleans(),
    outcome=st.sampled_from(CheckOutcome),
    exit_code=st.none() | st.integers(-64, 255),
    seconds=seconds,
    tail=texts,
    output_sha256=texts,
    log=texts,
)
findings = st.builds(ReviewFinding, st.sampled_from(Severity), texts, numbers, texts)
rows = st.builds(CriterionRow, numbers, st.booleans(), texts)
values = st.one_of(
    st.builds(Plan, texts, lists, lists, lists, lists, texts, texts, lists),
    st.builds(BuildReport, texts, lists, lists, lists, lists),
    st.builds(Review, st.sampled_from(Decision), some(rows), some(findings), texts, texts),
    st.builds(Verification, texts, some(results), lists),
    st.builds(Verdict, st.sampled_from(VerdictKind), lists, lists, texts),
    st.builds(
        ChangeSet,
        texts,
        texts,
        some(changes),
        texts,
        texts,
        st.booleans(),
        some(st.builds(SkippedPath, texts, texts)),
    ),
    st.builds(
        Issue,
        st.integers(1, 2**50),
        texts,
        texts,
        lists,
        st.sampled_from(IssueState),
        texts,
        some(st.builds(Comment, texts, texts, st.booleans())),
        st.none() | st.datetimes(timezones=st.timezones()),
        texts,
    ),
)
effects = st.one_of(
    st.builds(PostComment, texts, numbers, texts, texts),
    st.builds(PushBranch, texts, numbers, texts, texts),
    st.builds(OpenDraftPullRequest, texts, numbers, texts, texts, texts, texts),
)


@given(values)
def test_values_come_back(value: object) -> None:
    text = encode(value)
    assert text.isascii()
    assert decode(text, type(value)) == value


@given(effects)
def test_effects_come_back_as_what_they_are(
    effect: PostComment | PushBranch | OpenDraftPullRequest,
) -> None:
    text = encode_effect(effect)
    assert text.isascii()
    assert decode_effect(text) == effect
    assert encode_effect(replace(effect)) == text


@pytest.mark.parametrize("text", ["{}", "null", '"x"', "{half", '{"summary": 3}'])
def test_what_does_not_fit_is_an_error_with_a_way_out(text: str) -> None:
    with pytest.raises(StoreError, match="a stored Plan cannot be read") as caught:
        decode(text, Plan)
    assert "--fresh" in caught.value.next_step


def test_an_effect_of_a_later_version_is_named() -> None:
    with pytest.raises(StoreError, match="unknown type 'release'"):
        decode_effect('{"type": "release", "run_id": "r"}')
