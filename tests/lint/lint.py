#!/usr/bin/env python3
"""Checks the rules of the house that no compiler checks.

usage: lint.py [--list] [--root FOLDER] [RULE...]

Without a rule: all of them. Exceptions stand in tests/lint/allow.txt, each
with its reason. Exit code 1 when anything was found.
"""

import argparse
import os
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import budgets  # noqa: E402
import files  # noqa: E402
import include_graph  # noqa: E402
import proto_numbers  # noqa: E402
import protos  # noqa: E402
import words  # noqa: E402
from tree import Tree  # noqa: E402

RULES = {**include_graph.RULES, **budgets.RULES, **words.RULES,
         **protos.RULES, **proto_numbers.RULES, **files.RULES}


def findings(tree, rule):
    return [f for f in RULES[rule](tree) if not tree.allowed(rule, f.path)]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--list", action="store_true", help="name the rules")
    parser.add_argument("--root", default=os.path.join(HERE, "../.."))
    parser.add_argument("rules", nargs="*", metavar="RULE")
    options = parser.parse_args()
    if options.list:
        print("\n".join(RULES))
        return 0
    unknown = [rule for rule in options.rules if rule not in RULES]
    if unknown:
        parser.error(f"no rule {unknown[0]}; --list names them")
    start = time.monotonic()
    tree = Tree(os.path.realpath(options.root), os.path.join(HERE, "allow.txt"))
    count = 0
    for rule in options.rules or RULES:
        for finding in findings(tree, rule):
            count += 1
            print(f"{finding.path}:{finding.line}: {rule}: {finding.message}")
    if not options.rules:
        for allowance in tree.allowances:
            if allowance not in tree.used:
                count += 1
                print(f"tests/lint/allow.txt: {allowance.rule} "
                      f"{allowance.pattern}: no longer needed, take it out")
    print(f"lint: {count} findings in {len(tree.files())} files, "
          f"{len(options.rules or RULES)} rules, "
          f"{time.monotonic() - start:.1f} s")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
