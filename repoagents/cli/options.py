"""What several commands take: whole numbers, an issue, an answer in JSON."""

import click

LARGEST = 2**63 - 1
"""The largest that the state can hold; no issue comes near it."""


class Whole(click.IntRange):
    """A whole number within bounds, and one that the state can hold."""

    name = "whole number"

    def convert(self, value: int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; a text that is none, or one out of bounds, is a usage error."""
        number: int = super().convert(value, param, ctx)
        if number > LARGEST:
            self.fail(f"{value} is too large.", param, ctx)
        return number


ISSUE = Whole(min=1)
"""The number of an issue."""

NUMBER = click.argument("number", type=ISSUE)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
