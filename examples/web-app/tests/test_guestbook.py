import io
import unittest

from guestbook import GuestBook


class Signing(unittest.TestCase):
    def sign(self, body):
        book, seen = GuestBook(), []
        environ = {
            "REQUEST_METHOD": "POST",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
        }
        book(environ, lambda status, headers: seen.append(status))
        self.assertEqual(seen, ["303 See Other"])
        return book

    def test_an_entry_is_shown(self):
        self.assertIn("<li>Ann: hello</li>", self.sign(b"name=Ann&text=hello").render())

    def test_a_text_is_no_markup(self):
        self.assertIn("&lt;b&gt;", self.sign(b"name=Ann&text=<b>").render())
