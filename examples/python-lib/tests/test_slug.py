import unittest

from plainly import slugify


class Slugify(unittest.TestCase):
    def test_accents_case_and_signs_are_levelled(self):
        self.assertEqual(slugify("Crème brûlée!"), "creme-brulee")
        self.assertEqual(slugify("  What's new?  "), "what-s-new")

    def test_a_title_without_letters_has_a_slug(self):
        self.assertEqual(slugify("¿?"), "untitled")

    def test_a_taken_slug_gets_a_number(self):
        taken = {"notes"}
        self.assertEqual(slugify("Notes", taken), "notes-2")
        self.assertEqual(slugify("Notes", taken), "notes-3")
        self.assertEqual(taken, {"notes", "notes-2", "notes-3"})
