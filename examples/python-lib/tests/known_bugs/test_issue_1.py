import unittest
from datetime import timedelta

from plainly import format_duration


class DaysVanish(unittest.TestCase):
    @unittest.expectedFailure
    def test_a_day_and_an_hour(self):
        self.assertEqual(format_duration(timedelta(days=1, hours=1)), "1 d 1 h")
