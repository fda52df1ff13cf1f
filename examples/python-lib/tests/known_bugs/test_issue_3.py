import unittest

from plainly import from_roman


class NumeralsThatAreNone(unittest.TestCase):
    @unittest.expectedFailure
    def test_they_are_refused(self):
        for text in ("IIII", "IC", "VX", "IXX"):
            with self.assertRaises(ValueError):
                from_roman(text)
