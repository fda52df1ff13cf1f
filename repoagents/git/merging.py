"""Merges by plumbing: the base into a commit of ours, without a work tree."""

from datetime import datetime

from repoagents.domain.change import Conflict
from repoagents.domain.settings import CommitSettings
from repoagents.git.commit import render_message, signing
from repoagents.git.mirror import Mirror, checked_object

OURS, THEIRS = "this change", "the base"
"""What the two sides are called where git would name their commits."""


def merge_base(
    mirror: Mirror, commit: str, base: str, message: str, at: datetime, who: CommitSettings
) -> str | Conflict:
    """Store the commit that merges the base into a commit; returns its name, or the conflict.

    The commit itself is the answer when it contains the base already.
    """
    ours, theirs = checked_object(commit), checked_object(base)
    git = signing(mirror.git, who, at)
    if git.run("merge-base", "--is-ancestor", theirs, ours, accept=(0, 1)).code == 0:
        return ours
    options = ("--write-tree", "--messages", "--name-only", "-z")
    merged = git.run("merge-tree", *options, ours, theirs, accept=(0, 1))
    tree = merged.records[0]
    if merged.code:
        return Conflict(tree, parse_conflicts(merged.records[1:], {ours: OURS, theirs: THEIRS}))
    text = render_message(git, message, who)
    made = git.run("commit-tree", tree, "-p", ours, "-p", theirs, stdin=text).line
    mirror.keep(f"refs/runs/{made}", made)
    return made


def parse_conflicts(records: list[str], names: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """The conflicting paths of `merge-tree -z --name-only`, each with git's words on it.

    They are followed by an empty record and by messages: a count, so many paths, a type and a text
    (https://git-scm.com/docs/git-merge-tree). `names` replaces commits in the texts.
    """
    end = records.index("") if "" in records else len(records)
    paths, rest = records[:end], iter(records[end + 1 :])
    said: dict[str, str] = {}
    for count in rest:
        touched = [next(rest) for _ in range(int(count))]
        kind, text = next(rest), " ".join(next(rest).split())
        for commit, name in names.items():
            text = text.replace(commit, name)
        if kind.startswith("CONFLICT"):
            said |= {path: text for path in touched if path not in said}
    return tuple((path, said.get(path, "")) for path in paths)
