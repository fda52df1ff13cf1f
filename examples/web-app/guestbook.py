"""A guest book: one page and one form, kept in memory; a WSGI application."""

import html
from urllib.parse import parse_qs

PAGE = """<!doctype html>
<title>Guest book</title>
<form method="post"><input name="name"><input name="text"><button>Sign</button></form>
<ul>{rows}</ul>
"""


class GuestBook:
    """The application; entries are (name, text), oldest first."""

    def __init__(self):
        self.entries = []

    def __call__(self, environ, start_response):
        """Show the page, or add an entry and show it again."""
        if environ["REQUEST_METHOD"] == "POST":
            length = int(environ.get("CONTENT_LENGTH") or 0)
            fields = parse_qs(environ["wsgi.input"].read(length).decode())
            self.entries.append((fields.get("name", [""])[0], fields.get("text", [""])[0]))
            start_response("303 See Other", [("Location", "/")])
            return [b""]
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [self.render().encode()]

    def render(self):
        """The page as it stands."""
        rows = "".join(f"<li>{name}: {html.escape(text)}</li>" for name, text in self.entries)
        return PAGE.format(rows=rows)
