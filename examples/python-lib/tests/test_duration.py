import unittest
from datetime import timedelta

from plainly import format_duration, parse_duration


class FormatDuration(unittest.TestCase):
    def test_units_are_spelled_out_from_the_largest(self):
        self.assertEqual(format_duration(timedelta(hours=1, minutes=5)), "1 h 5 min")

    def test_units_that_are_zero_are_left_out(self):
        self.assertEqual(format_duration(timedelta(hours=2, seconds=3)), "2 h 3 s")

    def test_nothing_is_zero_seconds(self):
        self.assertEqual(format_duration(timedelta(milliseconds=400)), "0 s")

    def test_a_negative_duration_keeps_its_sign(self):
        self.assertEqual(format_duration(timedelta(minutes=-90)), "-1 h 30 min")


class ParseDuration(unittest.TestCase):
    def test_spaces_do_not_matter(self):
        self.assertEqual(parse_duration("1h30min"), timedelta(hours=1, minutes=30))
        self.assertEqual(parse_duration(" 2 d 4 h "), timedelta(days=2, hours=4))

    def test_what_was_written_is_read_back(self):
        for minutes in (0, 1, 59, 60, 61, 1439):
            duration = timedelta(minutes=minutes)
            self.assertEqual(parse_duration(format_duration(duration)), duration)

    def test_anything_else_is_refused(self):
        for text in ("", "soon", "5", "5 minutes", "h"):
            with self.subTest(text), self.assertRaises(ValueError):
                parse_duration(text)
