"""A patch read line by line: what each file gained and lost."""

import re
from dataclasses import dataclass
from functools import cached_property
from io import StringIO

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchedFile, PatchSet

_QUOTED = re.compile(r"\\([0-7]{3}|.)", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ABSENT = "/dev/null"


@dataclass(frozen=True)
class PatchLine:
    """One added or removed line: its number in its own side of the file, and its text."""

    number: int
    text: str


@dataclass(frozen=True)
class FilePatch:
    """What one file gained and lost."""

    path: str
    added: tuple[PatchLine, ...] = ()
    removed: tuple[PatchLine, ...] = ()


@dataclass(frozen=True)
class Patch:
    """Every file of a patch.

    `readable` is false when its form is broken: then `files` holds one file without a name, with
    every line that looks added or removed, so that a broken form hides nothing.
    """

    files: tuple[FilePatch, ...]
    readable: bool = True

    @cached_property
    def _by_path(self) -> dict[str, FilePatch]:
        found: dict[str, FilePatch] = {}
        for file in self.files:
            # A file that became a symlink stands in a patch twice: removed, then added.
            half = found.get(file.path, FilePatch(file.path))
            found[file.path] = FilePatch(
                file.path, half.added + file.added, half.removed + file.removed
            )
        return found

    def find(self, path: str) -> FilePatch:
        """The file's patch; one without lines when the patch does not show it."""
        return self._by_path.get(path, FilePatch(path))


def read_patch(text: str) -> Patch:
    """The patch that git wrote; any text is answered, nothing is raised."""
    try:
        # newline="\n": a carriage return or form feed inside a line does not end it.
        files = PatchSet(StringIO(text, newline="\n"))
    except (UnidiffParseError, ValueError):
        return Patch((_unnamed(text),), readable=False)
    return Patch(tuple(_file(file) for file in files))


def _file(file: PatchedFile) -> FilePatch:
    side = file.source_file if file.target_file == _ABSENT else file.target_file
    added, removed = [], []
    for hunk in file:
        for line in hunk:
            if line.is_added:
                added.append(PatchLine(line.target_line_no or 0, line.value.removesuffix("\n")))
            elif line.is_removed:
                removed.append(PatchLine(line.source_line_no or 0, line.value.removesuffix("\n")))
    return FilePatch(_path(side), tuple(added), tuple(removed))


def _path(name: str) -> str:
    """Undo git's quoting of odd names, and its `a/` or `b/`."""
    if len(name) > 1 and name.startswith('"') and name.endswith('"'):
        raw = bytearray()
        last = 1
        for match in _QUOTED.finditer(name, 1, len(name) - 1):
            raw += _encoded(name[last : match.start()])
            code = match[1]
            if len(code) == 3:
                raw.append(int(code, 8) & 0xFF)
            else:
                raw += _encoded(_LETTERS.get(code, code))
            last = match.end()
        name = (raw + _encoded(name[last:-1])).decode("utf-8", "replace")
    return name[2:] if name.startswith(("a/", "b/")) else name


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _unnamed(text: str) -> FilePatch:
    lines = [PatchLine(number, line) for number, line in enumerate(text.split("\n"), 1)]
    return FilePatch(
        "",
        tuple(PatchLine(x.number, x.text[1:]) for x in lines if x.text.startswith("+")),
        tuple(PatchLine(x.number, x.text[1:]) for x in lines if x.text.startswith("-")),
    )
