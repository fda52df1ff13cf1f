"""The documents as a site: `make docs` builds it below `build/site/`.

The pages are plain Markdown that reads well where it lies. So the site's menu is made from the
lists of links in `docs/index.md`, and no page has a directive of Sphinx's in it.
"""

import posixpath
import re

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

project = "RepoAgents"
root_doc = "docs/index"
extensions = ["myst_parser"]
include_patterns = ["*.md", "docs/**.md", "examples/README.md", "examples/*/README.md"]
include_patterns += ["examples/*/ops/*.md"]
exclude_patterns = [".*", "build", "demo", "node_modules", "repoagents", "tests"]

nitpicky = True
myst_heading_anchors = 4  # headings are linked to as on GitHub
myst_enable_extensions = ["tasklist"]

html_theme = "furo"
html_title = "RepoAgents"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False

MENUS = {"docs/index", "docs/decisions/README", "examples/README"}
LINK = re.compile(r"\]\((?![a-z]+:)([^)#]+)\.md\)")
TOCTREE = "\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{entries}\n```\n"


def add_menu(_app: Sphinx, page: str, source: list[str]) -> None:
    """Append a hidden table of contents for each section of a page of links."""
    if page not in MENUS:
        return
    folder = posixpath.dirname(page)
    for part in re.split(r"^#+ ", source[0], flags=re.MULTILINE)[1:]:
        pages = [posixpath.normpath(posixpath.join(folder, path)) for path in LINK.findall(part)]
        entries = "\n".join(f"/{path}" for path in pages)
        source[0] += TOCTREE.format(caption=part.partition("\n")[0], entries=entries)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", add_menu)
    app.add_lexer("mermaid", TextLexer)  # drawn on GitHub; here it is read as text
    return {"parallel_read_safe": True}
