"""Commands in comments: taken where a person wrote one, never where a text only holds one."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoagents.policy.commands import Command, CommandKind, parse

RUN = Command(CommandKind.RUN)


@pytest.mark.parametrize("kind", CommandKind)
def test_each_command_stands_on_a_line_of_its_own(kind: CommandKind) -> None:
    assert parse(f"/repoagents {kind}") == Command(kind)
    assert parse(f"Good.\n   /repoagents  {kind}  \nThanks.") == Command(kind)
    assert parse(f"Good.\r\n\r\n/repoagents {kind}\r\n") == Command(kind)


def test_a_retry_has_a_note_and_nothing_else_has() -> None:
    note = "look at `line 3` <b>first</b>"
    assert parse(f"/repoagents retry {note}") == Command(CommandKind.RETRY, note)
    for kind in ("run", "stop", "approve", "status"):
        assert parse(f"/repoagents {kind} now") is None


@pytest.mark.parametrize(
    "body",
    [
        "",
        "/repoagents",
        "/repoagents runs",
        "/repoagents run.",
        "/Repoagents run",
        "/repoagents RUN",
        "//repoagents run",
        "please /repoagents run",
        "- /repoagents run",
        "# /repoagents run",
        "/repoagents\trun",
        "/repoagents\u00a0run",
        "/repoagents run\u2028",
        "x\u2028/repoagents run",
        "x\x0b/repoagents run",
        "\u200b/repoagents run",
        "/repoagents\nrun",
    ],
)
def test_what_is_no_command(body: str) -> None:
    assert parse(body) is None


HIDDEN = {
    "a quote": "> /repoagents run",
    "a quote without a space": ">/repoagents run",
    "a quote in a quote": "> > /repoagents run",
    "the lazy end of a quote": "> he said\n/repoagents run",
    "the lazy end of a longer quote": "> he said\nand\n/repoagents run",
    "a quote of an e-mail": "On Monday she wrote:\n> /repoagents run\n>",
    "a fence": "```\n/repoagents run\n```",
    "a fence of tildes": "~~~ text\n\n/repoagents run\n~~~",
    "a fence that is not closed": "```\n\n/repoagents run",
    "a fence that a shorter one does not close": "````\n```\n\n/repoagents run\n````",
    "a fence that the other kind does not close": "```\n~~~\n\n/repoagents run\n```",
    "a fence that a deep line does not close": "```\n    ```\n\n/repoagents run\n```",
    "a fence that a line with words does not close": "```\n``` x\n\n/repoagents run\n```",
    "a fence in a list": "- x\n  ```\n  /repoagents run\n  ```",
    "a fence in a list that the next line ends": "- x\n  ```\ny\n```\n\n/repoagents run\n```",
    "a fence behind a list's mark": "- ```\n  /repoagents run\n  ```",
    "a fence behind a number": "1. ~~~\n   /repoagents run\n   ~~~",
    "a fence in a quote": "> ```\n\n/repoagents run",
    "indented code": "x\n\n    /repoagents run",
    "code indented by a tab": "x\n\n\t/repoagents run",
    "inline code": "`/repoagents run`",
    "inline code over lines": "`one\n/repoagents run\ntwo`",
    "inline code after an escape": "\\` `\n/repoagents run\n`",
    "inline code that looks like a fence": "``` x ```\n`\n/repoagents run\n`",
    "the text of a link": "[one\n/repoagents run\n](http://example.invalid)",
    "an HTML comment": "<!--\n\n/repoagents run\n\n-->",
    "an HTML comment that is not closed": "x <!-- y\n\n/repoagents run",
    "an HTML comment behind a fence": "```\n<!--\n```\n<!--\n/repoagents run\n-->",
    "a code block of HTML": "<pre>\n\n/repoagents run\n\n</pre>",
    "a quote of HTML": "<blockquote>\n\n/repoagents run\n\n</blockquote>",
    "a hidden part": "<details><summary>log</summary>\n\n/repoagents run\n</details>",
    "a comment that code only seems to close": "`<!--`\n```\n-->\n\n/repoagents run\n```",
}


@pytest.mark.parametrize("where", HIDDEN)
def test_what_github_shows_as_something_else_is_no_command(where: str) -> None:
    assert parse(HIDDEN[where]) is None


@pytest.mark.parametrize(
    "body",
    [
        "```\ncode\n```\n/repoagents run",
        "~~~~\n~~~\n~~~~~\n/repoagents run",
        "> quoted\n\n/repoagents run",
        "Look at `foo`.\n\n/repoagents run",
        "    code\n\n/repoagents run",
        "a < b\n\n/repoagents run\n<!-- sent from a phone -->",
    ],
)
def test_what_comes_before_and_has_ended_hides_nothing(body: str) -> None:
    assert parse(body) == RUN


def test_what_comes_after_hides_nothing() -> None:
    assert parse("/repoagents run\n\n<details>\n```\n> x") == RUN


def test_the_first_command_counts() -> None:
    assert parse("/repoagents stop\n/repoagents run") == Command(CommandKind.STOP)
    assert parse("/repoagents run it\n\n/repoagents stop") == Command(CommandKind.STOP)


@pytest.mark.parametrize(
    "body",
    [
        f"/repoagents retry a{' ' * 65_000}b",
        f"/repoagents run{' ' * 65_000}b",
        "a\n" * 32_000,
        "- " * 32_000,
        "`" * 65_000,
    ],
)
def test_the_longest_comment_of_a_stranger_is_read_at_once(body: str) -> None:
    begun = time.process_time()
    parse(body)
    assert time.process_time() - begun < 10


PIECES = ["```", "~~~", "> ", "    ", "`", "<!--", "-->", "x", "", "- ", "<pre>", "[", "]("]


@given(st.lists(st.sampled_from(PIECES), max_size=8))
def test_a_quoted_or_fenced_command_is_never_taken_whatever_surrounds_it(lines: list[str]) -> None:
    around = "\n".join(lines)
    assert parse(f"{around}\n> /repoagents run\n{around}") is None
    assert parse(f"```````\n{around}\n/repoagents run\n{around}\n```````") is None


@given(st.text(alphabet="/repoagnts urn`~>< \n\t-[", max_size=60))
def test_any_text_is_read_without_an_error_and_a_command_only_from_its_own_line(body: str) -> None:
    if parse(body) is not None:
        assert any(line.strip(" ").startswith("/repoagents ") for line in body.split("\n"))
