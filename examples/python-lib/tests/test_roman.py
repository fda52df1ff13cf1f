import unittest

from plainly import from_roman, to_roman


class Roman(unittest.TestCase):
    def test_some_years(self):
        for number, numeral in ((4, "IV"), (1066, "MLXVI"), (1999, "MCMXCIX"), (2024, "MMXXIV")):
            self.assertEqual(to_roman(number), numeral)

    def test_every_numeral_is_read_back(self):
        for number in range(1, 4000):
            self.assertEqual(from_roman(to_roman(number)), number)

    def test_lower_case_is_read_too(self):
        self.assertEqual(from_roman("xiv"), 14)

    def test_numbers_without_a_numeral_are_refused(self):
        for number in (-1, 0, 4000):
            with self.subTest(number), self.assertRaises(ValueError):
                to_roman(number)

    def test_other_letters_are_refused(self):
        for text in ("", "XA", "10"):
            with self.subTest(text), self.assertRaises(ValueError):
                from_roman(text)
