"""A patch read line by line: what each file gained and lost."""

import base64
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from io import StringIO

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchedFile, PatchSet

_QUOTED = re.compile(r"\\([0-7]{3}|.)", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ABSENT = "/dev/null"
_BINARY_BYTES = 10_000_000


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
    every line that looks added or removed, so that a broken form hides nothing. `binaries` are
    what git takes for binary content, as lines of bytes in Latin-1 without NUL, so that text in
    16 bits per character is text.
    """

    files: tuple[FilePatch, ...]
    readable: bool = True
    binaries: tuple[FilePatch, ...] = ()

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
        return Patch((_unnamed(text),), False, tuple(_binaries(text)))
    return Patch(tuple(_file(file) for file in files), True, tuple(_binaries(text)))


def _binaries(text: str) -> Iterator[FilePatch]:
    """The new content, or what a delta brings, of every `GIT binary patch`."""
    head, mark, rest = text.partition("\nGIT binary patch\n")
    while mark:
        sides = head[head.rfind("diff --git ") + len("diff --git ") :].split("\n", 1)[0]
        path = _path(sides[len(sides) // 2 + 1 :])  # both sides are the same path
        lines = _content(rest).decode("latin-1").replace("\0", "").split("\n")
        yield FilePatch(path, tuple(PatchLine(0, line) for line in lines))
        head, mark, rest = rest.partition("\nGIT binary patch\n")


def _content(block: str) -> bytes:
    """The first half of a binary patch: lines of a length and base85, deflated in all."""
    inflate = zlib.decompressobj()
    content = bytearray()
    _, _, lines = block.partition("\n")
    try:
        while lines and lines[0] != "\n" and len(content) < _BINARY_BYTES:
            line, _, lines = lines.partition("\n")
            size = ord(line[0]) - (64 if line[0] <= "Z" else 70)
            raw = base64.b85decode(line[1:])[:size]
            content += inflate.decompress(raw)
    except (ValueError, zlib.error):  # the patch was cut here, which is a finding of its own
        return bytes(content)
    return bytes(content)


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
