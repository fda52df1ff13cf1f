"""What is shown of a result that waits says what an approval does with it."""

import pytest

from repoagents.cli.approval import _entry, _render
from repoagents.domain.effect import Effect, MergePullRequest, OpenDraftPullRequest
from repoagents.domain.run import RunStatus
from repoagents.pipeline.approval import Waiting
from tests.fakes.board import PULL, a_run

MERGE = MergePullRequest("r00140", 140, "repoagents/issue-140", "5" * 40)
OPEN = OpenDraftPullRequest("r00140", 140, "repoagents/issue-140", "main", "Title", "Body")


@pytest.mark.parametrize(
    ("effect", "pull", "does"), [(OPEN, "", "publishes"), (MERGE, f"{PULL}/211", "merges")]
)
def test_what_waits_is_told_with_what_a_word_does(effect: Effect, pull: str, does: str) -> None:
    run = a_run(140, RunStatus.AWAITING_APPROVAL, 5, verified=True)
    waiting = Waiting(run, (effect,), (), pull)

    told = f"`repoagents approval approve 140` {does}"
    assert any(told in line for line in _entry(waiting))
    shown = _render(waiting, ())
    assert told in shown
    assert ("pull    https://" in shown) is bool(pull)
