"""Commits by plumbing: the same request always gives the same commit."""

from datetime import datetime

from repoagents.domain.change import Base
from repoagents.domain.settings import CommitSettings
from repoagents.git.command import Git
from repoagents.git.mirror import Mirror, checked_object
from repoagents.ports import CommitRequest


def build_commit(mirror: Mirror, request: CommitRequest, who: CommitSettings) -> str:
    """Store the commit of a frozen tree on its base; returns its name."""
    git = signing(mirror.git, who, request.at)
    message = render_message(git, request.message, who)
    tree, base = checked_object(request.tree), checked_object(request.base_sha)
    onto = ("-p", checked_object(request.onto)) if request.onto else ()
    commit = git.run("commit-tree", tree, "-p", base, *onto, stdin=message).line
    mirror.keep(f"refs/runs/{request.run_id}", commit)
    return commit


def signing(git: Git, who: CommitSettings, at: datetime) -> Git:
    """Git that commits as the bot, at an instant."""
    date = f"{int(at.timestamp())} +0000"
    return git.told(
        GIT_AUTHOR_NAME=who.name,
        GIT_AUTHOR_EMAIL=who.email,
        GIT_AUTHOR_DATE=date,
        GIT_COMMITTER_NAME=who.name,
        GIT_COMMITTER_EMAIL=who.email,
        GIT_COMMITTER_DATE=date,
    )


def render_message(git: Git, text: str, who: CommitSettings) -> bytes:
    """A commit's message as bytes, with the trailer of a sign-off when that is asked for."""
    message = (text.replace("\0", "").strip() + "\n").encode(errors="replace")
    if not who.signoff:
        return message
    trailer = f"Signed-off-by: {who.name} <{who.email}>"
    options = ("--if-exists=addIfDifferent", f"--trailer={trailer}")
    return git.run("interpret-trailers", *options, stdin=message).out


def why_stale(mirror: Mirror, commit: str, base: Base) -> str | None:
    """Why a commit made on an earlier base cannot go on top of this one, or None."""
    git = mirror.git
    parent = _parent(git, checked_object(commit))
    if parent is None:
        return f"commit {commit[:12]} is no longer in the bot's clone"
    if parent == base.sha:
        return None
    if mirror.raw:
        return _why_overtaken(git, parent, commit, base)
    ancestor = git.run("merge-base", "--is-ancestor", parent, base.sha, accept=(0, 1))
    if ancestor.code:
        return f"{base.branch} no longer contains its base {parent[:12]}: history was rewritten"
    options = ("--write-tree", "--name-only", "--no-messages", "-z")
    merged = git.run("merge-tree", *options, base.sha, commit, accept=(0, 1))
    if merged.code:
        return f"{base.branch} has moved on and conflicts in {_name(merged.records[1:])}"
    return None


def _parent(git: Git, commit: str) -> str | None:
    found = git.run("rev-parse", "--verify", "--quiet", f"{commit}^", accept=(0, 1, 128))
    return found.line if found.code == 0 else None


def _why_overtaken(git: Git, parent: str, commit: str, base: Base) -> str | None:
    """For a folder without history: whether a file of the change has been edited meanwhile."""
    names = ("diff-tree", "-r", "-z", "--no-renames", "--name-only")
    ours = set(git.run(*names, parent, commit).records)
    theirs = set(git.run(*names, parent, base.sha).records)
    both = sorted(ours & theirs)
    return f"the folder has changed meanwhile in {_name(both)}" if both else None


def _name(paths: list[str]) -> str:
    shown = ", ".join(paths[:3])
    return f"{shown} and {len(paths) - 3} more" if len(paths) > 3 else shown
