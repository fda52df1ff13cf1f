"""The handoff, the pull request, the comment and the commit message."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from repoagents.domain.reports import BuildReport, Usage, VerdictKind
from repoagents.domain.run import Failure, FailureClass, RunStatus, Stage
from repoagents.views.dossier import Handoff
from repoagents.views.handoff import (
    render_comment,
    render_commit_message,
    render_handoff,
    render_progress,
    render_pull_request,
)
from repoagents.views.handoff_page import render_handoff_page
from repoagents.views.headline import headline
from repoagents.views.markdown import BODY_LIMIT
from tests.unit.policy.builders import NOW, a_change, a_plan
from tests.unit.views import stories
from tests.unit.views.stories import STORIES, ended

MARKER = "<!-- repoagents:home:issue=7 -->"
MENTION = re.compile(r"@[A-Za-z0-9_-]")
CLOSING = re.compile(
    r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?)[\W_]{0,20}(?:[\w.-]+/[\w.-]+)?(?:#\d|gh-\d|https?:)",
    re.IGNORECASE,
)


@pytest.mark.parametrize("name", sorted(STORIES))
def test_handoff_golden(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"handoff-{name}.md", render_handoff(STORIES[name]()))


@pytest.mark.parametrize("name", ["published", "withheld", "hostile"])
def test_pull_request_golden(name: str, golden: Callable[[str, str], None]) -> None:
    title, body = render_pull_request(STORIES[name]())
    golden(f"pull-request-{name}.md", f"{title}\n\n{body}")


@pytest.mark.parametrize("name", sorted(STORIES))
def test_comment_golden(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"comment-{name}.md", render_comment(STORIES[name](), MARKER))


@pytest.mark.parametrize("stage", [Stage.PLAN, Stage.BUILD, Stage.REVIEW])
def test_the_comment_at_work_names_the_stage(stage: Stage) -> None:
    at_work = replace(stories.withheld(), run=ended(RunStatus.IN_PROGRESS), verdict=None)
    marker, first, *rest = render_progress(at_work, stage, MARKER).splitlines()
    assert marker == MARKER
    assert first == (
        "**Rehearsal: no model was called.** Issue #7: is being worked on. Asked of you: nothing."
    )
    told = "\n".join(rest)
    words = {Stage.PLAN: "Planning", Stage.BUILD: "Building", Stage.REVIEW: "Reviewing"}
    assert [stage for stage, word in words.items() if word in told] == [stage]
    assert "attempt 1, round 1" in told


def test_who_waits_for_the_next_attempt_is_told_when_it_begins() -> None:
    failure = Failure(FailureClass.NETWORK, "no route to the model's host")
    waits = ended(RunStatus.RETRY_PENDING, failure, next_at=NOW + timedelta(minutes=5))
    story = replace(stories.failed(), run=waits)
    when = f"not before {NOW + timedelta(minutes=5):%Y-%m-%d %H:%M} UTC"
    for shown in (render_handoff(story), render_comment(story, MARKER)):
        assert when in shown
    assert "not before" not in render_comment(stories.failed(), MARKER)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("published", ("a proven change is published", "review it and merge it")),
        ("withheld", ("no check has proven", "approval approve 7", "no model was called")),
        ("stopped_by_review", ("stopped by review, not broken", "retry 7 --note", "cancel 7")),
        ("asked", ("a question", "retry 7 --note ANSWER")),
        ("failed", ("engine_crash", "{no answer}", "read the transcript")),
    ],
)
def test_the_first_line_says_what_happened_and_what_is_asked(
    name: str, words: tuple[str, ...]
) -> None:
    first = render_handoff(STORIES[name]()).split("\n")[0]
    assert "Asked of you" in first
    for word in words:
        assert word in first


@pytest.mark.parametrize("render", [render_handoff, lambda h: render_comment(h, MARKER)])
def test_a_rehearsal_is_named_in_every_output(render: Callable[..., str]) -> None:
    assert "no model was called" in render(stories.withheld())
    assert "no model was called" not in render(stories.published())
    assert "no model was called" in render_pull_request(stories.withheld())[1]


def test_the_one_line_that_applies_the_patch() -> None:
    line = "`git apply .ai-repoagents/artifacts/issue-7/r7a/changes.patch`"
    assert line in render_handoff(stories.withheld())


@pytest.mark.parametrize("step", ["look at the transcript", "mend it; `repoagents retry 7`"])
def test_what_failed_is_to_be_tried_again_once_it_is_mended(step: str) -> None:
    failure = Failure(FailureClass.ENGINE_CRASH, "it ended at once", step)
    line = headline(ended(RunStatus.FAILED, failure), None, ())
    assert f"Asked of you: {step.partition(';')[0]}; " in line
    assert line.count("`repoagents retry 7`") == 1


def test_one_call_is_not_told_as_many() -> None:
    once = replace(stories.failed(), usage=Usage(1, 0, None))
    for shown in (render_handoff(once), render_handoff_page(once)):
        assert "1 agent call, 0 tokens" in shown


def test_what_is_merged_is_not_offered_as_a_patch() -> None:
    merged = replace(stories.published(), effects=(("merge", "done", "", "", "/pull/9"),))
    assert "git apply" in render_handoff_page(stories.published())
    assert "git apply" not in render_handoff(merged) + render_handoff_page(merged)


def test_a_measured_failure_of_the_base_is_shown() -> None:
    shown = render_handoff(stories.stopped_by_review())
    lint = next(line for line in shown.split("\n") if line.startswith("| lint"))
    assert "failed before too" in lint
    unit = next(line for line in shown.split("\n") if line.startswith("| unit"))
    assert "failed before too" not in unit


def bodies(story: Handoff) -> tuple[str, ...]:
    return render_handoff(story), render_comment(story, MARKER), render_pull_request(story)[1]


def test_hostile_text_stays_text_everywhere() -> None:
    for body in bodies(stories.hostile()):
        prose = re.sub(
            r"(`{3,})(?:text|diff)\n.*?\n\1", "", body.removeprefix(MARKER), flags=re.DOTALL
        )
        prose = re.sub(r"(`+)[^`\n].*?\1", "", prose)
        assert not re.search(r"@octocat|[Ff]ixes #1|<!--|\]\(", prose)
        assert not re.search(r"[\x1b\u202e]", body)
        headings = [line for line in prose.split("\n") if line.startswith("#")]
        assert len(headings) == len(set(headings))


PIECES = st.lists(
    st.one_of(
        st.text(max_size=5),
        st.sampled_from(
            ["@octocat", "@org/team", "&#64;octocat", "#4", " gh-3", "<b>", "resolved"]
        ),
        st.sampled_from(["fixes #1", "Closes: o/r#2", "fixed https://github.com/o/r/issues/4"]),
        st.sampled_from(["`", "``", "```", "~~~", "\n", "    ", "|", "\\", "\u200b", "- ", "]("]),
    ),
    max_size=12,
)
READER = MarkdownIt("commonmark", {"html": False}).enable("table")


def prose_of(body: str) -> str:
    """What a Markdown reader shows outside code, one block per line."""
    blocks = (token.children or () for token in READER.parse(body) if token.type == "inline")
    return "\n".join(
        "".join(" " if part.type == "softbreak" else part.content for part in block
                if part.type in ("text", "softbreak"))
        for block in blocks
    )  # fmt: skip


@given(PIECES.map("".join))
def test_nothing_that_an_agent_says_calls_a_person_or_closes_an_issue(text: str) -> None:
    story = stories.telling(text)
    title, body = render_pull_request(story, (("merge", "withheld", text, text, text),))
    first, *rest = prose_of(body).split("\n")
    assert first == "Closes #7.", "our own, and on purpose"
    for shown in (title, *rest, prose_of(render_comment(story, MARKER)), commit_of(text)):
        assert not MENTION.search(shown)
        assert not CLOSING.search(shown)


def commit_of(text: str) -> str:
    return render_commit_message(
        "{title}\n\n{summary}", title=text, number=7, summary=text, run_id="r7a"
    )


def test_the_reader_of_these_tests_sees_what_would_call_somebody() -> None:
    assert MENTION.search(prose_of("- ask @octocat"))
    assert CLOSING.search(prose_of("| a |\n|---|\n| Fixes&#32;&#35;1 |"))
    assert not MENTION.search(prose_of("`@octocat`\n\n```\n@octocat\n```"))


def test_the_pull_request_says_how_to_approve_and_how_to_say_no() -> None:
    held = (("merge", "withheld", "safety.allow_merge", "merges are off: a person merges", ""),)
    _, by_hand = render_pull_request(stories.published(), held)
    assert "the bot does not merge" in by_hand
    assert "`safety.allow_merge`" in by_hand
    _, by_bot = render_pull_request(stories.published(), merges=True)
    assert "`repoagents approval approve 7`" in by_bot
    assert "voids the approval" in by_bot
    assert "## Withheld" not in by_bot
    assert "close the pull request" in by_hand
    assert "close the pull request" in by_bot


def test_a_hostile_pull_request_title_calls_nobody() -> None:
    title, _ = render_pull_request(stories.hostile())
    assert not re.search(r"@octocat|Fixes #1|[\x1b\u202e\n]", title)


def test_the_marker_comes_first_and_once() -> None:
    for marker in (MARKER, "repoagents:home:issue=7"):
        comment = render_comment(stories.hostile(), marker)
        assert comment.startswith(MARKER + "\n")
        assert comment.count(MARKER) == 1


def test_bodies_are_bounded() -> None:
    many = tuple("x" * 400 for _ in range(400))
    story = replace(stories.published(), plan=a_plan(acceptance_criteria=many))
    _, body = render_pull_request(story)
    assert len(body) <= BODY_LIMIT
    assert "cut here" in body
    questions = BuildReport("Unsure.", questions=many)
    comment = render_comment(replace(story, build=questions), MARKER)
    assert len(comment) <= BODY_LIMIT
    assert "cut here" in comment


def test_a_pull_request_has_a_title_whatever_the_issue_is_called() -> None:
    blank = replace(stories.published(), issue=replace(stories.published().issue, title="\x00"))
    assert render_pull_request(blank)[0] == "Issue 7"


@pytest.mark.parametrize("status", list(RunStatus))
@pytest.mark.parametrize("kind", [None, *FailureClass])
def test_every_end_has_a_headline(status: RunStatus, kind: FailureClass | None) -> None:
    failure = kind and Failure(kind, "it {broke}", "mend {it}")
    line = headline(ended(status, failure), None, ())
    assert line.startswith("Issue #7: ")
    assert "Asked of you: " in line
    assert "{n}" not in line
    assert "\n" not in line


def test_a_run_that_is_publishing_is_told_by_its_verdict() -> None:
    story = stories.published()
    publishing = replace(story.run, status=RunStatus.IN_PROGRESS)
    assert story.verdict is not None
    assert story.verdict.kind is VerdictKind.PUBLISH
    assert "proven change" in headline(publishing, story.verdict, ())
    assert "being worked on" in headline(publishing, None, ())


def test_who_reads_below_the_issue_is_asked_for_what_can_be_done_there() -> None:
    opened = ("draft_pull_request", "done", "", "", "")
    run = ended(RunStatus.AWAITING_APPROVAL)
    assert "Asked of you: approve its pull request" in headline(run, None, (opened,))
    assert "Asked of you: look at it with `repoagents approval show 7`" in headline(run, None, ())


# --- the commit message --------------------------------------------------------------------------

TEMPLATE = "{title}\n\nIssue: #{number}\n"


def message(template: str = TEMPLATE, title: str = "Totals", summary: str = "Done.") -> str:
    return render_commit_message(template, title=title, number=7, summary=summary, run_id="r7a")


def test_the_template_is_filled_in() -> None:
    assert message() == "Totals\n\nIssue: #7\n"
    assert message("{summary} {run_id} {other} {{title}}") == "Done. r7a {other} {Totals}\n"


def test_a_field_inside_a_value_is_not_filled_in_again() -> None:
    assert message(title="{summary} {number}") == "{summary} {number}\n\nIssue: #7\n"


def test_the_subject_is_one_bounded_line() -> None:
    subject = message(title="a\n\nSigned-off-by: x\n" + "y" * 200).split("\n")[0]
    assert len(subject) == 72


@pytest.mark.parametrize(
    ("title", "forbidden"),
    [
        ("Fixes #1 quickly", r"Fixes #1"),
        ("Thank @octocat", r"@octocat"),
        ("Totals [skip ci]", r"\[skip ci\]"),
        ("Co-authored-by: x <x@y>", r"Co-authored-by:"),
        ("red \x1b[31m", r"\x1b"),
    ],
)
def test_a_title_does_nothing_in_a_commit(title: str, forbidden: str) -> None:
    made = message("{title}\n\n{summary}\n", title=title, summary=title)
    assert not re.search(forbidden, made)


@given(st.text(), st.text())
def test_any_text_makes_a_message_of_the_templates_form(title: str, summary: str) -> None:
    made = message("{title}\n\n{summary}\n\nIssue: #{number}\n", title, summary)
    assert made.endswith("Issue: #7\n")
    assert len([line for line in made.split("\n") if line]) <= 3


def test_an_empty_change_is_not_offered_as_a_patch() -> None:
    story = replace(stories.published(), change=a_change())
    assert "git apply" not in render_handoff(story)


@pytest.mark.parametrize(
    ("flag", "asked"),
    [
        ("safety.allow_open_pr", "with `safety.allow_open_pr` on, `repoagents approval approve 7`"),
        ("merge_policy.mode", "with `merge_policy.mode: human_approval`, `repoagents approval"),
        ("rollout.step_back", "once `repoagents rollout advance` has let go, `repoagents approval"),
        ("llm.mode", "look at `changes.patch`: what a rehearsal made is not published"),
        ("workspace.strategy", "review it and take `changes.patch`: a copy has no branches"),
        ("", "review it; `repoagents approval approve 7` publishes it"),
    ],
)
def test_what_withholds_a_result_is_named_with_how_it_gets_out(flag: str, asked: str) -> None:
    effects = (
        ("comment", "withheld", "safety.allow_write_comments", "", ""),
        ("branch", "withheld" if flag else "intended", flag, "", ""),
    )
    line = headline(ended(RunStatus.COMPLETED, verified=True), None, effects)
    assert "is ready and not published. Asked of you: " in line
    assert asked in line
