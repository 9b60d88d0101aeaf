#!/usr/bin/env python3
"""Compares a file with what is expected, line by line: `matches.py EXPECTED ACTUAL`. `…` stands for anything."""

import re
import sys
from itertools import zip_longest

expected, actual = (open(path, encoding="utf-8").read().splitlines() for path in sys.argv[1:3])
problems = 0
for number, (wanted, found) in enumerate(zip_longest(expected, actual), 1):
    if wanted is not None and found is not None:
        if re.fullmatch(".*".join(re.escape(part) for part in wanted.split("…")), found):
            continue
    problems += 1
    print(f"line {number}\n  expected: {wanted}\n  found:    {found}", file=sys.stderr)
if problems:
    print(f"{problems} lines are not as in {sys.argv[1]}", file=sys.stderr)
sys.exit(1 if problems else 0)
