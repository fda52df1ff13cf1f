import unittest

from plainly import join_words


class JoinWords(unittest.TestCase):
    def test_from_none_to_many(self):
        self.assertEqual(join_words([]), "")
        self.assertEqual(join_words(["tea"]), "tea")
        self.assertEqual(join_words(["tea", "milk"]), "tea and milk")
        self.assertEqual(join_words(["tea", "milk", "sugar"]), "tea, milk and sugar")

    def test_another_conjunction(self):
        self.assertEqual(join_words(iter("ab"), "or"), "a or b")
