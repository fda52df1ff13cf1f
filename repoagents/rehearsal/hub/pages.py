"""The pages behind the links: what was said and changed, for a browser, nothing to press."""

import re
from collections.abc import Iterable
from html import escape

from repoagents.rehearsal.hub.forge import Forge
from repoagents.rehearsal.hub.records import Issue
from repoagents.rehearsal.hub.routing import Reply

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
}
STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
article { border: 1px solid #8886; border-radius: 6px; margin: 1rem 0; padding: 0 1rem 1rem }
header { border-bottom: 1px solid #8886; margin: 0 -1rem; padding: .4rem 1rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere }
mark { border-radius: 1em; padding: 0 .6em }
"""


def page_at(forge: Forge, path: str) -> Reply | None:
    """The page at an address of the site; None when nothing is there."""
    place = re.escape(f"/{forge.repository.full_name}")
    if re.fullmatch(f"{place}/?", path):
        return _page(forge.repository.full_name, _listing(forge))
    found = re.fullmatch(rf"{place}/(?:issues|pull)/(\d+)", path)
    issue = forge.repository.issues.get(int(found.group(1))) if found else None
    if issue is None:
        return None
    return _page(f"{issue.title} #{issue.number}", _conversation(forge, issue))


def _listing(forge: Forge) -> Iterable[str]:
    yield "<ul>"
    for issue in reversed(forge.repository.issues.values()):
        part = "pull" if issue.pull else "issues"
        link = f"/{forge.repository.full_name}/{part}/{issue.number}"
        title = escape(issue.title)
        yield f'<li><a href="{link}">#{issue.number} {title}</a> {_state(issue)}'
    yield "</ul>"


def _conversation(forge: Forge, issue: Issue) -> Iterable[str]:
    labels = " ".join(f"<mark>{escape(name)}</mark>" for name in issue.labels)
    yield f"<p>{_state(issue)} {labels}</p>"
    if issue.pull:
        head, base = escape(issue.pull.head), escape(issue.pull.base)
        yield f"<p><code>{head}</code> into <code>{base}</code></p>"
    yield _said(issue.by, issue.body or "")
    for comment in forge.repository.comments_of(issue.number):
        yield _said(comment.by, comment.body)
    if issue.pull:
        pull, bare = issue.pull, forge.bare
        common = bare.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
        for file in bare.difference(common, pull.head_sha):
            yield _said(file.path, file.patch)


def _state(issue: Issue) -> str:
    if issue.merged:
        return "merged"
    return "draft" if issue.pull and issue.pull.draft and issue.state == "open" else issue.state


def _said(head: str, text: str) -> str:
    return f"<article><header>{escape(head)}</header><pre>{escape(text)}</pre></article>"


def _page(title: str, body: Iterable[str]) -> Reply:
    name = escape(title)
    top = f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>{name}</title>'
    lines = [top, f"<style>{STYLE}</style>", f"<h1>{name}</h1>", *body, "</html>\n"]
    return Reply(200, raw="\n".join(lines).encode("utf-8", "replace"), headers=HEADERS)
