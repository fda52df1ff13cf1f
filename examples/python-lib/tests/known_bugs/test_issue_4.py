import unittest

from plainly import format_size


class ThousandOfAUnit(unittest.TestCase):
    @unittest.expectedFailure
    def test_the_next_unit_is_used(self):
        self.assertEqual(format_size(999_999), "1.0 MB")
