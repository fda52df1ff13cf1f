"""A run's pull request as it is read: whose word on it counts, and what its end means."""

from repoagents.domain.pull_request import PeerReview, PullRequest, PullState, ReviewState
from repoagents.domain.run import Run
from repoagents.pipeline import publisher
from repoagents.policy import merging
from repoagents.ports import CLOSED, Approval, House, PullRequests


def pulls_of(house: House) -> PullRequests:
    """The tracker's pull requests; only for runs that have one."""
    if house.tracker.pulls is None:
        raise LookupError("this tracker has no pull requests")
    return house.tracker.pulls


def words_on(house: House, pull: PullRequest) -> tuple[PeerReview, ...]:
    """The approvals and objections that count: the newest of each person who may write."""
    people = house.tracker.people
    words = (word for word in merging.latest_words(pull) if word.state is not ReviewState.DISMISSED)
    return tuple(
        word
        for word in words
        if people is not None
        and merging.is_person(word.author, pull.author_id)
        and people.permission(word.author.login).writes
    )


def objecting(house: House, pull: PullRequest) -> tuple[str, ...]:
    """The logins of those who may write and ask for changes."""
    words = words_on(house, pull)
    return tuple(w.author.login for w in words if w.state is ReviewState.CHANGES_REQUESTED)


def note_end(house: House, run: Run, pull: PullRequest) -> bool:
    """Record that a pull request was merged or closed; whether its run ends with that.

    A closing that is on record already ends nothing: somebody has asked anew for the change since.
    """
    if pull.state is PullState.MERGED:
        publisher.adopt(house, publisher.merge_of(run), pull.url)
        return True
    reason, now = why_over(pull), house.clock.now()
    words = house.approvals.select(run.id)
    known = any((word.decision, word.note) == (CLOSED, reason) for word in words)
    house.approvals.add(Approval(run.id, CLOSED, run.head_sha, run.diff_hash, "", now, reason))
    return not known


def why_over(pull: PullRequest) -> str:
    """What the end of a pull request means for its run."""
    if pull.state is PullState.MERGED:
        return f"pull request {pull.number} was merged"
    return f"pull request {pull.number} was closed: nothing more until somebody asks anew"
