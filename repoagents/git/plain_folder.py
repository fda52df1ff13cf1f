"""A folder without git as the source of work: its files become a commit in the bot's clone."""

from collections.abc import Collection
from pathlib import Path

from repoagents.domain.change import Base
from repoagents.git.changes import require_small
from repoagents.git.command import Git
from repoagents.git.disk import Folder, empty
from repoagents.git.mirror import Mirror
from repoagents.git.survey import Asked, Rules, survey
from repoagents.git.trees import Outline, join_paths

BRANCH = "copy"
LARGEST_RULES = 1_000_000
WHO = {
    f"GIT_{person}_{what}": value
    for person in ("AUTHOR", "COMMITTER")
    for what, value in (
        ("NAME", "repoagents"),
        ("EMAIL", "repoagents@localhost"),
        ("DATE", "946684800 +0000"),
    )
}
"""Fixed, so that an unchanged folder is the same commit again."""


class LiveRules(Rules):
    """The folder's own ignore rules, read as the walk comes to them."""

    def __init__(self, git: Git, folder: Path, tree: Folder, left_out: str) -> None:
        super().__init__(git, folder, {})
        self._tree = tree
        self._left_out = left_out

    def ignored(self, paths: Collection[Asked]) -> frozenset[str]:
        """Those of these paths that the rules name, and the control folder."""
        for path, folder in paths:
            if path.rpartition("/")[2] == ".gitignore" and not folder:
                content = self._tree.read(path, LARGEST_RULES)
                place = self.folder / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content or b"")
        return super().ignored(paths) | {self._left_out}


def record_folder(mirror: Mirror, root: Path, control: Path) -> Base:
    """Store the folder's files, bytes as they are, as a commit without a parent."""
    scratch = mirror.home / "scratch"
    with mirror.locked():
        mirror.prepare("0" * 40)
        scratch.mkdir(exist_ok=True)
        empty(scratch)
        return _record(mirror, root, control, scratch)


def _record(mirror: Mirror, root: Path, control: Path, scratch: Path) -> Base:
    with Folder(root) as tree:
        rules = LiveRules(mirror.git, scratch / "rules", tree, control.name)
        files = survey(tree, Outline({}), rules.ignored).files
    require_small(files)
    git = mirror.git.at(root).told(GIT_WORK_TREE=root, GIT_INDEX_FILE=scratch / "index")
    git.run("update-index", "-z", "--add", "--stdin", stdin=join_paths(sorted(files)))
    written = git.run("write-tree").line
    commit = git.told(**WHO).run("commit-tree", written, "-m", "The folder as it was").line
    mirror.keep(f"refs/base/{BRANCH}", commit)
    mirror.note_base(BRANCH)
    return Base(BRANCH, commit)
