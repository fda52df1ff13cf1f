"""Every write of the bot against every way in which its answer can be lost: done once, and known.

One loopback GitHub, one database and one clone for all cases, an issue of its own for each.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from repoagents.bootstrap import Premises
from repoagents.config.loader import load
from repoagents.domain.change import Base
from repoagents.domain.effect import (
    Effect,
    MergePullRequest,
    OpenDraftPullRequest,
    PostComment,
    PushBranch,
    React,
    ReplyToRemark,
    SetLabel,
)
from repoagents.domain.issue import Issue
from repoagents.domain.run import Failure, FailureClass, Run, RunStatus, Stage
from repoagents.errors import RepoAgentsError, Unavailable
from repoagents.github.auth import Surroundings
from repoagents.github.connection import connect
from repoagents.github.tracker import GitHubTracker
from repoagents.github.wire import Fields
from repoagents.logs import Redactor
from repoagents.pipeline import notice, outcome, publisher
from repoagents.pipeline.boundary import change, classify
from repoagents.policy.retry import PARKED
from repoagents.policy.safety import app_permissions
from repoagents.ports import CommitRequest, House, LedgerRow
from repoagents.rehearsal.hub import LoopbackGitHub
from repoagents.rehearsal.hub.faults import Fault
from repoagents.rehearsal.hub.loopback import BOT
from tests.fakes.clock import FakeClock, GitHubsClock
from tests.fakes.world import ListJournal

REPO = "example/adding"
CONFIG = """\
tracker: {{repo: {repo}, api_url: {api}, clone_url: {clone}}}
llm: {{mode: command}}
command: {{argv: [/bin/false]}}
safety: {{allow_write_comments: true, allow_open_pr: true, allow_merge: true}}
logging: {{file_enabled: false}}
"""
LOOK_SECONDS = 30.0
"""How far apart the tries are: far less than a list may lag."""
TRIES = 20
EVER = 10_000


class Died(BaseException):
    """The process is gone."""


@dataclass
class World:
    """GitHub, and the bot's house as its next process finds it."""

    hub: LoopbackGitHub
    clock: FakeClock
    house: House
    base: Base
    surroundings: Surroundings

    def restarted(self) -> House:
        """The house of a new process: it remembers what the database does."""
        settings = self.house.settings
        needed = app_permissions(settings)
        journal = ListJournal()
        github = connect(settings.tracker, self.surroundings, needed, self.clock, journal)
        return replace(self.house, tracker=github.tracker, journal=journal)

    def begin(self) -> Run:
        """A run at work on an issue of its own."""
        number = self.hub.open_issue("It is broken", "Mend it.", by="maya")
        now = self.clock.now()
        run = Run(
            self.clock.token(12),
            number,
            "It is broken",
            "f" * 64,
            RunStatus.IN_PROGRESS,
            now,
            now,
            attempt=1,
            base_sha=self.base.sha,
        )
        issue = Issue(number, "It is broken", "Mend it.")
        assert self.house.runs.add(run, issue)
        return run

    def branch(self, run: Run) -> tuple[str, str]:
        """A branch of the bot's on GitHub, and its commit."""
        name = f"repoagents/issue-{run.issue_number}"
        return name, self.hub.commit_on(
            name, by=BOT, files={f"{run.issue_number}.txt": "x\n"}, message="Mend"
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("effects")
    clock = FakeClock()
    with ExitStack() as stack:
        hub = LoopbackGitHub(folder / "hub", GitHubsClock(clock), os.environ, REPO)
        stack.enter_context(hub)
        hub.add_account("maya", "maintain")
        hub.commit_on("main", by="maya", files={"README.md": "# A\n"}, message="Start")
        hub.forge.pulls.lazy = False
        root = folder / "clone"
        subprocess.run(["git", "clone", "--quiet", hub.clone_url, str(root)], check=True)
        control = root / ".ai-repoagents"
        control.mkdir()
        text = CONFIG.format(repo=REPO, api=hub.url, clone=hub.clone_url)
        (control / "repoagents.yaml").write_text(text)
        environment = {**os.environ, "GITHUB_TOKEN": hub.token_of(BOT)}
        premises = Premises(load(root, environment), clock, Redactor(()), ListJournal())
        house, _ = stack.enter_context(premises.house())
        around = Surroundings(environment, root, lambda: "")
        yield World(hub, clock, house, house.workspaces.refresh(), around)


# --- the effects ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """An effect, the request that carries it out, and what stands of it on GitHub."""

    effect: Effect
    method: str
    path: str
    standing: Callable[[], list[str]]


def comment(world: World, run: Run) -> Case:
    number = run.issue_number
    marker = f"<!-- repoagents:{world.house.installation}:issue={number} -->"
    effect = PostComment(run.id, number, marker, "Done.")

    def standing() -> list[str]:
        return [f"#issuecomment-{said.id}" for said in world.hub.comments(number)]

    return Case(effect, "POST", f"*/issues/{number}/comments", standing)


def edit(world: World, run: Run) -> Case:
    made = comment(world, run)
    assert isinstance(made.effect, PostComment)
    before = replace(made.effect, body="Working.")
    publisher.publish(world.house, run.id, (before,))

    def standing() -> list[str]:
        said = world.hub.comments(run.issue_number)
        return [f"#issuecomment-{each.id}" for each in said if each.body.endswith("Done.")]

    return replace(made, method="PATCH", path="*/issues/comments/*", standing=standing)


def label_on(world: World, run: Run) -> Case:
    number = run.issue_number

    def standing() -> list[str]:
        return [str(number)] if "at work" in world.hub.labels(number) else []

    effect = SetLabel(run.id, number, "at work", on=True)
    return Case(effect, "POST", f"*/issues/{number}/labels", standing)


def label_off(world: World, run: Run) -> Case:
    number = run.issue_number
    for name in ("at work", "bug"):
        world.hub.label(number, name, by=BOT)

    def standing() -> list[str]:
        return [str(number)] if world.hub.labels(number) == ("bug",) else []

    effect = SetLabel(run.id, number, "at work", on=False)
    return Case(effect, "DELETE", f"*/issues/{number}/labels/*", standing)


def push(world: World, run: Run) -> Case:
    spaces, branch = world.house.workspaces, f"repoagents/issue-{run.issue_number}"
    tree = spaces.tree_of(world.base.sha)
    commit = spaces.commit(CommitRequest(run.id, world.base.sha, tree, "Mend", run.created_at))

    def standing() -> list[str]:
        return [branch] if world.hub.heads.get(branch) == commit else []

    return Case(PushBranch(run.id, run.issue_number, branch, commit), "", "", standing)


def pull_request(world: World, run: Run) -> Case:
    branch, _ = world.branch(run)
    effect = OpenDraftPullRequest(run.id, run.issue_number, "Mend", "Why.", branch, "main")

    def standing() -> list[str]:
        found = [pull for pull in world.hub.pulls if pull.pull and pull.pull.head == branch]
        return [f"/pull/{pull.number}" for pull in found]

    return Case(effect, "POST", "*/pulls", standing)


def merge(world: World, run: Run) -> Case:
    branch, commit = world.branch(run)
    number = world.hub.open_pull("Mend", head=branch, by=BOT)

    def standing() -> list[str]:
        log = world.hub.forge.bare.log(world.base.sha, world.hub.heads["main"])
        merges = [each for each in log if f"#{number} from" in each.message]
        return [f"/pull/{number}"] * len(merges)

    effect = MergePullRequest(run.id, run.issue_number, branch, commit)
    return Case(effect, "PUT", f"*/pulls/{number}/merge", standing)


def reply(world: World, run: Run) -> Case:
    branch, _ = world.branch(run)
    number = world.hub.open_pull("Mend", head=branch, by=BOT)
    path = f"{run.issue_number}.txt"
    remark = world.hub.remark(number, "Why?", by="maya", path=path)
    marker = f"<!-- repoagents:{world.house.installation}:issue={run.issue_number} -->"
    effect = ReplyToRemark(
        run.id,
        run.issue_number,
        pull_number=number,
        remark_id=remark.id,
        answers=remark.id,
        body=f"{marker}\nSo.",
    )

    def standing() -> list[str]:
        remarks = world.hub.issue(number).pull.remarks  # type: ignore[union-attr]
        return [f"discussion_r{each.id}" for each in remarks if each.by == BOT]

    return Case(effect, "POST", f"*/pulls/{number}/comments/*/replies", standing)


EFFECTS = (comment, edit, label_on, label_off, push, pull_request, merge, reply)


# --- what goes wrong --------------------------------------------------------------------------


@dataclass(frozen=True)
class Mishap:
    """What goes wrong with the first request that carries an effect out.

    `lag` is for how many seconds no reading shows what it made. With `dies` the process is gone
    before the receipt, in any case; `again` is how often the fault strikes.
    """

    fault: Fault | None = None
    lag: float = 0
    dies: bool = False
    seconds: int = 1
    again: int = 1


MISHAPS = {
    "nothing": Mishap(),
    "502 before": Mishap(Fault.BAD_GATEWAY),
    "502 after": Mishap(Fault.BAD_GATEWAY_AFTER),
    "502 after, and lag": Mishap(Fault.BAD_GATEWAY_AFTER, lag=100),
    "reset, and lag": Mishap(Fault.RESET_AFTER, lag=100),
    "half an answer, and lag": Mishap(Fault.TRUNCATED, lag=100),
    "a page": Mishap(Fault.PAGE),
    "death": Mishap(dies=True),
    "death, and lag": Mishap(Fault.LAG, lag=100, dies=True),
    "a short limit": Mishap(Fault.SECONDARY),
    "a long limit": Mishap(Fault.PRIMARY, seconds=300),
    "a token that expired": Mishap(Fault.UNAUTHORIZED, again=2),
    "a redirect": Mishap(Fault.MOVED),
}


def plan(world: World, case: Case, mishap: Mishap) -> None:
    """Let it go wrong."""
    if mishap.fault is None or not case.method:
        return
    reads = EVER if mishap.lag else 0
    world.hub.faults.next(
        case.method,
        case.path,
        mishap.fault,
        times=mishap.again,
        seconds=mishap.seconds,
        reads=reads,
    )


def deadly(house: House) -> House:
    """The same house, whose process dies after the first act, before its receipt."""
    return replace(
        house,
        workspaces=Dying(house.workspaces),  # type: ignore[arg-type]
        tracker=Dying(house.tracker),  # type: ignore[arg-type]
    )


class Dying:
    """Another object, after whose acts the process is gone."""

    def __init__(self, inner: object) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        found = getattr(self._inner, name)
        if name not in ("perform", "amend", "push"):
            return found

        def act(*arguments: object) -> object:
            with suppress(RepoAgentsError):
                if found(*arguments) is None:
                    return None
            raise Died

        return act


def see_through(world: World, case: Case, mishap: Mishap) -> list[RepoAgentsError]:
    """Publish it in one process after the other until the ledger says that it is done."""
    house, begun = world.restarted(), world.clock.monotonic()
    errors: list[RepoAgentsError] = []
    plan(world, case, mishap)
    for turn in range(TRIES):
        with suppress(Died):
            try:
                now = deadly(house) if mishap.dies and not turn else house
                publisher.publish(now, case.effect.run_id, (case.effect,))
            except RepoAgentsError as error:
                errors.append(error)
        (row,) = rows(world, case.effect)
        if row.state == "done":
            return errors
        house = world.restarted()
        world.clock.advance(LOOK_SECONDS)
        if world.clock.monotonic() - begun >= mishap.lag:
            world.hub.faults.show()
    raise AssertionError(f"not done after {TRIES} tries: {errors}")


def rows(world: World, effect: Effect) -> list[LedgerRow]:
    found = world.house.ledger.rows(effect.run_id)
    return [row for row in found if row.key == effect.key]


@pytest.mark.parametrize("name", MISHAPS)
@pytest.mark.parametrize("make", EFFECTS, ids=lambda make: make.__name__)
def test_it_is_done_once_and_the_ledger_says_where(
    world: World, make: Callable[[World, Run], Case], name: str
) -> None:
    case, mishap = make(world, world.begin()), MISHAPS[name]
    seen = len(world.hub.writes)
    errors = see_through(world, case, mishap)
    world.hub.faults.show()
    (place,) = case.standing()
    (row,) = rows(world, case.effect)
    assert place in row.location
    assert {classify(error).kind for error in errors} <= PARKED, "no retry is spent"
    assert len(errors) <= 4, "what cannot be seen yet is no error each time"
    assert len(world.hub.writes) - seen <= 4, "GitHub refuses a pull request that it does not list"
    world.clock.advance(3_600)


LOSSES = (Fault.BAD_GATEWAY, Fault.BAD_GATEWAY_AFTER, Fault.RESET_AFTER, Fault.TRUNCATED)


@pytest.mark.parametrize("fault", LOSSES)
def test_what_github_itself_takes_once_may_be_asked_for_again(world: World, fault: Fault) -> None:
    hub, run = world.hub, world.begin()
    branch, _ = world.branch(run)
    number = hub.open_pull("Mend", head=branch, by=BOT, draft=True)
    asked = hub.comment(run.issue_number, "/repoagents run", by="maya")
    eyes = React("", run.issue_number, asked.id)
    tracker = world.restarted().tracker
    assert isinstance(tracker, GitHubTracker)
    acts: dict[str, Callable[[], object]] = {
        "/api/graphql": lambda: tracker.pulls.mark_ready(number),
        "*/reactions": lambda: tracker.perform(eyes),
    }
    for path, act in acts.items():
        hub.faults.next("POST", path, fault)
        for _ in range(2):
            with suppress(Unavailable):
                act()
    pull = hub.issue(number).pull
    assert pull is not None
    assert not pull.draft
    (found,) = hub.comments(run.issue_number)
    assert [(each.content, each.by) for each in found.reactions] == [("eyes", BOT)]


# --- when it stands twice all the same --------------------------------------------------------


def said(world: World, case: Case, body: str) -> list[str]:
    """Publish another text of the comment; what stands below the issue then."""
    assert isinstance(case.effect, PostComment)
    effect = replace(case.effect, body=body)
    publisher.publish(world.restarted(), effect.run_id, (effect,))
    return [comment.body for comment in world.hub.comments(effect.issue_number)]


@pytest.mark.parametrize("lag", [140, 300])
def test_a_comment_that_showed_up_too_late_is_made_one(world: World, lag: float) -> None:
    case, before = comment(world, world.begin()), len(world.hub.writes)
    see_through(world, case, Mishap(Fault.BAD_GATEWAY_AFTER, lag=lag))
    world.hub.faults.show()
    assert len(case.standing()) == (1 if lag == 140 else 2), "a later look finds it, or none does"
    (last,) = said(world, case, "And that is all.")
    assert last.endswith("And that is all.")
    methods = [seen.method for seen in world.hub.writes[before:]]
    assert (methods.count("POST"), methods.count("DELETE")) == (2, 1)
    (row,) = rows(world, case.effect)
    assert (row.state, case.standing()) == ("done", [row.location[row.location.index("#") :]])


def test_a_worker_that_was_thought_dead_doubles_nothing_for_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = comment(world, world.begin())
    slow, quick = world.restarted(), world.restarted()
    assert isinstance(slow.tracker, GitHubTracker)
    client = slow.tracker._client
    write = client.write

    def stopped(verb: str, path: str, body: object) -> Fields:
        for seconds, count in ((30, 0), (120, 1)):
            world.clock.advance(seconds)
            publisher.publish(quick, case.effect.run_id, (case.effect,))
            assert len(case.standing()) == count, "at first it may still be under way"
        return write(verb, path, body)

    monkeypatch.setattr(client, "write", stopped)
    publisher.publish(slow, case.effect.run_id, (case.effect,))
    assert len(case.standing()) == 2
    assert len(said(world, case, "And that is all.")) == 1


def test_the_wait_outlives_a_clock_that_is_set_back(world: World) -> None:
    case = comment(world, world.begin())
    plan(world, case, Mishap(Fault.BAD_GATEWAY))
    with pytest.raises(RepoAgentsError):
        publisher.publish(world.restarted(), case.effect.run_id, (case.effect,))
    world.clock.instant -= timedelta(hours=5)
    for seconds, count in ((0, 0), (119, 0), (1, 1)):
        world.clock.advance(seconds)
        publisher.publish(world.restarted(), case.effect.run_id, (case.effect,))
        assert len(case.standing()) == count
    world.clock.instant += timedelta(hours=6)


def test_an_earlier_run_that_sent_ahead_of_a_clock_set_back_holds_up_nothing_for_long(
    world: World,
) -> None:
    case, ledger = comment(world, older := world.begin()), world.house.ledger
    ledger.intend(older.id, case.effect, world.clock.now() + timedelta(days=365))
    change(world.house, older.id, lambda was: was.cancel(world.clock.now(), "maya"))
    run = replace(older, id=world.clock.token(12))
    assert world.house.runs.add(run, Issue(run.issue_number, run.title, "Mend it."))
    effect = replace(case.effect, run_id=run.id)
    for seconds, count in ((0, 0), (119, 0), (1, 1)):
        world.clock.advance(seconds)
        publisher.publish(world.restarted(), run.id, (effect,))
        assert len(case.standing()) == count


ENDS: dict[str, Callable[[Run, datetime], Run]] = {
    "failed": lambda was, now: was.fail(Failure(FailureClass.INFRA, "no disk"), now),
    "cancelled": lambda was, now: was.cancel(now, "maya"),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_a_person_deletes_comes_back_with_the_last_word_at_most(
    world: World, end: str
) -> None:
    run = world.begin()

    def delete() -> None:
        for comment in world.hub.comments(run.issue_number):
            world.hub.forge.repository.delete_comment(comment.id, "maya")

    notice.tell(world.restarted(), run, Stage.PLAN, 1)
    assert len(world.hub.comments(run.issue_number)) == 1
    delete()
    for _ in range(4):
        world.clock.advance(200)
        notice.tell(world.restarted(), run, Stage.BUILD, 1)
        assert world.hub.comments(run.issue_number) == ()
    change(world.house, run.id, lambda was: ENDS[end](was, world.clock.now()))
    world.clock.advance(200)
    outcome.say(world.restarted(), run.id)
    comments = world.hub.comments(run.issue_number)
    assert ["no disk" in comment.body for comment in comments] == [True] * (end == "failed")
    outcome.make_up(world.restarted())
    delete()
    for _ in range(4):
        world.clock.advance(2_000)
        outcome.make_up(world.restarted())
        assert world.hub.comments(run.issue_number) == ()
