"""Issues as a folder of Markdown files with front matter; our comments stand at the file's end.

<!-- repoagents:comments -->

<!-- repoagents:… the comment's own marker … -->
text
<!-- repoagents:end -->
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path

import yaml

from repoagents.domain.effect import PostComment
from repoagents.domain.markers import PREFIX, has_marker, render_marked
from repoagents.errors import TrackerError
from repoagents.trackers.files import edit_text, inside, read_text
from repoagents.trackers.local import AUTHOR, Entry, LocalTracker
from repoagents.trackers.shapes import Fields, Misshapen, parse_issue, parse_number

SECTION = f"{PREFIX}comments -->"
END = f"{PREFIX}end -->"
FRONT_MATTER_LIMIT = 20_000
# libyaml's reader is ten times faster, which thousands of issues need, but not in every build.
READER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

_FRONT_MATTER = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.S | re.M)
_HEADING = re.compile(r"#{1,6}[ \t]+(.+?)[ \t]*#*")


@dataclass(frozen=True)
class _Block:
    """One of our comments in a file; `end` is None when its end mark is gone."""

    start: int
    end: int | None
    text: str


class LocalMarkdownTracker(LocalTracker):
    """The tracker `local_markdown`; everything but our own comments stays byte for byte."""

    def _entries(self) -> tuple[Entry, ...]:
        folder = inside(self._root, self._path)
        name = self._shown(folder)
        if not folder.is_dir():
            raise TrackerError(
                f"there is no folder {name}, where tracker.path expects the issues",
                next_step=f"Create it: mkdir -p {shlex.quote(name)}",
            )
        try:
            names = sorted(path.name for path in folder.iterdir() if path.suffix == ".md")
        except OSError as error:
            raise TrackerError(
                f"the issues in {name} cannot be read: {error.strerror}",
                next_step=f"Make the folder readable for this user: chmod u+rx {shlex.quote(name)}",
            ) from error
        # Those that are hidden are no issues.
        shown = (each for each in names if not each.startswith("."))
        return tuple(self._entry(folder / each, f"{name}/{each}") for each in shown)

    def _entry(self, path: Path, place: str) -> Entry:
        digits = re.match(r"[0-9]+", path.name)
        number = parse_number(digits[0]) if digits else None
        try:
            text = read_text(inside(self._root, path) if path.is_symlink() else path)
        except TrackerError as error:
            return Entry(place, number, problem=str(error))
        return parse_entry(text, place, number)

    def _find_comment(self, effect: PostComment) -> str | None:
        path = self._path_of(effect.issue_number)
        text = None if path is None else read_text(path)
        if path is None or text is None:
            return None
        wanted = render_marked(effect.marker, effect.body)
        stands = any(block.text == wanted and block.end for block in _blocks(text))
        return self._name(path) if stands else None

    def _put_comment(self, effect: PostComment) -> str:
        path = self._path_of(effect.issue_number)
        if path is None:
            folder = self._shown(inside(self._root, self._path))
            raise TrackerError(f"{folder} has no issue {effect.issue_number} to comment on")
        edit_text(path, self._control, lambda text: _edit(text, effect, self._name(path)))
        return self._name(path)

    def _path_of(self, number: int) -> Path | None:
        issue = self.read_issue(number)
        return None if issue is None else inside(self._root, self._root / issue.source)

    def _name(self, path: Path) -> str:
        return (
            (inside(self._root, self._path) / path.name)
            .relative_to(self._root.resolve())
            .as_posix()
        )


@lru_cache(maxsize=1024)
def parse_entry(text: str, place: str, number: int | None) -> Entry:
    """What a file's text says; `number` is the one in its name, which its front matter overrides.

    Every look reads every file, and nearly always finds what it found before.
    """
    try:
        fields, body = _split(text)
        if "id" in fields:
            known = parse_number(fields["id"])
            if known is None:
                raise Misshapen("its id is not a positive whole number")
            number = known
        if number is None:
            problem = f"{place} is left out: it has neither an id nor a number in its name"
            return Entry(place, None, problem=problem, stray=True)
        return Entry(place, number, parse_issue(_issue_fields(fields, body), number, place))
    except Misshapen as error:
        return Entry(place, number, problem=_name_problem(place, error))


def _split(text: str) -> tuple[Fields, str]:
    """Front matter and the rest; raises `Misshapen` with the line."""
    found = _FRONT_MATTER.match(text)
    if found is None:
        if re.match(r"\ufeff?---[ \t]*\r?\n", text):
            raise Misshapen("1: its front matter has no end")
        return {}, text
    if len(found[1]) > FRONT_MATTER_LIMIT:
        raise Misshapen("1: its front matter is too long")
    try:
        # Every scalar stays text: `id: 010` is ten and `title: yes` is a title.
        fields = yaml.load(found[1], Loader=READER)  # noqa: S506 - makes text only
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 2 if error.problem_mark else 1
        hint = "; a text with `: ` in it needs quotes" * ("mapping values" in str(error.problem))
        raise Misshapen(f"{line}: its front matter is not YAML: {error.problem}{hint}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise Misshapen("1: its front matter is not YAML") from error
    if fields is not None and not isinstance(fields, dict):
        raise Misshapen("2: its front matter is not a mapping")
    return {str(key): value for key, value in (fields or {}).items()}, text[found.end() :]


def _issue_fields(fields: Fields, text: str) -> Fields:
    section = _section(text)
    body = text if section is None else text[:section]
    comments: list[object] = [{"author": AUTHOR, "body": block.text} for block in _blocks(text)]
    title = fields.get("title") or _first_heading(body)
    known = {name: value for name, value in fields.items() if name in ("labels", "state", "author")}
    return known | {
        "title": title,
        "body": body.replace("\r\n", "\n").strip(),
        "comments": comments,
        "created_at": fields.get("created_at"),
    }


def _first_heading(text: str) -> str:
    fenced = False
    for line in text.splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        heading = None if fenced else _HEADING.fullmatch(line)
        if heading:
            return heading[1]
    return ""


def _section(text: str) -> int | None:
    """Where our section begins; the last mark counts, an issue may quote one."""
    marks = [found.start() for found in re.finditer(rf"(?m)^{re.escape(SECTION)}\r?$", text)]
    return marks[-1] if marks else None


def _blocks(text: str) -> Iterator[_Block]:
    """Our comments, in order."""
    section = _section(text)
    if section is None:
        return
    mark = re.compile(rf"(?m)^{re.escape(PREFIX)}.*?-->\r?$")
    marks = [found for found in mark.finditer(text, section) if found.start() != section]
    for here, after in zip_longest(marks, marks[1:]):
        if here[0].rstrip() == END:
            continue
        closed = after is not None and after[0].rstrip() == END
        last = after.start() if after is not None else len(text)
        shown = text[here.start() : last].replace("\r\n", "\n").rstrip("\n")
        yield _Block(here.start(), after.start() + len(END) if closed and after else None, shown)


def _edit(text: str, effect: PostComment, place: str) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    comment = f"{render_marked(effect.marker, effect.body)}\n{END}".replace("\n", newline)
    for block in _blocks(text):
        if has_marker(block.text, effect.marker):
            if block.end is None:
                line = text.count("\n", 0, block.start) + 1
                raise TrackerError(
                    f"{place}:{line}: the end mark of the bot's comment is gone",
                    next_step=f"Put the line {END} below the comment, or delete the comment.",
                )
            return text[: block.start] + comment + text[block.end :]
    gap = "" if not text or text.endswith("\n") else newline
    if _section(text) is None:
        gap += f"{newline}{SECTION}{newline}"
    return f"{text}{gap}{newline}{comment}{newline}"


def _name_problem(place: str, error: Misshapen) -> str:
    text = str(error)
    line, colon, why = text.partition(": ")
    return f"{place}:{line}: {why}" if colon and line.isdigit() else f"{place}:1: {text}"
