#!/usr/bin/env python3
"""A rule that cannot fail proves nothing: each has a tree it passes and one it
fails, under fixtures/RULE/{good,bad}. bad/expected.txt lists path:line of every
finding, exactly."""

import os
import sys
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import budgets  # noqa: E402
import lint  # noqa: E402
from tree import Tree, blank_words  # noqa: E402


# Small ones, so that the fixtures can be.
budgets.FILE_LINES = 5
budgets.FUNCTION_LINES = 7
budgets.CMAKE_LINES = 8


def found(rule, kind):
    tree = Tree(os.path.join(HERE, "fixtures", rule, kind))
    assert tree.files(), f"fixtures/{rule}/{kind} is empty"
    return sorted(f"{f.path}:{f.line}" for f in lint.RULES[rule](tree))


class Fixtures(unittest.TestCase):
    def test_every_rule_passes_what_is_good(self):
        for rule in lint.RULES:
            with self.subTest(rule):
                self.assertEqual(found(rule, "good"), [])

    def test_every_rule_finds_what_is_bad_and_no_more(self):
        for rule in lint.RULES:
            with self.subTest(rule):
                path = os.path.join(HERE, "fixtures", rule, "bad/expected.txt")
                with open(path, encoding="utf-8") as file:
                    expected = sorted(file.read().split())
                self.assertEqual(found(rule, "bad"), expected)

    def test_every_fixture_belongs_to_a_rule(self):
        self.assertEqual(sorted(os.listdir(os.path.join(HERE, "fixtures"))),
                         sorted(lint.RULES))


class Reading(unittest.TestCase):
    def test_comments_and_literals_are_not_code(self):
        self.assertEqual(
            blank_words('a("//no"); // x\nb(1\'000\'000, \'"\');').split(),
            ['a("', '");', "b(1'000'000,", ");"])

    def test_functions_are_found_in_namespaces_and_classes(self):
        code = ("namespace a {\nstruct B {\n  B() : x_(1) {\n  }\n"
                "  int f() const {\n    if (x) {\n    }\n  }\n};\n"
                "const int k[] = {1};\nTEST(A, B) {\n}\n}\n")
        self.assertEqual(list(budgets.functions(code)),
                         [(3, 2), (5, 4), (11, 2)])


if __name__ == "__main__":
    unittest.main()
