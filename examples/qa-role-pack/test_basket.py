import unittest

from basket import total


class Total(unittest.TestCase):
    def test_prices_are_added(self):
        self.assertEqual(total([100, 250]), 350)
