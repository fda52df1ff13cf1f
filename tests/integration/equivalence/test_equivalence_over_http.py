"""The same history over real HTTP, seen by polls, by webhooks, by both, shuffled or doubled."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from repoagents.rehearsal.hub.records import Issue
from tests.integration.equivalence.content import seen
from tests.integration.equivalence.neighbourhood import (
    LABEL,
    STOP,
    Neighbourhood,
    Way,
    open_neighbourhood,
)


def as_sent(count: int) -> list[int]:
    """Each once, in order."""
    return list(range(count))


def backwards_and_doubled(count: int) -> list[int]:
    """The last first, some of them twice or three times."""
    return [*reversed(range(count)), *range(0, count, 2), *range(count)]


POLLING = Way("polling", polls=True)
WEBHOOKS = Way("webhooks", polls=False, order=as_sent)
BOTH = Way("both", polls=True, order=as_sent)
SHUFFLED = Way("shuffled", polls=False, order=backwards_and_doubled)
WAYS = (POLLING, WEBHOOKS, BOTH, SHUFFLED)


@dataclass(frozen=True)
class Happening:
    """One act upon an issue, or upon its newest pull request.

    With a `look` the bot looks and works after it; `meanwhile` it comes while a builder of the next
    look's runs is about to work, and the bot glances at it then.
    """

    act: str
    number: int = 1
    look: bool = True
    meanwhile: bool = False


Act = Callable[[Neighbourhood, int, int], object]


def _on_issue(name: str, *arguments: str, by: str) -> Act:
    return lambda place, number, _: getattr(place.hub, name)(number, *arguments, by=by)


def _edit(by: str) -> Act:
    return lambda place, number, serial: place.hub.edit_issue(
        number, body=f"now want-{serial}", by=by
    )


def _take_off(label: str, by: str) -> Act:
    def act(place: Neighbourhood, number: int, _: int) -> None:
        if label in place.hub.labels(number):
            place.hub.unlabel(number, label, by=by)

    return act


def _newest_pull(place: Neighbourhood, number: int) -> Issue | None:
    """The newest pull request of the issue's branches."""
    mine = [p for p in place.hub.pulls if p.pull and f"/issue-{number}-" in p.pull.head]
    return mine[-1] if mine else None


def _on_pull(act: Callable[[Neighbourhood, Issue, int], object], *, closed: bool = False) -> Act:
    def on(place: Neighbourhood, number: int, serial: int) -> None:
        pull = _newest_pull(place, number)
        if pull is None or pull.pull is None or pull.pull.merged_at is not None:
            return
        if (pull.state == "closed") is closed:
            act(place, pull, serial)

    return on


def _review(state: str, by: str) -> Act:
    return _on_pull(lambda place, pull, _: place.hub.review(pull.number, by=by, state=state))


def _say_below(words: str) -> Act:
    return _on_pull(lambda place, pull, _: place.hub.comment(pull.number, words, by="mia"))


def _commit(place: Neighbourhood, pull: Issue, serial: int) -> None:
    assert pull.pull is not None
    files = {"by-hand.txt": f"want-{serial}\n"}
    place.hub.commit_on(pull.pull.head, by="max", files=files)


def _remark(place: Neighbourhood, pull: Issue, serial: int) -> None:
    path = f"answer-{pull.pull and pull.pull.head.split('-')[1]}.txt"
    place.hub.remark(pull.number, f"and want-{serial}", by="mia", path=path)


def _say_more(place: Neighbourhood, pull: Issue, serial: int) -> None:
    assert pull.pull is not None
    begun = [remark for remark in pull.pull.remarks if remark.reply_to is None]
    if begun:
        place.hub.answer(begun[-1], f"no, want-{serial}", by="mia")


def _object(place: Neighbourhood, pull: Issue, serial: int) -> None:
    words = f"Not so: want-{serial}"
    place.hub.review(pull.number, words, by="mia", state="CHANGES_REQUESTED")


def _put_back(place: Neighbourhood, pull: Issue, _: int) -> None:
    assert pull.pull is not None
    head = pull.pull.head_sha
    shas = [commit.sha for commit in place.hub.forge.bare.log(pull.pull.base_sha, head)]
    earlier = [sha for sha in shas if sha != head]
    if earlier:
        place.hub.put_back(pull.pull.head, earlier[-1], by="max")


def _fail(place: Neighbourhood, pull: Issue, serial: int) -> None:
    assert pull.pull is not None
    place.hub.set_check(pull.pull.head_sha, "ci", "failure", log=f"want-{serial} is missing")


def _merge(place: Neighbourhood, pull: Issue, _: int) -> None:
    place.hub.mark_ready(pull.number, by="mia")
    place.hub.merge_pull(pull.number, by="mia")


def _on_base(place: Neighbourhood, _: int, serial: int) -> None:
    place.hub.commit_on("main", by="max", files={f"other-{serial}.txt": "moved on\n"})


ACTS: dict[str, Act] = {
    "mia labels": _on_issue("label", LABEL, by="mia"),
    "rob labels": _on_issue("label", LABEL, by="rob"),
    "a bot labels": _on_issue("label", LABEL, by="tidy[bot]"),
    "unlabel": _take_off(LABEL, "mia"),
    "stop label": _on_issue("label", STOP, by="mia"),
    "stop label off": _take_off(STOP, "mia"),
    "author edits": _edit("rob"),
    "mia edits": _edit("mia"),
    "close": _on_issue("close", by="mia"),
    "reopen": _on_issue("reopen", by="mia"),
    "lock": _on_issue("lock", by="mia"),
    "unlock": _on_issue("unlock", by="mia"),
    "mia says run": _on_issue("comment", "/repoagents run", by="mia"),
    "mia says stop": _on_issue("comment", "/repoagents stop", by="mia"),
    "mia says retry": _on_issue("comment", "/repoagents retry look again", by="mia"),
    "mia says approve": _on_issue("comment", "/repoagents approve", by="mia"),
    "mia says status": _on_issue("comment", "/repoagents status", by="mia"),
    "rob says run": _on_issue("comment", "/repoagents run", by="rob"),
    "rob says stop": _on_issue("comment", "/repoagents stop", by="rob"),
    "rob says hello": _on_issue("comment", "Hello.", by="rob"),
    "mia approves": _review("APPROVED", "mia"),
    "rob approves": _review("APPROVED", "rob"),
    "max objects": _review("CHANGES_REQUESTED", "max"),
    "max approves": _review("APPROVED", "max"),
    "mia says approve below": _say_below("/repoagents approve"),
    "mia says stop below": _say_below("/repoagents stop"),
    "mia remarks": _on_pull(_remark),
    "mia says more": _on_pull(_say_more),
    "mia objects": _on_pull(_object),
    "ci fails": _on_pull(_fail),
    "max puts back": _on_pull(_put_back),
    "max commits": _on_pull(_commit),
    "close pull": _on_pull(lambda place, pull, _: place.hub.close_pull(pull.number, by="mia")),
    "reopen pull": _on_pull(
        lambda place, pull, _: place.hub.reopen(pull.number, by="mia"), closed=True
    ),
    "merge pull": _on_pull(_merge),
    "base moves": _on_base,
}


def play(place: Neighbourhood, history: list[Happening]) -> dict[str, object]:
    """Let it all happen while the bot watches, and tell what there is to see at the end."""
    hub, serial = place.hub, itertools.count(10)
    hub.open_issue("It is wanted", "want-1", by="rob")
    hub.open_issue("So is this", "want-2", by="mia")

    for what in history:
        number = next(serial)

        def happen(what: Happening = what, number: int = number) -> None:
            ACTS[what.act](place, what.number, number)

        def interrupt(happen: Callable[[], None] = happen) -> None:
            happen()
            place.glance()

        if what.meanwhile:
            place.agents.meanwhile.append(interrupt)
            continue
        happen()
        if what.look:
            place.look()
            let_the_rest_happen(place)
    place.look()
    let_the_rest_happen(place)
    place.look()
    return seen(place)


def let_the_rest_happen(place: Neighbourhood) -> None:
    """What no builder was there for, happens now."""
    left, place.agents.meanwhile[:] = list(place.agents.meanwhile), []
    for happen in left:
        happen()


def watched(folder: Path, way: Way, history: list[Happening]) -> dict[str, object]:
    """What there is to see at the end of a history that is watched like this."""
    place = folder / way.name
    place.mkdir(parents=True)
    with open_neighbourhood(place, way) as made:
        told = play(made, history)
        polls = made.house.journal.codes().count("polled")
        assert (polls == 1) is not way.polls, "of webhooks alone only the first look is a poll"
        assert all(
            sent.outcome and sent.outcome.status_code < 300 for sent in made.hub.hooks.delivered
        )
        return told


LABELLED = Happening("mia labels")
STORIES: dict[str, tuple[list[Happening], list[str]]] = {
    "approved while the base moves": (
        [LABELLED, Happening("mia approves", look=False), Happening("base moves")],
        ["completed"],
    ),
    "called off while it waits": (
        [LABELLED, Happening("unlabel"), Happening("mia labels", 2), Happening("close", 2)],
        ["cancelled", "cancelled"],
    ),
    "stopped at work": (
        [Happening("mia says stop", meanwhile=True), LABELLED, Happening("mia says retry")],
        ["awaiting_approval"],
    ),
    "another text": (
        [Happening("mia edits", 2, meanwhile=True), Happening("mia labels", 2), LABELLED],
        ["awaiting_approval", "cancelled", "awaiting_approval"],
    ),
    "sent back and merged": (
        [
            *(LABELLED, Happening("mia objects", look=False), Happening("mia remarks")),
            *(Happening("mia says more"), Happening("mia approves")),
        ],
        ["completed"],
    ),
    "nobody who may": (
        [Happening("rob labels"), Happening("rob says run"), Happening("a bot labels", 2)],
        [],
    ),
}
"""What chance seldom brings, and the statuses of the runs that come of it, by issue and age."""


@pytest.mark.parametrize("name", STORIES)
def test_a_story_has_the_same_end_however_it_is_seen(tmp_path: Path, name: str) -> None:
    history, statuses = STORIES[name]
    first, *others = [watched(tmp_path, way, history) for way in WAYS]
    runs = first["runs"]
    assert isinstance(runs, list)
    assert [status for of_issue in runs for _, status, *_ in of_issue] == statuses
    for way, other in zip(WAYS[1:], others, strict=True):
        assert other == first, way.name


OFTEN = ("mia labels",) * 6 + ("mia approves",) * 3 + tuple(ACTS)
HISTORIES = st.lists(
    st.builds(
        Happening,
        st.sampled_from(OFTEN),
        st.sampled_from((1, 1, 1, 2)),
        st.booleans(),
        st.sampled_from((False, False, False, True)),
    ),
    min_size=4,
    max_size=7,
)


@settings(max_examples=5, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(HISTORIES)
def test_however_a_history_is_seen_the_same_stands_on_github(
    tmp_path_factory: pytest.TempPathFactory, history: list[Happening]
) -> None:
    """Without shrinking: a history that differs is short enough, and shrinking takes minutes."""
    folder = tmp_path_factory.mktemp("history")
    history = [LABELLED, *history]
    first, *others = [watched(folder, way, history) for way in WAYS]
    for way, other in zip(WAYS[1:], others, strict=True):
        assert other == first, way.name
