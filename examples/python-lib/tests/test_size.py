import unittest

from plainly import format_size


class FormatSize(unittest.TestCase):
    def test_small_sizes_are_exact(self):
        self.assertEqual(format_size(0), "0 B")
        self.assertEqual(format_size(999), "999 B")

    def test_larger_sizes_have_one_decimal(self):
        self.assertEqual(format_size(1000), "1.0 kB")
        self.assertEqual(format_size(1_540_000), "1.5 MB")
        self.assertEqual(format_size(2_000_000_000_000), "2.0 TB")

    def test_the_largest_unit_takes_the_rest(self):
        self.assertEqual(format_size(12_345 * 10**15), "12345.0 PB")

    def test_a_negative_size_is_refused(self):
        with self.assertRaises(ValueError):
            format_size(-1)
