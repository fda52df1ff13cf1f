"""Commands that a page only names: the command and its options exist.

What stands in blocks marked `console` is run, by `test_docs.py`; here is what stands elsewhere: in
blocks marked `sh`, and between backticks.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from repoagents.cli.app import program

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`(repoagents [^`]+)`")
LINE = re.compile(r"(?:^ *|[(&;] *|=\S* |\bexec |uv run (?:\S+ \S+ )?)(repoagents [^#|;&>)]+)")
OPEN = re.compile(r"^\$ repoagents ", re.MULTILINE)


def named(page: Path) -> Iterator[str]:
    """Each command line of a page that begins with our program."""
    text = page.read_text(encoding="utf-8")
    for language, body in BLOCK.findall(text):
        if language == "sh":
            for line in body.replace("\\\n", " ").splitlines():
                yield from LINE.findall(line.partition(" #")[0])
    yield from INLINE.findall(" ".join(BLOCK.sub("", text).split()))


def options(command: click.Command) -> set[str]:
    """Every way to write one of its options."""
    return {name for each in command.params for name in (*each.opts, *each.secondary_opts)}


def problem(line: str) -> str | None:
    """What the program would not know about a line."""
    words = shlex.split(line.replace("'", "").replace("…", ""))[1:]
    context = click.Context(program, info_name="repoagents")
    command: click.Command = program
    known = {"--help", "-h", *options(program)}
    while isinstance(command, click.Group):
        if not words or words[0].startswith("-") or words[0].isupper():
            break
        found = command.get_command(context, words[0])
        if found is None:
            return f"no command {words[0]}"
        command, words = found, words[1:]
    known |= options(command)
    unknown = [word for word in words if word.startswith("-") and word.split("=")[0] not in known]
    return f"no option {unknown}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_that_a_page_names_exist(page: Path) -> None:
    assert {line: found for line in named(page) if (found := problem(line))} == {}
    for language, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        assert language in {"console", "text"} or not OPEN.search(body), "mark it `console`"


def test_what_does_not_exist_is_found() -> None:
    assert problem("repoagents ops snapshot --issue 12 --archive") is None
    assert problem("repoagents ops snapshots") == "no command snapshots"
    assert problem("repoagents run --untill-idle") == "no option ['--untill-idle']"
    assert sum(1 for page in PAGES for _ in named(page)) > 150
