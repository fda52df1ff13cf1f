"""Sparse checkouts in git's cone mode: some folders whole, and the files above them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from repoagents.git.trees import parents_of

_GLOB = re.compile(r"([\\*?\[])")


@dataclass(frozen=True)
class Cone:
    """The folders that are checked out; none means everything."""

    folders: tuple[str, ...] = ()

    @classmethod
    def of(cls, paths: Iterable[str]) -> "Cone":
        """A cone from paths as people write them; one that names the top means everything."""
        plain = {"/".join(PurePosixPath(path.strip("/")).parts) for path in paths}
        return cls() if "" in plain else cls(tuple(sorted(plain)))

    @cached_property
    def _above(self) -> frozenset[str]:
        return parents_of(self.folders) | {""}

    def holds(self, path: str) -> bool:
        """Whether a file of this path is checked out."""
        parent = path.rpartition("/")[0]
        return (
            not self.folders
            or parent in self._above
            or any(f"{parent}/".startswith(f"{folder}/") for folder in self.folders)
        )

    def patterns(self) -> str:
        """The cone as git's `info/sparse-checkout` file."""
        lines = ["/*", "!/*/"]
        for folder in sorted(self._above - {""}):
            lines += [f"/{_escape(folder)}/", f"!/{_escape(folder)}/*/"]
        lines += [f"/{_escape(folder)}/" for folder in self.folders]
        return "\n".join(lines) + "\n"


def _escape(folder: str) -> str:
    return _GLOB.sub(r"\\\1", folder)
