"""How every HTML page of ours is made: one self-contained file, escaped, with a strict policy.

A page loads nothing from anywhere. Its one style sheet and its one script stand in it, and its
Content-Security-Policy names both by their hash: whatever else gets into the page stays text.
"""

import base64
import hashlib
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from repoagents.policy.wording import clean
from repoagents.views.documents import render_json
from repoagents.views.words import spoken

STYLE = "style.css"


def render_page(
    template: str, values: dict[str, object], *, script: str = "", style: str = ""
) -> str:
    """The page that a template makes of these values.

    `script` is the name of its script file, `style` of what it adds to the common style sheet. The
    template extends `page.html`. Every value is escaped, and invisible characters are removed.
    """
    style = f"{_source(STYLE)}\n{_source(style)}" if style else _source(STYLE)
    code = _source(script) if script else ""
    allowed = f"'{_hash(code)}'" if code else "'none'"
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'; script-src {allowed}"
    )
    return (
        _environment()
        .get_template(template)
        .render(
            values,
            policy=policy,
            style=Markup(style),  # noqa: S704 - a file of ours
            script=Markup(code),  # noqa: S704 - a file of ours
        )
    )


@cache
def _templates() -> PackageLoader:
    return PackageLoader("repoagents.views")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=_templates(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_clean,
    )
    environment.filters |= {"embed": embed, "link": link, "prose": prose, "spoken": spoken}
    return environment


def embed(value: object) -> Markup:
    """A value as JSON that can stand in a `<script type="application/json">` of a page."""
    text = render_json(value, indent=None)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - nothing is left in it that could end the element


def link(address: str) -> str:
    """The address when it leads to a web page, empty otherwise: `javascript:` is one, too."""
    return address if address.startswith(("https://", "http://")) else ""


def prose(text: str) -> Markup:
    """A sentence of ours or from outside, with what stands between backticks shown as code."""
    parts = clean(text).split("`")
    told = [
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    ]
    return Markup("").join(told)


def _clean(value: object) -> object:
    """Text from outside without what a reader cannot see; what is marked up already stays."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return clean(value)
    return value


@cache
def _source(name: str) -> str:
    return _templates().get_source(_environment(), name)[0].strip()


def _hash(source: str) -> str:
    digest = hashlib.sha256(source.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
