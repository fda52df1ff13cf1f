import statistics
import unittest

from analysis import read_groups


class Groups(unittest.TestCase):
    def test_every_value_is_in_its_group(self):
        groups = read_groups()
        self.assertEqual(sorted(groups), ["control", "treated"])
        self.assertEqual(statistics.mean(groups["treated"]), 8.0)
