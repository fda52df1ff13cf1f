import unittest

from plainly import render_table


class RenderTable(unittest.TestCase):
    def test_columns_are_as_wide_as_their_widest_cell(self):
        self.assertEqual(
            render_table([["apple", "3"], ["fig", "12"]]),
            "apple  3\nfig    12",
        )

    def test_a_header_is_ruled(self):
        self.assertEqual(
            render_table([["fig", "12"]], headers=["fruit", "n"]),
            "fruit  n\n-----  --\nfig    12",
        )

    def test_no_rows_is_no_text(self):
        self.assertEqual(render_table([]), "")
