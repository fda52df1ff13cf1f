"""The dashboard as a text: what it embeds, what it charts, and what nothing gets out of."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.domain.pulse import Part, Pulse, Quota
from repoagents.domain.reports import Severity, Usage, VerdictKind
from repoagents.domain.rollout import Brake, Phase
from repoagents.domain.run import Failure, FailureClass, RunStatus, Stage
from repoagents.domain.smoke import Overall
from repoagents.policy.attention import Concern, Level, Standing, Weight
from repoagents.policy.wording import one_line
from repoagents.ports import Day
from repoagents.views import dashboard, tones
from repoagents.views.bundle import Landing, render_landing, render_landing_page
from repoagents.views.charts import GROUPS, QUEUE, draw_charts, scale
from repoagents.views.dashboard import FIRST, KINDS, render_dashboard
from repoagents.views.html import embed, prose
from repoagents.views.permits import permits_of
from repoagents.views.snapshot import Caps, Snapshot
from tests.fakes.board import (
    NOW,
    PULL,
    a_card,
    a_run,
    a_snapshot,
    a_story,
    many_runs,
    stand,
)

ISSUE, TITLE, STATUS, ATTEMPT, AT, REASON, ID, BRANCH, DETAILS = range(9)


class Embedded(HTMLParser):
    """What a browser finds in the scripts of a page that hold data, and the tags that it sees."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.tags: list[str] = []
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.tags.append(tag)
        self._inside = told.get("id") or "" if tag == "script" and "type" in told else ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found[self._inside] = self.found.get(self._inside, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def drawn(snapshot: Snapshot, **how: object) -> str:
    return render_dashboard(snapshot, stand(snapshot), **how)


def rows(page: str, name: str = "first") -> list[list[object]]:
    found: list[list[object]] = json.loads(Embedded(page).found[name])
    return found


def details(snapshot: Snapshot, number: int) -> dict[str, object]:
    (row,) = (row for row in rows(drawn(snapshot)) if row[ISSUE] == number)
    found = row[DETAILS]
    assert isinstance(found, dict)
    return found


# --- rows ---------------------------------------------------------------------------------------


def test_a_row_tells_where_a_run_stands() -> None:
    row = next(row for row in rows(drawn(a_story())) if row[ISSUE] == 138)

    assert row[:DETAILS] == [
        138,
        "Dates before 1970 are shown a day late",
        "failed",
        3,
        int((NOW - timedelta(minutes=190)).timestamp()),
        "network: the model's host could not be reached",
        "r00138",
        "repoagents/issue-138",
    ]


def test_details_tell_what_happened_and_what_is_asked() -> None:
    told = details(a_story(), 141)

    assert told["happened"] == "a proven change is ready and not published."
    assert str(told["asked"]).endswith("publishes it, or take `changes.patch`")
    assert told["usage"] == "3 calls, 41,200 tokens, cost 0.42"
    assert told["findings"] == [["low", "idle", "reviewer", "src/totals.py:31: name the constant"]]
    assert told["stages"] == [
        ["base check", "check", 0, 8.9],
        ["plan", "role", 0, 21.3],
        ["build", "role", 1, 41.0],
        ["verify", "check", 1, 9.4],
        ["review", "role", 1, 17.8],
        ["verdict", "code", 1, 0.1],
    ]
    files = told["files"]
    assert isinstance(files, list)
    assert files[:4] == ["handoff.html", "handoff.md", "changes.patch", "builder.json"]
    assert "running" not in told


def test_a_block_is_told_with_its_reason() -> None:
    told = [
        (FailureClass.QUESTION, "the planner asks: Which?"),
        (FailureClass.REQUEST_CHANGES, "stopped by review, not broken: 2 to mend: criterion 2"),
    ]
    runs = [
        a_run(number, RunStatus.BLOCKED, 1, failure=Failure(kind, message))
        for number, (kind, message) in enumerate(told, 1)
    ]
    board = a_snapshot(tuple(runs), tuple(map(a_card, runs)))

    assert [details(board, number)["happened"] for number in (1, 2)] == [
        "a question has to be answered first: the planner asks: Which?",
        "stopped by review, not broken: 2 to mend: criterion 2",
    ]


def test_without_a_worker_no_run_is_said_to_be_worked_on() -> None:
    told = details(replace(a_story(), holder=""), 142)

    assert told["happened"] == "stands at review: no worker is live."
    assert told["asked"] == "`repoagents run` goes on with it"
    assert "running" not in told
    assert details(a_story(), 142)["happened"] == "is being worked on."


def test_a_stage_that_was_gone_through_again_stands_once() -> None:
    run = a_run(1, RunStatus.COMPLETED, 1)
    timings = ((Stage.VERDICT, 1, 0.1), (Stage.PREPARE, 0, 0.0), (Stage.VERDICT, 1, 0.2))
    card = replace(a_card(run, ()), timings=timings)
    assert details(a_snapshot((run,), (card,)), 1)["stages"] == [
        ["prepare", "code", 0, 0.0],
        ["verdict", "code", 1, 0.2],
    ]


def test_only_web_addresses_become_links() -> None:
    places = (f"{PULL}/1", "javascript:alert(1)", "issues.json#7", "data:text/html,x", "//evil")
    effects = tuple(("comment", "done", "", "", place) for place in places)
    run = a_run(1, RunStatus.COMPLETED, 1)

    told = details(a_snapshot((run,), (a_card(run, effects),)), 1)["effects"]

    assert isinstance(told, list)
    assert [effect[-1] for effect in told] == [f"{PULL}/1", "", "", "", ""]
    assert [effect[-2] for effect in told] == list(places)


def test_the_stage_under_way_is_told_with_its_seconds() -> None:
    assert details(a_story(), 142)["running"] == ["review", "role", 1, 12.0]
    since = NOW - timedelta(seconds=30)
    run = a_run(1, RunStatus.IN_PROGRESS, 1, stage=Stage.PREPARE, stage_started_at=since)
    waits = replace(run, id="other", issue_number=2, status=RunStatus.QUEUED)
    snapshot = a_snapshot((run, waits), (a_card(run), a_card(waits)))
    assert details(snapshot, 1)["running"] == ["prepare", "code", 1, 30.0]
    assert "running" not in details(snapshot, 2)


def test_old_runs_that_need_somebody_are_listed_beyond_the_end() -> None:
    old = a_run(1, RunStatus.BLOCKED, 9_000)
    new = a_run(2, RunStatus.COMPLETED, 1)

    page = drawn(a_snapshot((new,), (a_card(new), a_card(old))))

    assert [row[ISSUE] for row in rows(page)] == [2, 1]


def test_the_first_page_holds_the_newest_and_the_rest_comes_after_the_script() -> None:
    page = drawn(many_runs(300))

    assert len(rows(page)) == FIRST
    assert len(rows(page, "rest")) == 300 - FIRST
    assert page.index('id="first"') < page.index("use strict") < page.index('id="rest"')
    assert json.loads(Embedded(page).found["options"])["total"] == 300


def test_a_run_that_changed_is_told_anew() -> None:
    run = a_run(1, RunStatus.QUEUED, 1)
    assert rows(drawn(a_snapshot((run,), ())))[0][STATUS] == "queued"

    moved = replace(run, status=RunStatus.CANCELLED)

    assert rows(drawn(a_snapshot((moved,), ())))[0][STATUS] == "cancelled"


@given(st.text(max_size=80))
def test_any_title_survives(title: str) -> None:
    run = a_run(1, RunStatus.FAILED, 1, title=title, branch=title)
    card = a_card(run, reasons=(title,), headline=title)
    page = drawn(replace(a_snapshot((run,), (card,)), days=(), repo=title))

    (row,) = rows(page)

    assert row[TITLE] == one_line(title)
    assert row[BRANCH] == title.replace("\ud800", "\ufffd")
    assert Embedded(page).tags.count("script") == 4
    assert page.encode("utf-8", "surrogatepass")


@given(st.recursive(st.text(), lambda inner: st.lists(inner, max_size=3), max_leaves=8))
def test_what_is_embedded_is_json_that_ends_no_element(value: object) -> None:
    text = str(embed(value))

    assert json.loads(text) == value
    assert not re.search("[<>&\u2028\u2029]", text)


def test_what_is_typed_is_shown_as_code() -> None:
    assert prose("type `repoagents run` <now>") == ("type <code>repoagents run</code> &lt;now&gt;")
    assert prose("a ` alone") == "a <code> alone</code>"
    assert prose("`<b>`\u202e") == "<code>&lt;b&gt;</code>"


# --- words and colours --------------------------------------------------------------------------


def test_what_a_brake_holds_back_is_not_called_on() -> None:
    flags = {"safety.allow_write_comments": True, "safety.allow_open_pr": True}
    brake = Brake(Phase.COMMENT, "a change held a <secret>", "r", 141, NOW)
    snapshot = replace(a_story(), flags={**flags, "safety.allow_merge": False}, brake=brake)
    assert [permit.state for permit in permits_of(snapshot)] == ["on", "held", "off"]
    landing = Landing(snapshot, stand(snapshot), ())
    for text in (drawn(snapshot), render_landing_page(landing)):
        assert "a change held a &lt;secret&gt; (issue #141, " in text
        assert text.count(">held</span>") == 1
    assert "**held** (`safety.allow_open_pr`)" in (told := render_landing(landing))
    assert "Held to comment: " in told


def test_every_status_level_and_weight_has_its_colour() -> None:
    colours = {"good", "warn", "bad", "busy", "idle"}
    for table, words in (
        (tones.STATUSES, RunStatus),
        (tones.LEVELS, Level),
        (tones.WEIGHTS, Weight),
        (tones.SEVERITIES, Severity),
        (tones.VERDICTS, VerdictKind),
        (tones.OVERALL, Overall),
    ):
        assert set(table) == set(words)
        assert set(table.values()) <= colours
    assert set(KINDS) < set(Stage)
    page = drawn(a_story())
    for status in RunStatus:
        assert f'name="status" value="{status.value}">{status.value.replace("_", " ")} ' in page


def test_every_status_that_has_ended_or_is_open_is_charted() -> None:
    charted = {status for *_, group in GROUPS for status in group} | set(QUEUE)

    assert charted == set(RunStatus)


def test_statuses_without_a_run_are_not_offered() -> None:
    page = drawn(a_story())

    offered = re.findall(r'<label class="chip \w+"><input [^>]*value="(\w+)"', page)
    assert "completed" in offered
    assert "retry_pending" not in offered


def test_at_most_five_points_are_told_and_the_rest_is_counted() -> None:
    concern = Concern("code", Weight.HIGH, "A point", "as `seen`", "repoagents status")
    standing = Standing(Level.ATTENTION, "Headline", (concern,) * 7)

    page = render_dashboard(a_story(), standing)

    assert page.count('<code class="type">repoagents status</code>') == 5
    assert "2 more: <code>repoagents ops status</code>" in page
    assert "as <code>seen</code>" in page


def test_a_rehearsal_says_so_first() -> None:
    page = drawn(replace(a_story(), rehearsal="Rehearsal: made from a fixture."))

    assert page.startswith("<!doctype html><!-- Rehearsal: made from a fixture. -->")
    assert '<p class="rehearsal" role="note">' in page


@pytest.mark.parametrize(("refresh", "offered"), [(0, 5), (30, 5), (45, 6)])
def test_the_chosen_refresh_is_offered_once(refresh: int, offered: int) -> None:
    page = drawn(a_story(), refresh=refresh)

    options = re.findall(r'<option value="(\d+)"( selected)?>', page)
    assert len(options) == offered
    assert [value for value, selected in options if selected] == [str(refresh)]


# --- limits -------------------------------------------------------------------------------------


def meters(snapshot: Snapshot) -> dict[str, tuple[str, str]]:
    return {one.name: (one.told, one.colour) for one in dashboard._meters(snapshot)}


def test_limits_are_told_with_what_is_used_of_them() -> None:
    assert meters(a_story()) == {
        "Calls, last hour": ("9 of 100", "busy"),
        "Tokens, last day": ("2,431,000 of 10,000,000", "busy"),
        "Cost, last day": ("21.60 of 25.00", "warn"),
        "Open pull requests": ("1 of 5", "busy"),
        "GitHub requests": ("679 of 5,000", "busy"),
    }


def test_a_limit_that_is_passed_is_red_and_its_bar_full() -> None:
    spent = Caps(Usage(120, 0, None), Usage(120, 0, None), {"limits.calls_per_hour": 100})
    over = replace(a_story(), caps=spent, pulses=())

    meter, *_ = dashboard._meters(over)

    assert (meter.told, meter.share, meter.colour) == ("120 of 100", 100, "bad")


def test_a_cost_that_the_engine_does_not_tell_is_not_zero() -> None:
    limits = {"limits.cost_per_day": 50.0}
    told = replace(a_story(), caps=Caps(day=Usage(3, 900, None), limits=limits))
    unspent = replace(told, caps=Caps(day=Usage(), limits=limits))

    assert meters(told)["Cost, last day"] == ("not reported", "busy")
    assert meters(unspent)["Cost, last day"] == ("0.00 of 50.00", "busy")


def test_an_hour_of_github_that_is_over_is_not_told() -> None:
    stale = Pulse(Part.WORKER, NOW, NOW, quota=Quota(5000, 1, NOW - timedelta(seconds=1)))

    assert "GitHub requests" not in meters(replace(a_story(), pulses=(stale,)))


# --- charts -------------------------------------------------------------------------------------


def test_charts_hold_nothing_that_a_policy_refuses_or_a_page_knows_already() -> None:
    charts = draw_charts(a_story())

    assert [chart.name for chart in charts] == ["outcomes", "handoffs", "spend", "queue"]
    for chart in charts:
        assert chart.drawing.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
        assert not re.search(r"<(script|style|defs|desc|a)\b", chart.drawing)
        assert not re.search(r"\s(style|id|href|xlink:href|on\w+)=", chart.drawing)
        assert 'aria-hidden="true"' in chart.drawing
        assert "nan" not in chart.drawing.lower()


def test_a_chart_tells_its_numbers_in_words_too() -> None:
    outcomes, handoffs, spend, queue = draw_charts(a_story())

    assert outcomes.summary == "105 runs in 30 days"
    assert outcomes.legend == (
        ("good", "90 done"),
        ("idle", "5 other"),
        ("warn", "7 blocked"),
        ("bad", "3 failed"),
    )
    assert outcomes.rows[0][0] == "2026-03-04"
    assert "<title>4 Mar: 2 done</title>" in outcomes.drawing
    assert handoffs.summary == "the median of 90 in 30 days: 4.2 minutes"
    assert spend.title == "Spent on agents, cost"
    assert queue.rows == (
        ("queued", "1"),
        ("in progress", "1"),
        ("awaiting approval", "1"),
        ("blocked", "1"),
    )


def test_what_there_is_nothing_of_is_not_charted() -> None:
    assert draw_charts(Snapshot(NOW)) == ()
    quiet = Day(NOW.date(), {}, Usage(), ())
    assert draw_charts(Snapshot(NOW, days=(quiet,), counts={RunStatus.COMPLETED: 3})) == ()
    assert '<div class="charts"' not in drawn(Snapshot(NOW, caps=a_story().caps))


def test_tokens_are_charted_where_no_engine_names_a_cost() -> None:
    day = Day(NOW.date(), {RunStatus.COMPLETED: 1}, Usage(2, 21_500_000, None), (20.0,))

    outcomes, handoffs, spend = draw_charts(Snapshot(NOW, days=(day,)))

    assert outcomes.summary == "1 run in 30 days"
    assert handoffs.summary.endswith("20.0 seconds")
    assert (spend.title, spend.summary) == (
        "Spent on agents, tokens",
        "21,500,000 for 2 calls in 30 days",
    )
    assert ">20,000,000</text>" in spend.drawing


def test_days_of_very_long_runs_are_charted_in_hours() -> None:
    day = Day(NOW.date(), {}, Usage(), (3 * 3600.0,))

    (chart,) = draw_charts(Snapshot(NOW, days=(day,)))

    assert chart.head == ("day", "median, hours")
    assert "<title>4 Mar: 3.0 hours</title>" in chart.drawing


def test_a_drawing_is_kept_until_its_numbers_change() -> None:
    story = a_story()
    before = {chart.name: chart.drawing for chart in draw_charts(story)}

    counts = {**story.counts, RunStatus.QUEUED: 9}
    after = {chart.name: chart.drawing for chart in draw_charts(replace(story, counts=counts))}

    assert [name for name in after if after[name] is not before[name]] == ["queue"]


@given(st.floats(min_value=1e-6, max_value=1e12))
def test_a_scale_is_short_and_holds_its_largest_number(top: float) -> None:
    steps = scale(top)

    assert steps[0] == 0
    assert top <= steps[-1] <= max(2.6 * top, 1)
    assert 2 <= len(steps) <= 6
    assert list(steps) == sorted(set(steps))


@pytest.mark.parametrize(
    ("top", "steps"),
    [(1, (0, 1)), (3, (0, 1, 2, 3)), (8, (0, 2, 4, 6, 8)), (0.3, (0, 0.1, 0.2, 0.3))],
)
def test_a_scale_has_round_numbers(top: float, steps: tuple[float, ...]) -> None:
    assert scale(top) == steps


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "number", [-5.0, 0.0, 1e-12, 1e-300, 1e300, float("inf"), float("-inf"), float("nan")]
)
def test_odd_numbers_end_no_drawing(number: float) -> None:
    """A clock that was set back during a run, or a row that nobody can have written."""
    usage = Usage(1, 0, number)
    odd = Day(NOW.date(), {RunStatus.COMPLETED: 1}, usage, (number, number))
    snapshot = Snapshot(NOW, days=(odd,), counts={RunStatus.COMPLETED: 1})

    drawn = {chart.name for chart in draw_charts(snapshot)}

    assert "outcomes" in drawn
    assert not drawn & {"handoffs"}
