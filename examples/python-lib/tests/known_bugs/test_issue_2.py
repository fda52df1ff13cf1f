import unittest

from plainly import render_table


class ColumnsVanish(unittest.TestCase):
    @unittest.expectedFailure
    def test_a_row_without_its_last_cell(self):
        table = render_table([["apple", "3", "red"], ["fig", "12"]])
        self.assertEqual(table, "apple  3   red\nfig    12")
