"""Unified diffs, applied exactly or not at all: no fuzz, no offset."""

import re
from dataclasses import dataclass, replace

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


class PatchError(ValueError):
    """The text is no unified diff, or does not fit the file."""


@dataclass(frozen=True)
class Hunk:
    """Lines `before` that stand at line `old` (from 1) and the lines `after`, at line `new`."""

    old: int
    new: int
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True)
class FilePatch:
    """What happens to one file; `creates` and `deletes` say that it is absent on one side."""

    path: str
    hunks: tuple[Hunk, ...]
    creates: bool = False
    deletes: bool = False

    def reversed(self) -> "FilePatch":
        """The patch that takes this one back."""
        hunks = tuple(Hunk(h.new, h.old, h.after, h.before) for h in self.hunks)
        return replace(self, hunks=hunks, creates=self.deletes, deletes=self.creates)


def parse_patch(text: str) -> tuple[FilePatch, ...]:
    """Read a unified diff; raises PatchError when it holds none."""
    lines = split_lines(text)
    patches: list[FilePatch] = []
    place = 0
    while place < len(lines):
        if lines[place].startswith("--- ") and lines[place + 1 : place + 2]:
            old, new = _name(lines[place]), _name(lines[place + 1])
            hunks, place = _hunks(lines, place + 2)
            patches.append(FilePatch(new or old, hunks, creates=not old, deletes=not new))
        else:
            place += 1
    if not patches:
        raise PatchError("the recorded patch holds no file")
    return tuple(patches)


def apply_patch(patch: FilePatch, text: str | None) -> str | None:
    """The file's new text from its old one, None being an absent file; raises PatchError."""
    if (text is None) != patch.creates:
        raise PatchError(f"{patch.path}: {'is missing' if text is None else 'is there already'}")
    lines = split_lines(text or "")
    result: list[str] = []
    place = 0
    for hunk in patch.hunks:
        start = hunk.old - 1 if hunk.before else hunk.old
        if tuple(lines[start : start + len(hunk.before)]) != hunk.before:
            raise PatchError(f"{patch.path}: line {hunk.old} is not what the patch expects")
        result += [*lines[place:start], *hunk.after]
        place = start + len(hunk.before)
    result += lines[place:]
    if patch.deletes and result:
        raise PatchError(f"{patch.path}: holds more than the patch deletes")
    return None if patch.deletes else "".join(result)


def stands(patch: FilePatch, text: str | None) -> bool:
    """Whether the file already is what the patch makes of it."""
    try:
        apply_patch(patch.reversed(), text)
    except PatchError:
        return False
    return True


def split_lines(text: str) -> list[str]:
    """Lines with their newline; only the last may lack it."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _hunks(lines: list[str], place: int) -> tuple[tuple[Hunk, ...], int]:
    hunks: list[Hunk] = []
    while place < len(lines) and (header := _HUNK.match(lines[place])):
        old, old_count, new, new_count = (int(n) if n else 1 for n in header.groups())
        place += 1
        before: list[str] = []
        after: list[str] = []
        while len(before) < old_count or len(after) < new_count:
            if place >= len(lines):
                raise PatchError("the recorded patch ends in the middle of a hunk")
            _take(lines[place], before, after)
            place += 1
        if place < len(lines) and lines[place].startswith("\\"):
            _cut_newline(lines[place - 1], before, after)
            place += 1
        hunks.append(Hunk(old, new, tuple(before), tuple(after)))
    return tuple(hunks), place


def _take(line: str, before: list[str], after: list[str]) -> None:
    match line[0]:
        case "-":
            before.append(line[1:])
        case "+":
            after.append(line[1:])
        case "\\":  # the old side's last line has no newline
            before[-1] = before[-1].removesuffix("\n")
        case " ":
            before.append(line[1:])
            after.append(line[1:])
        case _:
            raise PatchError(f"the recorded patch holds a strange line: {line!r}")


def _cut_newline(last: str, before: list[str], after: list[str]) -> None:
    for side, marks in ((before, "- "), (after, "+ ")):
        if last[0] in marks:
            side[-1] = side[-1].removesuffix("\n")


def _name(line: str) -> str:
    """The path of a `---` or `+++` line without git's prefix; empty for an absent side."""
    name = line[4:].rstrip("\n").partition("\t")[0]
    return "" if name == "/dev/null" else re.sub(r"^[ab]/", "", name)
